"""Reading a multipart form into memory, with its limits kept while it comes in.

Nothing is written to disk: the pictures of strangers go from the connection to the try-on. Every fault is an
`InputError` with a code that begins with "form.".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from catvton.errors import InputError

TEXT_BYTES = 200  # of a field that is not a file
HEADER_BYTES = 4_000  # of one part
SECONDS = 120.0  # the whole form may take: a phone on a slow line sends 40 MB in that time


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    data: bytearray = field(default_factory=bytearray)


class FormReader:
    """The callbacks of one form's parser.

    Args:
        files: the names of fields that hold a file; texts: of those that hold text. No others are accepted.
        file_bytes: how long a file may be.
    """

    def __init__(self, *, files: Collection[str], texts: Collection[str], file_bytes: int) -> None:
        self._files, self._texts, self._file_bytes = files, texts, file_bytes
        self._part = _Part()
        self._header = bytearray(), bytearray()
        self._seen = 0
        self.fields: dict[str, bytes] = {}
        self.complete = False

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._on_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._on_header(1, data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_data,
            "on_part_end": self._on_end,
            "on_end": self._on_form_end,
        }

    def _begin(self) -> None:
        self._part, self._header, self._seen = _Part(), (bytearray(), bytearray()), 0

    def _on_header(self, which: int, data: bytes) -> None:
        self._seen += len(data)
        if self._seen > HEADER_BYTES:
            raise broken()
        self._header[which].extend(data)

    def _on_header_end(self) -> None:
        name, value = self._header
        self._part.headers[bytes(name).lower()] = bytes(value)
        self._header = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._files and name not in self._texts:
            known = ", ".join([*self._files, *self._texts])
            raise InputError(f"There is no field {shortened(name)}. The fields are {known}.", code="form.unknown")
        if name in self.fields:
            raise InputError(f'The field "{name}" was sent more than once.', code="form.repeated")
        self._part.name = name

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        name, piece = self._part.name, data[start:end]
        limit = self._file_bytes if name in self._files else TEXT_BYTES
        if len(self._part.data) + len(piece) > limit:
            raise _too_long(name, limit)
        self._part.data += piece

    def _on_end(self) -> None:
        self.fields[self._part.name] = bytes(self._part.data)

    def _on_form_end(self) -> None:
        self.complete = True


async def read_form(body: AsyncIterator[bytes], content_type: str, reader: FormReader) -> dict[str, bytes]:
    """{field: its bytes} of a multipart body.

    Raises:
        InputError: it is no such form, or too large, too slow, or has a field it should not.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise InputError("Send a form: Content-Type multipart/form-data, with the pictures as files.",
                         code="form.type")
    if len(boundary) > 100:
        raise broken()
    try:
        async with asyncio.timeout(SECONDS):
            await _parse(body, MultipartParser(boundary, reader.callbacks()))
    except TimeoutError:
        raise InputError("The form took too long to arrive.", code="form.slow") from None
    except FormParserError as error:
        raise broken() from error
    if not reader.complete:
        raise broken()
    return reader.fields


async def _parse(body: AsyncIterator[bytes], parser: MultipartParser) -> None:
    async for piece in body:
        parser.write(piece)
    parser.finalize()


def broken() -> InputError:
    return InputError("The form is damaged: its parts do not fit its boundary.", code="form.broken")


def shortened(value: str) -> str:
    """A caller's own text, quoted and short enough to repeat."""
    return repr(value if len(value) <= 40 else value[:37] + "...")


def _too_long(name: str, limit: int) -> InputError:
    if limit == TEXT_BYTES:
        return InputError(f'The field "{name}" is longer than anything that is accepted there.',
                          code=f"option.{name}")
    return InputError(f'The file "{name}" is larger than {limit // 2**20} MB.', code="form.too_large")
