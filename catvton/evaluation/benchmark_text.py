"""What a benchmark says at its end: a line of figures for each way the results were kept, and the protocol in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from catvton.evaluation.scores import Scores

_TITLES = {"vitonhd": "VITON-HD", "dresscode": "DressCode"}
_HEADS = ("", "SSIM", "LPIPS", "FID", "(95 %)", "KID x1000", "(95 %)")


def report(found: Mapping[str, tuple[Path, Mapping[str, Any], Scores]]) -> str:
    """The figures as text for a terminal.

    found: {way: (its folder, its protocol, its scores)}.
    """
    protocols = [protocol for _, protocol, _ in found.values()]
    rows = [_HEADS, *(_row(way, scores) for way, (_, _, scores) in found.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    folders = [f"{way} is in {folder}" for way, (folder, _, _) in found.items()]
    return "\n".join([_title(protocols[0]), "", *table, "", *_conditions(protocols[0]), *folders])


def _title(protocol: Mapping[str, Any]) -> str:
    setting = "paired" if protocol["paired"] else "unpaired"
    name = _TITLES.get(protocol["dataset"], protocol["dataset"])
    return f"{name}, {setting}: {protocol['images']} results of {protocol['engine']}"


def _row(way: str, scores: Scores) -> tuple[str, ...]:
    likeness = ["-" if value is None else f"{value:.4f}" for value in (scores.ssim, scores.lpips)]
    return (way, *likeness, *_figure(scores.fid, scores.fid_interval), *_figure(scores.kid, scores.kid_interval))


def _figure(value: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{value:.3f}", f"{interval[0]:.3f} to {interval[1]:.3f}"


def _conditions(protocol: Mapping[str, Any]) -> list[str]:
    """The protocol, a fact a line; what a folder does not state is left out."""
    size, resize = "x".join(map(str, protocol["size"])), protocol["resize"].upper()
    lines = [f"results:   {size}, {_format(protocol)}"]
    if "steps" in protocol:
        steps, guidance, seed = (protocol[name] for name in ("steps", "guidance", "seed"))
        lines.append(f"sampling:  {steps} steps, guidance {guidance:g}, seed {seed}, in {protocol['precision']}")
        lines.append(f"inputs:    stretched to {size} by {resize}, nothing cropped")
    if masks := protocol.get("masks"):
        made = f", {masks['made']} made by the masker {masks['masker']}" if masks["made"] else ""
        lines.append(f"masks:     {masks['set']} of the data set{made}")
    lines.append(f"truths:    the people's photos, brought to the results' size by {resize}")
    for name, network in protocol["networks"].items():
        lines.append(f"network:   {name}, {network['file']}, sha256 {network['sha256']}")
    return lines


def _format(protocol: Mapping[str, Any]) -> str:
    quality = protocol.get("jpeg_quality")
    return f"{protocol['file_format'].upper()}{f' of quality {quality}' if quality else ''}"
