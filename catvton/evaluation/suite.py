"""The whole evaluation, section by section. Each gives rows of the table, figures for programs, sheets to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from catvton.bench import machine, measure
from catvton.ccp import CCP, Clothing, cut_window, window_box
from catvton.evaluation import SECTIONS, report
from catvton.evaluation.groups import paired_figures, parser_figures, read_groups
from catvton.evaluation.oracles import oracles, rough_placement
from catvton.evaluation.paired import FLAT, paired, row_of
from catvton.evaluation.parsing import parsing
from catvton.evaluation.protocol import REACH, Sample, Size, cases, samples
from catvton.evaluation.sheets import painted, sheet
from catvton.evaluation.subject import Subject
from catvton.evaluation.unpaired import Lists, read_lists, unpaired
from catvton.evaluation.ways import WholePath, as_way
from catvton.evaluation.words import rows as word_rows
from catvton.evaluation.words import words
from catvton.result import TryOnRequest

SHOWN = 24  # rows on a sheet

Thing = TypeVar("Thing")
Watch = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""(things, what they are, how many) -> the same things, while someone is told how far it has come."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure, and where to put what is to be looked at.

    Attributes:
        limit: at most so many cases or people, spread evenly; None is all.
        network: "on", "off" (the UNet's; placement still bends the garment) or "both".
        size: (W, H) of the person pictures given to the app.
        reach: how far masks are dilated, as a share of the window's height.
        steps: denoising steps; None is the engine's default.
        stages: also the figures with one stage replaced by the truth.
        out: folder for the sheets; None makes none.
    """

    limit: int | None = None
    network: str = "both"
    size: Size = (576, 768)
    reach: float = REACH
    steps: int | None = None
    stages: bool = False
    out: Path | None = None


@dataclass
class Findings:
    """What came of it: the table's rows, and every figure by section, ready for JSON."""

    rows: list[report.Row] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


class Suite:
    """Evaluates one subject on one data folder (holding ccp/ and clothing/)."""

    def __init__(self, subject: Subject, data: Path, options: Options, *, watch: Watch | None = None) -> None:
        self._subject, self._options = subject, options
        self._ccp, self._clothing = CCP(data), Clothing(data)
        self._lists: Lists = read_lists()
        self._watch: Watch = watch or (lambda things, _, __: things)
        self._on = WholePath(subject.tryon, steps=options.steps)
        self._off = WholePath(subject.network_off)

    def run(self, sections: Sequence[str] = SECTIONS) -> Findings:
        """The sections asked for, in the table's order; then what was counted on the way."""
        found = Findings()
        for name in SECTIONS:
            if name in sections:
                getattr(self, name)(found)
        pictures, changed = self._on.pictures + self._off.pictures, self._on.changed + self._off.changed
        if pictures:
            found.rows.append(report.outside_row(changed, pictures))
            found.figures["outside"] = {"changed": changed, "pictures": pictures}
        return found

    def parser(self, found: Findings) -> None:
        """Mean IoU of the parser."""
        seen: list[list[Image.Image]] = []
        numbers = spread(self._ccp.numbers("validation"), self._options.limit)
        shown = set(spread(range(len(numbers)), SHOWN))

        def keep(window: Image.Image, truth: np.ndarray, guess: np.ndarray) -> None:
            seen.append([window, painted(truth), painted(guess)])

        result = parsing(
            self._ccp, self._subject.probabilities, self._watch(numbers, "parser", len(numbers)), on_photo=keep
        )
        found.rows.append(report.parser_row(result))
        found.figures["parser"] = {
            "photos": result.photos,
            "mean_iou": result.mean,
            "iou": _finite(result.each),
            "groups": parser_figures(result, read_groups(numbers)),
        }
        self._sheet("parser", [row for i, row in enumerate(seen) if i in shown], ("window", "labels", "guess"))

    def paired(self, found: Findings) -> None:
        """The protocol's paired figures, with the network on and off as asked."""
        ways = {}
        if self._options.network != "on":
            ways |= {report.ROUGH: rough_placement, report.OFF: as_way(self._off)}
        if self._options.network != "off":
            ways[report.ON] = as_way(self._on)
        chosen = spread(cases(self._ccp), self._options.limit)
        shown, seen = {case.name for case in spread(chosen, SHOWN)}, []

        def keep(sample: Sample, pictures: dict[str, np.ndarray]) -> None:
            if sample.case.name in shown:
                seen.append(row_of(sample, pictures))

        ready = samples(self._ccp, chosen, self._options.size, reach=self._options.reach)
        result = paired(self._watch(ready, "paired", len(chosen)), ways, on_case=keep)
        found.rows += report.paired_rows(result, tuple(ways))
        people = read_groups([case.number for case in chosen])
        found.figures["paired"] = {
            "cases": result.cases,
            "reach": self._options.reach,
            "ways": result.table(),
            "groups": paired_figures(result, people, tuple(ways)),
        }
        self._sheet("paired", seen, ("person", "garment", FLAT, *ways, "photo"))
        if self._options.stages:
            self._stages(found, chosen)

    def _stages(self, found: Findings, chosen: Sequence[Any]) -> None:
        engine = self._subject.engine
        ready = samples(self._ccp, chosen, engine.card.size, reach=self._options.reach)
        ways, seen = oracles(self._ccp, engine, steps=self._options.steps), []

        def keep(sample: Sample, pictures: dict[str, np.ndarray]) -> None:
            seen.append(row_of(sample, pictures))

        result = paired(self._watch(ready, "stages", len(chosen)), ways, on_case=keep)
        found.rows += report.paired_rows(result, tuple(ways), baseline=False)
        found.figures["stages"] = result.table()
        self._sheet("stages", spread(seen, SHOWN), ("person", "garment", FLAT, *ways, "photo"))

    def unpaired(self, found: Findings) -> None:
        """Everyone of the list in every garment of the list."""
        people, garments = spread(self._lists.people, self._options.limit), self._lists.garments
        generate = self._off if self._options.network == "off" else self._on
        rows: dict[int, list[Image.Image]] = {}

        def keep(model: Any, _: int, result: Image.Image) -> None:
            rows.setdefault(model.number, []).append(result.resize((144, 192), Image.Resampling.LANCZOS))

        result = unpaired(
            self._ccp,
            self._clothing,
            generate,
            people=self._watch(people, "unpaired", len(people)),
            garments=garments,
            size=self._options.size,
            reach=self._options.reach,
            on_result=keep,
        )
        found.rows.append(report.unpaired_row(result))
        found.figures["unpaired"] = {
            "results": len(result.seen),
            "share": result.share,
            "seen": result.table(garments),
            "mistakes": [list(s) for s in result.seen if s[1] != s[2]],
        }
        head = [self._clothing.image(wish.id) for wish in garments]
        self._sheet("unpaired", [head, *rows.values()], [wish.look for wish in garments])

    def words(self, found: Findings) -> None:
        """T-shirts with a word on ten people, as a sheet: without a folder to write it to there is nothing to do."""
        if self._options.out is None:
            return
        people = spread(self._lists.word_people, self._options.limit)
        generate = self._off if self._options.network == "off" else self._on
        printed = list(self._watch(words(self._ccp, generate, people, size=self._options.size), "words", len(people)))
        self._sheet("words", word_rows(printed), ("garment", "result", "close up"), cell=(360, 480))
        found.rows.append(report.words_row("words.png"))

    def seconds(self, found: Findings) -> None:
        """One 768x1024 photo with the automatic mask, default options: the median of three runs after a first one."""
        number = self._lists.word_people[0]
        photo = cut_window(self._ccp.photo(number), window_box(self._ccp.labels(number)), (768, 1024))
        garment = self._clothing.image(self._lists.garments[0].id)
        result = measure(self._subject.tryon, TryOnRequest(person=photo, garment=garment, part="upper"))
        here = machine()
        found.rows.append(report.seconds_row(result["seconds"], f"{here['threads']} threads of {here['cores']} cores"))
        found.figures["seconds"] = {"machine": here, **result}

    def _sheet(self, name: str, rows: Sequence[Sequence[Image.Image]], heads: Sequence[str], **options: Any) -> None:
        if self._options.out is not None and rows:
            self._options.out.mkdir(parents=True, exist_ok=True)
            sheet(rows, heads=heads, **options).save(self._options.out / f"{name}.png")


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    """NaN (a class that does not occur) as None, which JSON can say."""
    return {name: None if np.isnan(value) else value for name, value in figures.items()}


def spread(things: Sequence[Thing], count: int | None) -> list[Thing]:
    """At most `count` of the things, evenly spread over all of them, in their order."""
    if count is None or count >= len(things):
        return list(things)
    return [things[i * len(things) // count] for i in range(count)]
