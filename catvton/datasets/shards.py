"""Pairs in WebDataset shards: tar files read from front to back, for sets that do not fit a disk or are far away.

A sample is the files of one key that follow one another: `000017.person.jpg`, `000017.garment.jpg`, and
`000017.part.txt` ("upper") or `000017.json` ({"part": "upper"}); `000017.mask.png` if it has a mask.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from catvton.datasets.cases import Pictures, open_map, open_photo
from catvton.errors import InputError
from catvton.result import PARTS

_READING = (OSError, ValueError, EOFError, tarfile.TarError)


class Shards:
    """A `Source` of the pairs in the shards of a pattern, always in the same order.

    pattern: paths or addresses with braces, "pairs-{000000..000127}.tar"; whatever webdataset opens, "https://..." and
        "pipe:aws s3 cp s3://... -" included.
    Errors: `InputError` "shards.pattern" or "shards.not_found"; while reading "shards.broken" or "shards.sample".
    """

    def __init__(self, pattern: str) -> None:
        from braceexpand import UnbalancedBracesError, braceexpand

        try:
            self.urls = tuple(braceexpand(pattern))
        except UnbalancedBracesError as error:
            raise InputError(f'"{pattern}" opens a brace and does not close it.', code="shards.pattern") from error
        missing = [url for url in self.urls if ":" not in url and not Path(url).is_file()]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self.urls)} shards do not exist, the first is {missing[0]}.",
                code="shards.not_found",
            )
        self.name = f"shards:{pattern}"

    def __len__(self) -> int:
        """How many pairs there are. The first call reads the tars' tables of contents, and remote tars as a whole."""
        return self._counts[0]

    def masks_missing(self) -> int:
        """How many pairs have no mask. The first call costs what `len` costs."""
        return self._counts[0] - self._counts[1]

    def __iter__(self) -> Iterator[Pictures]:
        for index, url in enumerate(self.urls):
            for sample in _samples(url):
                yield _pictures(sample, index, url)

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """(people, masks) in all shards."""
        names = [name.partition(".")[2] for url in self.urls for name in _contents(url)]
        return tuple(sum(name.startswith(f"{what}.") for name in names) for what in ("person", "mask"))


def _samples(url: str) -> Iterator[dict[str, Any]]:
    """The samples of one shard: {"__key__": key, "person.jpg": bytes, ...}. No process or worker is left any out."""
    import webdataset

    pipeline = webdataset.DataPipeline(webdataset.SimpleShardList([url]), webdataset.tarfile_to_samples())
    try:
        yield from pipeline
    except _READING as error:
        raise _broken(url) from error


def _contents(url: str) -> Iterator[str]:
    """The names of one shard's files, without their folders."""
    from webdataset import gopen

    try:
        with gopen(url) as stream:
            seekable = getattr(stream, "seekable", lambda: False)()
            with tarfile.open(fileobj=stream, mode="r:*" if seekable else "r|*") as tar:
                for member in tar:
                    yield member.name.rpartition("/")[2]
    except _READING as error:
        raise _broken(url) from error


def _pictures(sample: dict[str, Any], index: int, url: str) -> Pictures:
    key = sample["__key__"]
    person, garment, mask = (_file(sample, what) for what in ("person", "garment", "mask"))
    if person is None or garment is None:
        lacking = "person" if person is None else "garment"
        raise InputError(
            f"{url}: sample {key} has no {lacking}.jpg. The files of a sample follow one another in the tar.",
            code="shards.sample",
        )
    return Pictures(
        name=f"{index:06d}/{key}",  # keys may begin anew in each shard
        part=_part(sample, url),
        person=open_photo(person, named=f"{url}: the person of sample {key}"),
        garment=open_photo(garment, named=f"{url}: the garment of sample {key}"),
        mask=None if mask is None else open_map(mask, named=f"{url}: the mask of sample {key}"),
    )


def _file(sample: dict[str, Any], what: str) -> io.BytesIO | None:
    return next((io.BytesIO(data) for ending, data in sample.items() if ending.startswith(f"{what}.")), None)


def _part(sample: dict[str, Any], url: str) -> str:
    try:
        part = sample["part.txt"].decode().strip() if "part.txt" in sample else json.loads(sample["json"])["part"]
    except (KeyError, TypeError, ValueError):
        part = None
    if part not in PARTS:
        raise InputError(
            f"{url}: sample {sample['__key__']} needs a part.txt, or a json with part, of {', '.join(PARTS)}.",
            code="shards.sample",
        )
    return part


def _broken(url: str) -> InputError:
    return InputError(f"{url} cannot be read to its end: is it there, a tar, and whole?", code="shards.broken")
