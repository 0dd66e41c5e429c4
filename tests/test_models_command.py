"""`python -m catvton models`: as a person and as a program meet it, against a hub on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catvton import cli
from catvton.hub.store import Store
from tests.fake_hub import FakeHub, official_repos, without_figures
from tests.hub_world import BLUE, DEMO_BYTES, RED, registry, small_hub

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub, the demo engines beside those that ship, and an empty store; the working directory is empty too."""
    with small_hub() as running:
        running.point_here(monkeypatch, token_file=tmp_path / "no token")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "models"))
        monkeypatch.setenv("CATVTON_REGISTRY", str(registry(tmp_path)))
        yield running


@pytest.fixture
def say(capsys):
    """Run `models ...` in this process: (exit code, output, error stream)."""

    def run(*arguments):
        capsys.readouterr()
        code = cli.main(["models", *arguments])
        return code, *capsys.readouterr()

    return run


def refused(answer) -> str:
    """The one sentence of a refusal."""
    code, out, err = answer
    assert code == 2
    assert len(out.splitlines()) <= 1  # a download says first what it is about to do
    *_, sentence = err.strip().splitlines()
    assert sentence.startswith("python -m catvton: ")
    assert "Traceback" not in err
    return sentence.removeprefix("python -m catvton: ")


# ---- what there is ---------------------------------------------------------------------------------------------------


def test_list_says_what_is_there_and_what_is_not(hub, say):
    code, out, _ = say("list")
    assert code == 0
    lines = {line.split()[-1 if "*" not in line else 1]: line for line in out.splitlines() if "@" in line}
    assert any("* " in line and "compact@4" in line and "ships with the app" in line for line in lines.values())
    assert "CC-BY-NC-SA-4.0, no commercial use" in out
    rows = {row["engine"]: row for row in json.loads(say("list", "--json")[1])}
    assert rows["demo@red"]["state"] == "not downloaded"
    assert not rows["demo@red"]["in_use"]
    say("download", "demo", "--quiet")
    rows = {row["engine"]: row for row in json.loads(say("list", "--json")[1])}
    assert (rows["demo@red"]["state"], rows["demo@red"]["in_use"]) == ("downloaded", True)
    assert (rows["demo@blue"]["state"], rows["demo@blue"]["in_use"]) == ("not downloaded", False)
    assert (rows["compact@4"]["state"], rows["compact@4"]["in_use"]) == ("ships with the app", True)
    assert (rows["compact@fast"]["state"], rows["compact@fast"]["in_use"]) == ("ships with the app", False)
    say("use", "compact@fast")
    used = {row["engine"]: row["in_use"] for row in json.loads(say("list", "--json")[1])}
    assert used["compact@fast"] and not used["compact@4"]
    assert rows["catvton@mix"]["download_gb"] == 3.7


def test_show_names_parts_places_and_licences(hub, say):
    _, out, _ = say("show", "demo")
    for words in ("demo@red: Demo", "not downloaded", "48x64", "CC-BY-NC-4.0, no commercial use", "from lab/base",
                  "unet/model.safetensors, or unet/model.fp16.safetensors, or unet/model.bin",
                  "To bring its files here: python -m catvton models download demo@red"):  # fmt: skip
        assert words in out
    say("download", "demo", "--quiet")
    _, out, _ = say("show", "demo")
    assert f"from lab/base at {hub.commit('lab/base')[:12]}" in out
    assert "unet/model.safetensors (60.0 kB, sha256 " in out
    told = json.loads(say("show", "demo", "--json")[1])
    assert Path(told["parts"][0]["path"]).read_bytes() == RED
    assert json.loads(say("show", "compact", "--json")[1])["parts"] == []


def test_licences_are_listed_once_per_weights(hub, say):
    code, out, _ = say("licences")
    assert code == 0
    for words in ("zhengchong/CatVTON", "CreativeML-OpenRAIL-M", "stabilityai/sd-vae-ft-mse", "levinna/DeCo-VTON"):
        assert words in out
    rows = {row["weights"]: row for row in json.loads(say("licences", "--json")[1])}
    assert rows["Coder"]["engines"] == ["demo@red", "demo@blue", "other@1"]
    assert (rows["Red attention"]["licence"], rows["Red attention"]["commercial"]) == ("CC-BY-NC-4.0", False)
    assert rows["Compact (built in)"]["commercial"] is True


def test_names_that_do_not_exist(hub, say):
    assert "choose one of compact, catvton" in refused(say("show", "nano"))
    assert "choose one of demo@red, demo@blue" in refused(say("download", "demo@green"))


# ---- download --------------------------------------------------------------------------------------------------------


def test_download_says_what_it_did_under_which_licence_and_how_to_go_on(hub, say):
    code, out, err = say("download", "demo")
    assert code == 0
    assert out.startswith(f"demo@red, to {os.environ['CATVTON_MODELS_DIR']}. Licence: CC-BY-NC-4.0, no commercial use.")
    assert "demo@red is complete: 180 kB fetched, every byte checked." in out
    assert "--engine demo" in out
    assert "red/model.safetensors: 100%" in err
    code, out, err = say("download", "demo@blue", "--quiet")
    assert err == ""
    assert "Another version of demo stays in use. To use this one: python -m catvton models use demo@blue" in out


def test_download_for_programs(hub, say):
    code, out, err = say("download", "demo", "--json", "--quiet")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["engine"], told["fetched"], told["in_use"], told["mirrors"]) == ("demo@red", DEMO_BYTES, True, [])
    assert Path(told["paths"]["attention"]).read_bytes() == RED


def test_nothing_but_download_asks_the_hub(hub, say):
    for arguments in (["list"], ["show", "demo"], ["licences"], ["verify"], ["verify", "demo"], ["use", "demo@blue"],
                      ["rollback", "demo"]):  # fmt: skip
        say(*arguments)
    assert hub.requests == []


def test_what_ships_is_not_downloaded(hub, say):
    assert "ships with the app" in refused(say("download", "compact"))


def test_a_token_of_the_settings_opens_what_is_gated(hub, say, monkeypatch):
    hub.gated, hub.token = {"lab/coder"}, "hf_good"
    sentence = refused(say("download", "demo"))
    assert "lab/coder is gated" in sentence
    assert sentence.endswith("Then run: python -m catvton models download demo@red")
    monkeypatch.setenv("CATVTON_HF_TOKEN", "hf_bad")
    sentence = refused(say("download", "demo"))
    assert "check CATVTON_HF_TOKEN" in sentence
    assert "hf_bad" not in sentence
    monkeypatch.setenv("CATVTON_HF_TOKEN", " hf_good ")
    assert say("download", "demo", "--quiet")[0] == 0


def test_another_repository_by_hand(hub, say):
    assert "attention, base, vae" in refused(say("download", "demo", "--repo", "unet=my/base"))
    assert "ROLE=OWNER/NAME" in refused(say("download", "demo", "--repo", "base"))
    assert "There is no my/base" in refused(say("download", "demo", "--repo", "base=my/base"))


def test_a_broken_connection_and_the_rest(hub, say):
    hub.die_after = 40_000
    sentence = refused(say("download", "demo", "--quiet"))
    assert "red/model.safetensors of maker/demo" in sentence
    assert sentence.endswith("what has arrived is kept. Then run: python -m catvton models download demo@red")
    states = {row["engine"]: row["state"] for row in json.loads(say("list", "--json")[1])}
    assert (states["demo@red"], states["demo@blue"]) == ("half downloaded", "not downloaded")
    code, out, _ = say("verify", "--quiet")
    assert code == 2
    assert "maker/demo: red/model.safetensors: half downloaded: 40.0 kB" in out
    assert "To mend it: python -m catvton models download demo@red" in out
    hub.die_after = None
    hub.forget()
    assert say("download", "demo", "--quiet")[0] == 0
    assert hub.sent["red/model.safetensors"] == len(RED) - 40_000


def test_only_commercial_engines_where_the_operator_says_so(hub, say, monkeypatch):
    say("download", "demo@blue", "--quiet")
    monkeypatch.setenv("CATVTON_COMMERCIAL_ONLY", "1")
    for arguments in (["download", "demo"], ["download", "catvton"], ["use", "demo@blue"]):
        assert "does not allow commercial use, and CATVTON_COMMERCIAL_ONLY is set" in refused(say(*arguments))
    assert say("download", "other", "--quiet")[0] == 0


# ---- verify, use, rollback -------------------------------------------------------------------------------------------


def test_a_changed_byte_is_named_by_the_full_look_and_mended(hub, say):
    say("download", "demo", "--quiet")
    code, out, err = say("verify")
    assert code == 0
    assert "demo@red: complete (every byte looked at)" in out
    assert "checking model.safetensors" in err
    path = Path(json.loads(say("show", "demo", "--json")[1])["parts"][0]["path"])
    path.write_bytes(RED[:-1] + b"?")
    assert say("verify", "--quick", "demo")[0] == 0
    code, out, _ = say("verify", "demo", "--json", "--quiet")
    (told,) = json.loads(out)
    assert code == 2
    assert not told["complete"]
    assert [(fault["file"], fault["path"]) for fault in told["faults"]] == [("red/model.safetensors", str(path))]
    assert say("download", "demo", "--quiet")[0] == 0
    assert path.read_bytes() == RED
    assert say("verify", "demo", "--quiet")[0] == 0


def test_switching_and_going_back(hub, say):
    assert "Which version of demo? Choose one of demo@red, demo@blue" in refused(say("use", "demo"))
    assert "demo@blue is not downloaded" in refused(say("use", "demo@blue"))
    assert "nothing to go back to" in refused(say("rollback", "demo"))
    say("download", "demo@red", "--quiet")
    say("download", "demo@blue", "--quiet")
    code, out, _ = say("use", "demo@blue")
    assert code == 0
    assert "In use now: demo@blue." in out
    told = json.loads(say("show", "demo", "--json")[1])
    assert Path(told["parts"][0]["path"]).read_bytes() == BLUE
    told = json.loads(say("rollback", "demo", "--json")[1])
    assert (told["engine"], told["complete"]) == ("demo@red", True)
    assert told["commits"]["lab/base"] == hub.commit("lab/base")
    assert say("use", "other")[0] == 2
    assert say("use", "compact@fast")[0] == 0


def test_going_back_to_a_set_that_was_damaged_meanwhile_says_so(hub, say):
    say("download", "demo@red", "--quiet")
    say("download", "demo@blue", "--quiet")
    say("use", "demo@blue")
    Store(os.environ["CATVTON_MODELS_DIR"]).found("maker/demo", "red/model.safetensors")[0].unlink()
    code, out, _ = say("rollback", "demo")
    assert code == 2
    assert "In use now: demo@red." in out
    assert "maker/demo: red/model.safetensors: missing" in out
    assert say("download", "demo", "--quiet")[0] == 0


def test_a_damaged_lock_is_one_sentence(hub, say):
    say("download", "demo", "--quiet")
    lock = Path(os.environ["CATVTON_MODELS_DIR"]) / "models.lock"
    lock.write_text("{")
    for arguments in (["list"], ["verify"], ["use", "demo@red"], ["rollback", "demo"], ["download", "demo"]):
        sentence = refused(say(*arguments))
        assert "models.lock cannot be read" in sentence
        assert "Delete it" in sentence


# ---- as a program ----------------------------------------------------------------------------------------------------


def program(hub, folder, *arguments, **environment):
    settings = {"CATVTON_MODELS_DIR": folder / "models", "CATVTON_REGISTRY": registry(folder), "HF_HOME": folder / "hf"}
    return {
        "args": [sys.executable, "-m", "catvton", "models", *arguments],
        "env": hub.environment(**settings | environment),
        "cwd": ROOT,
    }


def test_a_killed_process_loses_nothing(tmp_path):
    """SIGKILL in the middle of a file; the next process fetches the rest of it."""
    with small_hub() as hub:
        hub.stall_after = 30_000
        started = subprocess.Popen(**program(hub, tmp_path, "download", "demo"), stderr=subprocess.DEVNULL)
        partial = tmp_path / "models/maker--demo" / hub.commit("maker/demo") / "red/model.safetensors.partial"
        limit = time.monotonic() + 120
        while not (partial.exists() and partial.stat().st_size) and time.monotonic() < limit:
            time.sleep(0.05)
        started.send_signal(signal.SIGKILL)
        started.wait()
        have = partial.stat().st_size
        assert 0 < have <= 30_000
        assert not (tmp_path / "models/models.lock").exists()
        hub.stall_after = None
        hub.go_on.set()
        hub.forget()
        done = subprocess.run(
            **program(hub, tmp_path, "download", "demo", "--json"), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["fetched"] == DEMO_BYTES - have
        assert [each.range for each in hub.asked("red/model.safetensors")] == [f"bytes={have}-"]
        assert (partial.parent / "model.safetensors").read_bytes() == RED


def test_refusals_have_no_traceback_and_nothing_heavy_is_imported(tmp_path):
    with small_hub() as hub:
        hub.remove("lab/coder")
        prepared = program(hub, tmp_path, "download", "demo", "--quiet")
        code = "import sys; from catvton.cli import main; code = main(); heavy = {'torch', 'gradio', 'diffusers'}; "
        prepared["args"][1:3] = ["-c", code + "print(code, sorted(heavy & set(sys.modules)))"]
        done = subprocess.run(**prepared, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "2 []"
    assert "Traceback" not in done.stderr
    assert "There is no lab/coder" in done.stderr


def test_the_published_engines_are_fetched_from_their_own_repositories(monkeypatch, tmp_path, say):
    """Every official file by its name, small; the base network as its repository has it, in 16-bit safetensors."""

    def make(repo, name):
        whole = ("unet/diffusion_pytorch_model.safetensors", "safety_checker/model.safetensors")
        absent = repo.startswith("stable-diffusion-v1-5") and name in whole
        return None if absent else f"{repo} {name}".encode()

    with FakeHub(official_repos(make)) as hub:
        hub.point_here(monkeypatch, token_file=tmp_path / "no token")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CATVTON_MODELS_DIR", "weights")
        assert "another model.safetensors" in refused(say("download", "catvton")).replace("mix-48k-1024/attention/", "")
        monkeypatch.setenv("CATVTON_REGISTRY", str(without_figures(tmp_path / "small.toml")))
        for engine in ("catvton", "catvton-maskfree", "deco", "catvton@vitonhd", "catvton@dresscode"):
            code, _, err = say("download", engine, "--quiet")
            assert code == 0, err
        assert say("verify", "--quiet")[0] == 0
        told = json.loads(say("show", "catvton", "--json")[1])
    paths = {part["role"]: Path(part["path"]) for part in told["parts"]}
    read = {role: path.read_text() for role, path in paths.items() if path.is_file()}
    assert read == {"attention": "zhengchong/CatVTON mix-48k-1024/attention/model.safetensors"}
    assert (paths["base"] / "unet/diffusion_pytorch_model.fp16.safetensors").is_file()
    assert not (paths["base"] / "unet/diffusion_pytorch_model.bin").exists()
    assert {path.name for path in paths["densepose"].iterdir()} == {
        "Base-DensePose-RCNN-FPN.yaml", "densepose_rcnn_R_50_FPN_s1x.yaml", "model_final_162be9.pkl",
    }  # fmt: skip
    assert {path.suffix for path in paths["schp"].iterdir()} == {".pth"}
    assert (paths["safety"] / "safety_checker/model.fp16.safetensors").is_file()
    assert (paths["safety"] / "feature_extractor/preprocessor_config.json").is_file()


@pytest.mark.parametrize("action", ["list", "show", "download", "verify", "use", "rollback", "licences"])
def test_every_action_has_help(action, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["models", action, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m catvton models" in capsys.readouterr().out
