"""The options of `train catvton`, `deco` and `maskfree`, and the recipe they describe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.training.recipes import TryOnRecipe

EPILOG = """On several cards or machines: accelerate launch -m catvton train ... with the same options, after the same
command with --prepare has encoded the pairs once. The batch is for each process."""


def add_arguments(parser: argparse.ArgumentParser, *, preset: str, base: str) -> None:
    """The options of a recipe; what is left out is the preset's."""
    parser.epilog = EPILOG
    _add_places(parser, preset, base)
    _add_length(parser)
    _add_recipe(parser)
    _add_machine(parser)


def _add_places(parser: argparse.ArgumentParser, preset: str, base: str) -> None:
    group = parser.add_argument_group("data and folders")
    group.add_argument(
        "--data", required=True, metavar="DATA", help="vitonhd:ROOT, dresscode:ROOT, csv:FILE or shards:PATTERN"
    )
    group.add_argument(
        "--base",
        default=base,
        metavar="WHAT",
        help=f"what to begin with: {base} (default), an engine as `catvton models` lists them, or a saved "
        "pipeline's folder",
    )
    out = Path(f"runs/{preset}")
    group.add_argument("--out", type=Path, default=out, metavar="FOLDER", help=f"the run's folder (default: {out})")
    group.add_argument("--cache", type=Path, metavar="FOLDER", help="encoded pairs, which runs may share (OUT/cache)")
    group.add_argument(
        "--cache-dtype", choices=("float16", "float32"), default="float16", help="how they are stored (float16)"
    )
    group.add_argument(
        "--masker", metavar="ENGINE", help="whose masker makes missing masks (catvton if downloaded, else compact)"
    )
    group.add_argument(
        "--held-out", type=float, default=0.01, metavar="SHARE", help="share of pairs never trained on (0.01)"
    )


def _add_length(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("length")
    group.add_argument(
        "--resolution", type=int, default=512, metavar="H", help="height of the pictures, 512 or 1024; 3:4 (512)"
    )
    group.add_argument("--steps", type=int, metavar="N", help="steps in all (default: the published number)")
    group.add_argument("--batch", type=int, default=16, metavar="N", help="pairs at a time, in each process (16)")
    group.add_argument(
        "--accumulate", type=int, metavar="N", help="batches a step (default: as many as make 128 pairs, as published)"
    )
    group.add_argument("--resume", action="store_true", help="go on from the folder's newest checkpoint")
    group.add_argument("--dry-run", action="store_true", help="only say what it would take: memory, disk, hours")
    group.add_argument("--prepare", action="store_true", help="only make what is read in training: masks, latents")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe", "what is left out is as published")
    group.add_argument("--learning-rate", type=float, metavar="R", help="constant")
    group.add_argument("--scope", choices=("attn1", "full"), help="train the self-attentions, or the whole network")
    group.add_argument("--loss-region", choices=("all", "person"), help="take the loss over both halves, or one")
    group.add_argument(
        "--uncond", choices=("zero_condition", "zero_garment"), help="what guidance's other row loses of the garment"
    )
    group.add_argument(
        "--garment-noise", choices=("noisy", "renoise"), help="the garment's half in a try-on; renoise: clean, noised"
    )
    group.add_argument("--dropout", type=float, metavar="SHARE", help="samples without the garment, for guidance")
    group.add_argument("--dream", type=float, metavar="P", help="DREAM's power; 0 is off, a pass less a step")
    group.add_argument("--min-snr", type=float, metavar="GAMMA", help="weigh steps by min-SNR, e.g. 5 (off)")
    group.add_argument("--ema", type=float, metavar="DECAY", help="save averaged weights, e.g. 0.9999 (off)")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--checkpointing", action="store_true", help="compute activations twice: far less memory")
    group.add_argument("--bf16", action="store_true", help="compute in bfloat16; weights stay float32")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    group.add_argument("--seed", type=int, default=0, help="of batches and noise (default: 0)")
    group.add_argument("--json", action="store_true", help="with --dry-run: one JSON object, for programs")


def recipe_of(args: argparse.Namespace, *, preset: str) -> TryOnRecipe:
    """The preset with the options that were given laid over it."""
    from catvton.training.recipes import PRESETS

    def given(**names: str) -> dict[str, Any]:
        return {field: getattr(args, name) for field, name in names.items() if getattr(args, name) is not None}

    recipe = PRESETS[preset]
    loss = replace(recipe.loss, **given(region="loss_region", dream="dream", min_snr="min_snr"))
    names = ("base", "scope", "uncond", "garment_noise", "dropout", "learning_rate", "ema")
    return replace(recipe, loss=loss, **given(**{name: name for name in names}))


def check_options(args: argparse.Namespace) -> None:
    """Raises InputError for a number that is not possible."""
    for name in ("steps", "batch", "accumulate", "resolution"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value} is not possible: whole numbers from 1.", code=f"option.{name}")
    if args.resolution % 4:
        raise InputError(
            f"--resolution {args.resolution} is not possible: pictures are 3:4; 512 and 1024 are usual.",
            code="option.resolution",
        )
    if not 0 <= args.held_out < 1:
        raise InputError(f"--held-out {args.held_out:g} is not possible: from 0 to below 1.", code="option.held_out")
    if args.ema is not None and not 0 < args.ema < 1:
        raise InputError(f"--ema {args.ema:g} is not possible: above 0 and below 1.", code="option.ema")
