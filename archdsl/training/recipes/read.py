"""Recipes from files, by name, and with values given on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.training.recipes.schema import Recipe

_ALIASES = {"validate": "validate_"}


def recipe_names() -> list[str]:
    """The recipes that ship."""
    return sorted(entry.name.removesuffix(".toml") for entry in _shipped().iterdir() if entry.name.endswith(".toml"))


def read_recipe(name: str, options: Iterable[str] = ()) -> Recipe:
    """A recipe by the path of a TOML file or the name of one that ships, with `key=value` options applied.

    Raises ArchError E0833 for a recipe that is missing, no TOML, or has an unknown key or a wrong value.
    """
    return _validated(name, _with(name, _table(name), options))


def overridden(recipe: Recipe, options: Iterable[str]) -> Recipe:
    """A recipe with `key=value` options applied. Raises ArchError E0833."""
    return _validated("the recipe", _with("the recipe", as_table(recipe), options))


def as_table(recipe: Recipe) -> dict[str, Any]:
    """A recipe as the table it could be read from."""
    return recipe.model_dump(mode="json", by_alias=True)


def recipe_from(table: Mapping[str, Any], source: str) -> Recipe:
    """The recipe that a table says. Raises ArchError E0833, naming `source`."""
    return _validated(source, dict(table))


def _shipped() -> Any:
    return files("archdsl.training.recipes") / "shipped"


def _table(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(name))
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"{name} is no TOML: {error}") from None


def _text(name: str) -> str:
    path = Path(name)
    try:
        if path.suffix == ".toml":
            return path.read_text(encoding="utf-8")
        shipped = _shipped() / f"{name}.toml"
        return str(shipped.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise _wrong(f"{name} is no TOML: it is not UTF-8") from None
    except OSError as error:
        known = recipe_names()
        help_ = did_you_mean(name, known) or f"there are {', '.join(known)}; a file ends in .toml"
        raise _wrong(f"there is no recipe {name}" + (f": {error.strerror}" if path.exists() else ""), help_) from None


def _with(source: str, table: dict[str, Any], options: Iterable[str]) -> dict[str, Any]:
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key.strip():
            raise _wrong(f"{option!r} is not key=value", "for example --opt optimizer.lr=0.01")
        _put(source, table, key.strip().split("."), _value(text.strip()))
    return table


def _put(source: str, table: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = table.setdefault(step, {})
        if inner is None:
            inner = table[step] = {}
        if not isinstance(inner, dict):
            raise _wrong(f"{source}: {step} is a value, and holds no {path[-1]}")
        table = inner
    # of two ways to say one thing, the one given last counts
    for one, other in (("steps", "epochs"), ("epochs", "steps"), ("scale", "short_side"), ("short_side", "scale")):
        if path[-1] == one and value is not None and (len(path) == 1) == (one in ("steps", "epochs")):
            table[other] = None
    table[path[-1]] = value


def _value(text: str) -> Any:
    """A value as TOML writes it; `none`, and a bare word as a string, so that shells need no double quotes."""
    if text in ("none", "null"):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _validated(source: str, table: Mapping[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise ArchError([_diagnostic(source, found) for found in error.errors()]) from None


def _diagnostic(source: str, found: Any) -> Diagnostic:
    path = [str(step) for step in found["loc"]]
    name = ".".join(path)
    if found["type"] == "extra_forbidden":
        known = _keys(path[:-1])
        help_ = did_you_mean(path[-1], known) or (f"there are {', '.join(known)}" if known else "")
        return Diagnostic("E0833", f"{source}: there is no value {name} in a recipe", help=help_)
    message = found["msg"].removeprefix("Value error, ")
    return Diagnostic("E0833", f"{source}: {name + ': ' if name else ''}{message[:1].lower()}{message[1:]}")


def _keys(path: list[str]) -> list[str]:
    """The keys that the table at a path may have."""
    model: type[BaseModel] | None = Recipe
    for step in path:
        if model is None:
            return []
        info = model.model_fields.get(_ALIASES.get(step, step))
        if info is not None:
            model = next((m for m in _models(info.annotation)), None)
    return [] if model is None else [info.alias or key for key, info in model.model_fields.items()]


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _wrong(message: str, help_: str = "") -> ArchError:
    return ArchError([Diagnostic("E0833", message, help=help_)])
