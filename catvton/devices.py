"""Where and in which precision to compute: decided once, here, with the reason said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from catvton.errors import SettingsError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "float16", "bfloat16")


def choose(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device and precision to run on.

    Args:
        device: "auto" (CUDA, then Apple's MPS, then the CPU), "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto" (float32 on CPU and MPS, bfloat16 on recent CUDA cards, float16 on older ones) or a name.

    Raises:
        SettingsError: the name is unknown, or the machine has no such device.
    """
    import torch

    where, why = _device(device)
    kind, because = _dtype(dtype, where)
    log.info("computing on %s (%s) in %s (%s)", where, why, str(kind).removeprefix("torch."), because)
    return torch.device(where), kind


def _device(name: str) -> tuple[str, str]:
    import torch

    kind = name.partition(":")[0]
    if kind not in DEVICES:
        raise SettingsError(f'Unknown device "{name}": choose one of {", ".join(DEVICES)}.')
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        found = next(device for device in ("cuda", "mps", "cpu") if there[device])
        return found, "found by itself"
    if not there[kind]:
        raise SettingsError(f'The device "{name}" was asked for, but this machine has none: choose "auto" or "cpu".')
    return name, "asked for"


def _dtype(name: str, device: str) -> tuple[torch.dtype, str]:
    import torch

    if name not in DTYPES:
        raise SettingsError(f'Unknown precision "{name}": choose one of {", ".join(DTYPES)}.')
    if name != "auto":
        return getattr(torch, name), "asked for"
    if not device.startswith("cuda"):
        return torch.float32, "safe everywhere"
    if torch.cuda.get_device_capability(device)[0] >= 8:
        return torch.bfloat16, "this card has it"
    return torch.float16, "older than Ampere, no bfloat16"
