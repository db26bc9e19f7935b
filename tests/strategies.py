"""Random specs: valid texts with every construct, in odd layouts, with comments anywhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

from hypothesis import strategies as st

Tokens = list[str]

_NAMES = ["x", "y", "conv", "DBlock", "rates", "a_rather_long_name_for_a_value", "_", "outer", "k1"]
_NUMBERS = ["0", "1", "14", "2048", "3.34M", "1e-3", "0.5", "39.2G", "1_000", "2k", "7E+2"]
_STRINGS = ['""', '"same"', '"a # b"', '"\\"q\\" \\\\"', '"größer → 漢字"']
_REMARKS = ["#", "# why", '# "odd', "## documentation", "#!x{(", "# ≥ 漢", "#    wide   "]
_TIGHT = frozenset("()[]{},")


class SpecWriter:
    """Writes one random spec by the rules of the grammar; `depth` bounds how far expressions nest."""

    def __init__(self, random: Random, depth: int) -> None:
        self.random = random
        self.depth = depth
        # by level of precedence, loosest first: an expression of a level has operands of the next ones
        self._levels: list[Callable[[int], Tokens]] = [
            lambda d: [*self.at(1, d), "if", *self.at(1, d), "else", *self.at(0, d)],
            lambda d: [*self.at(2, d), *self.some(lambda: ["->", *self.at(2, d), *self.alias()])],
            lambda d: [*self.at(3, d), *self.some(lambda: ["or", *self.at(3, d)])],
            lambda d: [*self.at(4, d), *self.some(lambda: ["and", *self.at(4, d)])],
            lambda d: ["not", *self.at(4, d)],
            lambda d: [*self.at(6, d), *self.some(lambda: [self.pick("< <= == != >="), *self.at(6, d)])],
            lambda d: [*self.at(7, d), "..", *self.at(7, d)],
            lambda d: [*self.at(8, d), *self.some(lambda: [self.pick("+ -"), *self.at(8, d)])],
            lambda d: [*self.at(9, d), *self.some(lambda: [self.pick("* / // %"), *self.at(9, d)])],
            lambda d: ["-", *self.at(9, d)],
            self._postfix,
            self._atom,
        ]

    def pick(self, words: str) -> str:
        return self.random.choice(words.split())

    def often(self, share: float) -> bool:
        return self.random.random() < share

    def some(self, make: Callable[[], Tokens]) -> Tokens:
        return [token for _ in range(self.random.randint(1, 3)) for token in make()]

    def listed(self, make: Callable[[], Tokens], least: int = 1) -> Tokens:
        items = [make() for _ in range(self.random.choice([least, 1, 2, 3, 12]))]
        return [token for i, item in enumerate(items) for token in ([","] if i else []) + item]

    def comma(self) -> Tokens:
        return [","] if self.often(0.3) else []

    # --------------------------------------------------------- expressions

    def expression(self) -> Tokens:
        return self.at(0, self.depth)

    def at(self, level: int, depth: int) -> Tokens:
        last = len(self._levels) - 1
        if depth <= 0:
            return [self.leaf()]
        while level < last and self.often(0.7):
            level += 1
        return self._levels[level](depth - 1)

    def leaf(self) -> str:
        return self.random.choice([*_NAMES, *_NUMBERS, *_STRINGS, "true", "false", "none"])

    def name(self) -> str:
        return self.random.choice(_NAMES)

    def names(self) -> Tokens:
        return [self.name(), *([",", self.name()] if self.often(0.3) else [])]

    def alias(self) -> Tokens:
        return ["as", self.name()] if self.often(0.2) else []

    def _postfix(self, d: int) -> Tokens:
        value = self.at(10, d)
        if self.often(0.6):
            return [*value, "(", *self._arguments(d), ")"]
        ends = [self.at(0, d) if self.often(0.5) else [] for _ in range(2)]
        subscript = [*ends[0], ":", *ends[1]] if self.often(0.5) else self.at(0, d)
        return [*value, "[", *subscript, "]"]

    def _arguments(self, d: int) -> Tokens:
        def argument() -> Tokens:
            name = [self.random.choice([*_NAMES, "out"]), "="] if self.often(0.4) else []
            return [*name, *self.at(0, d)]

        items = self.listed(argument, 0)
        return [*items, *self.comma()] if items else []

    def _atom(self, d: int) -> Tokens:
        make = self.random.choice([self._list, self._tuple, self._comprehension, self._search, self._inner])
        return make(d) if self.often(0.6) else [self.leaf()]

    def _inner(self, d: int) -> Tokens:
        return ["(", *self.at(0, d), ")"]

    def _list(self, d: int) -> Tokens:
        items = self.listed(lambda: self.at(0, d), 0)
        return ["[", *items, *(self.comma() if items else []), "]"]

    def _tuple(self, d: int) -> Tokens:
        first = self.at(0, d)
        return ["(", *first, ",", *([*self.at(0, d), *self.comma()] if self.often(0.7) else []), ")"]

    def _comprehension(self, d: int) -> Tokens:
        def clause() -> Tokens:
            conditions = ["if", *self.at(2, d)] if self.often(0.4) else []
            return ["for", *self.names(), "in", *self.at(2, d), *conditions]

        return ["[", *self.at(0, d), *self.some(clause), "]"]

    def _search(self, d: int) -> Tokens:
        return ["search", "(", *self.at(0, d), "in", *self.domain(d), ")"]

    def domain(self, d: int) -> Tokens:
        if self.often(0.5):
            return [*self.at(7, d), "..", *self.at(7, d)]
        return ["{", *self.listed(lambda: self.at(0, d)), *self.comma(), "}"]

    # ---------------------------------------------------------- statements

    def body(self, depth: int) -> Tokens:
        statements = self.some(lambda: [*self.statement(depth), "\n"]) if self.often(0.9) else []
        return ["{", *statements, "}"]

    def statement(self, depth: int) -> Tokens:
        simple = [self._assign, self._input, self._output, self._shared, self._assert]
        if depth > 0 and self.often(0.3):
            return self.random.choice([self._for, self._when])(depth - 1)
        return self.random.choice(simple)()

    def _assign(self) -> Tokens:
        return [*self.names(), "=", *self.expression()]

    def _input(self) -> Tokens:
        dims = ["[", *self.listed(self.expression), *self.comma(), "]"] if self.often(0.7) else []
        return ["in", self.name(), *dims, *(["=", *self.expression()] if self.often(0.4) else [])]

    def _output(self) -> Tokens:
        head = ["aux", "out"] if self.often(0.3) else ["out"]
        if self.often(0.5):
            return [*head, self.name(), "=", *self.expression()]
        return [*head, *self.listed(self.expression)]

    def _shared(self) -> Tokens:
        return ["shared", self.name(), "=", *self.expression()]

    def _assert(self) -> Tokens:
        return ["assert", *self.expression()]

    def _for(self, depth: int) -> Tokens:
        return ["for", *self.names(), "in", *self.at(2, self.depth), *self.body(depth)]

    def _when(self, depth: int) -> Tokens:
        tokens = ["when", *self.at(2, self.depth), *self.body(depth)]
        if self.often(0.4):
            tokens += ["else", *(self._when(depth) if self.often(0.4) else self.body(depth))]
        return tokens

    # ----------------------------------------------------------- top level

    def file(self, entries: int) -> Tokens:
        tokens = ["arch", "1", "\n"] if self.often(0.7) else []
        makers = [self._use, self._block, self._block, self._network, self._alias, self._definition]
        for _ in range(entries):
            tokens += [*self.random.choice(makers)(), "\n"]
        return tokens

    def _use(self) -> Tokens:
        path = [self.name(), *([".", self.name()] if self.often(0.7) else [])]
        return ["use", *path, ":", *self.listed(lambda: [self.name(), *self.alias()])]

    def _block(self) -> Tokens:
        return ["block", self.name(), *self._params(), *self.body(2)]

    def _network(self) -> Tokens:
        return ["network", self.name(), *self._params(), *self.body(1)]

    def _alias(self) -> Tokens:
        return ["network", self.name(), "=", *self.expression()]

    def _definition(self) -> Tokens:
        return [self.name(), "=", *self.expression()]

    def _params(self) -> Tokens:
        if self.often(0.3):
            return []
        items = self.listed(self._param, 0)
        return ["(", *items, *(self.comma() if items else []), ")"]

    def _param(self) -> Tokens:
        kind = [":", *self.type(1)] if self.often(0.7) else []
        return [self.name(), *kind, *(["=", *self.expression()] if self.often(0.5) else [])]

    def type(self, depth: int) -> Tokens:
        if self.often(0.2):
            return ["block"]
        if depth and self.often(0.2):
            return ["(", *self.listed(lambda: self.type(depth - 1)), *self.comma(), ")"]
        inner = ["[", *self.listed(lambda: self.type(depth - 1)), "]"] if depth and self.often(0.4) else []
        return [self.pick("int str list rate"), *inner, *(["in", *self.domain(1)] if self.often(0.3) else [])]

    # -------------------------------------------------------------- layout

    def spread(self, tokens: Tokens, remarks: float) -> str:
        """The tokens with random blanks, line ends and comments between them."""
        parts = [self._gap(remarks)]
        for token, following in pairwise([*tokens, "\n"]):
            tight = (token in _TIGHT or following in _TIGHT) and self.often(0.7)
            parts += [token, "" if tight else self._gap(remarks)]
        return "".join(parts)

    def _gap(self, remarks: float) -> str:
        gap = self.random.choice([" ", " ", " ", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\n\n\n  ", " \n \n "])
        if self.often(remarks):
            gap += self.random.choice(_REMARKS) + self.random.choice(["\n", "\n", "\r\n", "\n\n\n"])
            gap += self.random.choice(["", "  ", self.random.choice(_REMARKS) + "\n"])
        return gap


def _spec(seed: int, entries: int, depth: int, remarks: float) -> str:
    writer = SpecWriter(Random(seed), depth)
    return writer.spread(writer.file(entries), remarks)


def specs() -> st.SearchStrategy[str]:
    """Valid specs as text."""
    seeds = st.integers(0, 2**32)
    return st.builds(_spec, seeds, st.integers(0, 4), st.integers(0, 3), st.sampled_from([0, 0.02, 0.3]))
