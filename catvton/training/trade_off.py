"""Seconds against quality: several models of the built-in kind side by side, and which of them is the best bargain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from catvton.bench import machine, machine_lines, measure
from catvton.ccp import CCP, Clothing, cut_window, window_box
from catvton.compact_unet import CompactUNet
from catvton.errors import InputError
from catvton.evaluation.report import ON
from catvton.evaluation.subject import Subject, subject
from catvton.evaluation.suite import Options, Suite, Watch
from catvton.evaluation.unpaired import read_lists
from catvton.result import TryOnRequest
from catvton.training.folded_folder import milliseconds
from catvton.training.students import Made, digest, sizes
from catvton.weights import load_strictly

ENGINE = "compact"
PHOTO = (768, 1024)
# How much worse than the first variant one may be and still be chosen: CIEDE2000, SSIM, and share of results.
COLOUR, STRUCTURE, SHARE = 0.1, 0.005, 0.005
RULE = (
    f"Best is the one whose UNet takes the least time among those that, beside the first, lose at most {COLOUR} "
    f"CIEDE2000 and {STRUCTURE} SSIM over the mask and in the region, and {SHARE:.1%} of the unpaired results."
)


@dataclass(frozen=True)
class Variant:
    """One line of the table: a model's folder and the steps it is run with."""

    name: str
    folder: Path
    steps: int = 1

    @classmethod
    def parse(cls, text: str) -> Variant:
        """`NAME=FOLDER` or `NAME=FOLDER@STEPS`. Raises InputError."""
        name, equals, rest = text.partition("=")
        folder, at, steps = rest.rpartition("@")
        if not (at and steps.isdigit()):
            folder, steps = rest, "1"
        if not (name and equals and folder) or int(steps) < 1:
            raise InputError(f'"{text}" is not possible: NAME=FOLDER or NAME=FOLDER@STEPS.', code="tradeoff.variant")
        return cls(name, Path(folder), int(steps))


def trade_off(
    variants: Sequence[Variant], data: Path, *, limit: int | None = None, known: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Measure every variant.

    Args:
        variants: the one the others are compared with first.
        data: folder with ccp/ and clothing/.
        limit: at most so many cases and people, spread evenly; None is all.
        known: what an earlier call returned: quality of the same weights and steps on as many cases is taken from it.

    Returns:
        {"machine", "limit", "rule", "variants": [{"name", "steps", "sha256", "mb", "unet_ms", "seconds", "paired":
        {"mask": [CIEDE2000, SSIM], "region": [...]}, "unpaired": share, "cases", "results"}], "best": name}.
    """
    rows = [_row(variant, data, limit=limit, known=known or {}, watch=watch) for variant in variants]
    for row, passes, variant in zip(rows, _unet_passes(variants), variants, strict=True):
        row["unet_ms"] = round(passes * variant.steps, 1)
        row["seconds"] = _seconds(variant, data)
    return {"machine": machine(), "limit": limit, "rule": RULE, "variants": rows, "best": best(rows)["name"]}


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best bargain by `RULE`; the first row is what the others are compared with."""
    return min((row for row in rows if _good_enough(row, rows[0])), key=lambda row: row["unet_ms"])


def page(found: dict[str, Any]) -> str:
    """`trade_off`'s figures as Markdown."""
    head = ("model", "steps", "UNet ms", "whole s", "MB", "paired, mask", "paired, region", "unpaired")
    lines = ["# The built-in model made faster", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [_line(row, row["name"] == found["best"]) for row in found["variants"]]
    first = found["variants"][0]
    lines += [
        "",
        f"Paired figures are CIEDE2000 / SSIM on {first['cases']} validation cases; unpaired is the share of "
        f"{first['results']} results closest to the right garment of 20. UNet ms: all steps of one picture; whole s: "
        "one photo of 768x1024 with the automatic mask; medians.",
        "",
        found["rule"] + f" That is **{found['best']}**.",
        "",
        *(f"- {line}" for line in machine_lines(found["machine"])),
        f"- {found['machine']['threads']} threads",
        "",
        "Made by `python -m catvton train tradeoff`; how each model came about is in the card of its folder.",
    ]
    return "\n".join([*lines, ""])


def write(found: dict[str, Any], stem: Path) -> None:
    """`stem`.md and `stem`.json."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(page(found), encoding="utf-8")


def tell_cards(found: dict[str, Any], variants: Sequence[Variant]) -> None:
    """Put each variant's figures on the card in its folder, where it has one of `Made`."""
    for row, variant in zip(found["variants"], variants, strict=True):
        if (made := Made.read(variant.folder)) is not None:
            made.figures[f"steps {variant.steps}"] = (
                f"UNet {row['unet_ms']} ms, whole {row['seconds']} s, paired over the mask {_pair(row, 'mask')}, in "
                f"the region {_pair(row, 'region')}, unpaired {row['unpaired']:.1%} (limit {found['limit'] or 'none'})"
            )
            made.write(variant.folder)


def _row(
    variant: Variant, data: Path, *, limit: int | None, known: Mapping[str, Any], watch: Watch | None
) -> dict[str, Any]:
    key = {"sha256": digest(variant.folder), "steps": variant.steps}
    about = {"name": variant.name, **key, "mb": round(sum(p["bytes"] for p in sizes(variant.folder).values()) / 1e6, 1)}
    if known.get("limit") == limit:
        for row in known.get("variants", ()):
            if all(row[name] == value for name, value in key.items()):
                return {**row, **about}
    return about | _quality(variant, data, limit=limit, watch=watch)


def _quality(variant: Variant, data: Path, *, limit: int | None, watch: Watch | None) -> dict[str, Any]:
    options = Options(limit=limit, network="on", steps=variant.steps)
    figures = Suite(_subject(variant), data, options, watch=watch).run(("paired", "unpaired")).figures
    areas = figures["paired"]["ways"][ON]
    return {
        "paired": {area: areas[area]["all"] for area in ("mask", "region")},
        "unpaired": figures["unpaired"]["share"],
        "cases": figures["paired"]["cases"],
        "results": figures["unpaired"]["results"],
    }


def _subject(variant: Variant) -> Subject:
    return subject(ENGINE, folder=variant.folder, device="cpu")


def _unet_passes(variants: Sequence[Variant]) -> list[float]:
    """Milliseconds of one pass of each network, taken in turns."""
    networks = [load_strictly(CompactUNet, one.folder, subfolder="unet", dtype=torch.float32) for one in variants]
    config = networks[0].config
    rows = torch.randn(
        1, config.in_channels, 2 * config.cells[0], config.cells[1], generator=torch.Generator().manual_seed(0)
    )
    return milliseconds(networks, (rows, torch.tensor(999)), repeat=30)


def _seconds(variant: Variant, data: Path) -> float:
    """One photo with the automatic mask, as the suite's own section takes it, with the variant's steps."""
    lists, ccp = read_lists(), CCP(data)
    number = lists.word_people[0]
    photo = cut_window(ccp.photo(number), window_box(ccp.labels(number)), PHOTO)
    garment = Clothing(data).image(lists.garments[0].id)
    request = TryOnRequest(person=photo, garment=garment, part="upper", steps=variant.steps)
    return measure(_subject(variant).tryon, request, repeat=5)["seconds"]


def _good_enough(row: dict[str, Any], first: dict[str, Any]) -> bool:
    pairs = [(row["paired"][area], first["paired"][area]) for area in ("mask", "region")]
    colour = all(mine[0] <= theirs[0] + COLOUR for mine, theirs in pairs)
    structure = all(mine[1] >= theirs[1] - STRUCTURE for mine, theirs in pairs)
    return colour and structure and row["unpaired"] >= first["unpaired"] - SHARE


def _line(row: dict[str, Any], chosen: bool) -> str:
    name = f"**{row['name']}**" if chosen else row["name"]
    cells = (name, row["steps"], row["unet_ms"], row["seconds"], row["mb"], _pair(row, "mask"), _pair(row, "region"))
    return "| " + " | ".join(map(str, cells)) + f" | {row['unpaired']:.1%} |"


def _pair(row: dict[str, Any], area: str) -> str:
    colour, structure = row["paired"][area]
    return f"{colour:.2f} / {structure:.3f}"
