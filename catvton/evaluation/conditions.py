"""What has to be equal before two figures compare, and which way each figure is better.

The same results give FID 5.4 with the photo pasted back outside the mask and 6.4 without (Zheng-Chong/CatVTON issue
135), and LPIPS 0.057 with SqueezeNet and 0.10 with another network (issue 10): figures mean nothing without these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNSTATED = "not stated"


@dataclass(frozen=True)
class Metric:
    """One figure of a table: its name in files, its name for readers, which way is better, digits after the point."""

    key: str
    title: str
    higher: bool
    digits: int

    @property
    def arrow(self) -> str:
        return "↑" if self.higher else "↓"

    @property
    def better(self) -> str:
        return f"{'higher' if self.higher else 'lower'} is better"

    def text(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.{self.digits}f}"


METRICS = (
    Metric("ssim", "SSIM", True, 4),
    Metric("lpips", "LPIPS", False, 4),
    Metric("fid", "FID", False, 3),
    Metric("kid", "KID × 1000", False, 3),
)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How results were made and scored, as far as it is stated. None: not stated.

    Attributes:
        size: "WIDTHxHEIGHT" of the results.
        repaint: whether the photo was pasted back outside the mask.
        resize: filter that brought the true photos to the results' size.
        file_format: of the results that were scored, e.g. "png", "jpeg 75" with its quality.
        images: how many results.
        networks: {name: sha256} of the networks behind the figures; "" where only the network's name is stated.
    """

    size: str | None = None
    repaint: bool | None = None
    resize: str | None = None
    file_format: str | None = None
    images: int | None = None
    networks: Mapping[str, str] | None = None

    def facts(self) -> dict[str, str]:
        """{fact: its value in words}, every fact, in a fixed order."""
        return {
            "size": self.size or UNSTATED,
            "repaint": UNSTATED if self.repaint is None else "yes" if self.repaint else "no",
            "resize": self.resize or UNSTATED,
            "file format": self.file_format or UNSTATED,
            "number of images": UNSTATED if self.images is None else str(self.images),
            "networks": _in_words(self.networks),
        }

    def alike(self, other: Conditions) -> bool:
        """Whether figures compare: every fact is stated by both and equal. Networks of one name and no sha256 are."""
        mine, theirs = self.facts(), other.facts()
        if UNSTATED in mine.values() or UNSTATED in theirs.values():
            return False
        names = [fact for fact in mine if fact != "networks"]
        return all(mine[fact] == theirs[fact] for fact in names) and self._same_networks(other)

    def _same_networks(self, other: Conditions) -> bool:
        mine, theirs = self.networks or {}, other.networks or {}
        return mine.keys() == theirs.keys() and all(
            mine[name] == theirs[name] or not (mine[name] and theirs[name]) for name in mine
        )


def conditions(table: Mapping[str, Any], *, paired: bool) -> Conditions:
    """The conditions in a table of a file. Keys are the attributes' names; other keys are left alone.

    `size` may be [W, H]; `jpeg_quality` goes with `file_format`; `networks` is a list of names, or
    {name: {"sha256": ...}}. Unpaired results have FID and KID only, so LPIPS' networks do not count.
    """
    size, stated = table.get("size"), table.get("networks")
    networks = {name: _sha256(stated, name) for name in stated} if stated else None
    if networks and not paired:
        networks = {name: sha for name, sha in networks.items() if name == "inception"}
    return Conditions(
        size="x".join(map(str, size)) if isinstance(size, list | tuple) else size,
        repaint=table.get("repaint"),
        resize=_lower(table.get("resize")),
        file_format=_file_format(table),
        images=table.get("images"),
        networks=networks,
    )


def differences(stated: Mapping[str, Conditions]) -> list[str]:
    """One sentence for each fact that is not the same in all, e.g. "different repaint: yes in a; no in b, c"."""
    facts = {name: each.facts() for name, each in stated.items()}
    found = []
    for fact in next(iter(facts.values()), {}):
        holders: dict[str, list[str]] = {}
        for name, values in facts.items():
            holders.setdefault(values[fact], []).append(name)
        if len(holders) > 1:
            who = "; ".join(f"{value} in {', '.join(names)}" for value, names in holders.items())
            found.append(f"different {fact}: {who}")
    return found


def _sha256(stated: Any, name: str) -> str:
    return str(stated[name].get("sha256", "")) if isinstance(stated, Mapping) else ""


def _file_format(table: Mapping[str, Any]) -> str | None:
    kind = _lower(table.get("file_format"))
    return f"{kind} {table['jpeg_quality']}" if kind and table.get("jpeg_quality") is not None else kind


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _in_words(networks: Mapping[str, str] | None) -> str:
    if not networks:
        return UNSTATED
    return ", ".join(f"{name} {sha[:8]}".strip() for name, sha in sorted(networks.items()))
