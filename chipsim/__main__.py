"""The door of the command line: `chipsim …` and `python -m chipsim …`; turns refused input into one line and exit 1."""

from __future__ import annotations

import sys

from .errors import ChipsimError


def main() -> int:
    """Run the command line; exit codes are 0 (done), 1 (input refused) and 2 (wrong usage)."""
    from chipsim.cli.app import app

    try:
        app(prog_name="chipsim")
    except ChipsimError as error:
        print(f"chipsim: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"chipsim: not enough memory: {str(error) or 'the request is too large'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
