"""One server's service: made from the settings and a try-on, it lets callers in and knows how it is doing."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount

from catvton.errors import SettingsError
from catvton.service import context, health
from catvton.service.accounts import Accounts
from catvton.service.callers import Caller
from catvton.service.edge import BodyLimit, Edge, Traffic, form_limit, security_headers
from catvton.service.gate import Gate, Ticket
from catvton.service.gated import GatedTryOn
from catvton.service.jobs import Jobs
from catvton.service.limits import Limiter, read_windows
from catvton.service.logins import Logins
from catvton.service.metrics import Metrics
from catvton.service.problems import problem_of
from catvton.service.readiness import Readiness
from catvton.service.refusals import NotSignedIn, Refused
from catvton.service.rest import PREFIX, Rest
from catvton.service.results import MemoryResults, SharedResults
from catvton.service.sharing import SharedRedis

if TYPE_CHECKING:
    from starlette.requests import Request

    from catvton.settings import Settings
    from catvton.tryon import TryOn

log = logging.getLogger(__name__)

LINGER = 5.0  # seconds without any request, after which nobody is expected to fetch the picture of the last run


class Service:
    """Accounts, limits, queue, jobs and figures around one `TryOn`.

    Attributes:
        tryon: the same verbs behind the queue; every door must use this one.

    Raises:
        SettingsError: the settings ask for what there cannot be.
    """

    def __init__(self, settings: Settings, tryon: TryOn) -> None:
        check_auth(settings)
        self.settings = settings
        self.gate = Gate(settings.queue_size)
        self._traffic = Traffic()
        self.metrics = Metrics({
            "queue_length": ("Requests that wait for their turn.", lambda: self.gate.waiting),
            "jobs_in_flight": ("Requests at work.", lambda: self.gate.running),
        })
        self.readiness = Readiness(next(iter(tryon.cards.values())).id)
        self.tryon = GatedTryOn(tryon=tryon, gate=self.gate, metrics=self.metrics, readiness=self.readiness)
        self._shared = shared_redis(settings, self.metrics)
        self._limiter = Limiter(read_windows(settings.rate_limits), name="requests", shared=self._shared)
        results = SharedResults(self._shared) if self._shared else MemoryResults()
        self.jobs = Jobs(results, problem_of=problem_of)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts, opened when they are first asked for."""
        return Accounts.of(self.settings)

    @cached_property
    def logins(self) -> Logins:
        return Logins(self.accounts, shared=self._shared)

    # ---- letting callers in ------------------------------------------------------------------------------------------

    def admit(self, request: Any, what: str, pictures: int = 1, *, door: str = "page") -> Caller:
        """Let a gradio event in, counting what it asks for. Call it first, in the event's own thread.

        Args:
            request: the event's gr.Request; what: "tryon" or "mask"; pictures: how many are to be made.
            door: how the figures name it.

        Raises:
            Refused: not signed in, too often, too many waiting; `.wait_seconds` says when to come back.
        """
        caller = self.page_caller(request)
        state = request.request.state
        context.request_id.set(getattr(state, "request_id", ""))
        context.route.set(door)
        context.account.set(caller.account)
        self.gate.check()
        self._limiter.hit(caller.key, what, cost=pictures)
        return caller

    def page_caller(self, request: Any) -> Caller:
        """Who a gradio event comes from. Raises NotSignedIn."""
        account = self._account_of_page(request)
        if self.settings.auth != "none" and not account:
            raise NotSignedIn("Please sign in first.")
        return Caller(account=account, address=getattr(request.request.state, "address", ""))

    def _account_of_page(self, request: Any) -> str:
        if self.settings.auth == "password":
            name = (request.username or "").strip().lower()
            return name if name and self.accounts.exists(name) else ""
        if self.settings.auth == "huggingface":
            return hub_account(request.request)
        return ""

    async def rest_caller(self, request: Request) -> Caller:
        """Who a REST request comes from. Raises NotSignedIn."""
        address = getattr(request.state, "address", "")
        said = request.headers.get("authorization", "")
        if not said:
            if self.settings.auth != "none":
                raise NotSignedIn("An API key is needed: send it as Authorization: Bearer KEY.")
            return Caller(address=address)
        scheme, _, key = said.partition(" ")
        name = await asyncio.to_thread(self.accounts.of_key, key.strip()) if scheme.lower() == "bearer" else None
        if name is None:
            raise NotSignedIn("This API key is not known, or was revoked.", code="account.key")
        return Caller(account=name, address=address)

    async def check(self, caller: Caller, what: str) -> None:
        """Raises what `let_in` would raise now; counts nothing."""
        self.gate.check()
        await asyncio.to_thread(self._limiter.check, caller.key, what)

    async def let_in(self, caller: Caller, what: str, pictures: int = 1) -> Ticket:
        """Count a REST request and give it its place in the line. Raises Refused."""
        ticket = self.gate.enter()
        try:
            await asyncio.to_thread(self._limiter.hit, caller.key, what, cost=pictures)
        except BaseException:
            ticket.leave()
            raise
        return ticket

    async def login(self, name: str, password: str) -> bool:
        """For gradio's `auth`. Too many wrong passwords are answered 429, a database that is away 503."""
        try:
            return await self.logins.check(name, password, address=context.address.get())
        except Refused as error:
            self.metrics.refused(error.code)
            said = problem_of(error)
            raise HTTPException(said["status"], str(error), headers={"Retry-After": str(error.wait_seconds)}) from None

    # ---- HTTP --------------------------------------------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        """The REST door and the operator's answers, for any Starlette or FastAPI app."""
        return [Mount(PREFIX, Rest(self).app()), *health.routes(self)]

    def middleware(self) -> list[Middleware]:
        """What every request to that app passes, the page's too."""
        return [
            Middleware(Edge, hops=self.settings.trusted_proxy_hops, metrics=self.metrics, traffic=self._traffic,
                       headers=security_headers(self.settings.frame_ancestors)),
            Middleware(BodyLimit, form_bytes=form_limit(self.settings.limits.max_bytes),
                       refused=self.metrics.refused),
        ]  # fmt: skip

    # ---- ending ------------------------------------------------------------------------------------------------------

    def drain(self, seconds: float) -> None:
        """Let nobody in any more and wait for the run at work, and for its picture to be fetched.

        Takes at most `seconds`, and a little longer where the run ends at the last moment.
        """
        busy, started = self.gate.running, time.monotonic()
        self.gate.close()
        if not busy or not self.gate.drained(seconds):
            return
        ended = time.monotonic()
        latest = max(started + seconds, ended + LINGER)
        while self._traffic.quiet(ended) < LINGER and time.monotonic() < latest:
            time.sleep(0.1)

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()
        if "accounts" in vars(self):
            self.accounts.close()


def shared_redis(settings: Settings, metrics: Metrics) -> SharedRedis | None:
    """The Redis the settings name, if any. Nothing is asked of it yet."""
    if settings.redis_url is None:
        return None
    return SharedRedis(settings.redis_url.get_secret_value(), on_outage=metrics.outages.inc)


def check_auth(settings: Settings) -> None:
    """Raises SettingsError where signing in the way the settings say cannot work here."""
    if settings.auth != "huggingface":
        return
    # Without SYSTEM gradio takes the machine for a developer's, and signs everybody in as the developer.
    if os.environ.get("SYSTEM") != "spaces" or not os.environ.get("SPACE_ID") or not os.environ.get("OAUTH_CLIENT_ID"):
        raise SettingsError("CATVTON_AUTH=huggingface works on Hugging Face Spaces only, where the README's front "
                            "matter says hf_oauth: true: SYSTEM=spaces, SPACE_ID and OAUTH_CLIENT_ID are then set. "
                            "Elsewhere use CATVTON_AUTH=password.")
    try:
        import authlib  # noqa: F401
        import itsdangerous  # noqa: F401
    except ImportError as error:
        raise SettingsError("CATVTON_AUTH=huggingface needs more packages: python -m pip install -r "
                            "requirements-spaces.txt") from error


def hub_account(request: Request) -> str:
    """The name of the Hugging Face account a page is signed in with, or ""."""
    info = request.session.get("oauth_info") if "session" in request.scope else None
    if not info or info.get("expires_at", 0) < time.time():
        return ""
    return str(info.get("userinfo", {}).get("preferred_username", "")).lower()  # as accounts are kept
