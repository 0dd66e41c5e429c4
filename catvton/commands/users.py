"""`users`: the accounts of CATVTON_AUTH=password, and the API keys of the REST door."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.service.accounts import Accounts

STDIN = "read the password from the input instead of asking for it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _verb(verbs, "list", _list, "every account").add_argument("--json", action="store_true", help="for programs")
    add = _verb(verbs, "add", _add, "make an account", named=True)
    add.add_argument("--stdin", action="store_true", help=STDIN)
    add.add_argument("--no-password", action="store_true", help="an account for API keys only")
    _verb(verbs, "remove", _remove, "remove an account and its keys; who is signed in with it is out", named=True)
    password = _verb(verbs, "password", _password, "set an account's password; who is signed in stays so until the "
                     "server starts again", named=True)
    password.add_argument("--stdin", action="store_true", help=STDIN)
    key = _verb(verbs, "key", _key, "make an API key for an account; it is shown this once", named=True)
    key.add_argument("--list", action="store_true", help="list the ids of the account's keys instead")
    key.add_argument("--revoke", metavar="ID", help="make the key of that id worthless instead")


def _verb(verbs: Any, name: str, does: Callable[..., int], summary: str, *, named: bool = False
          ) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    if named:
        verb.add_argument("name", metavar="NAME", help="the account's name: letters a to z, digits and . _ @ -")
    verb.set_defaults(does=does)
    return verb


def run(args: argparse.Namespace) -> int:
    from catvton.service.accounts import Accounts
    from catvton.settings import Settings

    if hasattr(args, "name"):
        args.name = args.name.strip().lower()
    return args.does(Accounts.of(Settings()), args)


def _list(accounts: Accounts, args: argparse.Namespace) -> int:
    found = accounts.list()
    if args.json:
        print(json.dumps([{"name": each.name, "created": each.created.isoformat(), "password": each.password,
                           "keys": each.keys} for each in found]))
        return 0
    for each in found:
        how = "password" if each.password else "no password"
        print(f"{each.name:<32} {each.created:%Y-%m-%d}  {how}, {each.keys} API {'key' if each.keys == 1 else 'keys'}")
    if not found:
        print("There is no account yet: make one with `users add NAME`.")
    return 0


def _add(accounts: Accounts, args: argparse.Namespace) -> int:
    from catvton.service.accounts import checked_name

    checked_name(args.name)  # before anybody thinks up a password
    print(f"added:    {accounts.add(args.name, None if args.no_password else _new_password(args))}")
    return 0


def _remove(accounts: Accounts, args: argparse.Namespace) -> int:
    accounts.remove(args.name)
    print(f"removed:  {args.name}")
    return 0


def _password(accounts: Accounts, args: argparse.Namespace) -> int:
    if not accounts.exists(args.name):
        raise InputError(f'There is no account "{args.name}".', code="account.unknown")
    accounts.set_password(args.name, _new_password(args))
    print(f"changed:  {args.name}")
    return 0


def _key(accounts: Accounts, args: argparse.Namespace) -> int:
    if args.list:
        for each in accounts.keys(args.name):
            print(f"{each.id}  made {each.created:%Y-%m-%d %H:%M} UTC")
    elif args.revoke:
        accounts.revoke(args.name, args.revoke)
        print(f"revoked:  {args.revoke}")
    else:
        made, key = accounts.new_key(args.name)
        print(f"key:      {key}\nid:       {made.id} (revoke it with `users key {args.name} --revoke {made.id}`)\n"
              "note:     The key is not kept and cannot be shown again.")
    return 0


def _new_password(args: argparse.Namespace) -> str:
    if args.stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise InputError("These are two different passwords.", code="account.password")
    return first
