"""What a form asks for: its text fields as the options of a `TryOnRequest`, and its answer in the shape asked for."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.images import png_bytes
from catvton.options import one_of
from catvton.result import SHOWS, TryOnRequest
from catvton.service.jobs import Pictures

if TYPE_CHECKING:
    from catvton.result import TryOnResult

FILES = ("person", "garment", "mask")
OPTIONS = ("part", "steps", "guidance", "seed", "show", "engine", "size", "variations")
NUMBERS = {"steps": int, "guidance": float, "seed": int, "variations": int}
LINKS = ("base64", "url")  # how JSON carries pictures
PNG, JSON = "image/png", "application/json"


def wish(form: Mapping[str, bytes]) -> TryOnRequest:
    """A form's fields as a request; an empty field counts as one that was not sent.

    Raises:
        InputError: a picture is missing, or a text is none.
    """
    pictures = {name: form.get(name) or None for name in FILES}
    for name in FILES[:2]:
        if pictures[name] is None:
            raise InputError(f'The {name} photo is missing: send it as the file "{name}".', code="image.missing")
    return TryOnRequest(**pictures, **options(form))


def options(form: Mapping[str, bytes]) -> dict[str, Any]:
    """The options among a form's fields, numbers as numbers where they are ones; the checks are `TryOn`'s."""
    texts = {name: text(form, name) for name in OPTIONS}
    return {name: _number(value, NUMBERS.get(name)) for name, value in texts.items() if value}


def text(form: Mapping[str, bytes], name: str, default: str = "") -> str:
    """A text field, stripped. Raises InputError where it is not UTF-8."""
    try:
        return form.get(name, b"").decode("utf-8").strip() or default
    except UnicodeDecodeError:
        raise InputError(f'The field "{name}" is not text in UTF-8.', code=f"option.{name}") from None


def links(form: Mapping[str, bytes]) -> str:
    """How JSON is to carry the pictures: "base64" or "url"."""
    return one_of("pictures", text(form, "pictures", LINKS[0]), LINKS)


def pictures_of(result: TryOnResult, *, show: str = SHOWS[0]) -> Pictures:
    """Every variation as the bytes of a PNG file with exact pixels, and the result's info."""
    shown = (replace(result, image=image).show(show) for image in result.images or (result.image,))
    return Pictures(files=[png_bytes(picture, statement=result.statement) for picture in shown], info=result.info())


def as_json(pictures: Pictures, *, urls: list[str] | None = None) -> dict[str, Any]:
    """The info with the pictures in it, as data URLs or as the addresses given."""
    carried = urls or [f"data:{PNG};base64,{base64.b64encode(file).decode('ascii')}" for file in pictures.files]
    return pictures.info | {"pictures": carried}


def accepted(header: str) -> str:
    """Which of the two kinds of answer an Accept header prefers. Raises InputError where it wants neither."""
    wanted = {PNG: 0.0, JSON: 0.0}
    for part in header.split(",") if header.strip() else ["*/*"]:
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        for offered in wanted:
            if kind in (offered, "*/*", offered.partition("/")[0] + "/*"):
                wanted[offered] = max(wanted[offered], _quality(parameters))
    best = max(wanted, key=wanted.get)
    if wanted[best] <= 0:
        raise InputError(f"This is answered as {PNG} or {JSON} only: say so in Accept.", code="accept.type")
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            value = _number(parameter[2:], float)
            return value if isinstance(value, float) and 0 <= value <= 1 else 0.0
    return 1.0


def _number(value: str, kind: type | None) -> Any:
    """The number a text is, else the text itself: whoever checks the option says what is accepted."""
    for each in (kind, float) if kind else ():
        try:
            return each(value)
        except ValueError:
            continue
    return value
