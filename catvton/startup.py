"""What runs, decided once from the settings, with every reason in the log: engines, maskers, checkers, the default."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from catvton.engines import PipelineEngine
from catvton.errors import SettingsError
from catvton.hub.offers import Offer, offer
from catvton.masking import Maskers
from catvton.safety.folders import StableDiffusionCheckers

if TYPE_CHECKING:
    from catvton.settings import Settings

log = logging.getLogger(__name__)

BUILT_IN, PUBLISHED = "compact", "catvton"


def parts(settings: Settings) -> dict[str, Any]:
    """The arguments of `TryOn`. Nothing is loaded and nothing downloaded.

    Raises:
        SettingsError: a setting asks for what there cannot be.
    """
    offered = offer(settings)
    default, why = default_engine(settings, offered)
    log.info("the engine is %s (%s)", offered.cards[default].id, why)
    _tell(offered)
    maskers = Maskers(device=settings.device, backend=settings.densepose_backend)
    return {
        "engines": [
            PipelineEngine(card, device=settings.device, dtype=settings.dtype, memory=settings.memory)
            for card in offered.cards.values()
        ],
        "masker": maskers.built_in,
        "maskers": maskers,
        "safety": StableDiffusionCheckers(adjustment=settings.safety_adjustment, device=settings.device),
        "default": default,
        "limits": settings.limits,
    }


def default_engine(settings: Settings, offered: Offer) -> tuple[str, str]:
    """(name, why) of the engine for requests that name none.

    An engine that was asked for and is not complete is no reason not to serve: the built-in one stands in.

    Raises:
        SettingsError: there is no such engine, or the settings themselves forbid it.
    """
    wish = settings.engine
    if wish == "auto":
        return _found(settings, offered)
    if wish in offered.cards:
        return wish, "asked for"
    if wish not in offered.refused:
        known = ", ".join(["auto", *offered.cards, *offered.refused])
        raise SettingsError(f'CATVTON_ENGINE: there is no engine "{wish}": choose one of {known}.')
    if wish in offered.forbidden:
        raise SettingsError(f"CATVTON_ENGINE: {offered.refused[wish]}")
    log.error("%s", offered.refused[wish])
    return BUILT_IN, f"{wish} was asked for and is not ready"


def _found(settings: Settings, offered: Offer) -> tuple[str, str]:
    if PUBLISHED not in offered.cards:
        return BUILT_IN, "the one that is always there"
    from catvton.devices import choose

    device, _ = choose(settings.device, "float32")
    if device.type == "cuda":
        return PUBLISHED, "its files are complete, and there is a graphics card"
    return BUILT_IN, f"{PUBLISHED} is complete, but takes a graphics card; name it to use it all the same"


def _tell(offered: Offer) -> None:
    for sentence in offered.refused.values():
        log.debug("%s", sentence)
    for card in offered.cards.values():
        if not card.commercial:
            log.warning("%s may not be used commercially: its licence is %s", card.id, card.licence)
