"""Which functions of this room are shipped rules: `@shipped` says so, `cs.rules.NAME` finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Make = TypeVar("Make", bound=Callable[..., Any])

#: Name -> function that makes the rule, in the order of the modules and in them.
SHIPPED: dict[str, Callable[..., Any]] = {}


def shipped(make: Make) -> Make:
    """Decorator: a function that returns a rule, with defaults for all that most users leave."""
    if make.__name__ in SHIPPED:
        raise ValueError(f"two shipped rules are called {make.__name__}")
    SHIPPED[make.__name__] = make
    return make
