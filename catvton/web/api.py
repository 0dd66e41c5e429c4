"""The endpoints other programs call: `/tryon`, `/mask` and `/engines`. They know nothing of the page and its controls.

Pictures arrive as uploaded files and leave as PNG files with exact pixels. An error a caller can mend reaches them as
its sentence, with its stable code as the error's title: `AppError.title` of gradio_client, "title" in the event of the
plain API.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.errors import InputError
from catvton.result import PARTS, SHOWS, TryOnRequest
from catvton.service.openapi import engines

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.web.studio import Studio

FAULT = "server.failed"  # the code of an error that is not the caller's


def add_endpoints(studio: "Studio") -> None:
    """Add the endpoints to the Blocks being built."""
    words = studio.texts
    # No limit of gradio's: whoever may not begin yet waits at the gate, together with callers of the other doors.
    waits: dict[str, Any] = {"concurrency_limit": None}
    gr.api(_tryon(studio), api_name="tryon", api_description=words["api.tryon"], **waits)
    gr.api(_mask(studio), api_name="mask", api_description=words["api.mask"], **waits)
    gr.api(_engines(studio), api_name="engines", api_description=words["api.engines"], queue=False)


def shown(studio: "Studio", error: Exception, title: str = "Error") -> gr.Error:
    """An error as gradio hands it to clients. Its text may quote a caller, and browsers read it as HTML: no tags."""
    sentence = studio.trouble(error).sentence.replace("<", "&lt;").replace(">", "&gt;")
    return gr.Error(sentence, title=title, print_exception=False)


def told(studio: "Studio", error: Exception) -> gr.Error:
    """The same for programs: the title is the error's code."""
    return shown(studio, error, title=error.code if isinstance(error, InputError) else FAULT)


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
        request: gr.Request | None = None,
    ) -> tuple[gr.FileData, dict]:
        try:
            pictures = studio.receive(person=person, garment=garment, mask=mask)
            studio.admit(request, "tryon", door="/tryon")
            wish = TryOnRequest(**pictures, part=part, steps=steps, guidance=guidance, seed=seed, show=show,
                                engine=engine)
            for item in studio.answer_tryon(wish):
                if isinstance(item, tuple):
                    path, info = item
                    yield gr.FileData(path=str(path), orig_name=path.name), info
                else:
                    yield None, _progress(item)
        except Exception as error:
            raise told(studio, error) from error

    return tryon


def _mask(studio: "Studio") -> Callable[..., tuple[Any, dict[str, Any]]]:
    def mask(
        person: gr.FileData, part: str = PARTS[0], request: gr.Request | None = None
    ) -> tuple[gr.FileData, dict]:
        try:
            pictures = studio.receive(person=person)
            studio.admit(request, "mask", door="/mask")
            path, info = studio.answer_mask(**pictures, part=part)
        except Exception as error:
            raise told(studio, error) from error
        return gr.FileData(path=str(path), orig_name=path.name), info

    return mask


def _engines(studio: "Studio") -> Callable[[], list[dict[str, Any]]]:
    def list_engines() -> list[dict]:
        return engines(studio.tryon.cards)

    return list_engines


def _progress(report: "StepReport") -> dict[str, Any]:
    return {"stage": report.stage, "step": report.step, "steps": report.steps}
