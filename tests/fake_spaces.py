"""A stand-in for Hugging Face's `spaces`: what is decorated runs in a fork, and only pickled values cross.

It keeps to what the real package does (0.51): `duration` is called with the function's own arguments; arguments and
every value that is yielded are pickled; an error that is no `gradio.Error` comes back as one that names its class only;
closing the generator sets an event which the fork looks at after each value, and closes its own generator then.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import gradio as gr

FORK = multiprocessing.get_context("fork")


class Spaces:
    """One ZeroGPU.

    Attributes:
        asked: the seconds of each request for a card; processes: those that had one; refusal: raised instead.
        decorated: the functions that may use a card.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.decorated: list[Callable] = []
        self.processes: list[Any] = []
        self.refusal: gr.Error | None = None

    def module(self) -> ModuleType:
        made = ModuleType("spaces")
        made.GPU = self._gpu
        return made

    def install(self, monkeypatch: Any) -> None:
        """This process is a ZeroGPU Space."""
        monkeypatch.setitem(sys.modules, "spaces", self.module())
        monkeypatch.setenv("SPACES_ZERO_GPU", "true")
        monkeypatch.setenv("SPACE_ID", "ana/catvton-studio")

    def _gpu(self, *, duration: Callable[..., int]) -> Callable[[Callable], Callable]:
        def decorate(task: Callable) -> Callable:
            def handler(*args: Any) -> Iterator[Any]:
                self.asked.append(duration(*args))
                if self.refusal is not None:
                    raise self.refusal
                yield from self._borrowed(task, pickle.dumps(args))

            self.decorated.append(task)
            return handler

        return decorate

    def _borrowed(self, task: Callable, args: bytes) -> Iterator[Any]:
        here, there = FORK.Pipe(duplex=False)
        stop = FORK.Event()
        process = FORK.Process(target=_in_the_fork, args=(task, args, there, stop), daemon=True)
        process.start()
        there.close()
        self.processes.append(process)
        try:
            while True:
                try:
                    kind, value = pickle.loads(here.recv_bytes())
                except EOFError:
                    raise gr.Error("GPU task aborted", title="ZeroGPU worker error") from None
                if kind == "end":
                    return
                if kind == "error":
                    raise gr.Error(value, title="ZeroGPU worker error")
                yield value
        finally:
            stop.set()
            process.join(60)
            assert process.exitcode is not None, "the fork does not end"


def _in_the_fork(task: Callable, args: bytes, out: Any, stop: Any) -> None:
    news = task(*pickle.loads(args))
    try:
        for item in news:
            if stop.is_set():
                break
            out.send_bytes(pickle.dumps(("value", item)))
    except Exception as error:
        out.send_bytes(pickle.dumps(("error", type(error).__name__)))
        return
    finally:
        news.close()
    if not stop.is_set():
        out.send_bytes(pickle.dumps(("end", None)))
