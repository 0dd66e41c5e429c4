"""What can be wrong with the records."""

from __future__ import annotations

from catvton.errors import TryOnError


class RecordsError(TryOnError):
    """The records cannot be read or changed just now; the sentence says why. No address or password is in it."""


class RecordRefused(RecordsError):
    """The database is there and will not have this record, now or later."""
