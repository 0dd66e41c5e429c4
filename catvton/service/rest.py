"""The REST door: the same try-on for programs that speak plain HTTP. What it accepts says `catvton.service.openapi`.

Each handler reads top to bottom: who asks, may they, what do they want, whose turn is it, here you are.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from catvton.errors import InputError
from catvton.images import png_bytes
from catvton.options import check_mask_options, check_options
from catvton.result import PARTS, TryOnResult
from catvton.service import context, docs, openapi, wishes
from catvton.service.forms import FormReader, read_form
from catvton.service.jobs import Job, Pictures, new_job, unknown
from catvton.service.problems import HTTP, answer, problem, problem_of
from catvton.service.runs import finished

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from catvton.result import TryOnRequest
    from catvton.service.app import Service
    from catvton.service.gate import Ticket

PREFIX = "/v1"
LONGEST_PAUSE = 15.0  # seconds
JOB_ID = re.compile(r"[A-Za-z0-9_-]{22}")
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

NO_SUCH = {404: f"There is no such address: {PREFIX}/docs says which there are.",
           405: "This address does not take that method."}

Handler = Callable[[Request], Awaitable[Response]]


class Rest:
    """The door of one service, as an ASGI app to be mounted at `PREFIX`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reading = asyncio.Semaphore(service.settings.queue_size + 4)  # forms held in memory at once

    def app(self) -> ASGIApp:
        return _Boundary(Router([
            self._route("/tryon", "POST", self.tryon),
            self._route("/mask", "POST", self.mask),
            self._route("/engines", "GET", self.engines),
            self._route("/jobs", "POST", self.start_job),
            self._route("/jobs/{id}", "GET", self.job),
            self._route("/jobs/{id}", "DELETE", self.drop_job),
            self._route("/jobs/{id}/result", "GET", self.result),
            Route("/openapi.json", self.schema),
            Route("/docs", self.page),
        ], redirect_slashes=False), refused=self._service.metrics.refused)  # fmt: skip

    def _route(self, path: str, method: str, handler: Handler) -> Route:
        """A route that names itself for the figures and knows its caller."""

        async def named(request: Request) -> Response:
            context.route.set(PREFIX + path)
            request.state.caller = await self._service.rest_caller(request)
            context.account.set(request.state.caller.account)
            return await handler(request)

        return Route(path, named, methods=[method])

    # ---- pictures ----------------------------------------------------------------------------------------------------

    async def tryon(self, request: Request) -> Response:
        kind = wishes.accepted(request.headers.get("accept", ""))
        form, wish = await self._wish(request)
        links = wishes.links(form)
        ticket = await self._service.let_in(request.state.caller, "tryon", int(wish.variations))
        pictures = await finished(self._tryon_work(wish, ticket), gone=lambda: _gone(request))
        if kind == wishes.PNG:
            return _png(pictures)
        if links == "url":
            return await self._kept(request, pictures)
        return await _json(lambda: wishes.as_json(pictures))

    async def mask(self, request: Request) -> Response:
        kind = wishes.accepted(request.headers.get("accept", ""))
        form = await self._form(request, files=("person",), texts=("part", "engine"), what="mask")
        person, part, engine = self._mask_wish(form)
        ticket = await self._service.let_in(request.state.caller, "mask")

        def work(listen: Callable) -> Pictures:
            mask = self._service.tryon.mask(person, part, engine=engine, ticket=ticket, on_step=listen)
            return Pictures(files=[png_bytes(mask.mask)], info={"part": part, "notes": list(mask.notes)})

        pictures = await finished(work, gone=lambda: _gone(request))
        return _png(pictures) if kind == wishes.PNG else await _json(lambda: wishes.as_json(pictures))

    async def engines(self, request: Request) -> Response:
        return JSONResponse({"engines": openapi.engines(self._service.tryon.cards)})

    # ---- jobs --------------------------------------------------------------------------------------------------------

    async def start_job(self, request: Request) -> Response:
        _, wish = await self._wish(request)
        ticket = await self._service.let_in(request.state.caller, "tryon", int(wish.variations))
        job = new_job(owner=request.state.caller.account, place=ticket.place)
        try:
            await asyncio.to_thread(self._service.jobs.begin, job)
        except BaseException:
            ticket.leave()  # nobody else would
            raise
        self._service.jobs.start(job, self._tryon_work(wish, ticket))
        where = self._where(request, job)
        return JSONResponse(_told(job, where), status_code=202, headers={"Location": where} | self._pause(job))

    async def job(self, request: Request) -> Response:
        job = await self._known_job(request)
        return JSONResponse(_told(job, self._where(request, job)), headers=self._pause(job))

    async def result(self, request: Request) -> Response:
        kind = wishes.accepted(request.headers.get("accept", ""))
        job = await self._known_job(request)
        if job.problem is not None:
            return answer(job.problem)
        if job.state != "done":
            return answer(problem("job.unfinished", f"The job is {job.state}.",
                                  retry_after=None if job.finished else 1))
        pictures = await asyncio.to_thread(self._service.jobs.pictures, job)
        if kind == wishes.JSON:
            return await _json(lambda: wishes.as_json(pictures))
        return _png(pictures, number=_picture_number(request, pictures))

    async def drop_job(self, request: Request) -> Response:
        await asyncio.to_thread(self._service.jobs.drop, _job_id(request), owner=request.state.caller.account)
        return Response(status_code=204)

    async def _known_job(self, request: Request) -> Job:
        return await asyncio.to_thread(self._service.jobs.get, _job_id(request), owner=request.state.caller.account)

    async def _kept(self, request: Request, pictures: Pictures) -> Response:
        job = await asyncio.to_thread(self._service.jobs.keep, pictures, owner=request.state.caller.account)
        where = self._where(request, job) + "/result"
        urls = [f"{where}?picture={number}" for number in range(1, len(pictures.files) + 1)]
        return JSONResponse(wishes.as_json(pictures, urls=urls))

    def _pause(self, job: Job) -> dict[str, str]:
        """When to ask again: in half the time a job's turn is away, so that a long line does not keep asking."""
        if job.finished:
            return {}
        seconds = job.place * self._service.gate.usual / 2
        return {"Retry-After": str(round(min(max(seconds, 1), LONGEST_PAUSE)))}

    @staticmethod
    def _where(request: Request, job: Job) -> str:
        return f"{request.scope.get('root_path', PREFIX)}/jobs/{job.id}"

    # ---- what the door is --------------------------------------------------------------------------------------------

    async def schema(self, request: Request) -> Response:
        return JSONResponse(openapi.schema(self._service.tryon.cards, base=request.scope.get("root_path", PREFIX),
                                           keys_needed=self._service.settings.auth != "none"))

    async def page(self, request: Request) -> Response:
        described = openapi.schema(self._service.tryon.cards, base=request.scope.get("root_path", PREFIX),
                                   keys_needed=self._service.settings.auth != "none")
        return HTMLResponse(docs.page(described), headers={"Content-Security-Policy": DOCS_POLICY})

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def _wish(self, request: Request) -> tuple[dict[str, bytes], TryOnRequest]:
        form = await self._form(request, files=wishes.FILES, texts=(*wishes.OPTIONS, "pictures"), what="tryon")
        wish, cards = wishes.wish(form), self._service.tryon.cards
        check_options(wish, cards, default=next(iter(cards)))  # before it counts and waits
        return form, wish

    def _mask_wish(self, form: dict[str, bytes]) -> tuple[bytes, str, str]:
        cards = self._service.tryon.cards
        part, engine = check_mask_options(cards, part=wishes.text(form, "part", PARTS[0]),
                                          engine=wishes.text(form, "engine") or None)
        if not form.get("person"):
            raise InputError('The person photo is missing: send it as the file "person".', code="image.missing")
        return form["person"], part, engine

    async def _form(self, request: Request, *, files: tuple[str, ...], texts: tuple[str, ...],
                    what: str) -> dict[str, bytes]:
        await self._service.check(request.state.caller, what)  # before anything is read
        reader = FormReader(files=files, texts=texts, file_bytes=self._service.settings.limits.max_bytes)
        async with self._reading:
            return await read_form(request.stream(), request.headers.get("content-type", ""), reader)

    def _tryon_work(self, wish: TryOnRequest, ticket: Ticket) -> Callable[[Callable], Pictures]:
        def work(listen: Callable) -> Pictures:
            with closing(self._service.tryon.stream(wish, ticket=ticket)) as items:
                return wishes.pictures_of(_last(items, listen), show=wish.show)

        return work


class _Boundary:
    """Turns every error into a problem document; nothing leaves the door as an exception."""

    def __init__(self, app: ASGIApp, *, refused: Callable[[str], None]) -> None:
        self._app, self._refused = app, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException as error:
            sentence = NO_SUCH.get(error.status_code, f"{error.detail}.")
            await self._say(problem(f"{HTTP}{error.status_code}", sentence), scope, receive, send,
                            headers=error.headers)
        except ClientDisconnect:
            return
        except Exception as error:
            await self._say(problem_of(error), scope, receive, send)

    async def _say(self, said: dict[str, Any], scope: Scope, receive: Receive, send: Send,
                   headers: Any = None) -> None:
        self._refused(said["code"])
        response = answer(said)
        response.headers.update(headers or {})
        await response(scope, receive, send)


def _last(items: Iterator, listen: Callable) -> TryOnResult:
    for item in items:
        if isinstance(item, TryOnResult):
            return item
        listen(item)
    raise RuntimeError("a stream ended without a result")


async def _gone(request: Request) -> None:
    """Returns when the client has gone away. Its form must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _png(pictures: Pictures, *, number: int = 1) -> Response:
    info = {"X-Result-Info": json.dumps(pictures.info), "Cache-Control": "no-store"}
    return Response(pictures.files[number - 1], media_type=wishes.PNG, headers=info)


async def _json(make: Callable[[], dict[str, Any]]) -> Response:
    """Megabytes of base64, made elsewhere than in the event loop."""
    body = await asyncio.to_thread(lambda: json.dumps(make()))
    return Response(body, media_type=wishes.JSON, headers={"Cache-Control": "no-store"})


def _told(job: Job, where: str) -> dict[str, Any]:
    told = {"id": job.id, "state": job.state, "place": job.place, "stage": job.stage, "step": job.step,
            "steps": job.steps, "url": where}
    if job.state == "done":
        told |= {"result": f"{where}/result", "pictures": job.pictures, "info": job.info}
    return told if job.problem is None else told | {"error": job.problem}


def _job_id(request: Request) -> str:
    if not JOB_ID.fullmatch(request.path_params["id"]):
        raise unknown()
    return request.path_params["id"]


def _picture_number(request: Request, pictures: Pictures) -> int:
    wanted = request.query_params.get("picture", "1")
    if wanted not in map(str, range(1, len(pictures.files) + 1)):
        raise InputError(f"There is no such picture: 1 to {len(pictures.files)} are there.", code="option.picture")
    return int(wanted)
