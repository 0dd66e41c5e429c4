"""The try-on stage in the loop: eight pairs learned by heart, resumed bit for bit, and the commands from end to end."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from catvton.cli import main
from catvton.datasets import open_source
from catvton.errors import InputError
from catvton.pipeline import CatVTONPipeline
from catvton.training import tryon_options
from catvton.training.latent_cache import LatentCache, Latents
from catvton.training.loop import Trainer
from catvton.training.recipes import PRESETS, LossRules
from catvton.training.tryon_stage import TryOnStage
from catvton.training.tryon_subject import open_tryon_subject
from catvton.unet import TryOnUNet
from catvton.vae import PatchAutoencoder
from tests.fake_sets import mask, write_table, write_vitonhd
from tests.tiny_pipeline import seeded, tiny_pipe


@pytest.fixture(scope="module")
def latents(tmp_path_factory) -> Latents:
    root = tmp_path_factory.mktemp("pairs")
    source = open_source(f"csv:{write_table(root / 'set', pairs=4)}")
    return LatentCache(folder=root / "cache", source=source, pipe=tiny_pipe(), dtype="float32").build()


def stage(latents: Latents, preset: str = "catvton", **changes) -> TryOnStage:
    recipe = replace(PRESETS[preset], **changes)
    return TryOnStage(tiny_pipe(uncond=recipe.uncond, garment_noise=recipe.garment_noise), latents, recipe,
                      batch_size=3, held_out=0.0)  # fmt: skip


def trainer(folder: Path, latents: Latents, *, preset: str = "catvton", steps: int = 6, **changes) -> Trainer:
    schedule = PRESETS[preset].schedule(steps=steps, accumulate=2, gradient_checkpointing=True)
    return Trainer(stage(latents, preset, **changes), replace(schedule, learning_rate=1e-3, ema=0.9), folder)


# -- the proof -------------------------------------------------------------------------------------------------------


def test_eight_pairs_are_learned_by_heart_and_redrawn(tmp_path: Path) -> None:
    """A network of 0.24 million weights, 25 seconds of one core: the loss falls below a twentieth, results come from
    0.44 of the full range to below 0.03 of their truth, and each is twice as near to its own as to any other."""
    pipe = small_pipe()
    source = open_source(f"csv:{write_table(tmp_path / 'set', pairs=8)}")
    pipe.vae.fit(torch.stack([pixels(one) for pictures in source for one in (pictures.person, pictures.garment)]))
    latents = LatentCache(folder=tmp_path / "cache", source=source, pipe=pipe, dtype="float32").build()
    recipe = replace(PRESETS["catvton"], scope="full", loss=LossRules(), learning_rate=1e-2)
    stage = TryOnStage(pipe, latents, recipe, batch_size=64, held_out=0.0)
    schedule = replace(recipe.schedule(steps=400), warmup_steps=20, decay=0.5, ema=0.98, clip=1.0)
    run = Trainer(stage, schedule, tmp_path / "run")
    before = distances(stage, latents).diagonal()
    losses = [run.step()["loss"] for _ in range(schedule.steps)]
    with run.averaged():
        after = distances(stage, latents)
    own, others = after.diagonal(), (after + np.diag(np.full(8, np.inf))).min(axis=1)
    first, last = np.mean(losses[:5]), np.mean(losses[-50:])
    figures = f"loss {first:.3f} -> {last:.3f}, {before.mean():.3f} -> {own.round(3)}, {others / own}"
    assert last < first / 20, figures
    assert own.max() < 0.03 < before.min() / 5, figures
    assert (others > 2 * own).all(), figures


def small_pipe() -> CatVTONPipeline:
    """The published shape at 24x32, with a linear autoencoder of eight pixels a cell."""
    unet = seeded(
        lambda: TryOnUNet(
            in_channels=17,
            out_channels=8,
            block_out_channels=(32,),
            down_block_types=("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",),
            layers_per_block=1,
            cross_attention_dim=8,
            attention_head_dim=4,
            norm_num_groups=8,
        )
    )
    return tiny_pipe(unet, seeded(lambda: PatchAutoencoder(spatial_factor=8, latent_channels=8)))


def pixels(picture: Image.Image) -> torch.Tensor:
    """float32 (3, 32, 24) in -1..1."""
    return torch.from_numpy(np.array(picture.resize((24, 32)))).permute(2, 0, 1).float() / 127.5 - 1


def distances(stage: TryOnStage, latents: Latents) -> np.ndarray:
    """(8, 8): every result's distance from every truth in the result's mask, a mean of absolute differences, 0 to 1.

    A truth is what the autoencoder keeps of the photo.
    """
    places = list(range(8))
    rows = latents.rows(places)
    truths = np.stack([np.asarray(picture) for picture in stage.pipe.preview(rows["person"])]).astype(float)
    results = stage.redraw(places, steps=20, guidance=1.0).astype(float)
    holes = F.interpolate(rows["mask"], size=(32, 24)).numpy()[:, 0] > 0
    return np.array([[np.abs(results[i] - truth)[holes[i]].mean() / 255 for truth in truths] for i in places])


# -- the stage in the loop -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["catvton", "deco"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, latents: Latents, preset: str) -> None:
    whole = trainer(tmp_path / "whole", latents, preset=preset)
    losses = [whole.step()["loss"] for _ in range(6)]
    cut = trainer(tmp_path / "cut", latents, preset=preset)
    for _ in range(3):
        cut.step()
    cut.checkpoint()
    again = trainer(tmp_path / "cut", latents, preset=preset)
    assert again.resume()
    assert [again.step()["loss"] for _ in range(3)] == losses[3:]
    ours, theirs = again.module.state_dict(), whole.module.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert all(torch.equal(again.average.values[name], tensor) for name, tensor in whole.average.values.items())


def test_only_the_scope_moves_and_is_kept(tmp_path: Path, latents: Latents) -> None:
    run = trainer(tmp_path, latents)
    before = {name: tensor.clone() for name, tensor in run.module.state_dict().items()}
    run.step()
    run.checkpoint()
    moved = {name for name, tensor in run.module.state_dict().items() if not torch.equal(tensor, before[name])}
    attention = {name for name in before if ".attn1." in name}
    assert moved == attention
    assert run.checkpoints.read()["module"].keys() == attention


def test_the_loss_is_the_same_with_activations_computed_twice(latents: Latents) -> None:
    once, twice = stage(latents), stage(latents)
    twice.module.enable_gradient_checkpointing()
    batch = once.batch(np.random.default_rng(0))
    gradients = []
    for one in (once, twice):
        one.loss(one.module.train(), batch)[0].backward()
        gradients.append([parameter.grad for parameter in one.trainable()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_batches_are_drawn_as_the_recipe_says(latents: Latents) -> None:
    one = TryOnStage(tiny_pipe(), latents, replace(PRESETS["catvton"], dropout=0.25), batch_size=4000, held_out=0.0)
    batch = one.batch(np.random.default_rng(0))
    assert 0.22 < 1 - batch["kept"].float().mean() < 0.28
    times = batch["timesteps"]
    assert times.min() < 5 and times.max() > 994 and abs(times.float().mean() - 499.5) < 20
    assert abs(batch["noise"].std() - 1) < 0.01 and batch["noise"].shape == (4000, 4, 32, 12)
    assert all(torch.equal(tensor, one.batch(np.random.default_rng(0))[name]) for name, tensor in batch.items())


def test_runs_are_compared_by_one_loss_whatever_their_rules(latents: Latents) -> None:
    def held_out(**changes) -> float:
        one = TryOnStage(tiny_pipe(), latents, replace(PRESETS["catvton"], **changes), batch_size=2, held_out=0.6)
        return one.held_out(one.module)

    figure = held_out()
    assert figure == held_out(loss=LossRules(region="person", min_snr=5.0), dropout=1.0) == held_out()
    with pytest.raises(InputError, match="no pairs are held out"):
        stage(latents).held_out(stage(latents).module)
    with pytest.raises(InputError, match="Every pair is held out"):
        TryOnStage(tiny_pipe(), latents, PRESETS["catvton"], batch_size=2, held_out=1.0)


def test_held_out_pairs_are_shown_and_never_trained_on(latents: Latents) -> None:
    one = TryOnStage(tiny_pipe(), latents, PRESETS["catvton"], batch_size=64, held_out=0.6)
    train, held = latents.split(0.6)
    assert train and held
    rows = one.batch(np.random.default_rng(0))["person"]
    drawn = {place for place in range(4) if (rows == latents.rows([place])["person"]).flatten(1).all(1).any()}
    assert drawn == set(train)
    sheet = np.asarray(one.samples(one.module.eval()))
    assert sheet.shape == (32 * len(held), 24 * 4, 3)
    truth = one.pipe.preview(latents.rows(held[:1])["person"])[0]
    np.testing.assert_array_equal(sheet[:32, 72:], np.asarray(truth))


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "models"))  # nothing is downloaded
    tiny_pipe().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def command(base: Path, data: str, out: Path, *more: str, name: str = "catvton") -> list[str]:
    return ["train", name, "--data", data, "--base", str(base), "--out", str(out), "--resolution", "32", "--batch", "2",
            "--device", "cpu", *more]  # fmt: skip


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(tmp_path: Path, base: Path, capsys) -> None:
    data, out = f"vitonhd:{write_vitonhd(tmp_path / 'viton')}", tmp_path / "run"
    assert main(command(base, data, out, "--dry-run", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trainable"] == sum(p.numel() for n, p in tiny_pipe().unet.named_parameters() if ".attn1." in n)
    assert said["steps"] == 16_000 and said["caches"] == {"latents": 4 * (3 * 4 * 16 * 12 * 2 + 16 * 12)}
    assert said["step_seconds"] > 0 and not out.exists()


def test_the_command_trains_goes_on_and_leaves_both_layouts(tmp_path: Path, base: Path, capsys) -> None:
    data, out = f"vitonhd:{write_vitonhd(tmp_path / 'viton')}", tmp_path / "run"
    again = command(base, data, out, "--accumulate", "1", "--steps", "3", "--held-out", "0.3", "--ema", "0.9")
    assert main(again) == 0
    said = capsys.readouterr().out
    assert "4 pairs, 19.2 kB of latents" in said and "3 steps" in said and "The model is in" in said
    assert main([*again, "--resume"]) == 0
    saved = CatVTONPipeline.from_pretrained(out / "model")
    assert saved.layout == PRESETS["catvton"].layout and (saved.config.width, saved.config.height) == (24, 32)
    assert (out / "model" / "official" / "mix-48k-1024" / "attention" / "model.safetensors").is_file()
    assert (out / "samples.png").is_file()
    assert main(again) != 0  # the folder holds a run
    assert "--resume" in capsys.readouterr().err


def test_a_run_does_not_go_on_with_other_rules(tmp_path: Path, base: Path, capsys) -> None:
    data, out = f"vitonhd:{write_vitonhd(tmp_path / 'viton')}", tmp_path / "run"
    one = [*command(base, data, out, "--accumulate", "1"), "--steps", "1"]
    assert main(one) == 0
    other = [*command(base, data, out, "--accumulate", "1", "--dream", "0", "--dropout", "0.2"), "--steps", "2"]
    assert main([*other, "--resume"]) == 2
    said = capsys.readouterr().err
    assert "dropout 0.1" in said and "loss dream 10" in said and "scope" not in said
    assert main([*one[:-1], "2", "--resume"]) == 0


def test_deco_is_trained_whole_and_saved_with_its_layout(tmp_path: Path, base: Path) -> None:
    data, out = f"csv:{write_table(tmp_path / 'set')}", tmp_path / "run"
    assert main(command(base, data, out, "--accumulate", "1", "--steps", "1", "--checkpointing", name="deco")) == 0
    saved = CatVTONPipeline.from_pretrained(out / "model")
    assert saved.layout == PRESETS["deco"].layout
    before = CatVTONPipeline.from_pretrained(base).unet.state_dict()
    moved = [name for name, tensor in saved.unet.state_dict().items() if not torch.equal(tensor, before[name])]
    assert len(moved) > 0.9 * len(before)


def test_a_sweep_varies_the_loss_on_pairs_encoded_once(tmp_path: Path, base: Path, monkeypatch) -> None:
    from catvton.training.sweep import grid, sweep

    built = []
    monkeypatch.setattr(LatentCache, "build", lambda self, *a, build=LatentCache.build: built.append(1) or build(self))
    out = tmp_path / "run"
    told = command(base, f"vitonhd:{write_vitonhd(tmp_path / 'viton')}", out, "--accumulate", "1", "--held-out", "0.3")
    parser = argparse.ArgumentParser()
    tryon_options.add_arguments(parser, preset="catvton", base="sd15-inpainting")
    args = parser.parse_args([*told[2:], "--steps", "2"])
    vars(args).update(recipe="catvton", dream="0,10", loss_region="person", learning_rate="1e-3", dropout=None)
    subject = open_tryon_subject(args)
    trials = grid({"dream": [0.0, 10.0], "loss_region": ["person"], "learning_rate": [1e-3]})
    outcomes = sweep(subject, trials, out)
    assert len(built) == 1 and [outcome.steps for outcome in outcomes] == [2, 2]
    assert outcomes[0].held_out != outcomes[1].held_out
    assert subject.stage(trials[0]).rules == LossRules(region="person", dream=0.0)
    assert subject.recipe(trials[0]).learning_rate == 1e-3 and subject.stage({}).rules == PRESETS["catvton"].loss


def test_missing_masks_are_made_by_an_engines_masker(tmp_path: Path, base: Path, monkeypatch) -> None:
    class Drawn:
        def __init__(self, **_: object) -> None: ...

        def __call__(self, card):
            assert card.name == "compact"  # the published one is not downloaded
            return lambda photo, part: SimpleNamespace(mask=mask(part, photo.size))

    monkeypatch.setattr("catvton.masking.Maskers", Drawn)
    data, out = f"vitonhd:{write_vitonhd(tmp_path / 'viton', masks=False)}", tmp_path / "run"
    assert main(command(base, data, out, "--prepare")) == 0
    facts = json.loads((out / "cache" / "cache.json").read_text())
    assert facts["masks"] == "built-in" and facts["pairs"] == 4 and not (out / "checkpoints").exists()
    assert np.load(out / "cache" / "mask.npy").any()
