"""`python -m catvton doctor`: what is in order, what is wrong, and what it tells people to do."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from catvton import cli, doctor
from catvton.cards import read_cards
from catvton.doctor import FAILED, OK, WARNING, Finding, address, machine, packages, people, secrets, spaces, stores
from catvton.doctor import weights as weights_room
from catvton.records import migrations
from catvton.records.database import FILE, sqlite_engine
from catvton.service.accounts import Accounts
from catvton.settings import Settings
from tests.hub_world import registry
from tests.ports import free_port
from tests.redis_server import redis_server
from tests.web_fakes import FakeTryOn, serving

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working directory, and a data folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPACE_ID", raising=False)
    return tmp_path


def settings(place: Path, **given) -> Settings:
    return Settings(**({"data_dir": place / "data", "models_dir": place / "models"} | given))


def wrong(finding: Finding, *words: str, state: str = FAILED) -> None:
    """It is as bad as that, says so, and says what to do."""
    assert finding.state == state, finding
    assert finding.mend, finding
    for word in words:
        assert word in f"{finding.said} {finding.mend}", finding


def right(finding: Finding, *words: str) -> None:
    assert (finding.state, finding.mend) == (OK, ""), finding
    for word in words:
        assert word in finding.said, finding


def by_subject(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


# ---- Python and packages ---------------------------------------------------------------------------------------------


def test_an_old_python_is_named():
    wrong(packages.python((3, 10, 4)), "3.10.4", "3.11")
    right(packages.python((3, 13, 0)), "3.13.0")


def test_missing_and_wrong_packages_are_all_named(place):
    requirements = place / "requirements.txt"
    requirements.write_text('numpy>=99,<100 # too new\nno-such-package>=1\nnever>=1; python_version < "3"\npillow>=1\n')
    finding = packages.packages(requirements)
    wrong(finding, "numpy is", ">=99", "no-such-package is missing", "pip install -r")
    assert "never" not in finding.said and "pillow" not in finding.said
    right(packages.packages(ROOT / "requirements.txt"), "torch")


@pytest.mark.parametrize(("text", "state"), [("raise RuntimeError('operator torchvision::nms does not exist')", FAILED),
                                             ("", OK)])
def test_a_broken_torchvision_is_found_out(place, monkeypatch, text, state):
    (place / "torchvision.py").write_text(text)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", str(place))
    finding = packages.torchvision()
    assert finding.state == state
    if state == FAILED:
        wrong(finding, "nms does not exist", "pip uninstall torchvision")


# ---- the machine -----------------------------------------------------------------------------------------------------


def test_a_device_that_is_not_there(place):
    wrong(machine.device(settings(place, device="mps")), "mps", "CATVTON_DEVICE")
    right(machine.device(settings(place, device="cpu")), "cpu in float32")


def test_little_memory():
    wrong(machine.memory(10**9), "1.0 GB", state=WARNING)
    right(machine.memory(16 * 10**9), "16.0 GB")


def test_folders_that_cannot_be_written_to_or_are_full(place):
    (place / "file").touch()
    wrong(machine.folder("temp folder", place / "file" / "below", "CATVTON_TEMP_DIR"), "cannot be written", "TEMP_DIR")
    wrong(machine.folder("temp folder", place, "CATVTON_TEMP_DIR", needed=10**18), "GB left", state=WARNING)
    right(machine.folder("temp folder", place / "not" / "yet", "CATVTON_TEMP_DIR"))
    assert list(place.iterdir()) == [place / "file"]


# ---- engines ---------------------------------------------------------------------------------------------------------


def test_an_engine_that_is_asked_for_and_not_there(place):
    found = by_subject(weights_room.look(settings(place, engine="demo", registry=registry(place))))
    wrong(found["engine demo"], "CATVTON_ENGINE", "models download demo", "compact stands in")
    right(found["engine compact"], "complete")
    assert "engine other" not in found  # nobody asked for it


def test_engines_there_are_none_of_and_engines_still_to_come(place):
    given = {"engine": "demoo", "download": "demo nope", "registry": registry(place)}
    found = by_subject(weights_room.look(settings(place, **given)))
    wrong(found["engine demoo"], "no engine", "compact")
    wrong(found["engine nope"], "CATVTON_DOWNLOAD")
    wrong(found["engine demo"], "will be downloaded", state=WARNING)


def test_an_engine_its_licence_forbids(place):
    given = {"engine": "demo", "commercial_only": True, "registry": registry(place)}
    wrong(by_subject(weights_room.look(settings(place, **given)))["engine demo"], "commercial", "CATVTON_ENGINE")


def test_files_that_are_missing(place):
    card = read_cards()["compact"]
    right(weights_room.complete(card), "compact@4")
    copy = type(card)(**{**vars(card), "folder": place})
    wrong(weights_room.complete(copy), "missing", "git checkout")


def test_a_registry_that_cannot_be_read(place):
    (place / "mine.toml").write_text("[sources.nothing]\nrepo = 3\n")
    wrong(next(weights_room.look(settings(place, registry=place / "mine.toml"))), "CATVTON_REGISTRY")


# ---- stores ----------------------------------------------------------------------------------------------------------


def database_at(place: Path, revision: str | None) -> Settings:
    """Settings with a database of that version; "newer" is one nobody knows."""
    given = settings(place)
    engine = sqlite_engine(given.data_dir / FILE)
    with engine.begin() as work:
        if revision is not None:
            migrations.upgrade(work, "head" if revision == "newer" else revision)
        if revision == "newer":
            work.execute(sqlalchemy.text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    return given


def test_a_database_of_each_age(place):
    right(stores.database(database_at(place / "a", "head")), "up to date")
    older = next(script.down_revision for script in _scripts() if script.down_revision)
    wrong(stores.database(database_at(place / "b", older)), "older version", state=WARNING)
    wrong(stores.database(database_at(place / "c", None)), "no tables", state=WARNING)
    wrong(stores.database(database_at(place / "d", "newer")), "newer version", "Update")


def _scripts():
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()


def test_looking_makes_no_database(place):
    right(stores.database(settings(place)), "first use")
    list(people.accounts(settings(place, auth="password")))
    assert not (place / "data").exists()


@pytest.mark.parametrize(("url", "words"), [
    ("postgresql://ana:hush@127.0.0.1:9/catvton", ("does not answer", "running")),
    ("not an address", ("CATVTON_DATABASE_URL",)),
])
def test_a_database_that_cannot_be_had(place, url, words):
    finding = stores.database(settings(place, database_url=url))
    wrong(finding, *words)
    assert "hush" not in str(finding)


def test_a_redis_that_is_away_and_one_that_is_there(place):
    with redis_server() as server:
        right(stores.redis(settings(place, redis_url=server.url)), "answers")
        server.stop()
        wrong(stores.redis(settings(place, redis_url=server.url)), "does not answer", "running")
    wrong(stores.redis(settings(place, redis_url="http://here")), "CATVTON_REDIS_URL")
    right(stores.redis(settings(place)), "Not used")


# ---- people ----------------------------------------------------------------------------------------------------------


def test_accounts_nobody_has(place):
    given = settings(place, auth="password")
    wrong(next(people.accounts(given)), "no account", "users add", state=WARNING)
    Accounts.of(given).add("ana", "correct horse")
    right(next(people.accounts(given)), "1 account can")
    wrong(next(people.accounts(settings(place, auth="huggingface"))), "Spaces only", "CATVTON_AUTH")
    assert not list(people.accounts(settings(place, auth="password", database_url="postgresql://127.0.0.1:9/x")))


def test_what_a_public_address_needs(place):
    wrong(people.limits(settings(place, host="0.0.0.0")), "CATVTON_RATE_LIMITS", state=WARNING)
    right(people.limits(settings(place)))
    right(people.limits(settings(place, host="0.0.0.0", rate_limits="5/minute")), "5/minute")
    wrong(people.proxy(settings(place, host="0.0.0.0", rate_limits="5/minute")), "TRUSTED_PROXY_HOPS", state=WARNING)
    right(people.proxy(settings(place, host="0.0.0.0", rate_limits="5/minute", trusted_proxy_hops=2)), "last 2")
    wrong(secrets.metrics(settings(place, host="0.0.0.0")), "CATVTON_METRICS_TOKEN", state=WARNING)
    right(secrets.metrics(settings(place, host="::1")))


def test_protections_that_are_off(place):
    wrong(people.watermark(settings(place, watermark="off")), "unmarked", state=WARNING)
    wrong(people.watermark(settings(place, records_days=0)), "leads nowhere", state=WARNING)
    right(people.watermark(settings(place)), "90 days")
    wrong(people.moderation(settings(place, moderation="off")), "CATVTON_MODERATION", state=WARNING)
    right(people.moderation(settings(place)))


def test_a_certificate_without_its_key(place):
    (place / "certificate.pem").write_text("nothing of the kind")
    wrong(next(people.signing(settings(place, c2pa_certificate=place / "certificate.pem"))), "CATVTON_C2PA_KEY")
    both = {"c2pa_certificate": place / "certificate.pem", "c2pa_key": place / "certificate.pem"}
    wrong(next(people.signing(settings(place, **both))), "CATVTON_C2PA_CERTIFICATE")
    assert not list(people.signing(settings(place)))


# ---- secrets ---------------------------------------------------------------------------------------------------------


def test_files_with_secrets_that_others_may_read(place):
    env = place / ".env"
    env.write_text("CATVTON_REDIS_URL=redis://:hush@localhost\nOTHER=1\n")
    env.chmod(0o644)
    database_at(place, "head")
    key = place / "key.pem"
    key.write_text("key")
    key.chmod(0o640)
    found = list(secrets.files(settings(place, c2pa_key=key)))
    assert [(each.state, each.mend.split()[-1] if each.mend else "") for each in found] == [
        (FAILED, ".env"), (FAILED, str(key)), (OK, "")]
    assert "hush" not in str(found)
    env.chmod(0o600)
    key.chmod(0o600)
    assert {each.state for each in secrets.files(settings(place, c2pa_key=key))} == {OK}


def test_an_env_file_without_secrets_may_be_read_by_all(place):
    (place / ".env").write_text("CATVTON_PORT=7000\nCATVTON_REDIS_URL=\n")
    (place / ".env").chmod(0o644)
    right(next(secrets.files(settings(place))))


def test_the_secret_settings_are_known():
    assert {"CATVTON_REDIS_URL", "CATVTON_DATABASE_URL", "CATVTON_HF_TOKEN", "CATVTON_METRICS_TOKEN"} <= (
        secrets.secret_names())


# ---- the address -----------------------------------------------------------------------------------------------------


def test_an_address_that_is_free_and_one_of_nobody(place):
    port = free_port()
    right(address.address(settings(place, port=port)), "free")
    wrong(address.address(settings(place, host="no.such.host.invalid")), "CATVTON_HOST")


def test_another_program_at_our_address(place):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wrong(address.address(settings(place, port=server.server_port)), "another program", "CATVTON_PORT")
        server.shutdown()


def test_a_running_server_is_asked_whether_it_is_ready(place):
    with serving(FakeTryOn(), place / "temp", examples=False, data_dir=place / "data") as server:
        given = settings(place, port=server.service.settings.port)
        wrong(address.address(given), "not ready: warming up", state=WARNING)
        server.service.readiness.made(next(iter(server.service.tryon.cards.values())).id)
        right(address.address(given), "is ready")


# ---- on a Space ------------------------------------------------------------------------------------------------------


@pytest.fixture
def space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ana/studio")


def test_elsewhere_nothing_is_said_of_spaces(place):
    assert not list(spaces.look(settings(place)))


def test_a_space_that_cannot_be_reached_or_framed(place, space):
    right(spaces.host(settings(place)))
    wrong(spaces.host(settings(place, port=8000)), "proxy", "CATVTON_PORT")
    wrong(spaces.host(settings(place, frame_ancestors="https://shop.example")), "frame", state=WARNING)


def test_a_space_forgets(place, space, monkeypatch):
    monkeypatch.setattr(Path, "is_mount", lambda path: path == Path("/"))
    wrong(spaces.disk(settings(place)), "every restart", "CATVTON_DATABASE_URL", state=WARNING)
    right(spaces.disk(settings(place, records_days=0)))
    right(spaces.disk(settings(place, database_url="postgresql://there/x")))
    monkeypatch.setattr(Path, "is_mount", lambda path: path in (Path("/"), place))
    right(spaces.disk(settings(place)), "volume")


def test_zerogpu_wants_its_package_its_torch_and_an_engine(place, space, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setattr(spaces.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(spaces, "version", lambda name: "2.13.0+cu130")
    findings = list(spaces.zero(settings(place)))
    wrong(findings[0], "spaces is not installed")
    assert any("torch 2.13.0" in each.said and each.state == WARNING for each in findings)
    wrong(findings[-1], "CATVTON_DOWNLOAD=catvton", state=WARNING)
    right(machine.device(settings(place, device="cuda")), "ZeroGPU")


# ---- the command -----------------------------------------------------------------------------------------------------


def run(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, with no setting but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CATVTON_", "SPACE"))}
    own = {"CATVTON_DATA_DIR": str(place / "data"), "CATVTON_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "catvton", "doctor", *arguments], cwd=place, capture_output=True,
                          text=True, timeout=300, env=clean | own | environment)


def test_a_deployment_in_order_ends_with_0(place):
    done = run(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is in order." in done.stdout and "->" not in done.stdout
    subjects = ("python", "packages", "torchvision", "settings", "device", "memory", "temp folder", "engine compact",
                "models folder", "data folder", "database", "redis", "accounts", "limits", "proxy", "watermark",
                "moderation", "secrets", "metrics", "address")
    assert all(f"ok       {subject} " in done.stdout for subject in subjects)
    assert not (place / "data").exists()


def test_one_out_of_order_ends_with_1_and_says_all_of_it(place):
    done = run(place, "--json", CATVTON_DATABASE_URL="postgresql://ana:hush@127.0.0.1:9/x", CATVTON_HOST="0.0.0.0",
               CATVTON_ENGINE="catvton", CATVTON_MODELS_DIR=str(place / "none"), CATVTON_DEVICE="cuda:7")
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["ok"] is False
    states = {each["subject"]: each["state"] for each in said["findings"]}
    assert {name for name, state in states.items() if state == FAILED} == {"database", "engine catvton", "device"}
    assert {name for name, state in states.items() if state == WARNING} == {"limits", "metrics"}
    assert "hush" not in done.stdout + done.stderr


def test_settings_nobody_understands_are_the_finding(place, monkeypatch, capsys):
    monkeypatch.setattr(packages, "look", lambda: iter(()))
    monkeypatch.setenv("CATVTON_PRT", "1")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAILED   settings" in out and "CATVTON_PORT?" in out and "1 failed" in out


def test_a_warning_is_no_failure():
    found = [doctor.ok("a", "b"), doctor.warning("c", "d", "e")]
    assert doctor.in_order(found) and doctor.report(found)["ok"]
    assert not doctor.in_order([*found, doctor.failed("f", "g", "h")])
