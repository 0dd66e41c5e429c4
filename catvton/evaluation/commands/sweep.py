"""`python -m catvton evaluate sweep`: what steps and guidance do to the picture, to the figures and to the seconds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.evaluation import study
from catvton.result import PARTS

if TYPE_CHECKING:
    from catvton.evaluation.subject import Subject
    from catvton.evaluation.sweep import Sweep, Wish

SUMMARY = "the same try-ons with each number of steps and each guidance: a picture grid, figures and seconds"
SIZE = (576, 768)  # of the person pictures
UNGUIDED = "Guidance at or below 1 means no guidance: the network is asked once at each step and the value is not used."
PAIRED = """Colour: mean CIEDE2000, 0 is the same. Structure: mean SSIM, 1 is the same.
Region: where the garment is in the photo. Mask: all that was hidden.
"""
EQUAL = {
    True: "Checked: the pictures of such rows with the same steps are equal to the last bit.",
    False: "CHECKED AND FOUND WRONG: pictures of such rows with the same steps differ.",
    None: "Nothing to check: no two rows without guidance have the same steps.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    study.add_arguments(parser, data=False, limit=6)
    parser.add_argument(
        "--steps", type=_whole, default=[10, 20, 30, 50], metavar="N,N,...", help="steps (default: 10,20,30,50)"
    )
    parser.add_argument(
        "--guidance", type=_numbers, default=[0.1, 1.0, 2.5, 7.5], metavar="X,X,...",
        help="how firmly to follow the garment; up to 1 is not at all (default: 0.1,1,2.5,7.5)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="the same for every picture (default: 42)")
    photos = parser.add_argument_group("your own photos, instead of --data: only the grid and seconds")
    photos.add_argument("--person", type=Path, metavar="FILE", help="photo of the person")
    photos.add_argument("--garment", type=Path, metavar="FILE", help="photo of the garment")
    photos.add_argument("--part", default="upper", choices=PARTS, help="what to replace (default: upper)")


def run(args: argparse.Namespace) -> int:
    """Run every setting, print the table, write the grids."""
    study.check_arguments(args)
    if (args.data is None) == (args.person is None) or (args.person is None) != (args.garment is None):
        raise InputError("Give either --data, or --person and --garment together.", code="option.data")
    if args.seed < 0:
        raise InputError("--seed has to be 0 or more: all pictures share it.", code="option.seed")
    from catvton.bench import machine
    from catvton.evaluation.bar import bar
    from catvton.evaluation.subject import subject
    from catvton.evaluation.sweep import figures, plan, sweep

    measured = subject(args.engine, folder=args.weights)
    planned = plan(measured.card, args.steps, args.guidance)
    found = sweep(measured.tryon, planned, _wishes(args), watch=bar)
    _write_grids(args.out, found)
    said = {"engine": measured.card.id, "seed": args.seed, "machine": machine(), **figures(found)}
    print(study.hand_over(args, page(found, measured, said), said))
    return 0


def _wishes(args: argparse.Namespace) -> list[Wish]:
    from catvton.evaluation.sweep import Wish, wish_of

    if args.data is None:
        from catvton.images import open_picture
        from catvton.result import TryOnRequest

        person, garment = (open_picture(getattr(args, w), what=f"{w} photo") for w in ("person", "garment"))
        return [Wish("photos", TryOnRequest(person=person, garment=garment, part=args.part, seed=args.seed))]
    from catvton.ccp import CCP
    from catvton.evaluation.protocol import cases, samples
    from catvton.evaluation.suite import spread

    ccp = CCP(args.data)
    return [wish_of(sample, seed=args.seed) for sample in samples(ccp, spread(cases(ccp), args.limit), SIZE)]


def _write_grids(out: Path | None, found: Sweep) -> None:
    """One picture for each wish."""
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    for wish in {run.wish.name: run.wish for run in found.runs}.values():
        found.grid(wish).save(out / f"{wish.name}.png")


def page(found: Sweep, measured: Subject, said: dict[str, Any]) -> str:
    """The study in Markdown."""
    from catvton.bench import machine_lines

    wishes = len({run.wish.name for run in found.runs})
    paired = found.runs[0].region is not None
    figures = ("colour, region", "structure, region", "colour, mask", "structure, mask") if paired else ()
    rows = [
        [
            row["steps"],
            f"{row['guidance']:g}" + ("" if row["guided"] else " (none)"),
            *((*row["region"], *row["mask"]) if paired else ()),
            f"{row['seconds']:.2f}",
        ]
        for row in said["rows"]
    ]
    card = measured.card
    return "\n".join(
        [
            f"# Steps and guidance: {card.id}\n",
            f"{wishes} {'cases of the paired protocol' if paired else 'try-on'}, seed {said['seed']}, at "
            f"{card.size[0]}x{card.size[1]}. The engine's own defaults: steps {card.steps.default:g}, guidance "
            f"{card.guidance.default:g}.\n",
            study.table(["steps", "guidance", *figures, "seconds"], rows),
            f"\n{PAIRED if paired else ''}Seconds: the median of whole try-ons, all stages.\n",
            UNGUIDED,
            EQUAL[said["unguided_rows_equal"]],
            *found.plan.left_out,
            "",
            *machine_lines(said["machine"]),
            "",
        ]
    )


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers with commas between them are accepted") from error


def _whole(text: str) -> list[int]:
    numbers = _numbers(text)
    if not all(each.is_integer() for each in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: whole numbers with commas between them are accepted")
    return [int(each) for each in numbers]
