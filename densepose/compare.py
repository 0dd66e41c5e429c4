"""`python -m densepose.compare IMAGE FOLDER`: what this package finds in a photo beside what Detectron2 finds.

A check by hand, on a machine that has Detectron2 (requirements-detectron2.txt) and published weights. It ends with 0
if both find the same people and agree on 99 % of the pixels of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from densepose.detectron2_backend import Detectron2DensePose
from densepose.errors import DensePoseError
from densepose.predictor import DensePose
from densepose.results import Instance

ENOUGH = 0.99  # of a person's pixels: half-pixel ties fall either way


@dataclass(frozen=True)
class Comparison:
    """One person, as both see them: greatest distance of box sides in pixels, of scores, and the share of the pixels
    that either calls body on which both say the same."""

    box: float
    score: float
    agreement: float


def compare(ours: Sequence[Instance], theirs: Sequence[Instance]) -> list[Comparison]:
    """Pair by pair, in order of score."""
    return [_pair(one, other) for one, other in zip(ours, theirs, strict=False)]


def _pair(one: Instance, other: Instance) -> Comparison:
    body = (one.labels > 0) | (other.labels > 0)
    same = float((one.labels == other.labels)[body].mean()) if body.any() else 1.0
    return Comparison(float(np.abs(np.subtract(one.box, other.box)).max()), abs(one.score - other.score), same)


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    options = {"device": args.device, "min_score": args.min_score, "config": args.config}
    try:
        theirs = Detectron2DensePose.from_pretrained(args.folder, python=args.python, **options)
        ours = DensePose.from_pretrained(args.folder, **options)
        with Image.open(args.image) as photo:
            found, expected = ours.instances(photo), theirs.instances(photo)
    except (DensePoseError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    theirs.close()
    rows = compare(found, expected)
    sys.stdout.write(f"people: {len(found)} here, {len(expected)} by Detectron2\n")
    for n, row in enumerate(rows, start=1):
        sys.stdout.write(
            f"{n}: box {row.box:.3f} px apart, score {row.score:.6f} apart, {row.agreement:.4%} of pixels alike\n"
        )
    return int(len(found) != len(expected) or any(row.agreement < ENOUGH for row in rows))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m densepose.compare", description="Compare with Detectron2.")
    parser.add_argument("image", help="a photo with people in it")
    parser.add_argument("folder", help="config and weights (.pkl)")
    parser.add_argument("--config", help="which .yaml, where the folder has several or none")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--min-score", type=float, default=0.8, help="what counts as a person (default: 0.8)")
    parser.add_argument("--python", default=sys.executable, help="the Python that has Detectron2 (default: this one)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
