"""Requests of any shape for the REST door, drawn from its own OpenAPI document, and what every answer must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import strategies as st

from tests import hostile, tiny
from tests.rest_client import Door, png

NOBODYS = "a" * 22
OCTETS = "application/octet-stream"
ACCEPTS = ("image/png", "application/json", "*/*", "image/png;q=0.1, application/json;q=0.9", "text/html", "", ";;q=,",
           "application/json;q=2")
KEYS = ("Bearer wrong", "Bearer ", "Basic Zm9v", "\x7f", "Bearer " + "x" * 3000)


def sound_files() -> dict[str, bytes]:
    return {
        "person": png(tiny.person((40, 60))),
        "garment": png(tiny.garment()),
        "mask": png(tiny.Image.fromarray(tiny.mask((40, 60)))),
        **{kind: hostile.good(kind) for kind in ("JPEG", "WEBP", "GIF")},
    }


@dataclass
class Fuzz:
    """One door under fire.

    Attributes:
        outcomes: {(operation, status): how often}.
    """

    rest: Door
    schema: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=sound_files)
    jobs: list[str] = field(default_factory=list)
    outcomes: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._bodies = {operation["operationId"]: self._body(operation)
                        for _, _, operation in self._operations() if "requestBody" in operation}

    @classmethod
    def of(cls, rest: Door) -> Fuzz:
        return cls(rest, rest.get("/v1/openapi.json").json())

    def once(self, data: st.DataObject) -> None:
        """Draw a request, send it, and look at what comes back."""
        draw = data.draw
        path, method, operation = draw(st.sampled_from(self._operations()))
        options: dict[str, Any] = {"headers": draw(self._headers()), "params": draw(self._query(operation))}
        if "requestBody" in operation:
            spoilt = draw(self._bodies[operation["operationId"]])
            options["headers"] |= spoilt.pop("headers", {})
            options |= spoilt
        url = "/v1" + path.replace("{id}", self._known(draw(_id())))
        answer = self.rest.client.request(method, url, **{name: value for name, value in options.items() if value})
        self._look(operation, answer)

    def _operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(path, method, operation) of each, and those that take pictures several times."""
        return [(path, method.upper(), operation) for path, item in self.schema["paths"].items()
                for method, operation in item.items() if method != "parameters"
                for _ in range(4 if "requestBody" in operation else 1)]

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def _headers(self) -> st.SearchStrategy:
        letters = st.characters(codec="ascii", exclude_categories=["Cc"])
        accept = st.sampled_from(ACCEPTS) | st.text(letters, max_size=40)
        key = st.sampled_from(KEYS) if self.rest.service.settings.auth == "none" else st.nothing()
        rarely = st.integers(0, 19).flatmap(lambda number: key if number == 0 else st.none())
        usual = st.sampled_from(ACCEPTS[:4])
        return st.tuples(st.one_of(usual, usual, usual, accept), rarely).map(
            lambda drawn: {"Accept": drawn[0]} | ({"Authorization": drawn[1]} if drawn[1] else {}))

    def _query(self, operation: dict[str, Any]) -> st.SearchStrategy:
        known = [each["name"] for each in operation.get("parameters", [])]
        value = st.sampled_from(("1", "2", "0", "-1", "x", "1e9", "")) | st.text(max_size=10)
        return st.dictionaries(st.sampled_from([*known, "other"]), value, max_size=2)

    def _known(self, drawn: int | str) -> str:
        """A number as the id of a job there is. What is drawn must not depend on which there are, or nothing could be
        drawn again."""
        if isinstance(drawn, str):
            return drawn
        return self.jobs[drawn % len(self.jobs)] if self.jobs else NOBODYS

    def _body(self, operation: dict[str, Any]) -> st.SearchStrategy:
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        right = self._form(form, self._right)
        return st.one_of(right, right, self._form(form, self._any), self._form(form, self._any, required=()),
                         right.flatmap(_damaged))

    @staticmethod
    def _form(form: dict[str, Any], fill: Callable, required: Collection[str] | None = None) -> st.SearchStrategy:
        fields = {name: fill(name, each) for name, each in form["properties"].items()}
        if required is not None:
            fields["stray"] = st.text(max_size=5)
        needed = form["required"] if required is None else required
        return st.fixed_dictionaries(
            {name: fields[name] for name in needed},
            optional={name: each for name, each in fields.items() if name not in needed},
        ).map(_as_form)

    def _right(self, name: str, accepted: dict[str, Any]) -> st.SearchStrategy:
        """What the document says is accepted."""
        if accepted.get("format") == "binary":
            return st.just(self.files[name])
        if "enum" in accepted:
            return st.sampled_from(accepted["enum"])
        if accepted["type"] == "integer":
            return st.integers(accepted["minimum"], min(accepted["maximum"], accepted["minimum"] + 4)).map(str)
        return st.floats(accepted["minimum"], accepted["maximum"]).map(str)

    def _any(self, name: str, accepted: dict[str, Any]) -> st.SearchStrategy:
        """That, or anything else."""
        if accepted.get("format") == "binary":
            mutated = st.sampled_from(sorted(self.files)).map(self.files.get).flatmap(_mutated)
            return st.one_of(self._right(name, accepted), mutated, st.binary(max_size=200))
        wrong = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str),
                          st.sampled_from(("", " ", "null", "0x1", "1_0", "\x00", "-0", "9" * 190, "9" * 300)))
        return st.one_of(self._right(name, accepted), self._right(name, accepted), wrong)

    # ---- looking -----------------------------------------------------------------------------------------------------

    def _look(self, operation: dict[str, Any], answer: httpx.Response) -> None:
        self.outcomes[operation["operationId"], answer.status_code] += 1
        told = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]!r}"
        assert answer.status_code < 500, told
        declared = operation["responses"].get(str(answer.status_code))
        assert declared is not None or (answer.status_code == 404 and "job" not in answer.request.url.path), told
        assert answer.headers["x-request-id"] and answer.headers["x-content-type-options"] == "nosniff"
        kinds = (declared or {}).get("content", {})
        kind = answer.headers.get("content-type")
        assert kind in kinds or (not kinds and not answer.content), told
        if kind == "image/png":
            assert answer.content.startswith(b"\x89PNG\r\n")
        elif kinds:
            self._follows(answer.json(), kinds[kind]["schema"])
        if answer.status_code == 202:
            self.jobs = [*self.jobs[-9:], answer.json()["id"]]

    def _follows(self, found: Any, schema: dict[str, Any]) -> None:
        """Whether JSON is of the shape the document says, as far as our own document goes."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._follows(found, self.schema["components"]["schemas"][name])
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}
        assert isinstance(found, kinds[schema["type"]]), (found, schema)
        assert "enum" not in schema or found in schema["enum"]
        if schema["type"] == "array":
            for each in found:
                self._follows(each, schema["items"])
        if schema["type"] == "object":
            assert set(schema.get("required", ())) <= set(found), (found, schema)
            for name in set(found) & set(schema.get("properties", ())):
                self._follows(found[name], schema["properties"][name])
        return None


def _id() -> st.SearchStrategy:
    odd = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="/?#%.\\"),
                  min_size=1, max_size=30)
    return st.one_of(st.integers(0, 9), st.just(NOBODYS), odd)


def _as_form(fields: dict[str, Any]) -> dict[str, Any]:
    files = {name: (f"../{name}<b>.png", value, OCTETS) for name, value in fields.items() if isinstance(value, bytes)}
    texts = {name: (None, value.encode("utf-8", "surrogatepass")) for name, value in fields.items()
             if isinstance(value, str)}
    return {"files": files | texts}


def _damaged(form: dict[str, Any]) -> st.SearchStrategy:
    """The same form with its bytes or its content type spoilt."""
    request = httpx.Request("POST", "http://x", **form)
    body, kind = request.read(), request.headers.get("content-type", "")
    kinds = st.sampled_from((kind, kind, kind, "multipart/form-data", "multipart/form-data; boundary=other",
                             "multipart/form-data; boundary=", "text/plain", "application/json", "multipart/mixed; x"))
    return st.tuples(_mutated(body), kinds).map(
        lambda drawn: {"content": drawn[0], "headers": {"Content-Type": drawn[1]}})


def _mutated(data: bytes) -> st.SearchStrategy:
    """Bytes cut off, overwritten, repeated or put in somewhere."""
    place = st.integers(0, len(data))
    piece = st.binary(max_size=40)
    return st.one_of(
        place.map(lambda at: data[:at]),
        st.tuples(place, piece).map(lambda drawn: data[: drawn[0]] + drawn[1] + data[drawn[0] + len(drawn[1]):]),
        st.tuples(place, piece).map(lambda drawn: data[: drawn[0]] + drawn[1] + data[drawn[0]:]),
        st.tuples(place, place).map(lambda drawn: data[min(drawn): max(drawn)] + data),
    )
