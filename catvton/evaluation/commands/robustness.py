"""`python -m catvton evaluate robustness`: bad photos and unusual poses, and what they cost."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.evaluation import study

if TYPE_CHECKING:
    from collections.abc import Callable

    from catvton.cards import ModelCard
    from catvton.ccp import CCP
    from catvton.evaluation.disturb import Disturbance
    from catvton.evaluation.poses import Pose
    from catvton.evaluation.robustness import Trial

SUMMARY = "what turned, cut, covered, dark, blurred photos and unusual poses cost"
SIZE = (576, 768)  # of the person pictures
SHOWN = 4  # cases on the sheet
ABOUT = """Everything is measured in the garment's region against the photo disturbed in the same way: colour is the
mean CIEDE2000 (0 is the same), structure the mean SSIM (1 is the same). "Worse" is against the same cases
undisturbed: a colour above 0 or a structure below 0. "Flat" is the garment's mean colour in the hole: what knowing
nothing else gets. A blurred truth is easier to come close to in structure, which the flat colour shows too. Mask IoU
is the automatic mask against the one found in the undisturbed photo, carried through the same geometry; no mask at
all counts as 0. What is covered is neither masked nor measured. Cases of which less than a quarter of the garment is
left are left out."""
POSES = """Bins, by part labels. Tilt: degrees between the vertical and the line from the torso's centroid to the
head's. Raised: of the arm raised most, degrees between straight down and the line from shoulder to hand. Crossed: the
share of the visible arms and hands that lies in front of the torso. Overall: straight is the first bin in all that is
seen, extreme the last one in any."""
LABELS = """Measured on the data's own labels, which have the built-in parser's classes. They know cloth and skin, no
limbs: an arm in a sleeve is measured by its hand, the far end of the skin, and the shoulder is where people usually
have theirs. A hand in a pocket, behind the back or in a glove is not seen; a sleeve across the chest is taken for the
chest; sleeves and long hems pull the torso's centroid along; legs, and turning away from the camera, are not
measured."""
DENSE = "Measured on DensePose's labels, which know limbs whatever they wear. Turning away is not measured."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    study.add_arguments(parser, limit=12)
    parser.add_argument(
        "--poses", type=int, metavar="N", help="at most N cases to sort by pose, 0 for none (default: all there are)"
    )


def run(args: argparse.Namespace) -> int:
    """Disturb, dress, measure, print."""
    study.check_arguments(args)
    if args.poses is not None and args.poses < 0:
        raise InputError(
            f"--poses {args.poses} is not possible: a whole number from 0 is accepted.", code="option.poses"
        )
    from catvton.bench import machine
    from catvton.ccp import CCP
    from catvton.evaluation.bar import bar
    from catvton.evaluation.disturb import DISTURBANCES
    from catvton.evaluation.protocol import cases
    from catvton.evaluation.robustness import disturbance_rows, disturbed, pose_rows, posed
    from catvton.evaluation.subject import subject
    from catvton.evaluation.suite import spread

    ccp, measured = CCP(args.data), subject(args.engine, folder=args.weights)
    card, every, seen = measured.card, cases(ccp), {}
    dress = partial(disturbed, ccp, measured.tryon, size=SIZE, watch=bar, on_trial=partial(_keep, seen))
    found = dress(spread(every, args.limit), DISTURBANCES)
    _write_sheet(args.out, seen)
    poses = posed(ccp, measured.tryon, spread(every, args.poses), size=SIZE, watch=bar, pose_of=_posing(card))
    said = {
        "engine": card.id,
        "labels": "densepose" if card.role("densepose") else "eight classes",
        "machine": machine(),
        "disturbances": disturbance_rows(found),
        "poses": pose_rows(poses),
    }
    print(study.hand_over(args, page(said), said))
    return 0


def _posing(card: ModelCard) -> Callable[[CCP, int], Pose] | None:
    """By DensePose where the engine has it; None: by the data's labels."""
    if not card.role("densepose"):
        return None
    from catvton.ccp import cut_window, window_box
    from catvton.evaluation.poses import pose_of_densepose
    from catvton.masking import Maskers

    masker = Maskers()(card)

    def pose_of(ccp: CCP, number: int) -> Pose:
        photo = cut_window(ccp.photo(number), window_box(ccp.labels(number)), SIZE)
        return pose_of_densepose(masker.parse(photo).densepose)

    return pose_of


def _keep(seen: dict[str, dict[str, tuple]], how: Disturbance, trial: Trial, result: Any) -> None:
    """The first few cases' results, by case and disturbance."""
    if trial.case.name in seen or len(seen) < SHOWN:
        seen.setdefault(trial.case.name, {})[f"{how.kind} {how.strength}"] = (trial.person, result)


def _write_sheet(out: Path | None, seen: dict[str, dict[str, tuple]]) -> None:
    """One sheet for each case: what was shown above what came of it."""
    if out is None:
        return
    from catvton.evaluation.sheets import sheet

    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in seen.items():
        rows = [[pair[index] for pair in pairs.values()] for index in (0, 1)]
        sheet(rows, heads=list(pairs)).save(out / f"{name}.png")


def page(said: dict[str, Any]) -> str:
    """The study in Markdown."""
    from catvton.bench import machine_lines

    disturbances = [
        [
            f"{row['kind']} {row['strength']}".strip(),
            row["cases"],
            *row.get("region", (None, None)),
            *row.get("worse", (None, None)),
            *row.get("flat", (None, None)),
            row["mask_iou"],
            row["no_mask"],
        ]
        for row in said["disturbances"]
    ]
    poses = [
        [
            f"{row['measure']}: {row['bin']}",
            row["cases"],
            *(v for a in ("region", "flat") for v in row.get(a, (None, None))),
        ]
        for row in said["poses"]
    ]
    figures = ("cases", "colour", "structure")
    return "\n".join(
        [
            f"# Robustness: {said['engine']}\n",
            ABOUT,
            "",
            study.table(
                [
                    "",
                    *figures,
                    "colour worse",
                    "structure worse",
                    "flat colour",
                    "flat structure",
                    "mask IoU",
                    "no mask",
                ],
                disturbances,
            ),
            "\n## Poses\n",
            POSES,
            LABELS if said["labels"] == "eight classes" else DENSE,
            "",
            study.table(["", *figures, "flat colour", "flat structure"], poses),
            "",
            *machine_lines(said["machine"]),
            "",
        ]
    )
