"""The built-in model as it ships: complete, small, right about the example people, and dressing them visibly."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catvton import TryOn, TryOnRequest
from catvton.cards import read_cards, read_versions
from catvton.engines import PipelineEngine
from catvton.masking import BuiltInMasker
from catvton.training.figures import render_figure
from catvton.training.figures_examples import SIZE, examples
from model.labels import Label

RESOURCE = Path(__file__).resolve().parents[1] / "resource"
PEOPLE = [e for e in examples() if not e.part]
GARMENTS = [e for e in examples() if e.part]
UNET = "unet/diffusion_pytorch_model.safetensors"
LARGE = 0.02  # of the picture: classes this large must be found


@pytest.fixture(scope="module")
def tryon() -> TryOn:
    return TryOn.from_settings()


def picture(example) -> Image.Image:
    with Image.open(RESOURCE / "examples" / example.file) as image:
        return image.convert("RGB")


@functools.cache
def true_labels(index: int) -> np.ndarray:
    """The exact label map of an example person: it is rendered from the same style and seed as the picture."""
    person = PEOPLE[index]
    return render_figure(np.random.default_rng(person.seed), size=SIZE, style=person.style).labels


def test_it_fits_its_limits() -> None:
    files = [p for p in (RESOURCE / "compact").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 30e6
    assert max(p.stat().st_size for p in files) <= 15e6


def test_its_files_are_those_of_its_card() -> None:
    read_cards()["compact"].require_files()


def test_the_pruned_version_is_smaller_and_dresses_much_alike(tryon: TryOn) -> None:
    versions = read_versions()["compact"]
    sizes = {name: (card.folder / UNET).stat().st_size for name, card in versions.items()}
    assert sizes["fast"] < 0.4 * sizes["4"]
    fast = TryOn([PipelineEngine(versions["fast"])], BuiltInMasker())
    request = TryOnRequest(person=picture(PEOPLE[0]), garment=picture(GARMENTS[0]), part=GARMENTS[0].part, seed=1)
    ours, before = fast.run(request), tryon.run(request)
    assert ours.engine == "compact@fast"
    shots = [np.asarray(result.image).astype(int) for result in (ours, before)]
    changed = np.abs(shots[0] - np.asarray(before.person)).mean()
    assert np.abs(shots[0] - shots[1]).mean() < 0.2 * changed
    assert np.array_equal(shots[0][before.mask == 0], shots[1][before.mask == 0])


def test_it_is_stored_in_half_precision() -> None:
    import torch
    from safetensors import safe_open

    for path in (RESOURCE / "compact").rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
        assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float16}, path


def test_there_are_people_and_garments_enough() -> None:
    assert len(PEOPLE) >= 3 and len(GARMENTS) >= 6
    assert {e.part for e in GARMENTS} == {"upper", "lower", "overall"}


@pytest.mark.parametrize("index", range(len(PEOPLE)), ids=[e.name for e in PEOPLE])
def test_example_people_are_parsed_rightly(tryon: TryOn, index: int) -> None:
    truth = true_labels(index)
    guess = tryon.mask(picture(PEOPLE[index]), "overall").labels
    for label in Label:
        right, found = truth == label, guess == label
        if right.mean() >= LARGE:
            assert (right & found).sum() / (right | found).sum() > 0.6, label.name


@pytest.mark.parametrize("garment", GARMENTS, ids=[e.name for e in GARMENTS])
def test_an_example_garment_is_seen_on_an_example_person(tryon: TryOn, garment) -> None:
    """Its colour fills most of what was masked on the body, and nothing outside the mask moves."""
    index = GARMENTS.index(garment) % len(PEOPLE)
    person, cloth = picture(PEOPLE[index]), picture(garment)
    result = tryon.run(TryOnRequest(person=person, garment=cloth, part=garment.part, seed=1))
    before, after = np.asarray(person), np.asarray(result.image)
    assert np.array_equal(before[result.mask == 0], after[result.mask == 0])
    worn = (result.mask > 0) & np.isin(true_labels(index), [Label.UPPER, Label.LOWER, Label.DRESS])
    wanted = _mean_colour(cloth)
    was, now = (float(np.linalg.norm(pixels[worn].mean(0) - wanted)) for pixels in (before, after))
    assert now < max(60, 0.7 * was) and (now < was or was < 40)


def test_the_same_seed_is_the_same_picture(tryon: TryOn) -> None:
    request = TryOnRequest(person=picture(PEOPLE[0]), garment=picture(GARMENTS[0]), part="upper", seed=3, steps=2)
    assert np.array_equal(*(np.asarray(tryon.run(request).image) for _ in range(2)))


def test_what_a_given_mask_hides_cannot_reach_the_picture(tryon: TryOn) -> None:
    person = picture(PEOPLE[0])
    mask = tryon.mask(person, "upper").mask
    noise = np.random.default_rng(0).integers(0, 255, (*mask.shape, 3), np.uint8)
    hidden = Image.fromarray(np.where(mask[..., None] > 0, noise, np.asarray(person)))
    options = {"garment": picture(GARMENTS[0]), "part": "upper", "mask": Image.fromarray(mask), "seed": 5, "steps": 2}
    one, two = (np.asarray(tryon.run(TryOnRequest(person=p, **options)).image) for p in (person, hidden))
    assert np.array_equal(one, two)


def _mean_colour(garment: Image.Image) -> np.ndarray:
    from catvton.cutout import cut_out

    pixels = np.asarray(cut_out(garment))
    return pixels[pixels[..., 3] > 127][:, :3].mean(0)


def test_no_configuration_names_a_folder_of_the_machine_it_was_trained_on() -> None:
    configs = sorted((RESOURCE / "compact").rglob("*.json"))
    assert len(configs) >= 5
    assert not [path for path in configs if "_name_or_path" in path.read_text() or '"/' in path.read_text()]
