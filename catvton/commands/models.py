"""`models`: which engines there are, what they need, and everything that may happen to their weights."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from catvton.cards import ModelCard, find_card, read_versions
from catvton.errors import InputError, SettingsError
from catvton.hub import tables
from catvton.hub.offers import forbidden
from catvton.hub.sources import PRECISIONS
from catvton.hub.store import Store
from catvton.hub.verify import begun, faults

if TYPE_CHECKING:
    from catvton.hub.lock import Lock
    from catvton.hub.progress import Count
    from catvton.settings import Settings

ENGINE = "an engine, or one version of it: catvton or catvton@mix; `list` names them"

EXAMPLES = """examples:
  python -m catvton models list                       what there is, and what is on this disk
  python -m catvton models show catvton               what it is made of, from where, under which licences
  python -m catvton models download catvton           fetch it; run again, it goes on where it was stopped
  python -m catvton models verify                     read every byte of what is on this disk
  python -m catvton models use catvton@vitonhd        use another version
  python -m catvton models rollback catvton           back to the one before
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, do: Callable[[_Place, argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        child = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        child.set_defaults(do=do)
        child.add_argument("--json", action="store_true", help="JSON on the output, for programs")
        return child

    action("list", _list, "every engine and version, and which are on this disk")
    action("show", _show, "one engine: its parts, files, licences and places").add_argument("engine", help=ENGINE)
    _download_arguments(action("download", _download, "fetch an engine's weights, or the rest of them"))
    verify = action("verify", _verify, "read the weights on this disk and name every file that is not as it should be")
    verify.add_argument("engine", nargs="?", help=f"{ENGINE} (default: all that were downloaded)")
    verify.add_argument("--quick", action="store_true", help="only presence and size, as at start-up")
    verify.add_argument("--quiet", action="store_true", help="no progress bar")
    action("use", _use, "put another version of an engine in use").add_argument("engine", help="catvton@vitonhd")
    action("rollback", _rollback, "put the version in use that was before").add_argument("engine", help="catvton")
    action("licences", _licences, "whose weights they are, and whether they may be used commercially")


def _download_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("engine", help=ENGINE)
    parser.add_argument("--update", action="store_true", help="take what is published now, not what the lock holds")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="float16 takes the smaller files where there are any, float32 never those (default: the registry's order)",
    )
    parser.add_argument(
        "--repo",
        action="append",
        default=[],
        metavar="ROLE=OWNER/NAME",
        help="take a part from another repository, e.g. base=my/inpainting or base=my/inpainting@a-branch",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    from catvton.settings import Settings

    return args.do(_Place(Settings()), args)


@dataclass
class _Place:
    """The registry and the store the settings name."""

    settings: Settings

    @cached_property
    def store(self) -> Store:
        return Store(self.settings.models_dir)

    def lock(self) -> Lock:
        return self.store.read_lock()

    def versions(self) -> dict[str, dict[str, ModelCard]]:
        self.lock()  # a lock that cannot be read ends a command here; the app itself goes on with what ships with it
        return read_versions(overlay=self.settings.registry, models_dir=self.settings.models_dir)

    def card(self, wish: str) -> ModelCard:
        return find_card(wish, self.versions(), lock=self.lock())

    def allowed(self, wish: str) -> ModelCard:
        card = self.card(wish)
        if self.settings.commercial_only and (why := forbidden(card)):
            raise SettingsError(why)
        return card

    def in_use(self, card: ModelCard) -> bool:
        """What ships is in use without being asked for, in its first version."""
        active = self.lock().engine(card.name).active
        if active is None:
            return not card.sources and card.revision == next(iter(self.versions()[card.name]))
        return active.version == card.revision


# ---- what there is ---------------------------------------------------------------------------------------------------


def _list(place: _Place, args: argparse.Namespace) -> int:
    rows = [
        tables.row(card, state=_state(card), in_use=place.in_use(card))
        for cards in place.versions().values()
        for card in cards.values()
    ]
    print(json.dumps(rows, indent=1) if args.json else tables.table_of_engines(rows, place.store.root))
    return 0


def _show(place: _Place, args: argparse.Namespace) -> int:
    card = place.card(args.engine)
    told = tables.about(card, state=_state(card), in_use=place.in_use(card))
    print(json.dumps(told, indent=1) if args.json else tables.page_of_engine(told))
    return 0


def _licences(place: _Place, args: argparse.Namespace) -> int:
    rows = tables.licence_rows([card for cards in place.versions().values() for card in cards.values()])
    print(json.dumps(rows, indent=1) if args.json else tables.table_of_licences(rows))
    return 0


def _state(card: ModelCard) -> str:
    if not card.sources:
        return "damaged" if card.missing_files() else "ships with the app"
    if card.install is not None:
        return "damaged" if faults(card) else "downloaded"
    return "half downloaded" if begun(card) else "not downloaded"


def _verify(place: _Place, args: argparse.Namespace) -> int:
    if args.engine:
        cards = [place.card(args.engine)]
    else:
        every = [card for cards in place.versions().values() for card in cards.values()]
        cards = [card for card in every if _state(card) != "not downloaded"]
    told = [_verified(card, args) for card in cards]
    print(json.dumps(told, indent=1) if args.json else tables.verdict(told))
    return 0 if all(card["complete"] for card in told) else 2


def _verified(card: ModelCard, args: argparse.Namespace) -> dict[str, Any]:
    if card.sources:
        found = [
            {"repo": fault.repo, "file": fault.name, "path": str(fault.path), "what": fault.what}
            for fault in faults(card, full=not args.quick, progress=_progress(shown=not args.quiet))
        ]
    else:
        found = [{"repo": "", "file": path.name, "path": str(path), "what": "missing"} for path in card.missing_files()]
    looked = "every byte" if card.sources and not args.quick else "presence and size" if card.sources else "presence"
    return {"engine": card.id, "complete": not found, "looked_at": looked, "faults": found, "mend": card.mend}


# ---- what may be done with it ----------------------------------------------------------------------------------------


def _download(place: _Place, args: argparse.Namespace) -> int:
    card = place.allowed(args.engine)
    if not card.sources:
        raise InputError(f"{card.id} ships with the app: there is nothing to download.", code="hub.nothing")
    from catvton.hub.download import download
    from catvton.hub.plan import Wish
    from catvton.hub.remote import Hub

    wish = Wish(update=args.update, precision=args.precision, repos=_repos(args.repo, card))
    if not args.json:
        print(tables.before_download(card))
    token = place.settings.hf_token
    hub = Hub(token=token.get_secret_value().strip() if token else None)
    done = download(card, hub, wish=wish, progress=_progress(shown=not args.quiet))
    card = place.versions()[card.name][card.revision]
    told = tables.downloaded(card, done)
    print(json.dumps(told, indent=1) if args.json else tables.after_download(told))
    return 0


def _repos(pairs: list[str], card: ModelCard) -> dict[str, str]:
    roles = [source.role for source in card.sources]
    found = {}
    for pair in pairs:
        role, equals, repo = pair.partition("=")
        if role not in roles or not equals or repo.count("/") != 1:
            accepted = f"--repo takes ROLE=OWNER/NAME, where ROLE is one of {', '.join(roles)}"
            raise InputError(f'"{pair}" is not possible: {accepted}.', code="option.repo")
        found[role] = repo
    return found


def _use(place: _Place, args: argparse.Namespace) -> int:
    if "@" not in args.engine and len(place.versions().get(args.engine, ())) > 1:
        choices = ", ".join(card.id for card in place.versions()[args.engine].values())
        raise InputError(f"Which version of {args.engine}? Choose one of {choices}.", code="option.engine")
    from catvton.hub.switch import use

    card = place.allowed(args.engine)
    use(place.store, card)
    return _told_in_use(place, card.name, args)


def _rollback(place: _Place, args: argparse.Namespace) -> int:
    from catvton.hub.switch import rollback

    name = place.card(args.engine).name
    rollback(place.store, name)
    return _told_in_use(place, name, args)


def _told_in_use(place: _Place, name: str, args: argparse.Namespace) -> int:
    card = place.card(name)
    told = tables.in_use(card, faults(card) if card.sources else [])
    print(json.dumps(told, indent=1) if args.json else tables.after_switch(told))
    return 0 if told["complete"] else 2


def _progress(*, shown: bool) -> Callable[..., contextlib.AbstractContextManager[Count]]:
    """Bars on the error stream, one per file."""
    from tqdm import tqdm

    @contextlib.contextmanager
    def bar(label: str, total: int | None, done: int = 0) -> Iterator[Count]:
        with tqdm(
            desc=tables.shortened(label, 40), total=total, initial=done, unit="B", unit_scale=True, disable=not shown
        ) as drawn:
            yield drawn.update

    return bar
