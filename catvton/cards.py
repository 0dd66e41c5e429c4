"""The registry: what each engine is called, where its files lie, under which licence, and which options it takes."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

from catvton.errors import InputError, SettingsError, WeightsError
from catvton.hub.errors import LockError
from catvton.hub.lock import Install, Lock, Pin
from catvton.hub.sources import PRECISIONS, Source, read_source
from catvton.hub.store import Store
from catvton.hub.verify import faults, in_words
from catvton.result import LAYERS, PARTS

log = logging.getLogger(__name__)

RESOURCE = Path(__file__).resolve().parent.parent / "resource"
MODELS = RESOURCE / "models.toml"
KINDS = ("saved", "official", "maskfree", "deco")
PROGRAM = "python -m catvton models"


@dataclass(frozen=True, kw_only=True)
class Range:
    """An option's default and the values it may take, both ends included."""

    default: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One version of an engine of the registry.

    Attributes:
        name, revision: together the identity a result reports, "name@revision"; the revision is the version's name.
        title, description: for people.
        licence: SPDX name; commercial: whether it allows commercial use.
        folder: where its files lie; files: the ones it needs, relative to it; mend: the command that brings them back.
            Of an engine made of `sources`, the folder is the store's, and `files` is empty.
        sizes: (width, height) in pixels the engine works at, the default first.
        steps, guidance: ranges and defaults of the two options.
        placement: whether the garment is laid on the body before the engine starts.
        kind: how the engine is built, one of `KINDS`: from a saved pipeline, or from files others publish.
        sources: the parts it is made of, its own weights first; empty for an engine that ships with the app.
        precision: "auto" takes what the device does best; "float32" or "float16" is what the engine needs.
        vram_gb, download_gb: estimates for people: memory of a graphics card at the default size, and how much there is
            to fetch. None: nobody measured.
        install: what the lock says of it: the files of every source. None: it was never completely downloaded.
    """

    name: str
    revision: str
    title: str
    description: str
    licence: str
    commercial: bool
    folder: Path
    files: tuple[str, ...]
    mend: str
    sizes: tuple[tuple[int, int], ...]
    steps: Range
    guidance: Range
    placement: bool
    kind: str = "saved"
    sources: tuple[Source, ...] = ()
    precision: str = "auto"
    vram_gb: float | None = None
    download_gb: float | None = None
    install: Install | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return f"{self.name}@{self.revision}"

    @property
    def size(self) -> tuple[int, int]:
        """The default (width, height)."""
        return self.sizes[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """What a request may ask to replace."""
        return PARTS + LAYERS if self.role("densepose") else PARTS

    @property
    def mask_free(self) -> bool:
        """Whether the engine decides itself what changes: it sees the whole person, and needs no mask."""
        return self.kind == "maskfree"

    def role(self, role: str) -> Source | None:
        """The source that plays a role, e.g. "safety"; None for an engine without one."""
        return next((source for source in self.sources if source.role == role), None)

    def missing_files(self) -> list[Path]:
        """The needed files that are not there; a weight file may be cut into shards, named by its index.

        Of an engine made of sources, also those of a wrong size: a quick look, as at start-up.
        """
        if self.sources:
            return [fault.path for fault in faults(self)]
        return [path for name in self.files for path in _missing(self.folder / name)]

    def require_files(self) -> None:
        """Raises: WeightsError: files are missing; it names every one and the command that brings them back."""
        if self.sources:
            found = faults(self)
            names = in_words(found)
        else:
            found = self.missing_files()
            names = ", ".join(str(path.relative_to(self.folder)) for path in found)
        if found:
            raise WeightsError(
                f'The engine "{self.name}" lacks {len(found)} of its files in {self.folder}: {names}. '
                f"To bring them back: {self.mend}"
            )

    @property
    def paths(self) -> dict[str, Path]:
        """{role: the folder or file on this disk that stands for it}, e.g. {"base": ..., "attention": ..., "vae": ...}.

        Raises:
            WeightsError: the engine was never completely downloaded.
        """
        store, within = Store(self.folder), {source.role: source.path for source in self.sources}
        return {pin.role: store.folder(pin.repo, pin.commit) / within[pin.role] for pin in self._pins()}

    @property
    def variants(self) -> dict[str, str | None]:
        """{role: diffusers' `variant` to load it with}: "fp16" where 16-bit files were downloaded, else None.

        Raises:
            WeightsError: the engine was never completely downloaded.
        """
        half = {pin.role: any(".fp16." in file.name for file in pin.files) for pin in self._pins()}
        return {role: "fp16" if yes else None for role, yes in half.items()}

    def _pins(self) -> Iterator[Pin]:
        if self.install is None and self.sources:
            self.require_files()
        roles = {source.role for source in self.sources}
        return (pin for pin in (self.install.pins if self.install else ()) if pin.role in roles)


def _missing(path: Path) -> list[Path]:
    if path.is_file():
        return []
    index = path.with_name(path.name + ".index.json")
    if not index.is_file():
        return [path]
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return [path.with_name(shard) for shard in shards if not path.with_name(shard).is_file()]


# ---- reading a registry ----------------------------------------------------------------------------------------------


def read_cards(
    path: Path = MODELS, *, overlay: Path | None = None, models_dir: str | PathLike | None = None
) -> dict[str, ModelCard]:
    """{name: card of the version in use} from a registry file, in its order; relative folders start at the file's own.

    Args:
        overlay: a file whose tables are laid over the registry's: other repositories, mirrors, files, engines.
        models_dir: the store's folder, whose lock says which versions are in use; None is `models` in the repository.

    Raises:
        SettingsError: a key is missing or unknown, or a range does not hold its default; the message names it.
    """
    versions = read_versions(path, overlay=overlay, models_dir=models_dir)
    lock = _lock(Store(models_dir))
    return {name: _in_use(name, cards, lock) for name, cards in versions.items()}


def read_versions(
    path: Path = MODELS, *, overlay: Path | None = None, models_dir: str | PathLike | None = None
) -> dict[str, dict[str, ModelCard]]:
    """{name: {version: card}} of every version in the registry; arguments and errors are those of `read_cards`."""
    tables = _tables(path)
    if overlay is not None:
        tables = _laid_over(tables, _tables(overlay))
    sources = {name: read_source(name, table) for name, table in tables.pop("sources", {}).items()}
    store = Store(models_dir)
    reader = _Reader(sources=sources, store=store, lock=_lock(store), root=path.parent)
    return {name: reader.versions(name, table) for name, table in tables.items()}


def find_card(wish: str, versions: dict[str, dict[str, ModelCard]], *, lock: Lock) -> ModelCard:
    """The card of "engine@version", or of "engine" in the version in use. Raises InputError, which lists the names."""
    name, at, version = wish.partition("@")
    if name not in versions:
        raise InputError(f'There is no engine "{name}": choose one of {", ".join(versions)}.', code="option.engine")
    if not at:
        return _in_use(name, versions[name], lock)
    if version not in versions[name]:
        choices = ", ".join(card.id for card in versions[name].values())
        raise InputError(f'There is no version "{version}" of {name}: choose one of {choices}.', code="option.engine")
    return versions[name][version]


def _in_use(name: str, cards: dict[str, ModelCard], lock: Lock) -> ModelCard:
    active = lock.engine(name).active
    if active is not None and active.version in cards:
        return cards[active.version]
    if active is not None:
        log.warning("models.lock uses %s@%s, which this registry does not have", name, active.version)
    return next(iter(cards.values()))


def _lock(store: Store) -> Lock:
    """A lock that cannot be read must not keep the app from serving what ships with it; the commands are stricter."""
    try:
        return store.read_lock()
    except LockError as error:
        log.error("%s", error)
        return Lock()


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The registry {path} cannot be read: {error}") from error


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    def joined(key: str) -> Any:
        if isinstance(below.get(key), dict) and isinstance(above.get(key), dict):
            return _laid_over(below[key], above[key])
        return above.get(key, below.get(key))

    return {key: joined(key) for key in below | above}


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Makes cards of tables. An engine's table holds what its versions share; theirs say what differs."""

    sources: dict[str, Source]
    store: Store
    lock: Lock
    root: Path

    def versions(self, name: str, table: dict[str, Any]) -> dict[str, ModelCard]:
        """The cards of an engine. A table without versions is its only one, and names it as its `revision`."""
        shared = {key: value for key, value in table.items() if key != "versions"}
        versions = table.get("versions") or {shared.pop("revision", None): {}}
        if None in versions:
            raise SettingsError(f"models.toml, [{name}]: missing or unknown: revision")
        return {version: self._card(name, shared | own | {"revision": version}) for version, own in versions.items()}

    def _card(self, name: str, table: dict[str, Any]) -> ModelCard:
        whose = f"models.toml, [{name}]"
        if table.get("sources"):
            table = self._from_hub(name, table)
        known = {each.name: each for each in fields(ModelCard) if each.name not in ("name", "install")}
        needed = {key for key, each in known.items() if each.default is MISSING}
        if wrong := (needed - table.keys()) | (table.keys() - known.keys()):
            raise SettingsError(f"{whose}: missing or unknown: {', '.join(sorted(wrong))}")
        card = ModelCard(
            **{"name": name, "install": self.lock.install(name, table["revision"])} | table | {
                "folder": self.root / table["folder"],
                "files": tuple(table["files"]),
                "sizes": tuple((width, height) for width, height in table["sizes"]),
                "steps": _range(whose, "steps", table["steps"]),
                "guidance": _range(whose, "guidance", table["guidance"]),
            }
        )  # fmt: skip
        _check(card, whose)
        return card

    def _from_hub(self, name: str, table: dict[str, Any]) -> dict[str, Any]:
        if unknown := [source for source in table["sources"] if source not in self.sources]:
            raise SettingsError(f"models.toml, [{name}]: there is no [sources.{unknown[0]}]")
        return table | {
            "folder": self.store.root,
            "files": (),
            "mend": f"{PROGRAM} download {name}@{table['revision']}",
            "sources": tuple(self.sources[source] for source in table["sources"]),
        }


def _check(card: ModelCard, whose: str) -> None:
    roles = [source.role for source in card.sources]
    if len(set(roles)) < len(roles):
        raise SettingsError(f"{whose}: two of its sources have the same role")
    if card.kind not in KINDS:
        raise SettingsError(f"{whose}: kind {card.kind!r} is none of {', '.join(KINDS)}")
    if card.precision not in PRECISIONS:
        raise SettingsError(f"{whose}: precision {card.precision!r} is none of {', '.join(PRECISIONS)}")


def _range(whose: str, option: str, values: dict[str, float]) -> Range:
    made = Range(**values)
    if not made.minimum <= made.default <= made.maximum:
        raise SettingsError(f"{whose}: {option} {made.default} lies outside its own range")
    return made
