"""The command line as a person and as a program meets it."""

import json
import mmap
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import catvton.tryon
from catvton import cli
from catvton.bench import MemoryMeter
from catvton.engines import StepReport
from tests import tiny

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The tiny engine instead of the built-in one, and two photos in an empty folder."""
    tryon = tiny.tiny_tryon()
    monkeypatch.setattr(catvton.tryon.TryOn, "from_settings", classmethod(lambda cls, settings=None: tryon))
    monkeypatch.chdir(tmp_path)
    tiny.person().save("p.png")
    tiny.garment().save("g.png")
    return tryon


def tryon(*arguments: str) -> int:
    return cli.main(["tryon", "--person", "p.png", "--garment", "g.png", "--out", "o.png", *arguments])


def refused(capsys, code: int) -> str:
    """The one sentence on the error stream; nothing on the output."""
    assert code == 2
    out, err = capsys.readouterr()
    *_, sentence = err.strip().splitlines()
    assert out == ""
    assert "Traceback" not in err
    assert sentence.startswith("python -m catvton: ")
    return sentence


# ---- tryon -----------------------------------------------------------------------------------------------------------


def test_writes_the_picture_and_says_how(app, capsys):
    assert tryon("--seed", "5", "--steps", "2", "--guidance", "1.5") == 0
    out, err = capsys.readouterr()
    assert Image.open("o.png").size == (90, 150)
    for words in ("o.png", "seed:     5", "tiny@0, 2 steps, guidance 1.5", "generate", "a note of the masker"):
        assert words in out
    assert "2/2 steps" in err


def test_json_is_the_only_output(app, capsys):
    assert tryon("--json", "--quiet") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == ""
    assert told["images"] == ["o.png"]
    assert (told["seed"], told["engine"], told["part"]) == (42, "tiny@0", "upper")
    assert set(told["seconds"]) == {"open", "mask", "place", "generate", "paste"}


def test_a_mask_and_a_show(app):
    Image.fromarray(tiny.mask()).save("m.png")
    assert tryon("--mask", "m.png", "--show", "input & mask & result", "--quiet") == 0
    assert Image.open("o.png").size == (4 * 98 - 8, 150)


def test_variations_are_numbered(app, capsys):
    assert tryon("--variations", "2", "--steps", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == ["o.png", "o-2.png"]
    assert Image.open("o.png").tobytes() != Image.open("o-2.png").tobytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "0"], "from 1 to 20"),
        (["--steps", "many"], "'many'"),
        (["--guidance", "nan"], "from 0 to 7.5"),
        (["--guidance", "8"], "from 0 to 7.5"),
        (["--seed", "2147483648"], "2147483647"),
        (["--part", "hat"], '"upper", "lower", "overall"'),
        (["--part", "lower"], "does not show the part"),
        (["--engine", "nano"], '"tiny"'),
        (["--show", "all"], '"result only"'),
        (["--size", "1x1"], "48x64"),
        (["--variations", "9"], "from 1 to 4"),
        (["--mask", "g.png"], "mask"),
        (["--mask", "nothing.png"], "nothing.png"),
        (["--person", "nothing.jpg"], "nothing.jpg"),
        (["--garment", "text.png"], "garment photo"),
        (["--out", "o.txt"], ".png"),
        (["--out", "nowhere/o.png"], "nowhere"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(app, capsys, arguments, words):
    Path("text.png").write_text("not a picture")
    assert words in refused(capsys, tryon(*arguments, "--quiet"))
    assert not Path("o.png").exists()


def test_missing_weights_are_exit_code_1(tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from catvton.engines import PipelineEngine
    from catvton.tryon import TryOn

    engine = PipelineEngine(replace(tiny.CARD, folder=tmp_path))
    broken = TryOn([engine], tiny.TinyMasker())
    monkeypatch.setattr(TryOn, "from_settings", classmethod(lambda cls, settings=None: broken))
    monkeypatch.chdir(tmp_path)
    tiny.person().save("p.png")
    tiny.garment().save("g.png")
    assert tryon("--quiet") == 1
    assert tiny.CARD.mend in capsys.readouterr().err


def test_a_wrong_setting_is_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATVTON_DEVIZE", "cpu")
    assert "CATVTON_DEVIZE" in refused(capsys, tryon("--quiet"))
    monkeypatch.delenv("CATVTON_DEVIZE")
    monkeypatch.setenv("CATVTON_ENGINE", "nano")
    assert "nano" in refused(capsys, tryon("--quiet"))


def test_control_c_is_exit_code_130(app, monkeypatch, capsys):
    def interrupted(request, on_step=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "run", interrupted)
    assert tryon("--quiet") == 130
    assert capsys.readouterr().err == "python -m catvton: Stopped.\n"


# ---- the other commands ----------------------------------------------------------------------------------------------


def test_mask(app, capsys):
    assert cli.main(["mask", "--person", "p.png", "--out", "m.png"]) == 0
    assert "of the photo may change" in capsys.readouterr().out
    mask = np.asarray(Image.open("m.png"))
    assert mask.shape == (150, 90)
    assert set(np.unique(mask)) == {0, 255}
    assert cli.main(["mask", "--person", "p.png", "--out", "m.png", "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["share"] < 1
    lower = ["mask", "--person", "p.png", "--part", "lower", "--out", "m.png"]
    assert "does not show" in refused(capsys, cli.main(lower))


def test_a_mask_written_by_one_command_is_read_by_the_other(app, capsys):
    cli.main(["mask", "--person", "p.png", "--out", "m.png"])
    assert tryon("--mask", "m.png", "--quiet") == 0


def test_bench(app, capsys):
    common = ["bench", "--person", "p.png", "--garment", "g.png", "--repeat", "2", "--steps", "1"]
    assert cli.main([*common, "--json", "--write", "deep/bench.json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(Path("deep/bench.json").read_text())
    assert (figures["engine"], figures["steps"], figures["repeat"], figures["photo"]) == ("tiny@0", 1, 2, [90, 150])
    assert figures["machine"]["cores"] >= 1
    assert figures["stages"]["generate"]["seconds"] > 0
    assert figures["stages"]["generate"]["peak_mb"] > 10
    assert cli.main(common) == 0
    table = capsys.readouterr().out
    assert "machine" in table
    assert "generate" in table
    assert "from 1 to 100" in refused(capsys, cli.main([*common, "--repeat", "0"]))


def test_the_memory_meter_sees_a_peak_in_its_own_stage():
    meter, big = MemoryMeter(interval=0.001), 200 * 2**20

    def stage(name: str) -> None:
        meter.listen(StepReport(step=0, steps=1, stage=name, preview=lambda: None))

    with meter.running():
        stage("mask")
        stage("generate")
        before = meter.peaks()["mask"]
        held = mmap.mmap(-1, big)  # not from malloc, which may have as much lying idle
        held.write(b"x" * big)
        limit = time.monotonic() + 60
        while meter.peaks().get("generate", 0) < before + 100 and time.monotonic() < limit:
            time.sleep(0.01)  # the meter looks from a thread of its own
        held.close()
        stage("paste")
    assert meter.peaks()["generate"] > before + 100


def test_train_and_evaluate_have_arguments():
    for command in ("train", "evaluate"):
        parser = cli.build_parser(command)
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([command, "--help"])
        assert ended.value.code == 0


def test_serve_hands_its_options_to_the_settings(monkeypatch):
    import catvton.web

    served = []
    monkeypatch.setattr(catvton.web, "serve", served.append)
    assert cli.main(["serve", "--port", "8123", "--host", "0.0.0.0"]) == 0
    assert (served[0].port, served[0].host, served[0].engine) == (8123, "0.0.0.0", "auto")
    assert cli.main(["serve", "--port", "none"]) == 2


# ---- as a program ----------------------------------------------------------------------------------------------------


def program(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "catvton", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_help_names_every_command():
    done = program("--help")
    assert done.returncode == 0
    assert all(f"    {name} " in done.stdout for name in cli.COMMANDS)


def test_without_a_command_or_with_a_wrong_one():
    for arguments in ([], ["dress"]):
        done = program(*arguments)
        assert done.returncode == 2
        assert "usage: python -m catvton" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_refusal_needs_no_heavy_import():
    code = "import sys; from catvton.cli import main; main(); print('torch' in sys.modules or 'gradio' in sys.modules)"
    arguments = ["tryon", "--person", "p", "--garment", "g", "--out", "o.txt"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "False\n"
    assert ".png" in done.stderr
