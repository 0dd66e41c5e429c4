"""The engines: complete, allowed, and the one that is asked for among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from catvton.doctor import Finding, failed, ok, warning

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.hub.offers import Offer
    from catvton.settings import Settings

BUILT_IN = "compact"


def look(settings: Settings) -> Iterator[Finding]:
    from catvton.errors import SettingsError
    from catvton.hub.offers import offer

    try:
        offered = offer(settings)
    except SettingsError as error:
        yield failed("engines", str(error), "Correct the file that CATVTON_REGISTRY names.")
        return
    for card in offered.cards.values():
        yield complete(card)
    yield from _wished(settings, offered)


def complete(card: ModelCard) -> Finding:
    """Whether every file of an engine is there; its bytes are what `models verify` looks at."""
    missing = card.missing_files()
    if missing:
        names = ", ".join(path.name for path in missing[:3])
        return failed(f"engine {card.name}", f"{len(missing)} of its files are missing: {names}.", card.mend)
    return ok(f"engine {card.name}", f"{card.id} is complete" + ("." if card.commercial else "; no commercial use."))


def _wished(settings: Settings, offered: Offer) -> Iterator[Finding]:
    """The engines that the settings ask for by name and that are not on offer."""
    known = ", ".join(["auto", *offered.cards, *offered.refused])
    for setting, wishes in (("CATVTON_ENGINE", [settings.engine]), ("CATVTON_DOWNLOAD", settings.download.split())):
        for wish in wishes:
            name = wish.partition("@")[0]
            if name in offered.refused and name in offered.forbidden:
                yield failed(f"engine {name}", offered.refused[name], f"Correct {setting}.")
            elif name in offered.refused and setting == "CATVTON_ENGINE":
                yield failed(f"engine {name}", f"{setting} asks for it. {offered.refused[name]}",
                             f"Run that command, or set {setting}=auto; until then {BUILT_IN} stands in.")
            elif name in offered.refused:
                yield warning(f"engine {name}", "It will be downloaded when the server starts next.",
                              "Wait for that, and look into the log if it is not there afterwards.")
            elif name not in ("auto", *offered.cards):
                yield failed(f"engine {name}", f'{setting}: there is no engine "{name}".', f"Choose one of {known}.")
