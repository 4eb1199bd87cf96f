"""Errors a user can act on: each names the offending thing, the limit, and a way out."""

from __future__ import annotations

LONGEST = 480  #: letters of a message; what a file holds may be echoed in it
LINES = 2


class ChipsimError(ValueError):
    """Refused input. The command line prints the message and exits with code 1.

    Whatever a file or an argument held, the message is one or two printable lines: terminal escapes and other
    control characters stand as their codes, and what is too long is cut in its middle.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


#: What libraries say where memory or threads lack.
_LACK = ("failed to map segment", "annot allocate memory", "can't start new thread", "libllvmlite")


def lacks_memory(error: BaseException) -> bool:
    """True for an error that says that the system has no more memory or threads, and nothing about what was read."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _LACK)


def printable(message: str) -> str:
    """`message` as at most two lines that a terminal shows as they are."""
    lines = message.split("\n")
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], " ".join(lines[LINES - 1 :])]
    shown = ("".join(c if c.isprintable() else _code(c) for c in line) for line in lines)
    return "\n".join(s if len(s) <= LONGEST else f"{s[: LONGEST - 200]} ... {s[-195:]}" for s in shown)


def _code(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class ChipsimWarning(UserWarning):
    """What the compiler did, or found, that a user probably did not mean; also in `program.warnings`."""


class NetworkError(ChipsimError):
    """A network that means nothing: wrong shapes, duplicate names, values outside a register."""


class DescriptionError(ChipsimError):
    """A chip description (YAML) that breaks the schema."""


class CompileError(ChipsimError):
    """A network that does not fit the chip.

    Parameters
    ----------
    message
        The whole sentence for the user.
    population, core, resource, need, limit
        The same facts for a program: name, logical core index, resource name, amount needed, amount allowed.
    """

    def __init__(
        self,
        message: str,
        *,
        population: str | None = None,
        core: int | None = None,
        resource: str | None = None,
        need: float | None = None,
        limit: float | None = None,
    ) -> None:
        super().__init__(message)
        self.population, self.core, self.resource = population, core, resource
        self.need, self.limit = need, limit


class RunError(ChipsimError):
    """Inputs, records or step counts that a program cannot run with."""


class FileError(ChipsimError):
    """A file that is missing, cut short, or not what it claims to be."""


class Stopped(BaseException):
    """Ctrl-C on the command line; its text says what is kept. No KeyboardInterrupt: libraries catch those."""
