"""Shipped rules in the language of declarations: ready for any plastic projection, one function each.

Every module here is read, and what it marks with `@shipped` is found as `cs.rules.NAME`: a rule is a function in a file
of this folder. Times in steps. `weight` takes a `Fixed` format for chips of few bits. May import the rules' own rooms.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from chipsim.rules.library.shipped import SHIPPED

__all__ = ["SHIPPED"]

#: Modules in the order of the page; others follow by name.
_FIRST = ("spikes", "pairs", "three_factor", "taught", "values")
_found = {module.name for module in iter_modules(__path__)}
for _name in (*_FIRST, *sorted(_found - {*_FIRST})):
    import_module(f"{__name__}.{_name}")
globals().update(SHIPPED)  # also over modules that are called as their rule
