"""Errors a user can act on: each names the offending thing, the limit, and a way out."""

from __future__ import annotations


class ChipsimError(ValueError):
    """Refused input. The command line prints the message and exits with code 1."""


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
