"""The C library's heap. glibc gives up to eight heaps a core to threads and keeps what each has once taken.

Every request of the REST door has a thread of its own, so a busy server would go on growing for hours, though nothing
is held. Few heaps cost nothing here: threads wait for the model, not for memory.
"""

from __future__ import annotations

import ctypes
import logging
import sys

log = logging.getLogger(__name__)

HEAPS = 2
_M_ARENA_MAX = -8  # glibc's malloc.h


def keep_few_heaps() -> bool:
    """Let all later threads share a few heaps. Call it before they start; whether the C library can be told so."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        told = ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS) == 1
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    log.debug("memory is shared between %d heaps", HEAPS)
    return told
