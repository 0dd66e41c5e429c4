"""The endpoints other programs call: `/tryon` and `/mask`. They know nothing of the page and its controls.

Pictures arrive as uploaded files and leave as PNG files with exact pixels. An error a caller can mend reaches them as
its sentence.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.result import PARTS, SHOWS, TryOnRequest

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.web.studio import Studio

GENERATION = "generation"  # one queue for everything that uses a model, the page's button too


def add_endpoints(studio: "Studio") -> None:
    """Add the endpoints to the Blocks being built."""
    words = studio.texts
    queued: dict[str, Any] = {"concurrency_id": GENERATION, "concurrency_limit": 1}
    gr.api(_tryon(studio), api_name="tryon", api_description=words["api.tryon"], **queued)
    gr.api(_mask(studio), api_name="mask", api_description=words["api.mask"], **queued)


def shown(studio: "Studio", error: Exception) -> gr.Error:
    """An error as gradio hands it to clients. Its text may quote a caller, and browsers read it as HTML: no tags."""
    sentence = studio.trouble(error).sentence.replace("<", "&lt;").replace(">", "&gt;")
    return gr.Error(sentence, print_exception=False)


# A generator, because closing it is the only way gradio has to tell a handler that its caller cancelled or went away.
# Gradio documents an endpoint by its annotations and takes them as types, so this module does not postpone them.


def _tryon(studio: "Studio") -> Callable[..., Iterator[tuple[Any, dict[str, Any]]]]:
    def tryon(
        person: gr.FileData,
        garment: gr.FileData,
        part: str = PARTS[0],
        mask: gr.FileData | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = TryOnRequest.seed,
        show: str = SHOWS[0],
        engine: str | None = None,
    ) -> tuple[gr.FileData, dict]:
        try:
            pictures = studio.receive(person=person, garment=garment, mask=mask)
            request = TryOnRequest(**pictures, part=part, steps=steps, guidance=guidance, seed=seed, show=show,
                                   engine=engine)
            for item in studio.answer_tryon(request):
                if isinstance(item, tuple):
                    path, info = item
                    yield gr.FileData(path=str(path), orig_name=path.name), info
                else:
                    yield None, _progress(item)
        except Exception as error:
            raise shown(studio, error) from error

    return tryon


def _mask(studio: "Studio") -> Callable[..., tuple[Any, dict[str, Any]]]:
    def mask(person: gr.FileData, part: str = PARTS[0]) -> tuple[gr.FileData, dict]:
        try:
            path, info = studio.answer_mask(**studio.receive(person=person), part=part)
        except Exception as error:
            raise shown(studio, error) from error
        return gr.FileData(path=str(path), orig_name=path.name), info

    return mask


def _progress(report: "StepReport") -> dict[str, Any]:
    return {"stage": report.stage, "step": report.step, "steps": report.steps}
