"""cs.compile: networks of any origin onto any chip.

A network that was read from another tool (`cs.from_torch`, `cs.from_nir`) holds that tool's float units; on a chip of
integers it takes ideal neurons first, its own seconds per step, and the quantiser's options that suit it. A
`Conversion` (`cs.from_sklearn`, `cs.from_torch` of ReLUs) carries its network. All others go to
`chipsim.mappings.compiler.compile` as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from chipsim.checks import mapping
from chipsim.chips.read import load_chip
from chipsim.errors import CompileError
from chipsim.mappings.builders.relu import Conversion
from chipsim.mappings.compiler.compile import compile as compile_network
from chipsim.mappings.network.network import Network
from chipsim.program.program import Program


@wraps(compile_network)
def compile(net: Any, chip: Any, **options: Any) -> Program:
    """See `chipsim.mappings.compiler.compile`."""
    described = load_chip(chip)
    if isinstance(net, Conversion):
        chosen = with_compartments(net.network, described, options.pop("quantise", None))
        return compile_network(net.network, described, **options, **({"quantise": chosen} if chosen else {}))
    if is_read(net) and described.family != "float":
        from chipsim.mappings.formats.nir.onto_chip import compile_read

        seconds, chosen = options.pop("dt", None), options.pop("quantise", None)
        return compile_read(net, described, seconds=seconds, quantise=chosen, **options)
    return compile_network(net, described, **options)


def is_read(net: Any) -> bool:
    """True for a network of another tool's units."""
    if not isinstance(net, Network) or "nir" not in net.metadata:
        return False
    return any(p.model.family == "float" for p in net.populations.values())


def with_compartments(net: Network, chip: Any, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of the quantiser, with a second compartment where a reset by subtraction needs one."""
    options = dict(mapping(given, "quantise", "option -> value", CompileError))
    subtracts = any(p.model.values.get("reset") == "subtract" for p in net.populations.values())
    joined = chip.limits.soft_reset_compartments
    if subtracts and joined is not None and "subtract" not in chip.arithmetic.reset_modes:
        return {"compartments": joined, **options}
    return options
