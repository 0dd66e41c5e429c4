"""What the page and the API do, in terms of uploads, sessions and sentences; how it looks is `catvton.web.page`'s.

Knows nothing of gradio: it is handed paths of uploads and hands back paths of answers.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import Cancelled, InputError
from catvton.images import DEFAULT_LIMITS, Limits, open_picture, png_bytes, save_picture
from catvton.result import SHOWS, TryOnRequest, TryOnResult
from catvton.web.painting import Painted, copy_for_painting, painted_mask
from catvton.web.shelf import Kept, Shelf
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts

if TYPE_CHECKING:
    from PIL import Image

    from catvton.engines import StepReport
    from catvton.tryon import TryOn

log = logging.getLogger(__name__)

LINGER = 20.0  # seconds: the browser shows its own upload until our copy arrives
WHATS = {"person": "person photo", "garment": "garment photo", "mask": "mask"}


@dataclass(frozen=True, kw_only=True)
class Done:
    """A finished run for the page: the picture's file, its PNG under `name` on the shelf, and the result's info."""

    path: Path
    info: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """An error in words: the sentence, and the place on the page it belongs to.

    Attributes:
        place: "person", "garment", "mask" or "run".
        stopped: the run ended because it was asked to.
    """

    sentence: str
    place: str = "run"
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the page's controls say, unchecked: `TryOn` checks it."""

    part: Any
    painted: Painted = Painted()  # noqa: RUF009  frozen
    steps: Any = None
    guidance: Any = None
    seed: Any = 42
    show: Any = SHOWS[0]
    engine: Any = None


@dataclass(frozen=True, kw_only=True)
class Studio:
    """One server's try-on, its temporary folder, and what its open pages have chosen.

    Attributes:
        limits: how large an upload may be.
        texts: the words for errors of our own.
    """

    tryon: TryOn
    folder: TempFolder
    texts: Texts
    limits: Limits = DEFAULT_LIMITS
    shelf: Shelf = field(default_factory=Shelf)

    # ---- the page ----------------------------------------------------------------------------------------------------

    def choose(self, session: str, slot: str, upload: str | Path) -> Path:
        """Check the picture a page uploaded as its "person" or "garment", and remember it.

        Returns:
            The file of a checked, upright, down-scaled copy, for the page to show.

        Raises:
            InputError: the picture cannot be used; nothing is remembered in its place.
        """
        self.shelf.drop(session, slot)
        return self._remember(session, slot, self.folder.take(upload, what=WHATS[slot], linger=LINGER))

    def choose_example(self, session: str, slot: str, example: Path) -> Path:
        """The same for a picture that ships with the app."""
        return self._remember(session, slot, example.read_bytes())

    def _remember(self, session: str, slot: str, data: bytes) -> Path:
        photo = open_picture(data, what=WHATS[slot], limits=self.limits)
        self.shelf.put(session, slot, Kept(data=data, size=photo.size))
        if slot == "person":
            self.shelf.drop(session, "painting")
        return self._copy(photo, slot)

    def _copy(self, photo: Image.Image, slot: str) -> Path:
        path = self.folder.new_file(f"{slot}.png")
        save_picture(copy_for_painting(photo), path)
        return path

    def paint_on(self, session: str) -> Path | None:
        """A copy of the session's person to paint on, or None if that person is being painted on already.

        Raises:
            InputError: there is no person yet.
        """
        person = self._chosen(session, "person")
        if self.shelf.get(session, "painting") is person:
            return None
        self.shelf.put(session, "painting", person)
        return self._copy(open_picture(person.data, limits=self.limits), "person")

    def dress(self, session: str, choices: Choices) -> Iterator[StepReport | Done]:
        """Try the session's garment on its person: reports while it works, then what came of it.

        Raises:
            InputError: something is missing or cannot be used.
        """
        layers = self._layers(choices.painted)
        person, garment = (self._chosen(session, slot) for slot in ("person", "garment"))
        request = TryOnRequest(
            person=person.data,
            garment=garment.data,
            part=choices.part,
            mask=painted_mask(layers, size=person.size),
            steps=choices.steps,
            guidance=choices.guidance,
            seed=choices.seed,
            show=choices.show,
            engine=choices.engine,
        )
        with closing(self._stream(request)) as items:
            for item in items:
                yield self._finish(session, item, show=request.show) if isinstance(item, TryOnResult) else item

    def _finish(self, session: str, result: TryOnResult, *, show: str) -> Done:
        picture = result.show(show)
        kept = Kept(data=png_bytes(picture), size=picture.size, name=f"try-on-{result.seed}.png")
        self.shelf.put(session, "result", kept)
        return Done(path=self._answer(kept), info=result.info())

    def download(self, session: str) -> Path:
        """A fresh file of the session's last result: its exact pixels as PNG."""
        return self._answer(self._chosen(session, "result"))

    def leave(self, session: str) -> None:
        """The page was closed: forget what it had chosen and made."""
        self.shelf.drop(session)

    def _layers(self, painted: Painted) -> list[bytes]:
        """Read and remove the painted layers; the photo, which browsers send along, is removed unread."""
        for path in painted.rest:
            self.folder.discard(path)
        return [self.folder.take(path, what="painted mask") for path in painted.layers]

    def _chosen(self, session: str, slot: str) -> Kept:
        kept = self.shelf.get(session, slot)
        if kept is None:
            raise InputError(self.texts[f"missing.{slot}"], code=f"{slot}.missing")
        return kept

    # ---- the API -----------------------------------------------------------------------------------------------------

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
        with closing(self._stream(request)) as items:
            for item in items:
                yield self._answered(item, show=request.show) if isinstance(item, TryOnResult) else item

    def _answered(self, result: TryOnResult, *, show: str) -> tuple[Path, dict[str, Any]]:
        path = self.folder.new_file(f"try-on-{result.seed}.png")
        save_picture(result.show(show), path)
        return path, result.info()

    def answer_mask(self, *, person: bytes, part: str) -> tuple[Path, dict[str, Any]]:
        """The automatic mask of a photo: (picture file, info)."""
        mask = self.tryon.mask(person, part)
        path = self.folder.new_file("mask.png")
        save_picture(mask.mask, path)
        return path, {"part": part, "notes": list(mask.notes)}

    # ---- both --------------------------------------------------------------------------------------------------------

    def trouble(self, error: Exception) -> Trouble:
        """Any error in words. What is not its reader's to mend goes to the log, under a number the reader is told."""
        if isinstance(error, Cancelled):
            return Trouble(sentence=self.texts["run.stopped"], stopped=True)
        if isinstance(error, InputError):
            return Trouble(sentence=str(error), place=_place(error))
        number = secrets.token_hex(4)
        log.error("error %s", number, exc_info=error)
        return Trouble(sentence=self.texts("run.failed", number=number))

    def _answer(self, kept: Kept) -> Path:
        path = self.folder.new_file(kept.name)
        path.write_bytes(kept.data)
        return path

    def _stream(self, request: TryOnRequest) -> Iterator[StepReport | TryOnResult]:
        """`TryOn.stream`, whose closing does not make the closer wait: that is gradio's event loop."""
        stream = self.tryon.stream(request)
        try:
            for item in stream:  # noqa: UP028  `yield from` would hand a close() on, and wait for the step's end
                yield item
        finally:
            _elsewhere(stream.close)


def _elsewhere(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="catvton-stop", daemon=True).start()


def _place(error: InputError) -> str:
    """Where on the page an error belongs, by its code or by the picture its sentence is about."""
    subject = error.code.partition(".")[0]
    if subject == "image":
        subject = next((slot for slot, what in WHATS.items() if what in str(error)), "run")
    return {"person": "person", "part": "person", "garment": "garment", "mask": "mask"}.get(subject, "run")
