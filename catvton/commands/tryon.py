"""`tryon`: two photos in, one picture out."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path

from catvton.commands.common import number, picture_path, progress_bar
from catvton.result import PARTS, SHOWS, TryOnRequest, TryOnResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("pictures")
    files.add_argument("--person", required=True, metavar="FILE", help="photo of the person")
    files.add_argument("--garment", required=True, metavar="FILE", help="photo of the garment")
    files.add_argument("--out", required=True, metavar="FILE", help="where to write it (.png keeps every pixel)")
    files.add_argument("--mask", metavar="FILE", help="white where the photo may change; found by itself if left out")

    wish = parser.add_argument_group("options")
    wish.add_argument("--part", default="upper", help=f"what to replace: {', '.join(PARTS)} (default: upper)")
    wish.add_argument("--steps", type=number, metavar="N", help="more steps take longer (default: the engine's own)")
    wish.add_argument("--guidance", type=number, metavar="X", help="how firmly to follow the garment, 0 to 7.5")
    wish.add_argument("--seed", type=number, default=42, metavar="N", help="same seed, same picture; -1 draws one")
    wish.add_argument("--show", default=SHOWS[0], help=", ".join(f'"{show}"' for show in SHOWS))
    wish.add_argument("--engine", metavar="NAME", help="which model makes the picture (default: CATVTON_ENGINE)")
    wish.add_argument("--size", metavar="WxH", help="size the engine works at; the photo keeps its own")
    wish.add_argument("--variations", type=number, default=1, metavar="N", help="1 to 4 pictures with seeds in a row")

    wish.add_argument(
        "--watermark", action="store_true", help="put the job's number into the picture, invisibly, and record the job"
    )

    say = parser.add_argument_group("what is printed")
    say.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")
    say.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    out = picture_path(args.out)
    request = TryOnRequest(
        person=args.person,
        garment=args.garment,
        mask=args.mask,
        part=args.part,
        steps=args.steps,
        guidance=args.guidance,
        seed=args.seed,
        show=args.show,
        engine=args.engine,
        size=args.size,
        variations=args.variations,
    )
    from catvton.settings import Settings
    from catvton.tryon import TryOn

    tryon = TryOn.from_settings(Settings(watermark="on")) if args.watermark else TryOn.from_settings()
    with closing(tryon), progress_bar(shown=not args.quiet) as on_step:
        result = tryon.run(request, on_step=on_step)
    paths = _write(result, out, show=args.show)
    print(json.dumps({"images": [str(path) for path in paths], **result.info()}) if args.json else _told(result, paths))
    return 0


def _write(result: TryOnResult, out: Path, *, show: str) -> list[Path]:
    """result.png, and result-2.png, result-3.png ... for further variations."""
    from dataclasses import replace

    from catvton.images import save_picture

    paths = []
    for index, image in enumerate(result.images, start=1):
        path = out if index == 1 else out.with_stem(f"{out.stem}-{index}")
        save_picture(replace(result, image=image).show(show), path, statement=result.statement)
        paths.append(path)
    return paths


def _told(result: TryOnResult, paths: list[Path]) -> str:
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
    lines = [
        f"written:  {', '.join(str(path) for path in paths)}",
        f"job:      {result.job_id}",
        f"seed:     {result.seed}",
        f"engine:   {result.engine}, {result.steps} steps, guidance {result.guidance:g}",
        f"seconds:  {sum(result.seconds.values()):.1f} ({stages})",
        *(f"note:     {note}" for note in result.notes),
    ]
    return "\n".join(lines)
