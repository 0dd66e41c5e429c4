"""`evaluate masks`: what the published mask covers and spares with each DensePose network, on the validation photos.

For each case of the paired protocol (a photo and a garment class on it), the mask of the part is asked for and held
against the labels. Real weights are needed: without them the report says so, and how to get them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catvton.ccp import CCP, CLASSES
from catvton.evaluation.protocol import Case

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from model.published import PublishedMasker

PARTS = ("upper", "overall")  # where body pose matters most
KEPT = ("hair", "shoes")  # what no mask of either part may open
CONFIGS = {
    "R_50_FPN_s1x": "densepose_rcnn_R_50_FPN_s1x.yaml",
    "R_101_FPN_s1x": "densepose_rcnn_R_101_FPN_s1x.yaml",
    "R_50_FPN_DL_s1x": "densepose_rcnn_R_50_FPN_DL_s1x.yaml",
    "HRFPN_HRNet_w32_s1x": "HRNet/densepose_rcnn_HRFPN_HRNet_w32_s1x.yaml",
}


@dataclass(frozen=True)
class MaskScore:
    """One mask against the labels, shares from 0 to 1.

    Attributes:
        covered: of the garment's pixels, how many the mask opens.
        opened: of the pixels to keep, how many it opens all the same.
        share: of the photo, how much it opens.
        agrees: intersection over union with the first network's mask of the same case.
        seconds: for the mask, the photo's first.
    """

    network: str
    part: str
    covered: float
    opened: float
    share: float
    agrees: float
    seconds: float


def score_masks(
    ccp: CCP, cases: Iterable[Case], maskers: Mapping[str, Callable], *, clock: Callable[[], float] = time.perf_counter
) -> tuple[list[MaskScore], int]:
    """Every masker's mask of every case of `PARTS`, and how many were refused (nobody or no such part found)."""
    from model.errors import MaskError

    scores, refused = [], 0
    for case in (case for case in cases if case.part in PARTS):
        photo, labels, first = ccp.photo(case.number), ccp.labels(case.number), None
        for network, masker in maskers.items():
            start = clock()
            try:
                mask = masker(photo, case.part).mask > 0
            except MaskError:
                refused += 1
                continue
            seconds = clock() - start
            first = mask if first is None else first
            scores.append(_score(network, case, mask, labels, first, seconds))
    return scores, refused


def _score(
    network: str, case: Case, mask: np.ndarray, labels: np.ndarray, first: np.ndarray, seconds: float
) -> MaskScore:
    garment = labels == CLASSES.index(case.kind)
    kept = np.isin(labels, [CLASSES.index(name) for name in KEPT])
    return MaskScore(
        network=network,
        part=case.part,
        covered=float(mask[garment].mean()),
        opened=float(mask[kept].mean()) if kept.any() else 0.0,
        share=float(mask.mean()),
        agrees=float((mask & first).sum() / max(1, (mask | first).sum())),
        seconds=seconds,
    )


def report(scores: list[MaskScore], refused: int) -> str:
    """The scores' means as a page of Markdown."""
    lines = [
        "# The published mask, by DensePose network",
        "",
        "| network | part | masks | garment covered | hair and shoes opened | of the photo | IoU with the first | s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for network in dict.fromkeys(score.network for score in scores):
        for part in PARTS:
            chosen = [score for score in scores if (score.network, score.part) == (network, part)]
            if chosen:
                mean = {
                    name: float(np.mean([getattr(score, name) for score in chosen]))
                    for name in ("covered", "opened", "share", "agrees", "seconds")
                }
                lines.append(
                    f"| {network} | {part} | {len(chosen)} | {mean['covered']:.1%} | {mean['opened']:.1%} "
                    f"| {mean['share']:.1%} | {mean['agrees']:.3f} | {mean['seconds']:.2f} |"
                )
    return "\n".join([*lines, "", f"Refused, as nobody or no such part was found: {refused}.", ""])


def without_weights(card: ModelCard) -> str:
    """The page to write where there is nothing to measure with."""
    rows = "\n".join(f"| {name} | `densepose/configs/{config}` |" for name, config in CONFIGS.items())
    return _NO_WEIGHTS.format(download=card.mend, rows=rows)


_NO_WEIGHTS = """# The published mask, by DensePose network

No real weights were at hand, so nothing is compared here yet: figures of random weights would say nothing. On a
machine with the hub in reach:

    {download}
    python -m catvton evaluate masks --data DATA --write benchmarks/masks.md

The default network comes with the engine. The others are published with Detectron2; each is added with
`--densepose NAME=FOLDER`, a folder with its weights and one of these configurations:

| network | configuration |
| --- | --- |
{rows}
"""


def maskers(card: ModelCard, folders: Mapping[str, Path], *, device: str = "auto") -> dict[str, PublishedMasker]:
    """{network: masker}: the engine's own first, then one with each other DensePose; the parsers are the same.

    Raises:
        WeightsError: the engine was never completely downloaded, or a folder's network cannot be loaded.
    """
    from catvton.masking import Maskers

    paths, made = card.paths, Maskers(device=device)
    return {
        name: made.read(bodies, paths["schp"], mend=card.mend)
        for name, bodies in {next(iter(CONFIGS)): paths["densepose"], **folders}.items()
    }
