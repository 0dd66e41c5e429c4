"""What a log line or a count belongs to: the request, its door and its caller, carried along with the work."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar

Item = TypeVar("Item")

request_id: ContextVar[str] = ContextVar("catvton_request_id", default="")
route: ContextVar[str] = ContextVar("catvton_route", default="")
account: ContextVar[str] = ContextVar("catvton_account", default="")
address: ContextVar[str] = ContextVar("catvton_address", default="")  # for limits only; never logged

_OURS_TO_REPEAT = re.compile(r"[A-Za-z0-9._-]{8,64}")


def new_request_id(said: str = "") -> str:
    """The id a proxy gave the request, where it is one that can be repeated safely, or a new one."""
    return said if _OURS_TO_REPEAT.fullmatch(said) else secrets.token_hex(8)


def steady(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, all made in the context the first is asked for in: gradio asks for each in another."""
    context: Context | None = None
    try:
        while True:
            context = context or copy_context()
            try:
                item = context.run(next, items)
            except StopIteration:
                return
            yield item
    finally:
        if hasattr(items, "close"):
            items.close()
