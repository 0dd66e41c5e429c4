"""Which engines the app may offer: those that are complete and allowed. Nothing is downloaded and nothing hashed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.cards import MODELS, ModelCard, read_cards
from catvton.hub.verify import begun, faults, in_words

if TYPE_CHECKING:
    from catvton.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the app may offer.

    Attributes:
        cards: {name: card} of the engines that are complete and allowed, in the registry's order.
        refused: {name: a sentence that says why not, and what would change it} of the others.
        forbidden: the names of those whose licence is the reason.
    """

    cards: dict[str, ModelCard]
    refused: dict[str, str]
    forbidden: frozenset[str] = frozenset()


def offer(settings: Settings, *, path: Path = MODELS) -> Offer:
    """The engines of a registry, in the versions in use, looked over quickly: presence and size of every file.

    An engine that ships with the app is always on offer: what it lacks it says itself when it is loaded.
    """
    found = read_cards(path, overlay=settings.registry, models_dir=settings.models_dir)
    refused = {name: why for name, card in found.items() if (why := _refusal(card, settings.commercial_only))}
    return Offer(
        cards={name: card for name, card in found.items() if name not in refused},
        refused=refused,
        forbidden=frozenset(name for name, card in found.items() if settings.commercial_only and not card.commercial),
    )


def installed_cards(settings: Settings, *, path: Path = MODELS) -> dict[str, ModelCard]:
    """{name: card} of the engines the app may offer; see `offer`."""
    return offer(settings, path=path).cards


def forbidden(card: ModelCard) -> str | None:
    """The sentence that refuses a card where only commercial use is allowed; None for one that allows it."""
    if card.commercial:
        return None
    return (
        f"The licence of {card.id} ({card.licence}) does not allow commercial use, and CATVTON_COMMERCIAL_ONLY is set."
    )


def _refusal(card: ModelCard, commercial_only: bool) -> str | None:
    if commercial_only and (why := forbidden(card)):
        return why
    if not card.sources:
        return None
    found = faults(card)
    if card.install is None:
        return f"{card.id} is {'only half' if begun(card) else 'not'} downloaded. To download it: {card.mend}"
    return f"{card.id} is not complete: {in_words(found, most=3)}. To mend it: {card.mend}" if found else None
