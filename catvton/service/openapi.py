"""The REST door as an OpenAPI 3.1 document, built from the engines on offer. `catvton.service.rest` serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import catvton
from catvton.options import MAX_VARIATIONS
from catvton.result import MAX_SEED, SHOWS, TryOnRequest
from catvton.service.codes import CODES

if TYPE_CHECKING:
    from catvton.cards import ModelCard

Schema = dict[str, Any]

PNG, JSON, PROBLEM = "image/png", "application/json", "application/problem+json"
FAULTS = {
    400: "The form is damaged.",
    401: "The API key is missing or not known.",
    404: "There is no such job.",
    406: "Accept wants neither a picture nor JSON.",
    408: "The form took too long to arrive.",
    409: "The job is not done, or was stopped.",
    413: "A picture, or the request, is too large.",
    415: "The body is no form, or a file is no picture of a kind that is accepted.",
    422: "Something in the request its author can mend; `message` says what.",
    429: "As many requests as are allowed were made. Retry-After says how many seconds to wait.",
    500: "A fault on our side; `message` has its number in the log.",
    503: "Too many are waiting, the server is about to end, or the engine is not complete.",
}
READING = (401, 500, 503)
WORKING = (400, 401, 406, 408, 413, 415, 422, 429, 500, 503)
EXAMPLE_INFO = {"job_id": "5f0c6a0e3d3c", "engine": "compact@1", "part": "upper", "seed": 42,
                "seeds": [42], "steps": 1, "guidance": 1.0, "size": [288, 384],
                "seconds": {"open": 0.02, "mask": 0.61, "place": 1.58, "generate": 0.35, "paste": 0.04},
                "flags": [], "notes": []}
EXAMPLE_JOB = "Zt0v9xYb3mJkq2c1T5uW8A"


def engines(cards: Mapping[str, ModelCard]) -> list[dict[str, Any]]:
    """What a client needs to know of each engine, the default first."""
    return [
        {
            "name": card.name,
            "id": card.id,
            "title": card.title,
            "description": card.description,
            "licence": card.licence,
            "commercial": card.commercial,
            "default": number == 0,
            "parts": list(card.parts),
            "sizes": [f"{width}x{height}" for width, height in card.sizes],
            "steps": _range(card.steps),
            "guidance": _range(card.guidance),
        }
        for number, card in enumerate(cards.values())
    ]


def in_words(cards: Mapping[str, ModelCard], *options: str) -> str:
    """What gradio's endpoints have no place for: a line for each option, what it is and what it accepts."""
    fields = {name: field for name, field in _tryon_fields(cards).items() if name in options}
    return "\n".join(f"- {name}: {field['description']}{_accepted(field)}" for name, field in fields.items())


def _accepted(field: Schema) -> str:
    if "enum" in field:
        return f" One of: {', '.join(field['enum'])}."
    return f" From {field['minimum']:g} to {field['maximum']:g}." if "minimum" in field else ""


def _range(allowed: Any) -> dict[str, float]:
    return {"default": allowed.default, "minimum": allowed.minimum, "maximum": allowed.maximum}


def schema(cards: Mapping[str, ModelCard], *, base: str, keys_needed: bool) -> Schema:
    """The whole document. `base`: the path the door stands at, e.g. "/v1"; `keys_needed`: whether nobody may come
    without an API key."""
    key = {"key": []}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CatVTON Studio",
            "version": catvton.__version__,
            "description": "Dress a person in a garment: two photos in, one picture out. Pictures are used for the "
                           "answer only; the results of jobs are kept for ten minutes.",
        },
        "servers": [{"url": base}],
        "security": [key] if keys_needed else [{}, key],
        "paths": {
            "/tryon": {"post": _tryon(cards)},
            "/mask": {"post": _mask(cards)},
            "/engines": {"get": _engines(cards)},
            "/jobs": {"post": _start_job(cards)},
            "/jobs/{id}": {"parameters": [_job_id()], "get": _job(), "delete": _drop_job()},
            "/jobs/{id}/result": {"parameters": [_job_id()], "get": _result()},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer",
                                        "description": "An API key, made with `python -m catvton users key NAME`."}},
            "schemas": {"Problem": _problem_schema(), "Result": _result_schema(), "Job": _job_schema(),
                        "Engine": _engine_schema()},
        },
    }  # fmt: skip


# ---- operations ------------------------------------------------------------------------------------------------------


def _tryon(cards: Mapping[str, ModelCard]) -> Schema:
    return {
        "operationId": "tryon",
        "summary": "Dress the person and wait for the picture",
        "description": "Answers with the picture, or as JSON where Accept asks for it. Behind a proxy with a short "
                       "time-out use /jobs.",
        "requestBody": _form(_tryon_fields(cards), required=["person", "garment"]),
        "responses": _pictures() | _faults(*WORKING, 409),
    }  # fmt: skip


def _mask(cards: Mapping[str, ModelCard]) -> Schema:
    fields = {name: field for name, field in _tryon_fields(cards).items() if name in ("person", "part", "engine")}
    return {
        "operationId": "mask",
        "summary": "Only find the area a try-on would change",
        "description": "A black and white PNG of the photo's size: white may change. It can be edited and sent as "
                       "`mask`.",
        "requestBody": _form(fields, required=["person"]),
        "responses": _pictures(example={"part": "upper", "notes": []}) | _faults(*WORKING, 409),
    }  # fmt: skip


def _engines(cards: Mapping[str, ModelCard]) -> Schema:
    listed = {"type": "object", "required": ["engines"],
              "properties": {"engines": {"type": "array", "items": {"$ref": "#/components/schemas/Engine"}}}}
    return {
        "operationId": "engines",
        "summary": "The engines on offer, the default first",
        "responses": {"200": _json("What each engine takes.", listed, {"engines": engines(cards)[:1]})}
                     | _faults(*READING),
    }  # fmt: skip


def _start_job(cards: Mapping[str, ModelCard]) -> Schema:
    fields = {name: field for name, field in _tryon_fields(cards).items() if name != "pictures"}
    example = {"id": EXAMPLE_JOB, "state": "queued", "place": 2, "stage": "", "step": 0, "steps": 0,
               "url": f"/v1/jobs/{EXAMPLE_JOB}"}
    return {
        "operationId": "startJob",
        "summary": "Dress the person and ask for the picture later",
        "requestBody": _form(fields, required=["person", "garment"]),
        "responses": {"202": _json("The job, and its place in the queue.", _ref("Job"), example)
                      | {"headers": {"Location": {"schema": {"type": "string"}},
                                     "Retry-After": {"schema": {"type": "string"}}}}}
                     | _faults(*WORKING),
    }  # fmt: skip


def _job() -> Schema:
    example = {"id": EXAMPLE_JOB, "state": "running", "place": 0, "stage": "generate", "step": 7, "steps": 20,
               "url": f"/v1/jobs/{EXAMPLE_JOB}"}
    return {
        "operationId": "job",
        "summary": "Where a job is",
        "description": "Until it is done, Retry-After says in how many seconds to ask again.",
        "responses": {"200": _json("The job as it stands.", _ref("Job"), example)
                      | {"headers": {"Retry-After": {"schema": {"type": "string"}}}}} | _faults(*READING, 404),
    }


def _drop_job() -> Schema:
    return {
        "operationId": "dropJob",
        "summary": "Stop a job, and forget it and what it made",
        "responses": {"204": {"description": "It is forgotten; a run stops at its next step."}}
                     | _faults(*READING, 404),
    }  # fmt: skip


def _result() -> Schema:
    number = {"name": "picture", "in": "query", "required": False, "description": "Which variation, from 1.",
              "schema": {"type": "integer", "minimum": 1, "maximum": MAX_VARIATIONS, "default": 1}}
    # A failed job's result is what the failed request would have been answered.
    return {
        "operationId": "result",
        "summary": "What a job made",
        "parameters": [number],
        "responses": _pictures() | _faults(*WORKING, 404, 409),
    }


# ---- forms and answers -----------------------------------------------------------------------------------------------


def _tryon_fields(cards: Mapping[str, ModelCard]) -> dict[str, Schema]:
    steps = [card.steps for card in cards.values()]
    guidance = [card.guidance for card in cards.values()]
    sizes = dict.fromkeys(f"{width}x{height}" for card in cards.values() for width, height in card.sizes)
    parts = dict.fromkeys(part for card in cards.values() for part in card.parts)
    return {
        "person": _file("Photo of one person, from the front. JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF."),
        "garment": _file("Photo of the garment, laid flat or worn."),
        "mask": _file("Where the picture may change: white on black, of the photo's shape. Left out, it is found."),
        "part": _word("What the garment replaces.", list(parts), TryOnRequest.part),
        "steps": {"type": "integer", "minimum": int(min(each.minimum for each in steps)),
                  "maximum": int(max(each.maximum for each in steps)),
                  "description": "Denoising steps; left out, the engine's default."},
        "guidance": {"type": "number", "minimum": min(each.minimum for each in guidance),
                     "maximum": max(each.maximum for each in guidance),
                     "description": "How strictly to follow the garment; left out, the engine's default."},
        "seed": {"type": "integer", "minimum": -1, "maximum": MAX_SEED, "default": TryOnRequest.seed,
                 "description": "The same seed gives the same picture; -1 draws one, which the answer reports."},
        "show": _word("The result alone, or beside what it was made from.", list(SHOWS), SHOWS[0]),
        "engine": _word("Who makes the picture.", list(cards), next(iter(cards))),
        "size": _word("The size the engine works at; the picture has the photo's.", list(sizes)),
        "variations": {"type": "integer", "minimum": 1, "maximum": MAX_VARIATIONS, "default": 1,
                       "description": "How many pictures, with seeds counting up. A PNG answer carries the first."},
        "pictures": _word("How JSON carries pictures: in it, or as addresses good for ten minutes.",
                          ["base64", "url"], "base64"),
    }  # fmt: skip


def _file(description: str) -> Schema:
    return {"type": "string", "format": "binary", "description": description}


def _word(description: str, accepted: list[str], default: str | None = None) -> Schema:
    said = {"type": "string", "enum": accepted, "description": description}
    return said if default is None else said | {"default": default}


def _form(fields: dict[str, Schema], *, required: list[str]) -> Schema:
    form = {"type": "object", "required": required, "properties": fields, "additionalProperties": False}
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}


def _pictures(example: dict[str, Any] | None = None) -> Schema:
    shown = (EXAMPLE_INFO if example is None else example) | {"pictures": ["data:image/png;base64,iVBORw0KGgo..."]}
    said = _json("The picture.", _ref("Result"), shown)
    said["content"][PNG] = {"schema": {"type": "string", "format": "binary"}}
    said["headers"] = {"X-Result-Info": {"schema": {"type": "string"},
                                         "description": "Of a PNG: the same as JSON, without the pictures."}}
    return {"200": said}


def _json(description: str, content: Schema, example: Any) -> Schema:
    return {"description": description, "content": {JSON: {"schema": content, "example": example}}}


def _faults(*statuses: int) -> Schema:
    content = {PROBLEM: {"schema": _ref("Problem")}}
    return {str(status): {"description": FAULTS[status], "content": content} for status in sorted(statuses)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _job_id() -> Schema:
    return {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "example": EXAMPLE_JOB}}


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _problem_schema() -> Schema:
    return {
        "type": "object",
        "required": ["type", "title", "status", "code", "message"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": list(CODES), "description": "For programs; stays the same. " + " ".join(
                f"{code}: {meaning}" for code, meaning in CODES.items())},
            "message": {"type": "string", "description": "For people: what is wrong, and what is accepted instead."},
            "retry_after": {"type": "integer", "description": "Seconds to wait, where waiting helps."},
            "request_id": {"type": "string", "description": "Name it when you ask the operator."},
        },
        "example": {"type": "about:blank", "title": "Too Many Requests", "status": 429, "code": "limit.reached",
                    "message": "You can do this 5 times a minute, and have done so. Please try again in 23 seconds.",
                    "retry_after": 23, "request_id": "3f1c9a2b7d5e4c60"},
    }  # fmt: skip


def _result_schema() -> Schema:
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "required": ["part", "notes", "pictures"],
        "properties": {
            "job_id": {"type": "string"},
            "engine": {"type": "string", "description": "name@revision"},
            "part": {"type": "string"},
            "seed": {"type": "integer"},
            "seeds": {"type": "array", "items": {"type": "integer"}},
            "steps": {"type": "integer"},
            "guidance": {"type": "number"},
            "size": {"type": "array", "items": {"type": "integer"}},
            "seconds": {"type": "object", "additionalProperties": {"type": "number"}},
            "flags": texts | {"description": "Stable words for programs."},
            "notes": texts | {"description": "Sentences for people."},
            "pictures": texts | {"description": "Data URLs, or addresses."},
        },
    }  # fmt: skip


def _job_schema() -> Schema:
    return {
        "type": "object",
        "required": ["id", "state", "place", "stage", "step", "steps", "url"],
        "properties": {
            "id": {"type": "string"},
            "state": {"type": "string", "enum": ["queued", "running", "done", "failed", "cancelled"]},
            "place": {"type": "integer", "description": "How many are before it."},
            "stage": {"type": "string"},
            "step": {"type": "integer"},
            "steps": {"type": "integer"},
            "url": {"type": "string"},
            "result": {"type": "string", "description": "Where to fetch it, once it is done."},
            "pictures": {"type": "integer"},
            "info": {"type": "object"},
            "error": _ref("Problem"),
        },
    }


def _engine_schema() -> Schema:
    limits = {"type": "object", "required": ["default", "minimum", "maximum"],
              "properties": {name: {"type": "number"} for name in ("default", "minimum", "maximum")}}
    names = {"type": "array", "items": {"type": "string"}}
    words = {name: {"type": "string"} for name in ("name", "id", "title", "description", "licence")}
    flags = {name: {"type": "boolean"} for name in ("commercial", "default")}
    fields = words | flags | {"parts": names, "sizes": names, "steps": limits, "guidance": limits}
    return {"type": "object", "required": list(fields), "properties": fields}
