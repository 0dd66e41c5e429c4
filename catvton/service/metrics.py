"""Figures for Prometheus: counts and times, nothing of any person. Each service has a registry of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from catvton.errors import Cancelled, InputError
from catvton.safety.moderation import refusals

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """What is counted. `gauges` are read when somebody asks: {name without prefix: (help, how to read it)}."""

    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("catvton_http_requests", "HTTP answers.", ["route", "method", "status"],
                               registry=self.registry)
        self.runs = Counter("catvton_requests", "Try-ons and masks asked for.", ["route", "outcome"],
                            registry=self.registry)
        self.refusals = Counter("catvton_refusals", "Requests refused, by the code of the error.", ["code"],
                                registry=self.registry)
        self.stages = Histogram("catvton_stage_seconds", "Seconds each stage of a finished try-on took.", ["stage"],
                                buckets=SECONDS, registry=self.registry)
        self.durations = Histogram("catvton_request_seconds", "Seconds from a request to its result, waiting included.",
                                   ["route"], buckets=SECONDS, registry=self.registry)
        self.outages = Counter("catvton_redis_outages", "Times that Redis went away.", registry=self.registry)
        for name, (text, read) in ({"gpu_memory_bytes": ("Memory torch holds on the graphics cards.", gpu_memory)}
                                   | gauges).items():
            Gauge(f"catvton_{name}", text, registry=self.registry).set_function(read)
        pictures = Gauge("catvton_refused_pictures", "Pictures the moderation refused in this process, by the code.",
                         ["code"], registry=self.registry)
        for code in refusals.counts():
            pictures.labels(code).set_function(lambda code=code: refusals.counts()[code])

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def refused(self, code: str) -> None:
        self.refusals.labels(code).inc()

    @contextmanager
    def run(self, route: str) -> Iterator[None]:
        """Count one run by how it ends, and time it."""
        start, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "done"
        except (Cancelled, GeneratorExit):
            outcome = "cancelled"
            raise
        except InputError:
            outcome = "refused"
            raise
        finally:
            self.runs.labels(route, outcome).inc()
            if outcome == "done":
                self.durations.labels(route).observe(time.perf_counter() - start)

    def took(self, seconds: dict[str, float]) -> None:
        """A finished run's {stage: seconds}."""
        for stage, each in seconds.items():
            self.stages.labels(stage).observe(each)


def gpu_memory() -> float:
    """Bytes torch holds on all CUDA cards; 0 where there is none, or nothing was loaded yet."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    return float(sum(torch.cuda.memory_reserved(card) for card in range(torch.cuda.device_count())))
