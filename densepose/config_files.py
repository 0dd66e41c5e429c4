"""Read a Detectron2 config file: `_BASE_` files first, then the file itself; unknown keys are refused, not skipped."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from densepose.config import Config
from densepose.config_nodes import Cse, Embedder, Node
from densepose.errors import ConfigError

SHIPPED = Path(__file__).parent / "configs"
BASE = "_BASE_"

AnyNode = TypeVar("AnyNode", bound=Node)


def read_config(path: Path) -> Config:
    """The configuration in a .yaml file.

    Raises:
        ConfigError: the file or one it is based on is missing or not YAML, has an unknown key, or a value of the
            wrong kind.
    """
    return fill(Config(), read_tree(path), where=path.name)


def read_tree(path: Path, *, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The file as nested dicts, laid over the file it names as `_BASE_`."""
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path.name} is based on itself.")
    tree = _parse(path)
    base = tree.pop(BASE, None)
    if base is None:
        return tree
    if not isinstance(base, str) or "://" in base or Path(base).is_absolute():
        raise ConfigError(f"{path.name}: {BASE} must be a path from that file to another one, not {base!r}.")
    return _merge(read_tree(path.parent / base, seen=(*seen, path)), tree)


def bases(path: Path) -> set[Path]:
    """The files `path` is based on, directly or not."""
    found: set[Path] = set()
    path = path.resolve()
    while isinstance(base := _parse(path).get(BASE), str) and (path := (path.parent / base).resolve()) not in found:
        found.add(path)
    return found


def fill(node: AnyNode, tree: Mapping[str, Any], *, where: str) -> AnyNode:
    """`node`, the defaults, with the values of `tree` in their place. `where` is the place as messages name it."""
    known = {entry.name.upper(): entry.name for entry in fields(node)}
    values = {}
    for key, value in tree.items():
        place = f"{where}: {key}" if isinstance(node, Config) else f"{where}.{key}"
        if key in node.UNREAD:
            continue
        if key not in known:
            raise ConfigError(f"{place} is not a key this version knows.")
        name = known[key]
        free = isinstance(node, Cse) and name == "embedders"
        values[name] = _embedders(value, place) if free else _value(getattr(node, name), value, place)
    return replace(node, **values)


def _embedders(tree: Any, place: str) -> tuple[Embedder, ...]:
    """The one section whose keys are free: mesh names."""
    specs = {mesh: _section(spec, f"{place}.{mesh}") for mesh, spec in _section(tree, place).items()}
    return tuple(fill(Embedder(), {**spec, "MESH": mesh}, where=f"{place}.{mesh}") for mesh, spec in specs.items())


def _value(default: Any, value: Any, place: str) -> Any:
    """`value` as the kind of thing `default` is."""
    if isinstance(default, Node):
        return fill(default, _section(value, place), where=place)
    if isinstance(default, tuple):
        return _sequence(value, place, number=not isinstance(_leaf(default), str))
    wanted = (int, float) if type(default) is float else (int, bool) if type(default) is int else type(default)
    if not isinstance(value, wanted) or (isinstance(value, bool) and type(default) is float):
        raise ConfigError(f"{place} must be {type(default).__name__}, not {value!r}.")
    return type(default)(value)


def _section(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place} must be a section, not {value!r}.")
    return value


def _leaf(default: Any) -> Any:
    """The first value in nested tuples; an empty one is a list of names."""
    while isinstance(default, tuple):
        default = default[0] if default else ""
    return default


def _sequence(value: Any, place: str, *, number: bool) -> tuple[Any, ...]:
    """Nested lists as tuples, of numbers or of names."""
    if isinstance(value, str):  # "(1, 2)" is a string to YAML; Detectron2 reads it as Python
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise ConfigError(f"{place} must be a list, not {value!r}.") from error
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{place} must be a list, not {value!r}.")
    items = tuple(_sequence(item, place, number=number) if isinstance(item, (list, tuple)) else item for item in value)
    if not all(isinstance(item, (tuple, (int, float) if number else str)) for item in items):
        raise ConfigError(f"{place} must be a list of {'numbers' if number else 'names'}, not {value!r}.")
    return items


def _parse(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The config file {path} cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not a YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path.name} is no config file: it has no sections.")
    return tree


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged
