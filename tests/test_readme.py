"""README.md is true: its commands and settings exist, its programs run, its links lead somewhere, its sums add up."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image

from catvton import cli, hosting, zerogpu
from catvton.cards import MODELS, read_versions
from catvton.settings import names
from tests.web_fakes import FakeTryOn, garment_picture, person_picture, serving

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
HEAD, BODY = TEXT.split("\n---\n", 1)
FRONT = yaml.safe_load(HEAD.removeprefix("---\n"))
ADDRESS = "http://127.0.0.1:7860"

# Those of the hub's reference for Spaces that are used here, and its colours.
KEYS = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license",
        "short_description", "models", "tags", "fullWidth", "header", "suggested_hardware", "hf_oauth",
        "startup_duration_timeout"}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", BODY, re.DOTALL)


def lines_of(language: str) -> list[str]:
    """The commands of all blocks, with lines that end in a backslash joined."""
    return [line for block in blocks(language) for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def spans() -> list[str]:
    prose = re.sub(r"```.*?```", "", BODY, flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


# ---- commands and settings -------------------------------------------------------------------------------------------


def catvton_commands() -> list[str]:
    said = [*lines_of("sh"), *spans()]
    found = [re.split(r"\spython -m catvton |bin/python -m catvton |^python -m catvton ", text, maxsplit=1)
             for text in said]
    return [parts[1] for parts in found if len(parts) == 2]


def test_every_command_is_one():
    commands = catvton_commands()
    assert len(commands) >= 25
    for command in commands:
        arguments = shlex.split(command, comments=True)
        if arguments[-1] != "--help":
            args = cli.build_parser(arguments[0]).parse_args(arguments)
            assert callable(args.run), command


def test_the_shorter_mentions_of_commands_exist_too():
    for span in spans():
        if re.match(r"(models|users|records|trace|doctor|bench) [a-z]", span):
            arguments = shlex.split(span)[:2]
            with pytest.raises(SystemExit) as ended:
                cli.build_parser(arguments[0]).parse_args([*arguments, "--help"])
            assert ended.value.code == 0, span


def test_every_setting_exists():
    named = set(re.findall(r"\bCATVTON_[A-Z0-9_]+", TEXT))
    assert len(named) >= 25 and named - set(names().values()) == set()


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    for line in lines_of("sh"):
        if words := re.match(r"(?:\w+=\S+ )*make (\w+)", line):
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line


def test_every_requirements_file_and_build_argument_exists():
    assert all((ROOT / name).is_file() for name in re.findall(r"requirements[\w-]*\.txt", TEXT))
    recipe = (ROOT / "Dockerfile").read_text()
    arguments = re.findall(r"--build-arg (\w+)=", TEXT)
    assert arguments and all(f"ARG {name}=" in recipe for name in arguments)
    assert all(f"id={name}," in recipe for name in re.findall(r"--secret id=(\w+)", TEXT))
    for extras in re.findall(r'EXTRAS="([^"]+)"', TEXT):
        assert all((ROOT / f"requirements-{extra}.txt").is_file() for extra in extras.split())


def test_every_link_leads_somewhere():
    anchors = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
               for line in BODY.splitlines() if line.startswith("#")}
    for target in re.findall(r"\]\(([^)]+)\)", BODY):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


# ---- programs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(FakeTryOn(), tmp_path_factory.mktemp("server"), examples=False) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    for name, picture in (("me.jpg", person_picture()), ("shirt.jpg", garment_picture())):
        picture.save(tmp_path / name)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def local(text: str, server) -> str:
    assert ADDRESS in text
    return text.replace(ADDRESS, server.url.rstrip("/"))


def test_the_curl_commands_work(server, folder):
    commands = [line for line in lines_of("sh") if line.startswith("curl ")]
    assert [line.split(ADDRESS)[1].split()[0] for line in commands] == ["/v1/tryon", "/v1/mask", "/v1/engines",
                                                                       "/v1/jobs"]
    said = [run(["/bin/sh", "-c", local(line, server)], folder) for line in commands]
    assert Image.open(folder / "result.png").size == Image.open(folder / "mask.png").size == person_picture().size
    assert '"plain"' in said[2] and '"/v1/jobs/' in said[3]


def test_the_javascript_works(server, folder):
    (folder / "tryon.mjs").write_text(local(blocks("js")[0], server))
    run([shutil.which("node") or "node", "tryon.mjs"], folder)
    assert Image.open(folder / "result.png").format == "PNG"


def test_the_python_client_works(server, folder):
    program = next(block for block in blocks("python") if "gradio_client" in block)
    patient = program.replace(f'Client("{ADDRESS}")', f'Client("{server.url}", httpx_kwargs={{"timeout": 300}})')
    said = run([sys.executable, "-c", patient], folder)
    assert ".png 7 {" in said


def test_pieces_of_configuration_are_well_formed(tmp_path):
    override, scrape = (next(block for block in blocks("yaml") if word in block) for word in ("services", "scrape"))
    (tmp_path / "compose.yaml").write_text(override)
    run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"], tmp_path)
    whole = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(yaml.safe_load(override)["services"]) <= set(whole["services"])
    assert yaml.safe_load(scrape)["scrape_configs"][0]["job_name"] == "catvton"


# ---- the head, for Spaces --------------------------------------------------------------------------------------------


def test_the_head_is_what_a_gradio_space_understands():
    assert set(FRONT) <= KEYS
    assert FRONT["sdk"] == "gradio" and (ROOT / FRONT["app_file"]).is_file()
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= COLOURS
    assert len(FRONT["short_description"]) <= 60 and FRONT["license"] == "apache-2.0"
    assert FRONT["hf_oauth"] is True and isinstance(FRONT["python_version"], str)


def test_its_versions_are_those_the_app_is_made_for():
    gradio = next(Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()
                  if line.startswith("gradio"))
    assert gradio.specifier.contains(FRONT["sdk_version"])
    assert version("gradio").split(".")[0] == FRONT["sdk_version"].split(".")[0]
    assert f"FROM python:{FRONT['python_version']}-" in (ROOT / "Dockerfile").read_text()


def test_its_models_are_those_of_the_registry():
    used = {source.repo for cards in read_versions(MODELS).values() for card in cards.values()
            for source in card.sources}
    assert set(FRONT["models"]) == used


def test_packages_txt_names_packages_only():
    for line in (ROOT / "packages.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line), line


def test_signing_in_with_the_hub_has_its_packages():
    for line in (ROOT / "requirements-spaces.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            assert wanted.specifier.contains(version(wanted.name))


def test_what_it_says_of_spaces_is_what_happens():
    assert hosting.SPACE["trusted_proxy_hops"] == 1 and "believes one entry of X-Forwarded-For" in BODY
    assert f"`{zerogpu.START_SECONDS:g} s + steps x {zerogpu.STEP_SECONDS:g} s`" in BODY


# ---- sums ------------------------------------------------------------------------------------------------------------


def test_the_costs_are_those_of_the_formula():
    rows = re.findall(r"^\| ([^|]+) \| \$([\d.]+) \| ([\d.]+) \| \$([\d.]+) \| \$([\d.]+) \|$", BODY, re.MULTILINE)
    assert len(rows) == 4
    for name, price, seconds, busy, idle in rows:
        full = float(price) / 3600 * float(seconds)
        assert float(busy) == pytest.approx(full, rel=0.07), name
        assert float(idle) == pytest.approx(full / 0.2, rel=0.07), name
    measured = re.search(r"^\| all \| ([\d.]+) \|", (ROOT / "benchmarks" / "bench.md").read_text(), re.MULTILINE)
    assert float(rows[0][2]) == pytest.approx(float(measured[1]), abs=0.1)
