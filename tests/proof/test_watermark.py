"""The watermark on 200 results of the built-in engine, every attack; and 20,000 readings of what carries none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catvton.errors import InputError
from catvton.result import TryOnRequest
from catvton.safety.watermark import FALSE_POSITIVE_BOUND, TiledWatermark
from catvton.settings import Settings
from catvton.training.figures import render_figure
from catvton.tryon import TryOn
from tests.watermark_attacks import ATTACKS, Tally, tally

pytestmark = pytest.mark.proof

EXAMPLES = Path(__file__).parents[2] / "resource" / "examples"
RESULTS, PER_PERSON, SIZE = 200, 5, (768, 1024)
PARTS, PART = 99, (144, 192)  # of each result; with the whole ones that makes 20,000 readings


@pytest.fixture(scope="module")
def results() -> list[Image.Image]:
    """Five garments on each of 40 people: the four examples, and people drawn in rooms and streets, as by a camera."""
    tryon, found = TryOn.from_settings(Settings()), []
    for number, person in enumerate(people()):
        made = [dressed(tryon, person, garment=1 + (number + each) % 7, seed=each) for each in range(PER_PERSON)]
        found += [picture for picture in made if picture is not None]
        if len(found) >= RESULTS:
            return found[:RESULTS]
    raise AssertionError("the people ran out")


def people() -> Iterator[Image.Image]:
    for number in range(1, 5):
        yield Image.open(EXAMPLES / f"person-{number}.webp").convert("RGB")
    for seed in range(100):
        yield Image.fromarray(render_figure(np.random.default_rng(seed), size=SIZE).image)


def dressed(tryon: TryOn, person: Image.Image, *, garment: int, seed: int) -> Image.Image | None:
    """A result, or None where the photo does not show what the garment needs."""
    examples = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    part = next(each["part"] for each in examples if each["file"] == f"garment-{garment}.webp")
    photo = Image.open(EXAMPLES / f"garment-{garment}.webp")
    try:
        result = tryon.run(TryOnRequest(person=person, garment=photo, part=part, seed=seed))
    except InputError:
        return None
    assert result.image.size == SIZE
    return result.image


def test_200_results_and_every_attack(results, figures):
    found = tally(TiledWatermark(), results, seed=1)
    assert found.pictures == RESULTS
    figures["Watermark: read back, of 200 results of 768x1024, one attack at a time"] = {
        f"{name} (at least {least:.0%})": f"{found.read[name]} of {RESULTS}" for name, (_, least) in ATTACKS.items()
    }
    figures["Watermark: what it costs"] = costs(found, results[:10])
    assert found.failures() == {}
    assert found.wrong == 0
    assert min(found.psnr) >= 38
    assert max(found.moved) <= 6


def costs(found: Tally, pictures: list[Image.Image]) -> dict[str, Any]:
    watermark, start = TiledWatermark(), time.perf_counter()
    marked = [watermark.embed(picture, 5) for picture in pictures]
    embedded = time.perf_counter()
    for picture in marked:
        assert watermark.read(picture) == 5
    read = time.perf_counter()
    for picture in pictures:
        assert watermark.read(picture) is None
    unmarked = time.perf_counter()
    return {
        "PSNR, lowest": f"{min(found.psnr):.1f} dB",
        "PSNR, median": f"{np.median(found.psnr):.1f} dB",
        "most any pixel moved": f"{max(found.moved)} levels",
        "marking": f"{(embedded - start) / len(pictures):.2f} s",
        "reading": f"{(read - embedded) / len(pictures):.2f} s",
        "looking through a picture without a mark": f"{(unmarked - read) / len(pictures):.2f} s",
    }


def test_20000_readings_of_unmarked_pictures(results, figures):
    readings = [one for seed, picture in enumerate(results) for one in readings_of(picture, seed)]
    read = [number for number in readings if number is not None]
    figures["Watermark: pictures that carry none"] = {
        "bound on a false positive, by the check bits": f"{FALSE_POSITIVE_BOUND:.1e}",
        "readings": f"{len(readings)} ({RESULTS} results, and {PARTS} parts of {PART[0]}x{PART[1]} of each)",
        "numbers read": len(read),
    }
    assert len(readings) == 20_000
    assert read == []
    assert FALSE_POSITIVE_BOUND < 1e-6


def readings_of(picture: Image.Image, seed: int) -> list[int | None]:
    """Of the whole picture, and of parts of it, each at its own place, way round and brightness."""
    watermark, rng = TiledWatermark(), np.random.default_rng([7, seed])
    return [watermark.read(picture), *(watermark.read(part_of(picture, rng)) for _ in range(PARTS))]


def part_of(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top = rng.integers(picture.width - PART[0]), rng.integers(picture.height - PART[1])
    part = np.asarray(picture.crop((left, top, left + PART[0], top + PART[1])), np.float32)
    turned = np.flip(part, axis=[axis for axis in (0, 1) if rng.random() < 0.5])
    return Image.fromarray((turned * rng.uniform(0.7, 1.2)).clip(0, 255).astype(np.uint8))
