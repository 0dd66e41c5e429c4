"""A small engine `demo` of two versions and a second one, `other`, that shares a part with it; and their hub."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fake_hub import FakeHub

REGISTRY = """
[demo]
title = "Demo"
description = "For tests."
kind = "official"
licence = "CC-BY-NC-4.0"
commercial = false
sizes = [[48, 64]]
steps = { default = 3, minimum = 1, maximum = 20 }
guidance = { default = 2.5, minimum = 0.0, maximum = 7.5 }
placement = false

[demo.versions.red]
sources = ["red", "base", "coder"]

[demo.versions.blue]
title = "Demo in blue"
sources = ["blue", "base", "coder"]

[other]
title = "Other"
description = "Shares the coder."
kind = "deco"
revision = "1"
licence = "MIT"
commercial = true
sizes = [[48, 64]]
steps = { default = 3, minimum = 1, maximum = 20 }
guidance = { default = 2.5, minimum = 0.0, maximum = 7.5 }
placement = false
sources = ["whole", "coder"]

[sources.red]
title = "Red attention"
role = "attention"
repo = "maker/demo"
path = "red/model.safetensors"
licence = "CC-BY-NC-4.0"
commercial = false
files = ["red/model.safetensors"]

[sources.blue]
title = "Blue attention"
role = "attention"
repo = "maker/demo"
path = "blue/model.safetensors"
licence = "CC-BY-NC-4.0"
commercial = false
files = ["blue/model.safetensors"]

[sources.base]
title = "Base"
role = "base"
repo = "lab/base"
mirrors = ["friend/base", "friend/old@v1"]
licence = "CreativeML-OpenRAIL-M"
commercial = true
files = [
    "unet/config.json",
    { name = "unet/model.safetensors", alternatives = ["unet/model.fp16.safetensors", "unet/model.bin"] },
    { name = "notes.txt", optional = true },
]

[sources.coder]
title = "Coder"
role = "vae"
repo = "lab/coder"
licence = "MIT"
commercial = true
files = ["config.json", "model.safetensors"]

[sources.whole]
title = "Whole network"
role = "unet"
repo = "maker/other"
path = "net"
licence = "MIT"
commercial = true
files = ["net/config.json", "net/model.safetensors"]
"""


def noise(seed: int, size: int = 60_000) -> bytes:
    """Bytes that do not repeat, so that no part can stand for another."""
    return random.Random(seed).randbytes(size)


RED, BLUE, BASE, CODER, WHOLE = (noise(seed) for seed in range(5))

REPOS = {
    "maker/demo": {"red/model.safetensors": RED, "blue/model.safetensors": BLUE, "README.md": b"not asked for"},
    "lab/base": {"unet/config.json": b'{"a": 1}\n', "unet/model.safetensors": BASE},
    "lab/coder": {"config.json": b"{}", "model.safetensors": CODER},
    "maker/other": {"net/config.json": b"{}", "net/model.safetensors": WHOLE},
}

DEMO_BYTES = len(RED) + len(BASE) + len(CODER) + len(b'{"a": 1}\n') + len(b"{}")


def small_hub() -> FakeHub:
    return FakeHub(REPOS)


def registry(folder: Path, *changes: tuple[str, str]) -> Path:
    """The registry above in a file, after replacing texts in it."""
    text = REGISTRY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "demo.toml"
    path.write_text(text, encoding="utf-8")
    return path
