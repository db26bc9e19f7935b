"""From what a mask holds to class indices: tables of values or of colours, and label maps as TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.images import default_palette
from archdsl.training.data.sample import VOID, Palette, Pixels

_UNKNOWN = -1
_SHOWN = 6
"""How many unknown values a message lists."""
Raw = npt.NDArray[Any]


class LabelTable(Protocol):
    """Makes class indices of the pixels of a mask."""

    kind: Literal["values", "colours"]

    def decode(self, mask: Raw, name: str) -> Pixels:
        """Labels [H, W] of a mask. Raises ArchError E0832, naming the file and the values, for unknown ones."""


class Values:
    """Masks of one channel [H, W], whose values name classes."""

    kind: Literal["values", "colours"] = "values"

    def __init__(self, classes: Mapping[int, int]) -> None:
        """`classes` maps each allowed value (0 to 65535) to a class index or `VOID`."""
        self._table = np.full(1 << 16, _UNKNOWN, np.int16)
        for value, label in classes.items():
            self._table[value] = label

    @classmethod
    def plain(cls, count: int, void: Iterable[int] = ()) -> Values:
        """Values that are class indices already; 255 is void."""
        return cls({VOID: VOID, **{i: i for i in range(count)}, **dict.fromkeys(void, VOID)})

    def decode(self, mask: Raw, name: str) -> Pixels:
        labels = self._table[mask]
        if labels.min(initial=0) < 0:
            values, counts = np.unique(mask[labels < 0], return_counts=True)
            raise _unknown(name, [f"{v} ({n} pixels)" for v, n in zip(values, counts, strict=True)], "value")
        return labels.astype(np.uint8)


class Colours:
    """Masks in RGB [H, W, 3], whose colours name classes."""

    kind: Literal["values", "colours"] = "colours"

    def __init__(self, classes: Mapping[tuple[int, int, int], int]) -> None:
        self._codes = np.array(sorted(map(_code, classes)), np.int64)
        by_code = {_code(colour): label for colour, label in classes.items()}
        self._labels = np.array([by_code[code] for code in self._codes.tolist()], np.uint8)

    def decode(self, mask: Raw, name: str) -> Pixels:
        codes = (mask[..., 0].astype(np.int64) << 16) | (mask[..., 1].astype(np.int64) << 8) | mask[..., 2]
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        wrong = self._codes[place] != codes
        if wrong.any():
            values, counts = np.unique(codes[wrong], return_counts=True)
            names = [f"({v >> 16}, {v >> 8 & 255}, {v & 255}) ({n} pixels)" for v, n in _pairs(values, counts)]
            raise _unknown(name, names, "colour")
        return self._labels[place]


def _pairs(values: Raw, counts: Raw) -> list[tuple[int, int]]:
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def _code(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _unknown(name: str, found: list[str], what: str) -> ArchError:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    message = f"{name} has labels of no class: {what} {', '.join(found[:_SHOWN])}{more}"
    help_ = f"say in a label map (labels.toml) which class each {what} is, or that it is void"
    return ArchError([Diagnostic("E0832", message, help=help_)])


# ------------------------------------------------------------------ label maps


class _Class(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    values: tuple[int, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    colour: tuple[int, int, int] | None = None


class _Void(BaseModel):
    model_config = ConfigDict(extra="forbid")
    values: tuple[int, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()


class _Map(BaseModel):
    model_config = ConfigDict(extra="forbid")
    classes: tuple[_Class, ...] = Field(min_length=1, max_length=255)
    void: _Void = _Void()


@dataclass(frozen=True)
class LabelMap:
    """What a label map says: class names, their colours in pictures, and how masks are read."""

    classes: tuple[str, ...]
    palette: Palette
    table: LabelTable


def read_label_map(path: Path) -> LabelMap:
    """A label map: `[[classes]]` with `name`, `values` or `colours` in the masks, and `colour` in pictures; `[void]`.

    Raises ArchError E0833 for a file that is missing, no TOML, or contradicts itself.
    """
    try:
        content = _Map.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _wrong(f"there is no label map {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    names = tuple(entry.name for entry in content.classes)
    spare = default_palette(len(names))
    palette = tuple(entry.colour or spare[i] for i, entry in enumerate(content.classes))
    return LabelMap(names, palette, _table(path, content))


def _table(path: Path, content: _Map) -> LabelTable:
    by_value = [bool(entry.values) for entry in content.classes]
    by_colour = [bool(entry.colours) for entry in content.classes]
    if all(by_value) and not any(by_colour):
        return Values(_unique(path, [entry.values for entry in content.classes], (*content.void.values, VOID)))
    if all(by_colour) and not any(by_value):
        return Colours(_unique(path, [entry.colours for entry in content.classes], content.void.colours))
    raise _wrong(f"{path}: every class has `values`, or every class has `colours`")


def _unique(path: Path, of_classes: list[Any], void: tuple[Any, ...]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for label, values in enumerate(of_classes):
        for value in values:
            if value in found:
                raise _wrong(f"{path}: {value} belongs to two classes")
            if isinstance(value, int) and not 0 <= value < 1 << 16:
                raise _wrong(f"{path}: {value} is no value of a mask")
            found[value] = label
    return {**dict.fromkeys(void, VOID), **found}


def _wrong(message: str) -> ArchError:
    return ArchError([Diagnostic("E0833", message)])
