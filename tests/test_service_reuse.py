"""A person's second garment costs no second look at the person: the parser's and the VAE's calls, counted through the
REST door."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from catvton.engines import PipelineEngine
from catvton.masking import BuiltInMasker
from catvton.settings import Settings
from catvton.tryon import TryOn
from model.automasker import AutoMasker
from tests.rest_client import Door, door
from tests.tiny import tiny_engine

PHOTOS = Path(__file__).resolve().parent.parent / "resource" / "examples"


@pytest.fixture
def calls(monkeypatch):
    """How often each network is asked, whoever asks it."""
    counted = Counter()
    load, build = PipelineEngine.load, AutoMasker.__init__

    def counting(name, ask):
        def asked(*arguments, **options):
            counted[name] += 1
            return ask(*arguments, **options)

        return asked

    def loading(engine):
        pipeline = load(engine)
        if not hasattr(pipeline.vae, "counted"):
            pipeline.vae.counted = True
            pipeline.vae.encode = counting("vae", pipeline.vae.encode)
        return pipeline

    def building(masker, parser, **options):
        build(masker, counting("parser", parser), **options)

    monkeypatch.setattr(PipelineEngine, "load", loading)
    monkeypatch.setattr(AutoMasker, "__init__", building)
    return counted


@dataclass
class Visitor:
    rest: Door
    calls: Counter

    def dress(self, person, garment, **options):
        """What one try-on costs."""
        before = self.calls.copy()
        assert self.rest.tryon(files=photos(person=person, garment=garment), **options).status_code == 200
        return self.calls - before


def photos(**numbers):
    return {name: (PHOTOS / f"{name}-{number}.webp").read_bytes() for name, number in numbers.items()}


def test_a_second_garment_encodes_only_itself(calls):
    """Of a pipeline as the published engine's, with the parser that ships."""
    with door(TryOn([tiny_engine()], BuiltInMasker(device="cpu"))) as rest:
        visitor = Visitor(rest, calls)
        assert visitor.dress(1, 1) == {"parser": 1, "vae": 2}
        assert visitor.dress(1, 2) == {"vae": 1}  # another garment
        assert visitor.dress(1, 1, seed=7) == {}  # the same pair again
        assert visitor.dress(2, 2) == {"parser": 1, "vae": 1}  # another person, in a garment that is known
        before = calls.copy()
        assert rest.tryon("/v1/mask", files=photos(person=2), part="overall").status_code == 200
        assert calls == before  # their mask, of another part


def test_the_built_in_engine_parses_a_person_once(calls):
    """It lays the garment on the photo before it encodes it: what it encodes is the pair's, not the person's."""
    with door(TryOn.from_settings(Settings(device="cpu"))) as rest:
        visitor = Visitor(rest, calls)
        assert visitor.dress(1, 1) == {"parser": 1, "vae": 2}
        assert visitor.dress(1, 2) == {"vae": 2}
        assert visitor.dress(1, 1, seed=7) == {}
