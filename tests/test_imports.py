"""Importing does nothing: no heavy package, no file, no network, no chance; and nothing of ours needs torchvision."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import catvton

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("catvton", "model", "densepose")
SOURCES = sorted([ROOT / "app.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))])
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES]


def run(code: str) -> str:
    """What a fresh interpreter prints. Imports of `torchvision` fail there, as where it is absent."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['torchvision'] = None\n{code}"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("catvton", "torch gradio diffusers transformers PIL numpy"),
        ("catvton.cli", "torch gradio diffusers transformers"),
        ("catvton.settings", "torch gradio diffusers transformers"),
        ("catvton.tryon", "torch gradio diffusers transformers"),
        ("catvton.web", "torch gradio diffusers transformers"),
        ("app", "torch gradio diffusers transformers"),
        ("model", "torch gradio diffusers transformers"),
        ("densepose", "torch gradio diffusers transformers"),
    ],
)
def test_light_modules_stay_light(module, absent):
    loaded = run(f"import {module}; print(*[name for name in {absent.split()} if name in sys.modules])")
    assert loaded.split() == []


def test_public_names_are_there():
    assert set(catvton.__all__) <= set(dir(catvton))
    for name in catvton.__all__:
        assert getattr(catvton, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        catvton.nothing  # noqa: B018


def test_importing_everything_touches_neither_chance_nor_network_nor_torchvision():
    """Every module of ours in one interpreter: random states unmoved, no connection tried, no handler, no thread."""
    modules = [name for name in MODULES if name != "catvton.__main__"]
    print(run(f"""
import importlib, logging, random, socket, threading
import numpy, torch
def refuse(*args): raise AssertionError("a connection at import")
socket.socket.connect = refuse
before = random.getstate(), repr(numpy.random.get_state()), torch.get_rng_state().tolist(), threading.active_count()
for name in {modules!r}:
    if not (name.startswith("catvton.web.") or name == "catvton.web"):
        importlib.import_module(name)
after = random.getstate(), repr(numpy.random.get_state()), torch.get_rng_state().tolist(), threading.active_count()
assert before == after
assert not logging.getLogger("catvton").handlers and not logging.getLogger("model").handlers
"""))


def test_no_module_names_torchvision_or_seeds_the_process():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.partition(".")[0] == "torchvision" for alias in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] != "torchvision", path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("np.random.seed", "numpy.random.seed", "random.seed"), path
        # A network's first weights are drawn from the global generator; training forks it for that and puts it back.
        assert "training" in path.parts or "torch.manual_seed" not in text, path
        assert text.count("torch.manual_seed") <= text.count("torch.random.fork_rng"), path
