"""What the page does, in terms of uploads, sessions and sentences; how it looks is `catvton.web.page`'s.

Knows nothing of gradio: it is handed paths of uploads and hands back paths of answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.images import open_picture, save_picture
from catvton.options import MAX_VARIATIONS
from catvton.result import SHOWS
from catvton.service.context import steady
from catvton.web.desk import Desk
from catvton.web.looks import Look
from catvton.web.painting import Sheet, copy_for_painting, layer_of, painted_mask, painted_on
from catvton.web.previews import Moment
from catvton.web.promises import Promises
from catvton.web.shelf import Kept, Shelf
from catvton.web.texts import WHATS, Texts, every_language
from catvton.web.thumbnails import SCREEN, fitted, small_jpeg
from catvton.web.wishes import OUTFIT, Skipped, Wish, fulfil

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from catvton.safety.statement import Statement

LINGER = 20.0  # seconds: the browser shows its own upload until our copy arrives
SLOTS = ("person", "garment", "below")  # where the page puts a picture; "below" is an outfit's bottom
MORE, MOST_MORE = "more", 5  # the row of further garments, and how many there may be
LOOKS, MOST_LOOKS = "look", 24  # the row of finished try-ons


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished try-on, and its number on the page."""

    number: int
    look: Look


@dataclass(frozen=True, kw_only=True)
class View:
    """A finished try-on to look at: files of pictures that fit a screen.

    Attributes:
        before: the photo, or None where `after` is a comparison, the photo in it.
    """

    made: Made
    after: Path
    size: tuple[int, int]
    before: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A photo to paint on, as small files: a JPEG of (width, height), and a PNG of what was found on it or None."""

    number: str
    photo: bytes
    size: tuple[int, int]
    layer: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class _Spoken:
    language: str
    files: tuple[Kept, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the page's controls say, unchecked: `TryOn` checks it."""

    part: Any
    painted: Any = ""
    steps: Any = None
    guidance: Any = None
    seed: Any = 42
    engine: Any = None
    variations: Any = 1


@dataclass(frozen=True, kw_only=True)
class Studio(Desk):
    """One server's page: a desk, and what its open pages have chosen and made.

    Attributes:
        shelf: where that lies; languages: the words of the page.
        promises: what the page says about the photos.
    """

    shelf: Shelf = field(default_factory=Shelf)
    languages: Mapping[str, Texts] = field(default_factory=every_language)
    promises: Promises = Promises()  # noqa: RUF009  frozen

    # ---- the page: choosing ------------------------------------------------------------------------------------------

    def choose(self, session: str, slot: str, upload: str | Path) -> Path:
        """Check the picture a page uploaded into one of `SLOTS`, and remember it.

        Returns:
            The file of a checked, upright, down-scaled copy, for the page to show.

        Raises:
            InputError: the picture cannot be used; nothing is remembered in its place.
        """
        self.shelf.drop(session, slot)
        return self._remember(session, slot, self.folder.take(upload, what=_what(slot), linger=LINGER))

    def choose_example(self, session: str, slot: str, example: Path) -> Path:
        """The same for a picture that ships with the app."""
        return self._remember(session, slot, example.read_bytes())

    def add_garments(self, session: str, uploads: Sequence[str]) -> None:
        """Check further garments and remember those that can be used, as far as there is room.

        Raises:
            InputError: one of them cannot be used; "garment.full" where there was no room.
        """
        errors: list[InputError] = []
        for upload in uploads:
            try:
                self._add_garment(session, upload)
            except InputError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _add_garment(self, session: str, upload: str) -> None:
        data = self.folder.take(upload, what=WHATS["garment"])
        if len(self.shelf.row(session, MORE)) >= MOST_MORE:
            raise InputError(self.texts["garment.more_full"], code="garment.full")
        photo = open_picture(data, what=WHATS["garment"], limits=self.limits)
        self.shelf.append(session, MORE, Kept(data=data, size=photo.size), most=MOST_MORE)

    def more_garments(self, session: str) -> dict[int, Kept]:
        """{number: picture} of the further garments."""
        return self.shelf.row(session, MORE)

    def remove_garment(self, session: str, number: int) -> None:
        self.shelf.drop(session, f"{MORE}:{number}")

    def _remember(self, session: str, slot: str, data: bytes) -> Path:
        photo = open_picture(data, what=_what(slot), limits=self.limits)
        self.shelf.put(session, slot, Kept(data=data, size=photo.size))
        if slot == "person":
            self.paint_anew(session)
        return self._copy(photo, slot)

    def _copy(self, photo: Image.Image, slot: str) -> Path:
        path = self.folder.new_file(f"{slot}.png")
        save_picture(copy_for_painting(photo), path)
        return path

    # ---- the page: the area that changes -----------------------------------------------------------------------------

    def paint_on(self, session: str) -> Canvas | None:
        """The session's person to paint on, or None if that person is being painted on already.

        Raises:
            InputError: there is no person yet.
        """
        person = self._chosen(session, "person")
        return None if self.sheet(session) else self._lay_out(session, person)

    def paint_anew(self, session: str) -> None:
        """What is in the painter was thrown away."""
        self.shelf.drop(session, "sheet")

    def show_area(self, session: str, *, part: Any, engine: Any) -> Canvas:
        """Find what would change, and lay it over the person to paint on.

        Raises:
            InputError: there is no person yet, or the photo does not show the part.
        """
        person = self._chosen(session, "person")
        found = self.tryon.mask(person.data, part, engine=engine)
        return self._lay_out(session, person, part=part, mask=found.mask)

    def sheet(self, session: str) -> Sheet | None:
        """What is being painted on: the session's person, or nothing."""
        sheet, person = self.shelf.get(session, "sheet"), self.shelf.get(session, "person")
        return sheet if sheet is not None and sheet.person is person else None

    def _lay_out(
        self, session: str, person: Kept, *, part: str | None = None, mask: np.ndarray | None = None
    ) -> Canvas:
        photo = copy_for_painting(open_picture(person.data, limits=self.limits))
        sheet = Sheet(person=person, number=secrets.token_hex(8), part=part)
        self.shelf.put(session, "sheet", sheet)
        layer = None if mask is None else layer_of(mask, size=photo.size)
        return Canvas(number=sheet.number, photo=small_jpeg(photo, photo.size), size=photo.size, layer=layer)

    # ---- the page: trying on -----------------------------------------------------------------------------------------

    def wished(self, session: str, choices: Choices) -> int:
        """How many pictures are asked for, as far as that can be said before the options are checked."""
        garments = 2 if choices.part == OUTFIT else 1 + len(self.more_garments(session))
        return garments * (choices.variations if choices.variations in range(1, MAX_VARIATIONS + 1) else 1)

    def dress(self, session: str, choices: Choices) -> Iterator[Moment | Made | Skipped]:
        """Try the session's garments on its person: moments while it works, and what came of it.

        Raises:
            InputError: something is missing or cannot be used.
        """
        wish = self._wish(session, choices)
        with closing(steady(fulfil(self.tryon, wish))) as items:
            for item in items:
                yield self._keep(session, item) if isinstance(item, Look) else item

    def _wish(self, session: str, choices: Choices) -> Wish:
        person, outfit = self._chosen(session, "person"), choices.part == OUTFIT
        garments = [self._chosen(session, slot) for slot in (SLOTS[1:] if outfit else SLOTS[1:2])]
        more = [] if outfit else self.more_garments(session).values()
        return Wish(
            person=person,
            garments=(*garments, *more),
            part=choices.part,
            mask=None if outfit else self._mask(session, choices.painted),
            steps=choices.steps,
            guidance=choices.guidance,
            seed=choices.seed,
            engine=choices.engine,
            variations=choices.variations,
        )

    def _mask(self, session: str, painted: Any) -> np.ndarray | None:
        """What was painted on the person; None where nothing was: the area is then found."""
        number, layer = painted_on(painted)
        sheet = self.sheet(session)
        if sheet is None or sheet.number != number:
            return None
        return painted_mask(layer, size=sheet.person.size)

    def _keep(self, session: str, look: Look) -> Made:
        return Made(number=self.shelf.append(session, LOOKS, look, most=MOST_LOOKS), look=look)

    def _chosen(self, session: str, slot: str) -> Kept:
        kept = self.shelf.get(session, slot)
        if kept is None:
            raise InputError(self.texts[f"missing.{slot}"], code=f"{slot}.missing")
        return kept

    # ---- the page: what came of it -----------------------------------------------------------------------------------

    def looks(self, session: str) -> dict[int, Look]:
        """{number: try-on} of the session, the oldest first."""
        return self.shelf.row(session, LOOKS)

    def look(self, session: str, number: Any) -> Look:
        """One of them. Raises InputError where there is none of that number (any more)."""
        look = self.looks(session).get(number)
        if look is None:
            raise InputError(self.texts["missing.result"], code="result.missing")
        return look

    def view(self, session: str, number: Any, *, show: str) -> View:
        """Fresh files to look at a try-on.

        Raises:
            InputError: there is none of that number.
        """
        look = self.look(session, number)
        made = Made(number=number, look=look)
        if show != SHOWS[0]:
            comparison = look.comparison(show)
            return View(made=made, after=self._screen_copy(comparison, look.statement), size=comparison.size)
        after, before = look.image(), self._screen_copy(look.photo())
        return View(made=made, after=self._screen_copy(after, look.statement), size=after.size, before=before)

    def download(self, session: str, number: Any, *, show: str = SHOWS[0]) -> Path:
        """A fresh PNG file of a try-on: its exact pixels with its settings, or the comparison `show` names."""
        look = self.look(session, number)
        if show == SHOWS[0]:
            path = self.folder.new_file(look.picture.name)
            path.write_bytes(look.file())
        else:
            path = self.folder.new_file(f"comparison-{look.info['seed']}.png")
            save_picture(look.comparison(show), path, statement=look.statement)
        return path

    def _screen_copy(self, image: Image.Image, statement: Statement | None = None) -> Path:
        path = self.folder.new_file("picture.jpg")
        save_picture(fitted(image, SCREEN), path, statement=statement)
        return path

    def leave(self, session: str) -> None:
        """The page was closed: forget what it had chosen and made."""
        self.shelf.drop(session)

    # ---- the page: language ------------------------------------------------------------------------------------------

    def speak(self, language: Any) -> Texts:
        """The words of a language; the API's for one that is not spoken here."""
        return self.languages.get(language, self.texts)

    def turn_to(self, session: str, language: str) -> None:
        """The page is read in another language from now on."""
        self.shelf.put(session, "language", _Spoken(language=language))

    def language(self, session: str) -> str | None:
        """The language a page was turned to; None where it was to none, or has been forgotten."""
        spoken = self.shelf.get(session, "language")
        return spoken.language if spoken else None


def _what(slot: str) -> str:
    return WHATS.get(slot, WHATS["garment"])
