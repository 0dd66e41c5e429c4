"""What the API does, and the page with it: uploads in, answers out, errors in words.

Knows nothing of gradio: it is handed paths of uploads and hands back paths of answers.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import Cancelled, InputError
from catvton.images import DEFAULT_LIMITS, Limits, save_picture
from catvton.result import TryOnRequest, TryOnResult
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import WHATS, Texts
from catvton.web.wishes import aside

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.tryon import TryOn

log = logging.getLogger(__name__)

PLACES = {"person": "person", "part": "person", "garment": "garment", "below": "below", "mask": "mask"}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """An error in words: the sentence, and the place on the page it belongs to.

    Attributes:
        place: "person", "garment", "below", "mask" or "run".
        stopped: the run ended because it was asked to.
    """

    sentence: str
    place: str = "run"
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One server's try-on behind its doors.

    Attributes:
        limits: how large an upload may be.
        texts: the words of the API.
        admit: called with an event's gr.Request and "tryon" or "mask" before the work, in the event's own thread, and
            with how many pictures are wished: counts them, and raises an InputError to turn the caller away.
        refused: called with the code of each error that is told.
    """

    tryon: TryOn
    folder: TempFolder
    texts: Texts
    limits: Limits = DEFAULT_LIMITS
    admit: Callable[..., Any] = lambda request, what, pictures=1, door="page": None
    refused: Callable[[str], None] = lambda code: None

    def receive(self, **files: Any) -> dict[str, bytes | None]:
        """Read and remove every upload of a request, given as gradio's clients refer to files: {"path": ...}.

        Only "mask" may be None, and stays it.

        Raises:
            InputError: one is missing or is no upload; the others are removed all the same.
        """
        received, errors = {}, []
        for name, file in files.items():
            try:
                received[name] = None if name == "mask" and file is None else self._read(file, WHATS[name])
            except InputError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return received

    def _read(self, file: Any, what: str) -> bytes:
        if file is None:
            raise InputError(self.texts("api.missing", what=what), code="image.missing")
        path = file.get("path") if isinstance(file, dict) else getattr(file, "path", None)
        if not isinstance(path, str) or not path:
            raise InputError(self.texts("api.no_file", what=what), code="image.type")
        return self.folder.take(path, what=what)

    def answer_tryon(self, request: TryOnRequest) -> Iterator[StepReport | tuple[Path, dict[str, Any]]]:
        """A whole request, its pictures `receive`d: reports, then (picture file, info)."""
        with closing(aside(self.tryon.stream(request))) as items:
            for item in items:
                yield self._answered(item, show=request.show) if isinstance(item, TryOnResult) else item

    def _answered(self, result: TryOnResult, *, show: str) -> tuple[Path, dict[str, Any]]:
        path = self.folder.new_file(f"try-on-{result.seed}.png")
        save_picture(result.show(show), path, statement=result.statement)
        return path, result.info()

    def answer_mask(self, *, person: bytes, part: str, engine: str | None = None) -> tuple[Path, dict[str, Any]]:
        """The automatic mask of a photo: (picture file, info)."""
        mask = self.tryon.mask(person, part, engine=engine)
        path = self.folder.new_file("mask.png")
        save_picture(mask.mask, path)
        return path, {"part": part, "notes": list(mask.notes)}

    def trouble(self, error: Exception, texts: Texts | None = None) -> Trouble:
        """Any error in words. What is not its reader's to mend goes to the log, under a number the reader is told.

        Args:
            texts: the reader's language; None is the API's.
        """
        texts = texts or self.texts
        if isinstance(error, Cancelled):
            return Trouble(sentence=texts["run.stopped"], stopped=True)
        if isinstance(error, InputError):
            self.refused(error.code)
            return Trouble(sentence=texts.of_error(error), place=_place(error))
        number = secrets.token_hex(4)
        log.error("error %s", number, exc_info=error)
        return Trouble(sentence=texts("run.failed", number=number))


def _place(error: InputError) -> str:
    """Where on the page an error belongs, by its code or by the picture its sentence is about."""
    subject = error.code.partition(".")[0]
    if subject == "image":
        subject = next((slot for slot, what in WHATS.items() if what in str(error)), "run")
    return PLACES.get(subject, "run")
