"""Accounts: nothing in the database lets anybody in, and the command line says in words what it did."""

import asyncio
import hashlib
import json
import sqlite3
import sys

import pytest
from argon2 import PasswordHasher

from catvton import cli
from catvton.errors import InputError, SettingsError
from catvton.service import accounts as module
from catvton.service.accounts import Accounts, AccountsAway
from catvton.service.limits import Window
from catvton.service.logins import Logins, TooManyLogins
from catvton.settings import Settings


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """The same hash with less work, so that a hundred of them take no time; and a folder for the database."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(module, "_hasher", lambda: hasher)
    monkeypatch.setenv("CATVTON_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return hasher


@pytest.fixture
def accounts():
    return Accounts.of(Settings())


def code_of(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_password_opens_its_own_account_only(accounts):
    accounts.add("ana", "correct horse")
    accounts.add("ben", "battery staple")
    assert accounts.opens("ana", "correct horse")
    for name, password in (("ana", "battery staple"), ("ana", ""), ("ana", "correct hors"), ("eva", "correct horse"),
                           ("ana' OR '1'='1", "x"), ("ana", "correct horse" + "x" * 5000)):
        assert not accounts.opens(name, password)


def test_names_are_one_however_they_are_written(accounts):
    assert accounts.add(" Ana.B@shop-1 ", "correct horse") == "ana.b@shop-1"
    assert code_of(accounts.add, "ANA.b@shop-1", "correct horse") == "account.taken"


@pytest.mark.parametrize("name", ["", "a b", "../x", "ä", "<b>", "-x", "x" * 65, "x\ny", "x\0"])
def test_other_names_are_refused(accounts, name):
    assert code_of(accounts.add, name, "correct horse") == "account.name"


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_so_are_passwords_too_short_or_too_long(accounts, password):
    assert code_of(accounts.add, "ana", password) == "account.password"
    assert accounts.list() == []


def test_the_database_holds_neither_passwords_nor_keys(accounts):
    accounts.add("ana", "correct horse")
    made, key = accounts.new_key("ana")
    content = "\n".join(sqlite3.connect("catvton.db").iterdump())
    assert "correct horse" not in content and key not in content and key.removeprefix("catvton_") not in content
    assert "$argon2id$" in content and hashlib.sha256(key.encode()).hexdigest() in content and made.id in content


def test_the_hash_is_argon2id_with_the_librarys_present_cost():
    hashed = PasswordHasher().hash("correct horse")  # what `_hasher` makes where it is not replaced
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_hash_of_less_work_is_renewed_at_the_next_login(accounts, monkeypatch):
    accounts.add("ana", "correct horse")
    stronger = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    monkeypatch.setattr(module, "_hasher", lambda: stronger)
    assert accounts.opens("ana", "correct horse")
    assert "t=2" in "\n".join(sqlite3.connect("catvton.db").iterdump())
    assert accounts.opens("ana", "correct horse")


def test_keys_open_until_they_are_revoked(accounts):
    accounts.add("ana", None)
    (first, one), (_, other) = accounts.new_key("ana"), accounts.new_key("ana")
    assert one != other and len(one) == len("catvton_") + 43
    assert accounts.of_key(one) == accounts.of_key(other) == "ana"
    assert next(key.id for key in accounts.keys("ana")) == first.id
    accounts.add("ben", None)
    assert code_of(accounts.revoke, "ben", first.id) == "account.key"  # not his
    accounts.revoke("ana", first.id)
    assert accounts.of_key(one) is None and accounts.of_key(other) == "ana"
    for wrong in ("", "catvton_", other[:-1], other + "x", "\ud800"):
        assert accounts.of_key(wrong) is None


def test_an_account_without_a_password_cannot_sign_in(accounts):
    accounts.add("bot", None)
    for password in ("", "None", "null", "correct horse"):
        assert not accounts.opens("bot", password)


def test_what_is_removed_is_gone_with_its_keys(accounts):
    accounts.add("ana", "correct horse")
    _, key = accounts.new_key("ana")
    accounts.remove("ana")
    assert not accounts.exists("ana") and accounts.of_key(key) is None and not accounts.opens("ana", "correct horse")
    accounts.add("ana", "another one")  # a new account of that name does not inherit
    assert accounts.of_key(key) is None
    for call in (accounts.remove, accounts.new_key, accounts.keys):
        assert code_of(call, "nobody") == "account.unknown"
    assert code_of(accounts.set_password, "nobody", "correct horse") == "account.unknown"


def test_a_list_shows_every_account(accounts):
    accounts.add("ben", None)
    accounts.add("ana", "correct horse")
    accounts.new_key("ben")
    assert [(each.name, each.password, each.keys) for each in accounts.list()] == [("ana", True, 0), ("ben", False, 1)]


@pytest.mark.parametrize("url", ["nonsense", "postgresql+nothing://u:secret@h/d"])
def test_an_address_of_no_database_is_refused_without_its_password(url):
    with pytest.raises(SettingsError, match="CATVTON_DATABASE_URL") as caught:
        Accounts.of(Settings(database_url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:////proc/no/x.db", "postgresql://u:secret@127.0.0.1:1/d"])
def test_a_database_that_does_not_answer_is_told_as_such(url, caplog):
    away = Accounts.of(Settings(database_url=url))
    for call in (away.list, lambda: away.of_key("x"), lambda: away.opens("ana", "correct horse")):
        with pytest.raises(AccountsAway) as caught:
            call()
        assert caught.value.wait_seconds == 5
    assert "secret" not in caplog.text and "ana" not in caplog.text


# ---- signing in ------------------------------------------------------------------------------------------------------


def attempt(logins, name, password, address="1.1.1.1"):
    return asyncio.run(logins.check(name, password, address=address))


def test_whoever_guesses_is_made_to_wait(accounts, monkeypatch):
    monkeypatch.setattr("catvton.service.logins.PER_NAME", (Window(count=3, seconds=300),))
    monkeypatch.setattr("catvton.service.logins.PER_ADDRESS", (Window(count=5, seconds=300),))
    accounts.add("ana", "correct horse")
    accounts.add("ben", "battery staple")
    logins = Logins(accounts)
    for number in range(3):
        assert not attempt(logins, "ana", f"guess {number}", address=f"9.9.9.{number}")
    with pytest.raises(TooManyLogins, match="too many wrong passwords") as caught:
        attempt(logins, " ANA ", "correct horse", address="9.9.9.9")  # even with the right one
    assert 290 < caught.value.wait_seconds <= 300 and caught.value.code == "login.throttled"
    for number in range(5):  # many names from one address
        assert not attempt(logins, f"name{number}", "guess")
    with pytest.raises(TooManyLogins):
        attempt(logins, "ben", "battery staple")
    assert attempt(logins, "ben", "battery staple", address="2.2.2.2")


def test_a_right_password_starts_the_count_again(accounts, monkeypatch):
    monkeypatch.setattr("catvton.service.logins.PER_NAME", (Window(count=3, seconds=300),))
    accounts.add("ana", "correct horse")
    logins = Logins(accounts)
    for _ in range(4):
        assert not attempt(logins, "ana", "wrong")
        assert not attempt(logins, "ana", "wrong")
        assert attempt(logins, "ana", "correct horse")


# ---- the command -----------------------------------------------------------------------------------------------------


def users(*arguments, said=None, monkeypatch=None):
    if said is not None:
        monkeypatch.setattr(sys, "stdin", iter_lines(said))
    return cli.main(["users", *arguments])


def iter_lines(text):
    import io

    return io.StringIO(text)


def test_users_from_the_command_line(capsys, monkeypatch):
    assert users("list") == 0 and "no account yet" in capsys.readouterr().out
    assert users("add", "Ana", "--stdin", said="correct horse\n", monkeypatch=monkeypatch) == 0
    assert "added:    ana" in capsys.readouterr().out
    assert Accounts.of(Settings()).opens("ana", "correct horse")
    assert users("password", "ana", "--stdin", said="another one\r\n", monkeypatch=monkeypatch) == 0
    assert Accounts.of(Settings()).opens("ana", "another one")

    assert users("key", "ana") == 0
    shown = capsys.readouterr().out
    key = next(word for word in shown.split() if word.startswith("catvton_"))
    assert Accounts.of(Settings()).of_key(key) == "ana" and "cannot be shown again" in shown
    assert users("key", "ana", "--list") == 0
    listed = capsys.readouterr().out
    assert key not in listed and len(listed.splitlines()) == 1
    assert users("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["keys"] == 1
    assert users("key", "ana", "--revoke", listed.split()[0]) == 0
    assert Accounts.of(Settings()).of_key(key) is None

    assert users("remove", "ana") == 0
    assert Accounts.of(Settings()).list() == []


def test_the_password_is_asked_for_twice(capsys, monkeypatch):
    answers = iter(["correct horse", "correct hose", "correct horse", "correct horse"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert users("add", "ana") == 2 and "two different passwords" in capsys.readouterr().err
    assert users("add", "ana") == 0
    assert Accounts.of(Settings()).opens("ana", "correct horse")


@pytest.mark.parametrize(("arguments", "words"), [
    (("add", "a b", "--no-password"), "letters a to z"),
    (("remove", "nobody"), 'no account "nobody"'),
    (("password", "nobody"), 'no account "nobody"'),
    (("key", "nobody"), 'no account "nobody"'),
    (("key", "nobody", "--revoke", "x"), 'no key "x"'),
])
def test_a_mistake_is_one_sentence(capsys, arguments, words):
    assert users(*arguments) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1
