"""What several commands share: reading option values, checking where a picture goes, and a progress bar."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.engines import StepReport

STAGES = {
    "mask": "finding the body",
    "place": "laying the garment on",
    "generate": "generating",
    "paste": "putting it into the photo",
    "record": "marking and recording",
}


def number(text: str) -> Any:
    """An int or a float where the text is one; the text itself otherwise, for the one place that checks options."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def picture_path(text: str) -> Path:
    """Where a picture is to be written. Checked before the work starts, not after it."""
    path = Path(text)
    if path.suffix.lower() not in (".png", ".webp", ".jpg", ".jpeg"):
        raise InputError(f'Cannot write "{text}": its name must end in .png, .webp or .jpg.', code="output.format")
    if not path.parent.is_dir():
        raise InputError(f'Cannot write "{text}": there is no folder "{path.parent}".', code="output.write")
    return path


@contextlib.contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[StepReport], None]]:
    """A bar on the error stream, fed with a run's reports."""
    from tqdm import tqdm

    with tqdm(disable=not shown, bar_format="{desc:<26}{bar} {n_fmt}/{total_fmt} steps, {elapsed}") as bar:

        def listen(report: StepReport) -> None:
            bar.total = report.steps
            bar.n = report.step
            bar.set_description_str(STAGES.get(report.stage, report.stage))

        yield listen
