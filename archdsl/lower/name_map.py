"""Declared name maps: TOML rules from the names of a foreign checkpoint to ours.

```toml
source = "https://github.com/RolandGao/RegSeg at 0f61c66"
ignore = ["*.num_batches_tracked"]

[names]
"body.stage{s}.{i}.conv2.convs.{j}.weight" = "s{s}.{i}.conv{j+2}.weight"
"body.stage{s}.{i}.{rest...}" = "s{s}.{i}.{rest...}"
"fc.weight" = { to = "fc.weight", from_linear = true }
"qkv.weight" = { split = ["q.weight", "k.weight", "v.weight"] }
```

The first rule that fits a name decides. `{i}`, one letter, stands for a whole number, and may be added to or subtracted
from on our side; `{word}` for text without a dot; `{rest...}` for any text. `from_linear` makes a 1x1 convolution of a
linear layer's weight, `split` cuts a tensor into equal parts along its first axis.

```toml
[words]
layer = { "0" = "conv1", "1" = "bn1" }

[fill]
"*.running_mean" = 0.0
```

Where `[words]` has a table for a placeholder, it stands for one of the table's keys, and for what the table says on our
side. `[fill]` gives tensors of ours that the checkpoint lacks a value (shell patterns; the first that fits).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor

from archdsl.diagnostics import ArchError, Diagnostic, Source, Span

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(\.\.\.)?([+-][0-9]+)?\}")
_FORMS = {"to", "from_linear", "split"}
_KEYS = {"source", "ignore", "names", "words", "fill"}

Words = Mapping[str, Mapping[str, str]]
"""For a placeholder, what it may stand for among foreign names, and what that is on our side."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of foreign names, and the names of ours it stands for: several where a tensor is split."""

    pattern: re.Pattern[str]
    targets: tuple[str, ...]
    from_linear: bool = False
    words: Words = field(default_factory=dict)

    def names(self, match: re.Match[str]) -> list[str]:
        """Our names for a foreign name that the pattern matched."""
        return [_PLACEHOLDER.sub(lambda p: _fill(p, match, self.words), target) for target in self.targets]

    def parts(self, tensor: Tensor) -> list[Tensor]:
        """The tensor as our side has it, a part for each target. Raises ValueError when it cannot be so."""
        if self.from_linear:
            tensor = tensor.reshape(*tensor.shape, 1, 1)
        count = len(self.targets)
        if count > 1 and (tensor.dim() == 0 or len(tensor) % count):
            raise ValueError(f"{list(tensor.shape)} cannot be cut into {count} equal parts")
        return list(tensor.chunk(count)) if count > 1 else [tensor]


@dataclass(frozen=True, slots=True)
class NameMap:
    """The rules of one map file, in order, the foreign names to pass over, and values for what a checkpoint lacks."""

    path: str
    rules: tuple[Rule, ...]
    ignore: tuple[str, ...] = ()
    source: str = ""
    fill: tuple[tuple[str, float], ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> NameMap:
        """The map in a TOML file. Raises ArchError E0813, with the place where a rule is wrong."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise _bad(f"the name map {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise _bad(f"the name map {path} cannot be read: it is not UTF-8 text") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, path: str = "<map>") -> NameMap:
        """The map that a TOML text is. Raises ArchError E0813."""
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _bad(f"the name map {path} is no TOML: {error}") from error
        return _Reader(Source(path, text)).map(content)

    def ignores(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.ignore)

    def filled(self, ours: str) -> float | None:
        """The value of a tensor of ours that no foreign name stands for, or None."""
        return next((value for pattern, value in self.fill if fnmatchcase(ours, pattern)), None)

    def find(self, name: str) -> tuple[Rule, list[str]] | None:
        """The rule that fits a foreign name, and our names for it."""
        for rule in self.rules:
            if match := rule.pattern.fullmatch(name):
                return rule, rule.names(match)
        return None


def _fill(placeholder: re.Match[str], match: re.Match[str], words: Words) -> str:
    value = match[placeholder[1]]
    if placeholder[1] in words:
        return words[placeholder[1]][value]
    return str(int(value) + int(placeholder[3])) if placeholder[3] else value


def _bad(message: str, span: Span | None = None, help: str = "") -> ArchError:
    return ArchError([Diagnostic("E0813", message, span, help=help)])


class _Reader:
    """Checks a map's content rule by rule."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words: Words = {}

    def map(self, content: dict[str, Any]) -> NameMap:
        for key in content.keys() - _KEYS:
            raise self._fault(key, f"a name map has no `{key}`", "it has source, ignore, [names], [words] and [fill]")
        names, ignore = content.get("names"), content.get("ignore", [])
        if not isinstance(names, dict) or not names:
            raise _bad(f"{self.source.path} has no rules", help='they stand under [names], as "theirs" = "ours"')
        if not isinstance(ignore, list) or not all(isinstance(p, str) for p in ignore):
            raise self._fault("ignore", "`ignore` is a list of patterns", 'for example ["*.num_batches_tracked"]')
        self.words = self._words(content.get("words", {}))
        rules = tuple(self._rule(foreign, ours) for foreign, ours in names.items())
        fill = self._values(content.get("fill", {}))
        return NameMap(self.source.path, rules, tuple(ignore), str(content.get("source", "")), fill)

    def _words(self, content: Any) -> Words:
        if not isinstance(content, dict) or not all(_is_table(table) for table in content.values()):
            raise self._fault("words", "`words` has a table of names for a placeholder", 'layer = { "0" = "conv1" }')
        return content

    def _values(self, content: Any) -> tuple[tuple[str, float], ...]:
        if not isinstance(content, dict) or not all(type(value) in (int, float) for value in content.values()):
            raise self._fault("fill", "`fill` has numbers for patterns of our names", '"*.running_mean" = 0.0')
        return tuple((pattern, float(value)) for pattern, value in content.items())

    def _rule(self, foreign: str, ours: Any) -> Rule:
        form = {"to": ours} if isinstance(ours, str) else ours
        if not isinstance(form, dict) or not form.keys() <= _FORMS or ("to" in form) == ("split" in form):
            help = 'give "ours", { to = "ours", from_linear = true } or { split = ["first", "second"] }'
            raise self._fault(foreign, "this rule says nothing that is known", help)
        targets = form["split"] if "split" in form else [form["to"]]
        if not isinstance(targets, list) or not targets or not all(isinstance(t, str) for t in targets):
            raise self._fault(foreign, "what a name becomes is a name")
        known = dict(self._placeholders(foreign))
        for target in targets:
            self._check_target(foreign, target, known)
        linear = bool(form.get("from_linear", False))
        return Rule(re.compile(_expression(foreign, self.words)), tuple(targets), linear, self.words)

    def _placeholders(self, foreign: str) -> Iterator[tuple[str, bool]]:
        """Each placeholder of a pattern, and whether it is a number."""
        for found in _PLACEHOLDER.finditer(foreign):
            if found[3]:
                raise self._fault(foreign, f"`{found[0]}` computes", "numbers are computed on our side of a rule")
            yield found[1], len(found[1]) == 1 and not found[2] and found[1] not in self.words
        if set("{}") & set(_PLACEHOLDER.sub("", foreign)):
            raise self._fault(foreign, "a brace stands outside a placeholder", "write {i}, {word} or {rest...}")

    def _check_target(self, foreign: str, target: str, known: dict[str, bool]) -> None:
        for found in _PLACEHOLDER.finditer(target):
            if found[1] not in known:
                raise self._fault(foreign, f"`{found[0]}` does not occur in the name on the left")
            if found[3] and not known[found[1]]:
                raise self._fault(foreign, f"`{found[1]}` is text, and cannot be added to", "one letter is a number")
        if set("{}") & set(_PLACEHOLDER.sub("", target)):
            raise self._fault(foreign, "a brace stands outside a placeholder", "write {i}, {i+1} or {word}")

    def _fault(self, key: str, message: str, help: str = "") -> ArchError:
        start = self.source.text.find(key)
        return _bad(message, None if start < 0 else Span(self.source, start, start + len(key)), help)


def _expression(foreign: str, words: Words) -> str:
    """The regular expression of a pattern; a placeholder met again must be the same text."""
    parts, end, seen = [], 0, set[str]()
    for found in _PLACEHOLDER.finditer(foreign):
        parts.append(re.escape(foreign[end : found.start()]))
        text = _choices(words[found[1]]) if found[1] in words else _any(found)
        parts.append(f"(?P={found[1]})" if found[1] in seen else f"(?P<{found[1]}>{text})")
        seen.add(found[1])
        end = found.end()
    return "".join([*parts, re.escape(foreign[end:])])


def _is_table(table: Any) -> bool:
    return isinstance(table, dict) and bool(table) and all(isinstance(ours, str) for ours in table.values())


def _any(placeholder: re.Match[str]) -> str:
    return ".+" if placeholder[2] else "[0-9]+" if len(placeholder[1]) == 1 else "[^.]+"


def _choices(words: Mapping[str, str]) -> str:
    """One of the words, the longest first, so that none hides another that it begins."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
