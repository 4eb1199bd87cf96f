"""Processes that hear Ctrl-C, whoever started the tests: a shell lets what it runs in the background ignore it."""

from __future__ import annotations

import signal


def hears() -> None:
    """For `preexec_fn` of a `Popen` that gets SIGINT later."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
