"""What a download would fetch: for every source of an engine the first place that serves it, and its files there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from catvton.hub.errors import NotServed
from catvton.hub.remote import Listing, RemoteFile
from catvton.hub.sources import Source, WantedFile, place

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.hub.lock import Lock, Pin


class Looks(Protocol):
    """What a plan needs of the hub."""

    def look(self, repo: str, revision: str) -> Listing:
        """What lies there. Raises NotServed."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a person wants an engine downloaded.

    Attributes:
        update: take what the registry's revisions mean now; otherwise the commits in the lock are kept.
        precision: "auto" takes what the registry prefers, "float16" the smaller files where there are any, "float32"
            never those.
        repos: {role: "owner/name" or "owner/name@revision"} to take instead of the registry's.
    """

    update: bool = False
    precision: str = "auto"
    repos: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether a set that is complete is all that is wished for."""
        return self == Wish()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One source: where its files come from, and each file with every figure that is known of it."""

    source: Source
    repo: str
    commit: str
    files: tuple[RemoteFile, ...]


def make_plan(card: ModelCard, hub: Looks, *, wish: Wish, lock: Lock) -> list[Part]:
    """Ask the hub for every source. Raises HubError: it has one nowhere; or cannot be asked."""
    pins = {pin.role: pin for pin in card.install.pins} if card.install and not wish.update else {}
    return [_part(source, hub, wish=wish, pin=pins.get(source.role), lock=lock) for source in card.sources]


def _part(source: Source, hub: Looks, *, wish: Wish, pin: Pin | None, lock: Lock) -> Part:
    """The first place that has every file of a source."""
    if source.role in wish.repos:
        places = [place(wish.repos[source.role])]
    elif pin is not None:
        places = [(pin.repo, pin.commit)]
    else:
        places = source.places
    refusals = []
    for repo, revision in places:
        try:
            listing = hub.look(repo, revision)
            files = _files(source, listing, wish=wish, pin=pin, lock=lock)
        except NotServed as refusal:
            refusals.append(refusal)
        else:
            return Part(source=source, repo=repo, commit=listing.commit, files=files)
    others = ", ".join(repo for repo, _ in places[1:])
    hint = f" Its mirrors do not have it either: {others}." if others else ""
    if pin is not None and source.role not in wish.repos:
        hint = " The lock asks for just this; --update takes what is published now."
    raise NotServed(f"{refusals[0]}{hint}", code=refusals[0].code)


def _files(source: Source, listing: Listing, *, wish: Wish, pin: Pin | None, lock: Lock) -> tuple[RemoteFile, ...]:
    kept = {file.name for file in pin.files} if pin else set()
    picked = []
    for wanted in source.files:
        choices = wanted.choices(wish.precision)
        if wish.precision == "auto":
            choices.sort(key=lambda choice: choice.name not in kept)  # what was downloaded once is not exchanged
        there = [choice for choice in choices if choice.name in listing.files]
        if there:
            picked.append(_with_all_figures(there[0], listing, lock=lock))
        elif not wanted.optional:
            asked = " nor ".join(choice.name for choice in choices) or f"{wanted.name} in {wish.precision}"
            raise NotServed(f"{listing.repo} has no {asked}.", code="hub.gone")
    return tuple(picked)


def _with_all_figures(wanted: WantedFile, listing: Listing, *, lock: Lock) -> RemoteFile:
    """What registry, hub and lock know of a file. Raises NotServed when they do not agree: it is another file."""
    there, known = listing.files[wanted.name], lock.known(listing.repo, listing.commit, wanted.name)
    figures = {}
    for figure in ("size", "sha256"):
        said = {getattr(who, figure) for who in (wanted, there, known) if who and getattr(who, figure) is not None}
        if len(said) > 1:
            raise NotServed(
                f"{listing.repo} has another {wanted.name} than the one that is known "
                f"({figure} {' and '.join(map(str, sorted(said)))}), and it is not taken.",
                code="hub.other",
            )
        figures[figure] = next(iter(said), None)
    return RemoteFile(name=wanted.name, git_sha1=there.git_sha1, **figures)
