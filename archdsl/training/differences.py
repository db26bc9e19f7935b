"""What keeps a resumed training from being the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(before: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that is not what it was, of those that the last bits of a result depend on."""
    return [
        f"{name} was {before[name]} and is {value} now: the result will not be the same to the last bit"
        for name, value in present.items()
        if name in before and before[name] != value
    ]
