"""ZeroGPU: the work crosses to a process with the card and back as values, and a run cannot tell the difference."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from catvton import startup, zerogpu
from catvton.engines import PipelineEngine
from catvton.errors import Cancelled, InputError, NotEnoughMemory, WeightsError
from catvton.hub.offers import Offer
from catvton.result import TryOnRequest
from catvton.service.readiness import Readiness, warm_up
from catvton.settings import Settings
from catvton.tryon import TryOn
from catvton.zerogpu import BorrowedEngine, Made, Work, on_the_card
from tests import tiny
from tests.fake_spaces import Spaces

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def spaces(monkeypatch):
    made = Spaces()
    made.install(monkeypatch)
    return made


def borrowed(spaces, engine) -> BorrowedEngine:
    generate = spaces.module().GPU(duration=zerogpu.seconds)(on_the_card({engine.card.name: engine}))
    return BorrowedEngine(engine, generate)


def generate(engine, **changes):
    options = {"steps": 3, "guidance": 2.5, "generator": torch.Generator().manual_seed(1)} | changes
    return engine.generate(tiny.person(tiny.SIZE), tiny.garment(), tiny.mask(tiny.SIZE), **options)


def request(**changes) -> TryOnRequest:
    return TryOnRequest(person=tiny.person(), garment=tiny.garment(), **changes)


# ---- the same as anywhere --------------------------------------------------------------------------------------------


def test_the_picture_the_steps_and_the_generator_are_those_of_the_engine_itself(spaces):
    own, lent = tiny.tiny_engine(), borrowed(spaces, tiny.tiny_engine())
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    reports: list[list[tuple]] = [[], []]
    pictures = [
        generate(engine, generator=generator, on_step=lambda each, seen=seen: seen.append((each.step, each.steps)))
        for engine, generator, seen in zip((own, lent), generators, reports, strict=True)
    ]
    assert np.array_equal(np.asarray(pictures[0]), np.asarray(pictures[1]))
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
    assert reports[0] == [(1, 3), (2, 3), (3, 3)]
    assert [each for each in reports[1] if each[0]] == reports[0]
    assert len(spaces.processes) == 1 and spaces.processes[0].pid != os.getpid()


def test_a_whole_run_is_the_same_with_every_variation_seeded(spaces):
    here = tiny.tiny_tryon()
    there = TryOn([borrowed(spaces, tiny.tiny_engine())], tiny.TinyMasker())
    wish = request(steps=2, seed=7, variations=2)
    plain, lent = here.run(wish), there.run(wish)
    assert all(np.array_equal(a, b) for a, b in zip(plain.images, lent.images, strict=True))
    assert lent.seeds == plain.seeds and len(spaces.asked) == 2


def test_a_streamed_run_ends_with_the_result(spaces):
    there = TryOn([borrowed(spaces, tiny.tiny_engine())], tiny.TinyMasker())
    *reports, result = there.stream(request(steps=2))
    assert result.engine == "tiny@0"
    assert [report.step for report in reports if report.stage == "generate" and report.step] == [1, 2]
    assert reports[-1].preview().size == tiny.person().size


def test_everything_that_crosses_can_be_pickled_and_holds_no_tensor(spaces):
    work = Work(engine="tiny", person=tiny.person(tiny.SIZE), garment=tiny.garment(), mask=tiny.mask(tiny.SIZE),
                masked_image=None, steps=1, guidance=1.0, state=torch.Generator().get_state().numpy().tobytes())
    items = list(on_the_card({"tiny": tiny.tiny_engine()})(work))
    assert isinstance(items[-1], Made)
    for value in (work, *items):
        assert pickle.loads(pickle.dumps(value)) is not None
        assert not any(isinstance(part, torch.Tensor) for part in vars(value).values())


# ---- stopping and failing --------------------------------------------------------------------------------------------


def test_a_listener_that_stops_the_run_ends_the_fork(spaces):
    def listen(report):
        if report.step == 2:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        generate(borrowed(spaces, tiny.tiny_engine()), steps=20, on_step=listen)
    assert spaces.processes[0].exitcode == 0


class Failing(PipelineEngine):
    """Says something, takes its time, and fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__(tiny.CARD)
        self._error = error

    def generate(self, *pictures, say, on_step, **options):
        say("Before it failed.")
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind", "code", "words"),
    [
        (InputError("No such size.", code="option.size"), InputError, "option.size", "No such size."),
        (NotEnoughMemory("tiny@0", size=(48, 64)), InputError, "engine.memory", "not enough memory"),
        (WeightsError("A file is gone."), WeightsError, None, "A file is gone."),
        (ZeroDivisionError("unforeseen"), RuntimeError, None, "ZeroDivisionError"),
    ],
)
def test_errors_come_back_as_what_they_are(spaces, error, kind, code, words):
    said = []
    with pytest.raises(kind, match=words) as caught:
        generate(borrowed(spaces, Failing(error)), say=said.append)
    assert getattr(caught.value, "code", None) == code
    assert said == ["Before it failed."]


class Lazy(PipelineEngine):
    """Says one sentence and then thinks for longer than a heartbeat."""

    def generate(self, *pictures, say, on_step, **options):
        import time

        say("Once.")
        time.sleep(2.5)
        return tiny.person(tiny.SIZE)


def test_a_sentence_is_said_once_however_long_it_takes(spaces):
    said, steps = [], []
    generate(borrowed(spaces, Lazy(tiny.CARD)), say=said.append, on_step=lambda report: steps.append(report.step))
    assert said == ["Once."]
    assert len(steps) >= 2 and set(steps) == {0}  # its chances to be stopped meanwhile


def test_a_refusal_of_the_card_is_a_sentence_for_the_visitor(spaces):
    spaces.refusal = gr.Error("You have exceeded your ZeroGPU runs limit.", title="ZeroGPU quota exceeded")
    with pytest.raises(InputError, match="exceeded your ZeroGPU runs limit") as caught:
        generate(borrowed(spaces, tiny.tiny_engine()))
    assert caught.value.code == "engine.gpu"


# ---- how long --------------------------------------------------------------------------------------------------------


def work(*, size=(768, 1024), steps=50, guidance=2.5) -> Work:
    return Work(engine="catvton", person=tiny.person(size), garment=tiny.garment(), mask=tiny.mask(size),
                masked_image=None, steps=steps, guidance=guidance, state=b"")


def test_the_card_is_asked_for_as_long_as_the_wish_needs(spaces):
    usual = zerogpu.seconds(work())
    assert usual == 32
    assert zerogpu.seconds(work(steps=20)) < usual < zerogpu.seconds(work(steps=100)) < 120  # what a stranger may have
    assert zerogpu.seconds(work(size=(384, 512))) < usual
    assert zerogpu.seconds(work(guidance=1.0)) < usual
    generate(borrowed(spaces, tiny.tiny_engine()), steps=2)
    assert spaces.asked == [12]


# ---- starting --------------------------------------------------------------------------------------------------------


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A registry with the tiny engine among the downloaded ones, beside one that ships."""
    folder = tmp_path / "tiny"
    tiny.tiny_pipeline().save_pretrained(folder)
    cards = {"compact": replace(tiny.CARD, name="compact", folder=folder),
             "catvton": replace(tiny.CARD, name="catvton", folder=folder, sources=("anything",))}
    monkeypatch.setattr(startup, "offer", lambda settings: Offer(cards=cards, refused={}))
    return cards


def test_on_a_space_downloaded_engines_borrow_and_everything_else_stays_on_the_processor(spaces, offered, monkeypatch):
    loaded = []
    monkeypatch.setattr(PipelineEngine, "load", lambda engine: loaded.append((engine.card.name, engine._device)))
    moderated = []
    monkeypatch.setattr(startup.Moderation, "from_settings", lambda given, service: moderated.append(given.device))
    parts = startup.parts(Settings(memory="low", device="auto"))
    kinds = {engine.card.name: type(engine) for engine in parts["engines"]}
    assert kinds == {"compact": PipelineEngine, "catvton": BorrowedEngine}
    assert loaded == [("catvton", "cuda")]  # before the server starts; the other at its first use
    assert parts["engines"][0]._device == parts["maskers"]._device == parts["safety"]._device == "cpu"
    assert moderated == ["cpu"]
    assert parts["engines"][1]._engine._memory == "balanced"  # moving networks about is left to ZeroGPU
    assert len(spaces.decorated) == 1


def test_weights_that_cannot_be_read_leave_the_other_engines(spaces, offered, monkeypatch, caplog):
    def refuse(engine):
        raise WeightsError("half of it is missing")

    monkeypatch.setattr(PipelineEngine, "load", refuse)
    assert len(startup.parts(Settings())["engines"]) == 2
    assert "half of it is missing" in caplog.text


def test_elsewhere_spaces_is_not_even_looked_for(offered, monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it would raise
    assert [type(engine) for engine in startup.parts(Settings())["engines"]] == [PipelineEngine] * 2


def test_warming_up_asks_for_no_card(spaces):
    called = []
    tryon = SimpleNamespace(cards={"tiny": tiny.CARD}, load=lambda: called.append("load"),
                            run=lambda request: called.append("run"))
    warm_up(tryon, Readiness("tiny@0"))
    assert called == ["load"]


def test_the_order_of_imports_on_a_space():
    """`spaces` before anything asks torch for a device, and gradio's telemetry off before `spaces` brings gradio in."""
    code = """
import json, os, sys
from types import ModuleType
seen = {}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "spaces":
            seen.update(torch=sys.modules.get("torch") is not None and sys.modules["torch"].cuda.is_initialized(),
                        analytics=os.environ.get("GRADIO_ANALYTICS_ENABLED"), gradio="gradio" in sys.modules)
            raise SystemExit(json.dumps(seen))
sys.meta_path.insert(0, Finder())
import app
app.main()
"""
    environment = {name: value for name, value in os.environ.items() if name != "GRADIO_ANALYTICS_ENABLED"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300,
                          env=environment | {"SPACES_ZERO_GPU": "true", "CATVTON_RECORDS_DAYS": "0"})
    assert json.loads(done.stderr.strip().splitlines()[-1]) == {"torch": False, "analytics": "False", "gradio": False}
