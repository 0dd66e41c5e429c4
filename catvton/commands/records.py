"""`records`: list what is remembered of jobs, and delete what is too old or what belongs to an account."""

from __future__ import annotations

import argparse
import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.records import Job
    from catvton.records.store import Records
    from catvton.settings import Settings

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MOST_DAYS = 36_500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="WHAT", required=True, dest="verb")
    listed = verbs.add_parser("list", help="the newest jobs, and how many ended how")
    listed.add_argument("--account", metavar="USER", help="only those of one account")
    listed.add_argument("--limit", type=_count, default=20, metavar="N", help="how many, at most 10000 (default: 20)")
    listed.add_argument("--json", action="store_true", help="one JSON object per job on the output, for programs")
    purge = verbs.add_parser("purge", help="delete old records, and results of that age kept on this machine")
    purge.add_argument("--older-than", required=True, type=age, metavar="AGE", help="like 30d, 12h or 6w")
    forget = verbs.add_parser("forget", help="delete all records of an account, and its results kept on this machine")
    forget.add_argument("account", metavar="USER", help="the account's name")


def run(args: argparse.Namespace) -> int:
    from catvton.records.store import Records
    from catvton.settings import Settings

    settings = Settings()
    with closing(Records.of(settings)) as records:
        print({"list": _list, "purge": _purge, "forget": _forget}[args.verb](records, settings, args))
    return 0


def age(text: str) -> timedelta:
    """A length of time like "30d": a whole number and one of m, h, d, w. For argparse."""
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip().lower())
    length = timedelta(**{UNITS[found[2]]: int(found[1])}) if found else timedelta.max
    if length > timedelta(days=MOST_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r} is no age: a whole number and m, h, d or w is accepted, like 30d")
    return length


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError("a whole number from 1 to 10000 is accepted")
    return int(text)


def _list(records: Records, settings: Settings, args: argparse.Namespace) -> str:
    jobs = records.list(account=args.account, limit=args.limit)
    if args.json:
        return "\n".join(json.dumps(job.info()) for job in jobs)
    counts = ", ".join(f"{number} {outcome}" for outcome, number in records.outcomes().items())
    return "\n".join([*map(_line, jobs), f"in all:   {counts or 'nothing is recorded'}"])


def _line(job: Job) -> str:
    who, what = job.account or "-", f"{job.engine or '-'} {job.part or '-'}"
    return f"{job.id}  {job.time:%Y-%m-%d %H:%M}  {who:<16}  {what:<28}  {', '.join([job.outcome, *job.flags])}"


def _purge(records: Records, settings: Settings, args: argparse.Namespace) -> str:
    from catvton.records.history import History

    gone = records.purge(before=datetime.now(UTC) - args.older_than)
    files = History.of(settings, hours=args.older_than / timedelta(hours=1)).sweep()
    return f"deleted:  {gone} records, {files} kept results"


def _forget(records: Records, settings: Settings, args: argparse.Namespace) -> str:
    from catvton.records.history import History

    if not args.account:
        raise InputError("Name the account whose records are to be deleted.", code="records.account")
    gone = records.forget(args.account)
    kept = History.of(settings, hours=0).forget(gone)
    return f"deleted:  {len(gone)} records, {kept} kept results"
