"""Did you mean …? The names that a mistyped one may have stood for."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 256
"""Longer names are compared up to case only: nobody typed them, and the table grows with their length."""


_ELSEWHERE = {
    "adaptiveavgpool2d": "adaptive_pool",
    "avgpool2d": "avg_pool",
    "batch_norm": "bn",
    "batchnorm": "bn",
    "batchnorm2d": "bn",
    "cat": "concat",
    "chunk": "split",
    "conv2d": "conv",
    "convtranspose2d": "conv_transpose",
    "deconv": "conv_transpose",
    "dilations": "dilation",
    "dwconv": "depthwise",
    "globalavgpool": "global_pool",
    "hardsigmoid": "hsigmoid",
    "hardswish": "hswish",
    "interpolate": "resize",
    "kernel_size": "kernel",
    "maxpool2d": "max_pool",
    "maxunpool2d": "unpool",
    "out_channels": "out",
    "rate": "dilation",
    "scale_factor": "scale",
    "swish": "silu",
    "upsample": "resize",
    "zeropad2d": "pad",
}
"""What PyTorch and Keras call things, in lower case, and what they are called here."""


def nearest(name: str, candidates: Iterable[str], *, limit: int = 1) -> list[str]:
    """At most `limit` candidates near to `name`, nearest first, ties in alphabetical order.

    Case counts for nothing, so one that differs in case alone comes before all others. One edit is allowed in
    names of up to 4 letters, 2 in longer ones, 3 from 12 letters on; one that shares no letter is never near.
    """
    folded, cap = name.casefold(), _cap(name)
    ranked = []
    for candidate in set(candidates) - {name}:
        other = candidate.casefold()
        distance = _within(folded, other, cap)
        if distance is not None and (distance == 0 or distance < max(len(folded), len(other))):
            ranked.append((distance, candidate))
    return [candidate for _, candidate in sorted(ranked)[:limit]]


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The question ``did you mean `X`?``, or nothing where no candidate is near, or is called so in PyTorch."""
    candidates = set(candidates)
    foreign = _ELSEWHERE.get(name.casefold(), "")
    found = nearest(name, candidates) or [c for c in (foreign,) if c in candidates]
    return f"did you mean `{found[0]}`?" if found else ""


def _cap(name: str) -> int:
    if len(name) <= 4:
        return 1
    return 2 if len(name) < 12 else 3


def _within(a: str, b: str, cap: int) -> int | None:
    """The distance of two names where it is at most `cap`."""
    if a == b:
        return 0
    if abs(len(a) - len(b)) > cap or max(len(a), len(b)) > _LONGEST:
        return None
    return _distance(a, b, cap)


def _distance(a: str, b: str, cap: int) -> int | None:
    """Damerau and Levenshtein's distance (optimal string alignment), given up once it must exceed `cap`."""
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        # further than `cap` from the diagonal, no distance can be within it
        low, high = max(1, i - cap), min(len(b), i + cap)
        row = [i, *[cap + 1] * len(b)]
        for j in range(low, high + 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row[low - 1 : high + 1]) > cap:
            return None
        before, above = above, row
    return above[-1] if above[-1] <= cap else None
