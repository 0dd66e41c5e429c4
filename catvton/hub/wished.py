"""The weights CATVTON_DOWNLOAD names, fetched before a server starts: for machines where nobody can type a command."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from catvton.cards import find_card, read_versions
from catvton.errors import InputError, SettingsError
from catvton.hub.errors import HubError
from catvton.hub.offers import forbidden
from catvton.hub.store import Store
from catvton.hub.verify import faults

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.settings import Settings

log = logging.getLogger(__name__)


def fetch_wished(settings: Settings) -> None:
    """Download the engines that are wished for and not complete, one after the other.

    One that cannot be had is no reason not to serve: the log says why, and the built-in engine is always there.

    Raises:
        SettingsError: there is no such engine, or another setting forbids it.
    """
    for card in [_wished(name, settings) for name in settings.download.split()]:
        if not card.sources or (card.install is not None and not faults(card)):
            continue
        log.info("downloading %s, as CATVTON_DOWNLOAD says", card.id)
        try:
            _fetch(card, settings)
        except HubError as error:
            log.error("%s was not downloaded: %s", card.id, error)


def _wished(name: str, settings: Settings) -> ModelCard:
    versions = read_versions(overlay=settings.registry, models_dir=settings.models_dir)
    try:
        card = find_card(name, versions, lock=Store(settings.models_dir).read_lock())
    except InputError as error:
        raise SettingsError(f"CATVTON_DOWNLOAD: {error}") from error
    if settings.commercial_only and (why := forbidden(card)):
        raise SettingsError(f"CATVTON_DOWNLOAD: {why}")
    return card


def _fetch(card: ModelCard, settings: Settings) -> None:
    from catvton.hub.download import download
    from catvton.hub.remote import Hub

    token = settings.hf_token.get_secret_value().strip() if settings.hf_token else None
    done = download(card, Hub(token=token))
    log.info("%s is complete: %.1f MB were fetched", card.id, done.fetched / 1e6)
