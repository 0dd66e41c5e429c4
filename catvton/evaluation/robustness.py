"""How much worse does it get when the photo is bad, or the pose far from standing straight?

A case of the paired protocol is disturbed before it is shown, and its truth in the same way. What the mask hides is
painted over before that, so blur and compression cannot carry it outside. The garment's picture stays as it is: on a
dark photo the engine has to see that the garment must be dark too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from catvton.ccp import CCP, CLASSES, cut_window, window_box
from catvton.errors import InputError
from catvton.evaluation.disturb import UNDISTURBED, Disturbance
from catvton.evaluation.metrics import Likeness, likeness
from catvton.evaluation.poses import BINS, Pose, names_of, pose_of_labels
from catvton.evaluation.protocol import FIGURE_SIZE, Case, Size, sample
from catvton.masking import bare
from catvton.result import TryOnRequest
from model.raster import Box, box_of

if TYPE_CHECKING:
    from catvton.tryon import TryOn

Watch = Callable[[Iterable[Any], str, int], Iterable[Any]]

LEAST_LEFT = 0.25  # of the garment's region: less of it in view is no case any more
POSE_SIZE: Size = (384, 512)  # (W, H) of the label map a pose is measured on


@dataclass(frozen=True)
class Trial:
    """A case, disturbed: what the engine is shown at its full size, the rest at figure scale.

    Attributes:
        photo: RGB, the disturbed photo with nothing hidden: what the automatic mask is made of.
        person, garment: RGB; noise under the mask.
        mask: uint8 (H, W) {0, 255}.
        where: the mask's box before the disturbance, which bars and bags are placed by.
        truth: uint8 (h, w, 3); region, hole: bool (h, w); FIGURE_SIZE where nothing is cut off.
        flat: the garment picture's mean colour, float (3,) 0..255.
    """

    case: Case
    photo: Image.Image
    person: Image.Image
    garment: Image.Image
    mask: np.ndarray
    where: Box
    truth: np.ndarray
    region: np.ndarray
    hole: np.ndarray
    flat: np.ndarray

    def score(self, filling: Image.Image | np.ndarray) -> tuple[Likeness, Likeness]:
        """The figures of a picture (RGB, any size) or one colour (3,) in the hole: in the region, over the mask."""
        if isinstance(filling, Image.Image):
            filling = np.asarray(filling.resize(self.hole.shape[::-1], Image.Resampling.LANCZOS))
        picture = np.where(self.hole[..., None], np.rint(filling).astype(np.uint8), self.truth)
        region, mask = likeness(picture, self.truth, self.region, self.hole)
        return region, mask


@dataclass(frozen=True)
class Outcome:
    """One trial's figures. `iou` is that of the automatic mask, 0 where none was found; None: not asked for."""

    case: Case
    region: Likeness
    mask: Likeness
    flat: Likeness
    iou: float | None = None


def trials(ccp: CCP, case: Case, size: Size, disturbances: Sequence[Disturbance]) -> dict[Disturbance, Trial]:
    """The case at `size` (W, H), disturbed in each way that leaves enough of the garment in view."""
    ready, labels = sample(ccp, case, size), ccp.labels(case.number)
    box = window_box(labels)
    photo = np.asarray(cut_window(ccp.photo(case.number), box, size))
    worn = (cut_window(labels, box, size) == CLASSES.index(case.kind)).astype(np.uint8)
    hidden, where = np.asarray(bare(ready.person, ready.mask)), box_of(ready.mask > 0)
    made = {}
    for how in disturbances:
        mask, region = how.map(ready.mask, where), how.map(worn, where)
        if region.sum() < LEAST_LEFT * worn.sum():
            continue
        seen, person = Image.fromarray(how.picture(photo, where)), how.picture(hidden, where)
        noise = case.generator("noise").integers(0, 256, (np.count_nonzero(mask), 3), dtype=np.uint8)
        person[mask > 0] = noise
        small = tuple(round(side * FIGURE_SIZE[1] / size[1]) for side in seen.size)
        made[how] = Trial(
            case=case,
            photo=seen,
            person=Image.fromarray(person),
            garment=ready.garment,
            mask=mask,
            where=where,
            truth=np.asarray(seen.resize(small, Image.Resampling.LANCZOS)),
            region=_smaller(region, small),
            hole=_smaller(mask, small),
            flat=ready.colour,
        )
    return made


def disturbed(
    ccp: CCP,
    tryon: TryOn,
    cases: Sequence[Case],
    disturbances: Sequence[Disturbance],
    *,
    size: Size,
    watch: Watch,
    on_trial: Callable[[Disturbance, Trial, Image.Image], None] = lambda how, trial, result: None,
) -> dict[Disturbance, list[Outcome]]:
    """{disturbance: outcomes}, "undisturbed" first; each case in every way that leaves enough of it in view.

    Args:
        size: (W, H) of the person pictures.
        on_trial: shown every trial and its result (RGB).
    """
    every = (UNDISTURBED, *disturbances)
    found: dict[Disturbance, list[Outcome]] = {how: [] for how in every}
    for case in watch(cases, "disturbed", len(cases)):
        made = trials(ccp, case, size, every)
        before = _automatic(tryon, made[UNDISTURBED])
        for how, trial in made.items():
            result = dress(tryon, trial)
            # Where there is no mask even of the untouched photo, there is nothing to compare with.
            iou = None if before is None else _overlap(how.map(before, trial.where), _automatic(tryon, trial))
            found[how].append(_outcome(trial, result, iou))
            on_trial(how, trial, result)
    return found


def posed(
    ccp: CCP,
    tryon: TryOn,
    cases: Sequence[Case],
    *,
    size: Size,
    watch: Watch,
    pose_of: Callable[[CCP, int], Pose] | None = None,
) -> list[tuple[Pose, Outcome]]:
    """Every case undisturbed, with its pose. `pose_of`: (data, photo number) -> pose; None reads the data's labels."""
    found = []
    for case in watch(cases, "poses", len(cases)):
        trial = trials(ccp, case, size, [UNDISTURBED])[UNDISTURBED]
        pose = (pose_of or labelled_pose)(ccp, case.number)
        found.append((pose, _outcome(trial, dress(tryon, trial), None)))
    return found


def labelled_pose(ccp: CCP, number: int) -> Pose:
    """The pose by the data's own labels, which have the classes of the built-in parser."""
    labels = ccp.labels(number)
    return pose_of_labels(cut_window(labels, window_box(labels), POSE_SIZE))


def dress(tryon: TryOn, trial: Trial) -> Image.Image:
    """The whole try-on with the mask given, the engine's own options. RGB."""
    mask = Image.fromarray(trial.mask)
    wish = TryOnRequest(person=trial.person, garment=trial.garment, mask=mask, part=trial.case.part)
    return tryon.run(wish).image


def _outcome(trial: Trial, result: Image.Image, iou: float | None) -> Outcome:
    (region, mask), (flat, _) = trial.score(result), trial.score(trial.flat)
    return Outcome(trial.case, region, mask, flat, iou)


def _automatic(tryon: TryOn, trial: Trial) -> np.ndarray | None:
    """The mask the app finds by itself, uint8 (H, W); None where it finds nobody, or not that part."""
    try:
        return tryon.mask(trial.photo, trial.case.part).mask
    except InputError:
        return None


def _overlap(expected: np.ndarray, found: np.ndarray | None) -> float:
    """Intersection over union; 0 where no mask was found."""
    if found is None:
        return 0.0
    one, other = expected > 0, found > 0
    return float((one & other).sum() / max(1, (one | other).sum()))


def _smaller(area: np.ndarray, size: Size) -> np.ndarray:
    """bool (h, w) of a map (H, W) at `size` (w, h)."""
    return np.asarray(Image.fromarray(area).resize(size, Image.Resampling.NEAREST)) > 0


# ---- figures ---------------------------------------------------------------------------------------------------------


def disturbance_rows(found: dict[Disturbance, list[Outcome]]) -> list[dict[str, Any]]:
    """A row for each disturbance, ready for JSON. `worse` is against the same cases undisturbed."""
    before = {outcome.case: outcome for outcome in found[UNDISTURBED]}
    rows = []
    for how, outcomes in found.items():
        row = {"kind": how.kind, "strength": how.strength, **_means(outcomes)}
        if outcomes:
            same = _means([before[outcome.case] for outcome in outcomes])
            row["worse"] = [round(now - then, 4) for now, then in zip(row["region"], same["region"], strict=True)]
        ious = [outcome.iou for outcome in outcomes if outcome.iou is not None]
        row["mask_iou"] = round(fmean(ious), 4) if ious else None
        row["no_mask"] = sum(iou == 0 for iou in ious)
        rows.append(row)
    return rows


def pose_rows(found: Sequence[tuple[Pose, Outcome]]) -> list[dict[str, Any]]:
    """A row for each bin of each measure, and of how far the whole pose is from straight, ready for JSON."""
    return [
        {"measure": what, "bin": name, **_means([each for pose, each in found if pose.bins()[what] == name])}
        for what in ("overall", *BINS)
        for name in names_of(what)
    ]


def _means(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How many, and the mean [CIEDE2000, SSIM] in the region, over the mask, and of the flat colour in the region."""
    return {"cases": len(outcomes)} | {
        name: [
            round(fmean(getattr(each, name).colour for each in outcomes), 3),
            round(fmean(getattr(each, name).structure for each in outcomes), 4),
        ]
        for name in ("region", "mask", "flat")
        if outcomes
    }
