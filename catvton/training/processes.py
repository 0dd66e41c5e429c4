"""The processes a run is spread over: this one, or those that `accelerate launch` started on any number of machines.

Each holds the whole network and draws its own batches. Gradients are averaged once a step, after the last micro-batch,
and not by a wrapper around the module (`DistributedDataParallel`) while they are computed: so the module stays the
stage's own, whose loss may call it as often as it likes and read its attributes. The price is that nothing is computed
meanwhile: for all of a Stable Diffusion UNet 3.4 GB a step, for its self-attention 0.2 GB.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import distributed

from catvton.errors import InputError


@dataclass(frozen=True)
class Processes:
    """This process among the others.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.rank == 0

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.count > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)
                tensor /= self.count

    def spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by the first process's."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The first process's time, and whether any process was asked to stop."""
        if self.count == 1:
            return seconds, stop
        votes = torch.tensor([seconds if self.main else 0.0, float(stop)], dtype=torch.float64, device=self.device)
        distributed.all_reduce(votes)
        return float(votes[0]), bool(votes[1] > 0)

    def first(self, number: int) -> int:
        """The first process's number."""
        told = torch.tensor([number], device=self.device)
        self.spread([told])
        return int(told)

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process does it alone, then the others: it writes the caches that they find."""
        if not self.main:
            self.wait()
        try:
            yield
        finally:
            if self.main:
                self.wait()


def join(device: torch.device | str) -> Processes:
    """This process and those launched with it; alone it computes on `device`, otherwise on the card that is its own.

    Call it before anything is put on "cuda": from then on that means this process's card.

    Raises:
        InputError: the launcher was set up for what the loop does not do.
    """
    from accelerate import PartialState

    _refuse_other_ways()
    _leave_at_exit()
    chosen = torch.device(device)
    state = PartialState(cpu=chosen.type == "cpu")
    if state.num_processes == 1:
        return Processes(0, 1, chosen)
    return Processes(state.process_index, state.num_processes, state.device)


@cache
def _leave_at_exit() -> None:
    """A process that ends while its group's threads still run may be aborted: its launcher would report a failure."""
    # Functions in there have the group of the moment of their import as a default: imported later, as the optimiser
    # does, they would hold it, threads and all, to the end of the process.
    importlib.import_module("torch.distributed.nn.functional")
    atexit.register(lambda: distributed.is_initialized() and distributed.destroy_process_group())


def asked_for_bf16() -> bool:
    """Whether `accelerate launch --mixed_precision bf16` started this process."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION") == "bf16"


def _refuse_other_ways() -> None:
    for name in ("DEEPSPEED", "FSDP"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true":
            raise InputError(
                f"Training does not use {name}: the network fits one card. Launch with --multi_gpu, or run "
                "`accelerate config` again.",
                code="training.launcher",
            )
    if (precision := os.environ.get("ACCELERATE_MIXED_PRECISION", "no")) not in ("no", "bf16"):
        raise InputError(
            f"Training does not use {precision}: launch with --mixed_precision bf16 or no.", code="training.precision"
        )


@contextmanager
def stop_signals(request: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `request` instead of ending the process; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, lambda *_: request()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
