"""Keeps what a checker passes, withholds what it flags, and finds the words for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catvton.errors import ResultWithheld

if TYPE_CHECKING:
    from PIL import Image

    from catvton.safety import Checker, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """What may be shown of a run.

    Attributes:
        pictures: {seed: PIL RGB}, never empty.
        flags: ("withheld:N",) when N pictures were withheld; notes: the same for a person.
    """

    pictures: Mapping[int, Image.Image]
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def sift(
    checker: Checker,
    pictures: Mapping[int, Image.Image],
    *,
    look: Callable[[Image.Image], Image.Image] = lambda picture: picture,
    job_id: str = "",
) -> Sifted:
    """The pictures without the flagged ones. Scores go to the log; the pictures are left as they are.

    Args:
        pictures: {seed: PIL RGB}.
        look: what of a picture the checker is to see.

    Raises:
        ResultWithheld: all of them were flagged.
        WeightsError: the checker is not able to judge.
    """
    verdicts = dict(zip(pictures, checker.check([look(picture) for picture in pictures.values()]), strict=True))
    for seed, verdict in verdicts.items():
        _log(job_id, seed, verdict)
    clean = {seed: picture for seed, picture in pictures.items() if not verdicts[seed].flagged}
    if not clean:
        raise ResultWithheld(count=len(pictures))
    count = len(pictures) - len(clean)
    return Sifted(pictures=clean, **(_said(count, len(pictures)) if count else {}))


def _said(count: int, total: int) -> dict[str, tuple[str, ...]]:
    were = "was" if count == 1 else "were"
    note = (
        f"{count} of {total} pictures {were} withheld: the safety checker took {'it' if count == 1 else 'them'} for "
        "something that should not be shown. That is often a false alarm; try another seed."
    )
    return {"flags": (f"withheld:{count}",), "notes": (note,)}


def _log(job_id: str, seed: int, verdict: Verdict) -> None:
    scores = ", ".join(f"{name} {score:+.3f}" for name, score in verdict.scores.items())
    if verdict.flagged:
        log.info("job %s: seed %d withheld for %s (%s)", job_id, seed, ", ".join(verdict.hits) or "no name", scores)
    else:
        log.debug("job %s: seed %d passed (%s)", job_id, seed, scores)
