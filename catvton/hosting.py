"""Where the app is hosted, as far as that changes a default: a Hugging Face Space is reached in its own way."""

from __future__ import annotations

import os
from typing import Any

# Everyone must be able to reach the app through the Space's proxy, and the page is shown in a frame of the hub's. One
# proxy is believed: if more stand there, visitors share a limit, but nobody can invent an address.
SPACE = {"host": "0.0.0.0", "port": 7860, "trusted_proxy_hops": 1, "frame_ancestors": "https://huggingface.co"}


def on_a_space() -> bool:
    """Whether this process runs on a Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


def defaults() -> dict[str, Any]:
    """{field of Settings: value} that hold here unless the operator says otherwise."""
    return dict(SPACE) if on_a_space() else {}
