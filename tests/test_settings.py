"""Settings: read from .env and the environment, refused in words when unknown or wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catvton.errors import SettingsError
from catvton.images import Limits
from catvton.settings import Settings, example, names

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory: no .env but the one a test writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(**values):
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return str(caught.value)


def test_defaults():
    found = Settings()
    assert (found.engine, found.device, found.dtype) == ("auto", "auto", "auto")
    assert (found.host, found.port, found.temp_dir, found.examples) == ("127.0.0.1", 7860, None, True)


def test_the_environment_wins_over_the_file_and_code_over_both(folder, monkeypatch):
    (folder / ".env").write_text("CATVTON_PORT=1111\nCATVTON_HOST=0.0.0.0\nCATVTON_QUEUE_SIZE=3\n")
    monkeypatch.setenv("CATVTON_PORT", "2222")
    monkeypatch.setenv("CATVTON_QUEUE_SIZE", "4")
    found = Settings(queue_size=5)
    assert (found.host, found.port, found.queue_size) == ("0.0.0.0", 2222, 5)


@pytest.mark.parametrize("name, value, field, expected", [
    ("CATVTON_DEVICE", "cuda:1", "device", "cuda:1"),
    ("CATVTON_DTYPE", "bfloat16", "dtype", "bfloat16"),
    ("CATVTON_EXAMPLES", "off", "examples", False),
    ("CATVTON_TEMP_DIR", "/some where", "temp_dir", Path("/some where")),
    ("CATVTON_LOG_LEVEL", "debug", "log_level", "DEBUG"),
    ("catvton_port", "81", "port", 81),
    ("CATVTON_PORT", " 82 ", "port", 82),
    ("CATVTON_PORT", "", "port", 7860),
])
def test_values(monkeypatch, name, value, field, expected):
    monkeypatch.setenv(name, value)
    assert getattr(Settings(), field) == expected


@pytest.mark.parametrize("name, value, accepted", [
    ("CATVTON_PORT", "70000", "a whole number from 1 to 65535"),
    ("CATVTON_PORT", "seven", "a whole number from 1 to 65535"),
    ("CATVTON_QUEUE_SIZE", "0", "a whole number from 1 to 1000"),
    ("CATVTON_QUEUE_SIZE", "2.5", "a whole number from 1 to 1000"),
    ("CATVTON_MAX_UPLOAD_MB", "-1", "a whole number from 1 to 500"),
    ("CATVTON_MAX_PIXELS", "9", "a whole number from 10000 to 400000000"),
    ("CATVTON_DEVICE", "gpu", "auto, cpu, mps, cuda or cuda:N"),
    ("CATVTON_DTYPE", "fp8", "auto, float32, float16 or bfloat16"),
    ("CATVTON_EXAMPLES", "perhaps", "true or false"),
    ("CATVTON_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
])
def test_wrong_values_are_named_with_what_is_accepted(folder, monkeypatch, name, value, accepted):
    monkeypatch.setenv(name, value)
    assert refusal() == f"{name} (in the environment) is '{value}': {accepted} is accepted."
    monkeypatch.delenv(name)
    (folder / ".env").write_text(f"{name}={value}\n")
    assert refusal() == f"{name} (in .env) is '{value}': {accepted} is accepted."


def test_a_wrong_value_in_code_is_not_blamed_on_the_environment(monkeypatch):
    monkeypatch.setenv("CATVTON_PORT", "80")
    assert refusal(port="x").startswith("CATVTON_PORT is 'x'")


def test_unknown_names_are_refused_with_the_closest_one(folder, monkeypatch):
    monkeypatch.setenv("CATVTON_PROT", "80")
    (folder / ".env").write_text("CATVTON_MAX_PIXEL=5\nexport catvton_quue_size=5\n")
    told = refusal().splitlines()
    assert "CATVTON_PROT (in the environment) is not a setting. Did you mean CATVTON_PORT?" in told
    assert "CATVTON_MAX_PIXEL (in .env) is not a setting. Did you mean CATVTON_MAX_PIXELS?" in told
    assert "CATVTON_QUUE_SIZE (in .env) is not a setting. Did you mean CATVTON_QUEUE_SIZE?" in told
    assert len(told) == 3


def test_an_unknown_name_like_no_other_lists_them_all(monkeypatch):
    monkeypatch.setenv("CATVTON_ZZZZ", "1")
    assert all(name in refusal() for name in names().values())


def test_an_unknown_argument_is_refused():
    assert refusal(prt=80) == "prt (in the call) is not a setting. Did you mean port?"


def test_lines_of_other_programs_are_none_of_ours(folder, monkeypatch):
    (folder / ".env").write_text("# a comment\n\nHF_TOKEN=secret\nport=5\nENGINE=other\n")
    monkeypatch.setenv("MY_CATVTON_PORT", "5")
    assert Settings() == Settings(_env_file=None)


def test_several_wrong_values_are_told_at_once(monkeypatch):
    monkeypatch.setenv("CATVTON_PORT", "0")
    monkeypatch.setenv("CATVTON_DTYPE", "int4")
    assert len(refusal().splitlines()) == 2


def test_a_file_from_windows_is_read(folder):
    (folder / ".env").write_bytes("CATVTON_PORT=99\r\nCATVTON_HOST=\"::1\"\r\n".encode("utf-8-sig"))
    assert (Settings().port, Settings().host) == (99, "::1")


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / ".env").write_bytes(b"\xff\xfeC\0A\0T\0")
    assert refusal() == ".env cannot be read: it must be a text file in UTF-8."


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 5


def test_limits_follow_the_settings():
    assert Settings().limits == Limits()
    limits = Settings(max_upload_mb=3, max_pixels=20_000).limits
    assert (limits.max_bytes, limits.max_pixels) == (3 * 2**20, 20_000)


def test_the_example_file_holds_every_setting_with_its_default():
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == example(), "run the command at the top of settings.py"
    live = example().replace("# CATVTON_", "CATVTON_")
    Path(".env").write_text(live)
    assert set(dotenv_values(".env")) == set(names().values())
    assert Settings() == Settings(_env_file=None)
    for info in Settings.model_fields.values():
        assert info.description.endswith(".") and info.json_schema_extra["accepted"]


def test_importing_settings_is_light():
    code = "import sys, catvton.settings; print([m for m in ('torch', 'gradio', 'cv2') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_as_a_file_is_read_or_refused_in_words(folder, content):
    for start in ("", "CATVTON_PORT=", "CATVTON_"):
        (folder / ".env").write_text(start + content, encoding="utf-8")
        try:
            Settings()
        except SettingsError as error:
            assert str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(sorted(names())), value=st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_value_is_taken_or_refused_by_name(field, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(names()[field], value)
        try:
            Settings()
        except SettingsError as error:
            assert names()[field] in str(error) and "accepted" in str(error)
