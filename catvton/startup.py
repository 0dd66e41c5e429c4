"""What runs, decided once from the settings, with every reason in the log: engines, maskers, checkers, the default."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from catvton import zerogpu
from catvton.engines import PipelineEngine
from catvton.errors import SettingsError
from catvton.hub.offers import Offer, offer
from catvton.masking import Maskers
from catvton.safety.folders import StableDiffusionCheckers
from catvton.safety.moderation import Moderation
from catvton.settings import wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catvton.cards import ModelCard
    from catvton.engines import Engine
    from catvton.records.keeper import Keeper
    from catvton.safety.credentials import ContentCredentials
    from catvton.safety.watermark import Watermark
    from catvton.settings import Settings

log = logging.getLogger(__name__)

BUILT_IN, PUBLISHED = "compact", "catvton"


def parts(settings: Settings, *, service: bool = False) -> dict[str, Any]:
    """The arguments of `TryOn`. Nothing is loaded and nothing downloaded.

    Args:
        service: whether it serves others; see `handing_out`. What others send and get is moderated, unless the
            settings say no; one's own pictures only if they ask for it.

    Raises:
        SettingsError: a setting asks for what there cannot be.
    """
    beside = settings  # for everything beside the engines
    if zerogpu.active():
        zerogpu.prepare()
        beside = settings.model_copy(update={"device": "cpu"})  # the card is borrowed for the engines alone
    offered = offer(settings)
    default, why = default_engine(settings, offered)
    log.info("the engine is %s (%s)", offered.cards[default].id, why)
    _tell(offered)
    maskers = Maskers(device=beside.device, backend=settings.densepose_backend)
    return {
        "engines": _engines(settings, offered.cards.values()),
        "masker": maskers.built_in,
        "maskers": maskers,
        "safety": StableDiffusionCheckers(adjustment=settings.safety_adjustment, device=beside.device),
        "moderation": Moderation.from_settings(beside, service=service),
        "default": default,
        "limits": settings.limits,
        **handing_out(settings, service=service),
    }


def _engines(settings: Settings, cards: Iterable[ModelCard]) -> list[Engine]:
    how: dict[str, Any] = {"dtype": settings.dtype, "memory": settings.memory}
    if zerogpu.active():
        return zerogpu.engines(list(cards), **how)
    return [PipelineEngine(card, device=settings.device, **how) for card in cards]


def handing_out(settings: Settings, *, service: bool) -> dict[str, Any]:
    """What happens to a finished picture: the arguments of `TryOn` for its marks and for the records.

    Args:
        service: results of a service are marked and its jobs recorded, unless the settings say no. Others' only if the
            settings ask for the mark: a number that leads nowhere is worth nothing.

    Raises:
        SettingsError: the database's address is none, or files cannot be signed as the settings ask.
    """
    marked = wanted(settings.watermark, service=service)
    return {
        "watermark": _watermark() if marked else None,
        "label": settings.label,
        "recorder": _recorder(settings, service=service) if marked or service else None,
        "signer": _signer(settings),
    }


def _watermark() -> Watermark:
    from catvton.safety.watermark import TiledWatermark

    return TiledWatermark()


def _recorder(settings: Settings, *, service: bool) -> Keeper | None:
    from catvton.records.history import clear
    from catvton.records.keeper import Keeper

    if service and not settings.history_hours:
        clear(settings)
    if not (settings.records_days or settings.history_hours):
        return None
    keeper = Keeper.from_settings(settings)
    if service:
        keeper.start()
    return keeper


def _signer(settings: Settings) -> ContentCredentials | None:
    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError("CATVTON_C2PA_CERTIFICATE and CATVTON_C2PA_KEY go together: set both, or none.")
    from catvton.safety.credentials import ContentCredentials

    return ContentCredentials(certificate, key)


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
