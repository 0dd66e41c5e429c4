"""Cached latents: what they are, what they take, how a build is taken up again, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from catvton.datasets import Pictures, open_source
from catvton.errors import InputError
from catvton.training import latent_cache
from catvton.training.latent_cache import LatentCache, Latents, identity
from model.errors import NoPersonFound
from tests.fake_sets import mask, write_table
from tests.tiny_pipeline import tiny_pipe


class Killed(Exception):
    """Stands for a process that is no more."""


@dataclass
class Cut:
    """A source that is killed before pair `at`."""

    source: object
    at: int

    @property
    def name(self) -> str:
        return self.source.name

    def __len__(self) -> int:
        return len(self.source)

    def masks_missing(self) -> int:
        return self.source.masks_missing()

    def __iter__(self) -> Iterator[Pictures]:
        for place, pictures in enumerate(self.source):
            if place == self.at:
                raise Killed
            yield pictures


@pytest.fixture
def source(tmp_path: Path):
    return open_source(f"csv:{write_table(tmp_path / 'set', pairs=10)}")


def cache(tmp_path: Path, source, **options) -> LatentCache:
    return LatentCache(**{"folder": tmp_path / "cache", "source": source, "pipe": tiny_pipe(), **options})


def test_the_latents_are_the_pipelines_own(tmp_path: Path, source) -> None:
    pipe = tiny_pipe()
    latents = cache(tmp_path, source, pipe=pipe, dtype="float32").build()
    for place, pictures in enumerate(source):
        rows = latents.rows([place])
        expected = {
            "person": pipe.person_latents(masked_image=pictures.person),
            "shown": pipe.person_latents(pictures.person, pictures.mask),
            "garment": pipe.garment_latents(pictures.garment),
        }
        for name, tensor in expected.items():
            torch.testing.assert_close(rows[name], tensor, rtol=0, atol=1e-5)
        assert rows["mask"].unique().tolist() == [0, 1] and rows["mask"].shape == (1, 1, 16, 12)
        assert latents.names[place] == pictures.name


def test_the_pipeline_makes_the_same_picture_of_them(tmp_path: Path, source) -> None:
    """Mask and person as the latents hold them are those of a call with the pictures themselves."""
    pipe, pictures = tiny_pipe(), next(iter(source))
    rows = cache(tmp_path, source, pipe=pipe, dtype="float32").build().rows([0])
    options = {"num_inference_steps": 2, "output_type": "np", "guidance_scale": 2.5}
    given = {"image_latents": rows["shown"], "condition_latents": rows["garment"]}
    big = torch.nn.functional.interpolate(rows["mask"], size=(32, 24))
    ours = pipe(**given, mask=big, generator=torch.Generator().manual_seed(0), **options).images
    theirs = pipe(
        pictures.person, pictures.garment, pictures.mask, generator=torch.Generator().manual_seed(0), **options
    ).images
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_size_is_known_before(tmp_path: Path, source) -> None:
    for dtype, width in (("float16", 2), ("float32", 4)):
        made = cache(tmp_path, source, folder=tmp_path / dtype, dtype=dtype)
        planned = made.planned_bytes()
        assert planned == 10 * (3 * 4 * 16 * 12 * width + 16 * 12)
        made.build()
        assert planned < made.bytes() < planned + 2000  # the arrays' headers and the names


def test_half_precision_is_near_enough(tmp_path: Path, source) -> None:
    half, single = (
        cache(tmp_path, source, folder=tmp_path / dtype, dtype=dtype).build().rows(range(10))
        for dtype in ("float16", "float32")
    )
    for name in single:
        assert (half[name] - single[name]).abs().max() <= 1e-3 * single[name].std().clamp_min(1) * 4
    assert half["person"].dtype == torch.float32


def test_a_killed_build_goes_on_and_ends_the_same(tmp_path: Path, source, monkeypatch) -> None:
    whole = cache(tmp_path, source, folder=tmp_path / "whole").build()
    with pytest.raises(Killed):
        cache(tmp_path, Cut(source, at=9)).build()
    with (tmp_path / "cache" / "pairs.csv").open("a") as file:
        file.write("8,00010_lo")  # a line cut short
    encoded = []
    original = latent_cache.encode
    monkeypatch.setattr(latent_cache, "encode", lambda pipe, pairs: encoded.append(len(pairs)) or original(pipe, pairs))
    again = cache(tmp_path, source).build()
    assert encoded == [2] and again.names == whole.names
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
    encoded.clear()
    assert cache(tmp_path, source).build().names == whole.names and not encoded


@pytest.mark.parametrize("other", ["size", "source", "autoencoder", "dtype"])
def test_latents_of_something_else_are_refused(tmp_path: Path, source, other: str) -> None:
    cache(tmp_path, source).build()
    changed = {
        "size": lambda: {"pipe": tiny_pipe(height=64, width=48)},
        "source": lambda: {"source": open_source(f"csv:{write_table(tmp_path / 'other', pairs=10)}")},
        "autoencoder": lambda: {"pipe": tiny_pipe(vae=_moved(tiny_pipe().vae))},
        "dtype": lambda: {"dtype": "float32"},
    }
    with pytest.raises(InputError, match=f"something else: {other}.*there.*now.*--cache") as caught:
        cache(tmp_path, **{"source": source, **changed[other]()}).build()
    assert caught.value.code == "cache.mismatch"


def _moved(vae):
    copy = type(vae).from_config(vae.config)
    copy.load_state_dict({name: tensor + 1e-3 for name, tensor in vae.state_dict().items()})
    return copy.eval()


def test_a_source_that_changed_meanwhile_is_refused(tmp_path: Path, source) -> None:
    with pytest.raises(Killed):
        cache(tmp_path, Cut(source, at=5)).build()
    table = tmp_path / "set" / "pairs.csv"
    head, first, *rest = table.read_text().splitlines()
    table.write_text("\n".join([head, *rest, first]) + "\n")
    with pytest.raises(InputError, match="pair 0 is 00002_look01 and was 00002_look00"):
        cache(tmp_path, open_source(f"csv:{table}")).build()


def test_missing_masks_are_made_once_and_kept(tmp_path: Path) -> None:
    bare = open_source(f"csv:{write_table(tmp_path / 'bare', pairs=3, masks=False)}")
    asked = []

    def masker(photo, part):
        asked.append(part)
        if part == "lower":
            raise NoPersonFound
        return SimpleNamespace(mask=mask(part))

    with pytest.raises(InputError, match="no masker"):
        cache(tmp_path, bare, folder=tmp_path / "none").build()
    made = cache(tmp_path, bare, masker=masker, masker_name="drawn")
    latents = made.build()
    assert asked == ["upper", "lower", "overall"] and [name is None for name in latents.names] == [False, True, False]
    theirs = open_source(f"csv:{write_table(tmp_path / 'masked', pairs=3)}")
    expected = cache(tmp_path, theirs, folder=tmp_path / "own").build().rows([0, 2])
    torch.testing.assert_close(latents.rows([0, 2]), expected)
    assert made.build().names == latents.names and len(asked) == 3
    assert all(1 not in places for places in latents.split(0.5))
    with pytest.raises(InputError, match="something else: masks"):
        replace(made, masker_name="another").build()


def test_a_disk_that_is_too_small_is_said_before(tmp_path: Path, source, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=40_000))
    with pytest.raises(InputError, match=r"needs 48.0 kB more for the latents, and 40.0 kB are free"):
        cache(tmp_path, source).build()
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_the_split_depends_on_the_names_alone() -> None:
    names = [f"{i:05d}_00" for i in range(2000)]
    train, held = Latents({}, names).split(0.05)
    assert sorted(train + held) == list(range(2000)) and 70 < len(held) < 130
    _, again = Latents({}, names[::-1]).split(0.05)
    assert {names[i] for i in held} == {names[::-1][i] for i in again}
    assert Latents({}, names).split(0.0)[1] == []


def test_the_identity_is_the_weights() -> None:
    vae = tiny_pipe().vae
    assert identity(vae) == identity(vae) != identity(_moved(vae))
