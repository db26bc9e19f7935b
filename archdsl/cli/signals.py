"""What Ctrl-C and SIGTERM do: end at once while the program is still loading, and in good order afterwards."""

from __future__ import annotations

import os
import signal
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    exits.interrupted = True
    raise KeyboardInterrupt


def _terminate(number: int, frame: FrameType | None) -> None:
    exits.terminated = True
    raise Terminated
