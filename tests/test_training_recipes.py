"""The recipes: the published values, the published sizes, and what is refused."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import pytest
import torch

from catvton.errors import InputError
from catvton.layout import Layout
from catvton.training.commands import catvton as command
from catvton.training.recipes import PRESETS, LossRules
from catvton.training.tryon_options import check_options, recipe_of
from catvton.training.tryon_stage import in_scope
from catvton.unet import TryOnUNet
from tests.proof.test_full_size import UNET_WIDTHS, full_config


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["--data", "csv:pairs.csv", *given])


@pytest.fixture(scope="module")
def full_size() -> TryOnUNet:
    """Stable Diffusion 1.5's inpainting network, of its true size and without memory."""
    with torch.device("meta"):
        return TryOnUNet.from_config(full_config("unet", UNET_WIDTHS))


def test_the_published_numbers_of_parameters(full_size: TryOnUNet) -> None:
    attention, full = in_scope(full_size, "attn1"), in_scope(full_size, "full")
    assert sum(parameter.numel() for parameter in attention) == 49_574_080
    assert len(attention) == 16 * 5
    # Stable Diffusion 1.5's 859,535,364 with nine input channels, without the cross-attentions: two square matrices,
    # two of 768 rows and a bias in each of the 16 blocks.
    crossed = sum(2 * width**2 + 2 * 768 * width + width for width in [320] * 5 + [640] * 5 + [1280] * 6)
    assert sum(parameter.numel() for parameter in full) == 859_535_364 - crossed == 815_572_804


def test_the_presets_are_the_published_recipes() -> None:
    ours, deco, maskfree = (PRESETS[name] for name in ("catvton", "deco", "maskfree"))
    assert (ours.scope, ours.loss, ours.dropout) == ("attn1", LossRules(region="all", dream=10.0), 0.1)
    assert ours.layout == Layout("height", True, "zero_condition", "noisy") and ours.clip is None
    assert (deco.scope, deco.loss, deco.dropout) == ("full", LossRules(region="person", dream=10.0), 0.1)
    assert deco.layout == Layout("height", True, "zero_garment", "renoise") and deco.clip == 1.0
    assert maskfree.layout == Layout("width", False, "zero_condition", "noisy")
    assert maskfree.layout.input_channels(4) == 8 and maskfree.base == "instruct-pix2pix"
    assert {recipe.learning_rate for recipe in PRESETS.values()} == {1e-5}
    assert (ours.steps_at(512), ours.steps_at(1024), ours.steps_at(900)) == (16_000, 48_000, 48_000)


def test_the_rate_is_constant_and_only_published_clipping_is_done() -> None:
    from catvton.training.schedule import State, learning_rate

    schedule = PRESETS["catvton"].schedule(steps=100, accumulate=8)
    rates = {learning_rate(schedule, State(step)) for step in range(100)}
    assert rates == {1e-5} and schedule.clip == math.inf and schedule.ema is None and schedule.accumulate == 8
    assert PRESETS["deco"].schedule(steps=1).clip == 1.0


def test_options_are_laid_over_the_preset() -> None:
    assert recipe_of(options(), preset="catvton") == PRESETS["catvton"]
    given = options("--dream", "0", "--loss-region", "person", "--dropout", "0", "--scope", "full", "--min-snr", "5",
                    "--uncond", "zero_garment", "--garment-noise", "renoise", "--learning-rate", "3e-5",
                    "--ema", "0.999", "--base", "here")  # fmt: skip
    expected = replace(
        PRESETS["catvton"],
        loss=LossRules(region="person", dream=0.0, min_snr=5.0),
        dropout=0.0,
        scope="full",
        uncond="zero_garment",
        garment_noise="renoise",
        learning_rate=3e-5,
        ema=0.999,
        base="here",
    )
    assert recipe_of(given, preset="catvton") == expected


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--dream", "-1"), "recipe.dream"),
        (("--dropout", "1.5"), "recipe.dropout"),
        (("--min-snr", "0"), "recipe.min_snr"),
        (("--learning-rate", "0"), "recipe.learning_rate"),
        (("--batch", "0"), "option.batch"),
        (("--steps", "0"), "option.steps"),
        (("--resolution", "511"), "option.resolution"),
        (("--held-out", "1"), "option.held_out"),
        (("--ema", "1"), "option.ema"),
    ],
)
def test_what_is_refused(given: tuple[str, ...], code: str) -> None:
    args = options(*given)
    with pytest.raises(InputError) as caught:
        check_options(args)
        recipe_of(args, preset="catvton")
    assert caught.value.code == code


def test_an_unknown_word_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="choose one of all, person"):
        LossRules(region="garment")
    with pytest.raises(InputError, match="choose one of attn1, full"):
        replace(PRESETS["deco"], scope="half")
