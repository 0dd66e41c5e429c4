"""What can go wrong between the hub and this disk, each in a sentence the operator can act on."""

from __future__ import annotations

from catvton.errors import InputError


class HubError(InputError):
    """A model cannot be had, kept or switched to. `code` is "hub.<fault>": "hub.gated", "hub.space", "hub.damaged"."""


class LockError(HubError):
    """`models.lock` cannot be read."""


class NotServed(HubError):
    """This repository does not have it, or not for us; a mirror might."""
