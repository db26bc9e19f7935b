"""What Ctrl-C and SIGTERM do: end at once while the program is still loading, and in good order afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from archdsl.cli import exits


class Terminated(BaseException):
    """SIGTERM, as an exception, so that half-written files are cleaned up on the way out."""


def end_at_once() -> None:
    """For the time in which nothing needs cleaning up: the signals end the process with a line and its exit code."""
    _handle(signal.SIGINT, _leave)
    _handle(signal.SIGTERM, _leave)


def end_in_order() -> None:
    """For the time of work: the signals become exceptions."""
    _handle(signal.SIGINT, _interrupt)
    _handle(signal.SIGTERM, _terminate)


def ignore_from_now_on() -> None:
    """For the end, when all is done and written: Python takes its handlers away before it is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))


def _handle(number: signal.Signals, handler: signal._HANDLER) -> None:
    try:
        # who runs us in the background may have asked for Ctrl-C to be ignored
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    except ValueError:
        # outside of the main thread: the program that called us looks after its signals itself
        pass


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"archdsl: interrupted\n" if number == signal.SIGINT else b"archdsl: terminated\n")
    os._exit(128 + number)


# code in C may swallow the exception or make another of it; the notes in `exits` outlive both


_patience: float | None = None


@contextmanager
def insisted_on(seconds: float = 3.0) -> Iterator[None]:
    """Inside, a signal whose exception got lost is raised again after that time, until the block ends.

    For long work that cleans up after itself in less. Callbacks out of C and finalisers lose exceptions.
    """
    global _patience
    _patience = seconds
    _handle(signal.SIGALRM, _again)
    try:
        yield
    finally:
        _patience = None
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _noted() -> None:
    if _patience is not None:
        signal.setitimer(signal.ITIMER_REAL, _patience)


def _again(number: int, frame: FrameType | None) -> None:
    _noted()
    raise Terminated if exits.terminated else KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    exits.interrupted = True
    _noted()
    raise KeyboardInterrupt


def _terminate(number: int, frame: FrameType | None) -> None:
    exits.terminated = True
    _noted()
    raise Terminated
