"""How a command can end."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes: each tells a script what kind of thing happened."""

    DONE = 0
    FAULT = 1
    """The spec, data or weights are at fault; a missing file too."""
    USAGE = 2
    MISSING = 3
    """This machine lacks what was asked for; the message names the install command."""
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


terminated = False
"""Whether SIGTERM has come, even where the exception it raised was lost on the way."""

interrupted = False
"""Whether Ctrl-C (SIGINT) has come, likewise."""


def stop_if_terminated() -> None:
    """Ends before something is published that nobody waits for any more. Raises KeyboardInterrupt after a signal."""
    if terminated or interrupted:
        raise KeyboardInterrupt


class MissingRequirement(Exception):
    """Something optional is not installed, or the machine has no such device."""
