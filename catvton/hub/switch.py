"""Which version of an engine is in use: chosen, and taken back, any number of times. Moves no file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from catvton.hub.errors import HubError
from catvton.hub.lock import Install
from catvton.hub.store import Store
from catvton.hub.verify import begun, faults, in_words

if TYPE_CHECKING:
    from catvton.cards import ModelCard


def use(store: Store, card: ModelCard) -> Install:
    """Put a version in use, in the newest set of files there is of it.

    Raises:
        HubError: its set is not complete; the files are named, and the command that mends it.
    """
    with store.alone():
        lock = store.read_lock()
        install = lock.engine(card.name).installed.get(card.revision)
        card = replace(card, install=install)
        if install is None and card.sources and not begun(card):
            raise HubError(f"{card.id} is not downloaded. To download it: {card.mend}", code="hub.incomplete")
        if card.sources and (found := faults(card)):
            raise HubError(
                f"{card.id} cannot be used, for it is not complete: {in_words(found)}. "
                f"To mend it: {card.mend}",
                code="hub.incomplete",
            )
        install = install or Install(version=card.revision)
        store.write_lock(lock.using(card.name, install))
    return install


def rollback(store: Store, name: str) -> Install:
    """Put in use what was in use before. Raises HubError when nothing was."""
    with store.alone():
        lock = store.read_lock().rolled_back(name)
        if lock is None:
            raise HubError(f"There is nothing to go back to: {name} was never switched.", code="hub.history")
        store.write_lock(lock)
    return lock.engine(name).active
