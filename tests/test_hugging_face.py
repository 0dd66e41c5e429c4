"""CATVTON_AUTH=huggingface as on a Space: signing in through a provider of our own that speaks as the hub does."""

import base64
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import gradio.oauth
import httpx
import pytest
import uvicorn
from gradio_client.exceptions import AppError
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from catvton.errors import SettingsError
from catvton.service.accounts import Accounts
from catvton.service.app import Service
from catvton.settings import Settings
from tests.gradio_clients import connect, photos_in
from tests.rest_client import bearer, pictures, problem, wait_until
from tests.web_fakes import FakeTryOn, serving

SPACE = {"SYSTEM": "spaces", "SPACE_ID": "ana/try-on", "OAUTH_CLIENT_ID": "the-space",
         "OAUTH_CLIENT_SECRET": "its-secret", "OAUTH_SCOPES": "openid profile"}

# On a Space gradio starts a thread for hot reloading, which ends at once where the package `spaces` is missing.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Provider:
    """An OpenID provider: whoever comes to it is `name`."""

    def __init__(self, name: str) -> None:
        self.name, self.url = name, ""
        self._key = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self._nonces: dict[str, str] = {}

    def app(self) -> Starlette:
        return Starlette(routes=[
            Route("/.well-known/openid-configuration", self._about), Route("/keys", self._keys),
            Route("/token", self._token, methods=["POST"]),
        ])  # fmt: skip

    def consent(self, address: str) -> str:
        """What the visitor's browser is sent back with from the page at `address`: path and query."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(self.url + "/authorize") and asked["client_id"] == SPACE["OAUTH_CLIENT_ID"]
        self._nonces["the-code"] = asked["nonce"]
        back = urlsplit(asked["redirect_uri"])
        return f"{back.path}?{back.query}&code=the-code&state={asked['state']}"

    async def _about(self, request: Request) -> JSONResponse:
        return JSONResponse({"issuer": self.url, "authorization_endpoint": self.url + "/authorize",
                             "token_endpoint": self.url + "/token", "jwks_uri": self.url + "/keys",
                             "id_token_signing_alg_values_supported": ["RS256"]})

    async def _keys(self, request: Request) -> JSONResponse:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def _token(self, request: Request) -> JSONResponse:
        code = parse_qs((await request.body()).decode())["code"][0]
        said = request.headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(said).decode() == "the-space:its-secret"
        now = int(time.time())
        claims = {"iss": self.url, "aud": "the-space", "sub": "1", "iat": now, "exp": now + 600, "name": "Ana B.",
                  "nonce": self._nonces.pop(code), "preferred_username": self.name, "profile": "", "picture": ""}
        return JSONResponse({"access_token": "x", "token_type": "bearer", "expires_in": 600,
                             "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key)})


@contextmanager
def running(app):
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(300)


@pytest.fixture(scope="module")
def provider():
    provider = Provider("Ana-B")
    with running(provider.app()) as provider.url:
        yield provider


@pytest.fixture(scope="module")
def space(provider):
    """The environment of a Space that asks for signing in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SPACE, "OPENID_PROVIDER_URL": provider.url}.items():
            patch.setenv(name, value)
            if hasattr(gradio.oauth, name):  # read once, when gradio was imported
                patch.setattr(gradio.oauth, name, value)
        yield


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def server(space, tryon, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    with serving(tryon, folder, examples=False, auth="huggingface", data_dir=folder, rate_limits="2/day") as server:
        yield server


@pytest.fixture(scope="module")
def session(server, provider):
    """The cookie of a browser that signed in. By hand, as it is for https only."""
    jar = {}

    def get(path):
        answer = httpx.get(server.url.rstrip("/") + path, timeout=300,
                           headers={"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())})
        for each in answer.headers.get_list("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            jar[name] = value
            assert "httponly" in each.lower() and "secure" in each.lower()
        assert answer.status_code in (302, 307), answer.text
        return answer.headers["location"]

    assert get(provider.consent(get("/login/huggingface"))).startswith("/")
    return f"session={jar['session']}"


@pytest.fixture
def photos(tmp_path):
    return photos_in(tmp_path)


def test_who_is_not_signed_in_sees_the_page_and_no_more(server, tryon, photos):
    before = len(tryon.requests)
    assert httpx.get(server.url, timeout=300).status_code == 200
    for headers in ({}, {"Cookie": "session=" + base64.b64encode(json.dumps(
            {"oauth_info": {"userinfo": {"preferred_username": "ana-b"}, "expires_at": 2**40}}).encode()).decode()}):
        with pytest.raises(AppError, match="sign in") as caught:  # the second wrote his own cookie
            connect(server.url, headers=headers).predict(**photos, api_name="/tryon")
        assert caught.value.title == "account.missing"
    assert problem(httpx.post(server.url + "v1/tryon", files=pictures(), timeout=300), 401)["code"] == "account.missing"
    assert len(tryon.requests) == before


def test_who_signed_in_with_the_hub_works_and_is_counted_as_that_account(server, session, tryon, photos, tmp_path):
    visitor = connect(server.url, downloads=tmp_path, headers={"Cookie": session})
    for _ in range(2):
        visitor.predict(**photos, api_name="/tryon")
        assert tryon.requests[-1].account == "ana-b"
    again = connect(server.url, headers={"Cookie": session, "X-Forwarded-For": "203.0.113.9"})
    with pytest.raises(AppError, match="24 hours") as caught:
        again.predict(**photos, api_name="/tryon")
    assert caught.value.title == "limit.reached"
    # A key the operator made for that account counts with it.
    accounts = Accounts.of(server.service.settings)
    accounts.add("ana-b", None)
    key = accounts.new_key("ana-b")[1]
    assert problem(httpx.post(server.url + "v1/tryon", files=pictures(), headers=bearer(key), timeout=300), 429)


def test_a_session_that_is_over_is_no_session(server, session, photos, monkeypatch):
    soon = time.time() + 601
    monkeypatch.setattr("catvton.service.app.time.time", lambda: soon)
    with pytest.raises(AppError, match="sign in"):
        connect(server.url, headers={"Cookie": session}).predict(person=photos["person"], api_name="/mask")


@pytest.mark.parametrize("name", ["SYSTEM", "SPACE_ID", "OAUTH_CLIENT_ID"])
def test_without_what_a_space_sets_it_is_refused_in_words(space, monkeypatch, name):
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match="hf_oauth: true"):
        Service(Settings(auth="huggingface"), FakeTryOn())
