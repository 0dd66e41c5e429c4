"""compose.yaml: valid by the Compose specification, understood by the app, without a password that all could know."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import yaml

from catvton.service.limits import read_windows
from catvton.settings import PREFIX, Settings, names
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "compose.yaml"
GIVEN = {"POSTGRES_PASSWORD": "a1", "REDIS_PASSWORD": "b2", "CATVTON_METRICS_TOKEN": "c3"}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:[-?])([^}]*))?\}")


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def valid(path: Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True).returncode == 0


def filled(text: str, given: dict[str, str]) -> str:
    """The text with its variables as Compose fills them in; KeyError for a required one that is not given."""

    def value(found: re.Match) -> str:
        name, kind, word = found.groups()
        if given.get(name):
            return given[name]
        if kind == ":?":
            raise KeyError(name)
        return word or ""

    return VARIABLE.sub(value, text).replace("$$", "$")


def test_it_is_valid_by_the_specification_and_a_wrong_one_is_not(tmp_path):
    assert valid(COMPOSE)
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("depends_on:", "depends_upon:"))
    assert not valid(wrong)


def test_the_app_understands_every_setting_it_is_given(services, monkeypatch):
    environment = services["app"]["environment"]
    ours = {name: filled(value, GIVEN) for name, value in environment.items()}
    assert set(ours) <= set(names().values())
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.auth == "password" and read_windows(settings.rate_limits)
    assert settings.database_url.get_secret_value() == "postgresql://catvton:a1@database/catvton"
    assert urlsplit(settings.redis_url.get_secret_value()).password == "b2"
    assert settings.metrics_token.get_secret_value() == "c3"
    assert {urlsplit(ours[f"{PREFIX}{name}"]).hostname for name in ("REDIS_URL", "DATABASE_URL")} <= set(services)


@pytest.mark.parametrize("name", GIVEN)
def test_without_a_password_of_ones_own_nothing_starts(services, name):
    text = yaml.safe_dump(services)
    filled(text, GIVEN)
    with pytest.raises(KeyError, match=name):
        filled(text, {other: value for other, value in GIVEN.items() if other != name})


def test_no_password_stands_in_the_file(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN", name):
                assert VARIABLE.fullmatch(value) and ":?" in value, name
            password = re.search(r"://[^:]*:(.*)@", value)
            assert password is None or (VARIABLE.fullmatch(password[1]) and ":?" in password[1]), name


def test_only_the_app_can_be_reached_and_only_from_this_machine(services):
    assert [name for name, service in services.items() if "ports" in service] == ["app"]
    assert [filled(port, {}) for port in services["app"]["ports"]] == ["127.0.0.1:7860:7860"]
    whole = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert whole["networks"]["back"]["internal"] is True
    assert all(service["networks"] == ["back"] for name, service in services.items() if name != "app")


def test_the_app_waits_for_healthy_servers_and_has_time_to_end(services):
    for name in services["app"]["depends_on"]:
        assert services["app"]["depends_on"][name] == {"condition": "service_healthy"}
        assert services[name]["healthcheck"]["test"]
    assert int(services["app"]["stop_grace_period"].removesuffix("s")) > Settings(_env_file=None).shutdown_seconds
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()  # the app's own


def test_what_must_last_lies_in_a_volume_and_photos_in_memory(services):
    whole = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert sorted(mounted) == sorted(whole["volumes"])
    recipe, args = (ROOT / "Dockerfile").read_text(), services["app"]["build"]["args"]
    assert services["app"]["volumes"] == ["data:/data"] and "CATVTON_DATA_DIR=/data" in recipe
    assert services["app"]["read_only"] and services["app"]["tmpfs"][0].startswith("/tmp:")
    assert all(f"ARG {name}=" in recipe for name in args)
    assert (ROOT / f"requirements-{args['EXTRAS']}.txt").is_file()


def test_its_redis_asks_for_the_password(services, tmp_path):
    """A real redis-server, started as the file says, on another port."""
    port = free_port()
    *shell, line = (filled(word, GIVEN) for word in services["redis"]["command"])
    command = [*shell, f"{line} --bind 127.0.0.1 --port {port}"]
    environment = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": "b2"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                with pytest.raises(redis.AuthenticationError), redis.Redis(port=port) as stranger:
                    stranger.ping()
                break
            except redis.ConnectionError:
                assert process.poll() is None and time.monotonic() < limit
                time.sleep(0.05)
        with redis.Redis(port=port, password="b2") as friend:
            assert friend.ping() and friend.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-ttl"}
    finally:
        process.kill()
        process.wait()
