"""Commands that go on when the reader of their output has gone: what `train` and `search` are for are their files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


@contextmanager
def going_on_unread() -> Iterator[None]:
    """While inside, `archdsl … | head` ends what is printed, and nothing else."""
    before = sys.stdout, sys.stderr
    # a process that was started with a closed stream has none
    sys.stdout, sys.stderr = (cast(TextIO, stream and _GoingOn(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _GoingOn:
    """A stream whose text goes nowhere once nobody reads it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            to_nowhere(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            to_nowhere(self._stream)


def to_nowhere(stream: TextIO) -> None:
    """Lets what is written to a stream from here on, and what it still holds, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
