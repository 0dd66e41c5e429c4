"""The endpoints other programs call: `/tryon`, `/mask` and `/engines`. They know nothing of the page and its controls.

Pictures arrive as uploaded files and leave as PNG files with exact pixels. An error a caller can mend reaches them as
its sentence, with its stable code as the error's title: `AppError.title` of gradio_client, "title" in the event of the
plain API.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.options import check_mask_options, check_options
from catvton.result import PARTS, SHOWS, TryOnRequest
from catvton.service.openapi import EXAMPLE_INFO, engines, in_words
from catvton.service.problems import code_of

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.engines import StepReport
    from catvton.web.studio import Studio

OPTIONS = ("person", "garment", "part", "mask", "steps", "guidance", "seed", "show", "engine", "size")
MASK_OPTIONS = ("person", "part", "engine")
INFO = f"The info has {', '.join(EXAMPLE_INFO)}."
ERRORS = "An error's title is its code: /v1/docs lists them all."


def add_endpoints(studio: "Studio") -> None:
    """Add the endpoints to the Blocks being built."""
    words, cards = studio.texts, studio.tryon.cards
    # No limit of gradio's: whoever may not begin yet waits at the gate, together with callers of the other doors.
    waits: dict[str, Any] = {"concurrency_limit": None}
    made = f"{words['api.tryon']} {INFO}"
    gr.api(_tryon(studio), api_name="tryon", api_description=_described(made, cards, *OPTIONS), **waits)
    gr.api(_mask(studio), api_name="mask", api_description=_described(words["api.mask"], cards, *MASK_OPTIONS),
           **waits)
    gr.api(_engines(studio), api_name="engines", api_description=words["api.engines"], queue=False)


def _described(what: str, cards: "Mapping[str, ModelCard]", *options: str) -> str:
    return f"{what}\n\n{in_words(cards, *options)}\n\n{ERRORS}"


def shown(studio: "Studio", error: Exception, title: str = "Error") -> gr.Error:
    """An error as gradio hands it to clients. Its text may quote a caller, and browsers read it as HTML: no tags."""
    sentence = studio.trouble(error).sentence.replace("<", "&lt;").replace(">", "&gt;")
    return gr.Error(sentence, title=title, print_exception=False)


def told(studio: "Studio", error: Exception) -> gr.Error:
    """The same for programs: the title is the error's code."""
    return shown(studio, error, title=code_of(error))


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
        size: str | None = None,
        request: gr.Request | None = None,
    ) -> tuple[gr.FileData, dict]:
        try:
            pictures = studio.receive(person=person, garment=garment, mask=mask)
            wish = TryOnRequest(**pictures, part=part, steps=steps, guidance=guidance, seed=seed, show=show,
                                engine=engine, size=size)
            check_options(wish, studio.tryon.cards, default=next(iter(studio.tryon.cards)))  # before it counts
            studio.admit(request, "tryon", door="/tryon")
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
        person: gr.FileData, part: str = PARTS[0], engine: str | None = None, request: gr.Request | None = None
    ) -> tuple[gr.FileData, dict]:
        try:
            pictures = studio.receive(person=person)
            check_mask_options(studio.tryon.cards, part=part, engine=engine)
            studio.admit(request, "mask", door="/mask")
            path, info = studio.answer_mask(**pictures, part=part, engine=engine)
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
