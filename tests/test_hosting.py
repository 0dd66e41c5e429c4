"""On a Hugging Face Space: the defaults that let it be reached, and the weights it fetches by itself."""

from __future__ import annotations

import pytest

from catvton.cards import read_versions
from catvton.errors import SettingsError
from catvton.hub.verify import faults
from catvton.hub.wished import fetch_wished
from catvton.service.edge import security_headers
from catvton.settings import Settings
from tests.hub_world import registry, small_hub


@pytest.fixture
def space(monkeypatch, tmp_path):
    monkeypatch.setenv("SPACE_ID", "ana/catvton-studio")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_space_is_reached_through_its_proxy_and_in_the_hubs_frame(space):
    settings = Settings()
    assert (settings.host, settings.port, settings.trusted_proxy_hops) == ("0.0.0.0", 7860, 1)
    headers = security_headers(settings.frame_ancestors)
    assert "frame-ancestors 'self' https://huggingface.co" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers


def test_what_an_operator_says_wins_there_too(space, monkeypatch):
    (space / ".env").write_text("CATVTON_FRAME_ANCESTORS=https://shop.example\n")
    monkeypatch.setenv("CATVTON_HOST", "127.0.0.1")
    settings = Settings(trusted_proxy_hops=3)
    assert (settings.host, settings.trusted_proxy_hops) == ("127.0.0.1", 3)
    assert settings.frame_ancestors == "https://shop.example"


def test_elsewhere_nothing_changes(monkeypatch, tmp_path):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert (settings.host, settings.trusted_proxy_hops, settings.frame_ancestors) == ("127.0.0.1", 0, "")


# ---- CATVTON_DOWNLOAD ------------------------------------------------------------------------------------------------


@pytest.fixture
def wished(monkeypatch, tmp_path):
    """Settings that wish for engines, against a hub on this machine."""
    monkeypatch.chdir(tmp_path)
    given = {"models_dir": tmp_path / "models", "registry": registry(tmp_path)}
    with small_hub() as hub:
        hub.point_here(monkeypatch, token_file=tmp_path / "no token")
        yield hub, lambda wish, **more: Settings(download=wish, **given, **more)


def complete(settings: Settings, name: str, version: str) -> bool:
    card = read_versions(overlay=settings.registry, models_dir=settings.models_dir)[name][version]
    return card.install is not None and not faults(card, full=True)


def test_what_is_wished_for_is_there_before_the_server_starts_and_fetched_once(wished):
    hub, settings = wished
    fetch_wished(settings("demo@blue other compact"))
    assert complete(settings(""), "demo", "blue") and complete(settings(""), "other", "1")
    assert not complete(settings(""), "demo", "red")
    hub.forget()
    fetch_wished(settings("demo@blue other"))
    assert not hub.requests


def test_nothing_is_downloaded_unasked(wished):
    hub, settings = wished
    fetch_wished(settings(""))
    assert not hub.requests


def test_a_hub_that_has_it_not_is_no_reason_not_to_serve(wished, caplog):
    hub, settings = wished
    hub.hidden = {"maker/demo"}
    fetch_wished(settings("demo other"))
    assert "demo@red was not downloaded" in caplog.text
    assert complete(settings(""), "other", "1")


@pytest.mark.parametrize(("wish", "more", "words"), [("demoo", {}, "no engine"), ("demo@green", {}, "no version"),
                                                     ("demo", {"commercial_only": True}, "commercial")])
def test_what_cannot_be_wished_for_ends_the_start_in_words(wished, wish, more, words):
    hub, settings = wished
    with pytest.raises(SettingsError, match=f"CATVTON_DOWNLOAD: .*{words}"):
        fetch_wished(settings(wish, **more))
    assert not hub.requests
