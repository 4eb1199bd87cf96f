"""The door of the command line, `chipsim …` and `python -m chipsim …`: what goes wrong is a line and an exit code."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .errors import ChipsimError, Stopped, lacks_memory

INTERRUPTED = 130  #: exit code after Ctrl-C, as shells have it
PATIENCE = 3  #: seconds after Ctrl-C in which what runs may tidy up


def main() -> int:
    """Run the command line.

    Exit codes are 0 (done), 1 (input refused, or the system refuses), 2 (wrong usage) and 130 (interrupted).
    """
    _fill_closed_streams()
    _one_thread_in_little_memory()
    warnings.formatwarning = _warning
    try:
        with _interruptible():
            code = _run()
    except (Stopped, KeyboardInterrupt) as stop:
        said = str(stop)
        _tell(f"interrupted{f'; {said}' if said else ''}")
        code = INTERRUPTED
    return _flushed(code)


def _run() -> int:
    """The command's exit code; refusals as a line."""
    try:
        from chipsim.cli.app import app

        app(prog_name="chipsim")
    except ChipsimError as error:
        _tell(str(error))
        return 1
    except SystemExit as end:
        if end.code == INTERRUPTED:
            raise KeyboardInterrupt from None
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        said = _of_the_system(error)
        if said is None:
            raise
        _tell(said)
        return 1
    return 0


def _of_the_system(error: BaseException) -> str | None:
    """What the system refused, in a line; None for an error that is ours."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return f"not enough memory: {text or 'the request is too large'}"
    if lacks_memory(error):
        return f"not enough memory: {text[:160]}"
    if "cannot cache function" in text:
        return (
            "compiled kernels have nowhere to go: no cache folder can be written; set NUMBA_CACHE_DIR to one that can"
        )
    if text.startswith("NUMBA_DISABLE_JIT"):
        return text
    if isinstance(error, OSError):
        if error.filename is not None:
            return f"cannot read or write {error.filename}: {(error.strerror or text).lower()}"
        return f"the system refuses: {(error.strerror or text).lower()}"
    return None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises `Stopped` inside; a second one, or `PATIENCE` without an end, ends the process."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else's process, or one that was told to ignore it
        return
    timer = threading.Timer(PATIENCE, _end)
    timer.daemon = True
    hook = sys.unraisablehook

    def stop(number: int, frame: Any) -> None:
        if timer.is_alive():
            _end()
        timer.start()
        raise Stopped

    # An exception that is raised while a library calls back is lost; the timer sees to the end then.
    sys.unraisablehook = _without_stops(hook)
    signal.signal(signal.SIGINT, stop)
    try:
        yield
        if timer.is_alive():  # what Ctrl-C raised was lost in a library, and the work went on to its end
            raise Stopped
    finally:
        timer.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, signal.default_int_handler)
        atexit.unregister(_deaf)
        atexit.register(_deaf)


def _deaf() -> None:
    """All is done: a Ctrl-C while Python takes its modules down changes no exit code."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _without_stops(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda lost: None if issubclass(lost.exc_type, (Stopped, KeyboardInterrupt)) else hook(lost)


def _end() -> None:
    """End at once: files are written beside their targets, so nothing is half done."""
    _tell("interrupted")
    os._exit(INTERRUPTED)


def _fill_closed_streams() -> None:
    """Standard streams that the caller has closed lead nowhere, instead of into the next file that is opened."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115


def _one_thread_in_little_memory() -> None:
    """Under a limit of memory (`ulimit -v`) OpenBLAS waits for ever for threads that it cannot make: it makes none."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _flushed(code: int) -> int:
    """`code`, or 1 where what was printed could not be written; a reader that left is no error to tell."""
    try:
        sys.stdout.flush()
        return code
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) != errno.EPIPE:
            _tell(f"cannot write standard output: {(getattr(error, 'strerror', None) or str(error)).lower()}")
    # What is left in the buffer would fail again when Python ends.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code or 1


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):
        print(f"chipsim: {text}", file=sys.stderr, flush=True)


def _warning(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {message}\n"


if __name__ == "__main__":
    sys.exit(main())
