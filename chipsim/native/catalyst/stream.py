"""The byte stream of the Catalyst N1's host interface: commands to bytes and back, operations to commands.

Big-endian; one command at a time, the answer is awaited. A stream that was written here and read back gives the same
operations. What the bytes cannot say (pool addresses beyond 16 bits, neuron numbers beyond 10 in a pool command, counts
beyond 14) is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import NetworkError
from . import operations as ops

#: Command code -> name, payload bytes.
COMMANDS = {
    0x01: ("pool", 8), 0x02: ("route", 9), 0x03: ("stimulus", 5), 0x04: ("run", 2), 0x05: ("status", 0),
    0x06: ("flags", 1), 0x07: ("parameter", 6), 0x08: ("index", 7), 0x09: ("reward", 2), 0x0A: ("delay", 4),
    0x0B: ("format", 4), 0x0C: ("learning program", 6), 0x0D: ("noise seed", 3), 0x0E: ("probe", 4),
    0x0F: ("tree", 4), 0x10: ("global route", 9), 0x1C: ("stall", 1), 0x1D: ("clear", 1),
}  # fmt: skip
CODES = {name: code for code, (name, _) in COMMANDS.items()}
#: Widths in bytes of each command's payload fields; pool is packed by hand.
_WIDTHS = {
    "route": (1, 2, 1, 1, 2, 2), "stimulus": (1, 2, 2), "run": (2,), "status": (), "flags": (1,),
    "parameter": (1, 2, 1, 2), "index": (1, 2, 2, 2), "reward": (2,), "delay": (1, 2, 1), "format": (1, 2, 1),
    "learning program": (1, 1, 4), "noise seed": (1, 2), "probe": (1, 2, 1), "tree": (1, 2, 1),
    "global route": (1, 2, 1, 1, 2, 2), "stall": (1,), "clear": (1,),
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One command: its name in `COMMANDS` and its fields as numbers; name "" is an unknown code.

    The fields of "pool" are those of the operation: core, address, source, target, weight, compartment.
    """

    name: str
    fields: tuple[int, ...]
    code: int = 0

    def encode(self) -> bytes:
        """The command's bytes; NetworkError for a field that its bytes cannot hold."""
        if not self.name:
            return bytes([self.code])
        if self.name == "pool":
            return bytes([CODES["pool"]]) + _pool_bytes(*self.fields)
        out = bytearray([CODES[self.name]])
        for value, width in zip(self.fields, _WIDTHS[self.name]):
            top = 1 << 8 * width
            if not -(top >> 1) <= value < top:
                raise NetworkError(f"catalyst host command {self.name}: {value} does not fit its {width} byte(s)")
            out += (value & (top - 1)).to_bytes(width, "big")
        return bytes(out)


def _pool_bytes(
    core: int, address: int, source: int, target: int, weight: int, compartment: int, filler: int = 0
) -> bytes:
    for name, value, top in (("core", core, 256), ("address", address, 1 << 16), ("source", source, 1024),
                             ("target", target, 1024), ("compartment", compartment, 4)):  # fmt: skip
        if not 0 <= value < top:
            raise NetworkError(
                f"catalyst host command pool: {name} {value} is outside 0..{top - 1}, what its bytes can say"
            )
    high = compartment << 6 | source >> 8 << 4 | target >> 8 << 2 | filler & 3
    return (
        bytes([core])
        + address.to_bytes(2, "big")
        + bytes([high, source & 255, target & 255])
        + (weight & 0xFFFF).to_bytes(2, "big")
    )


def _fields(name: str, payload: bytes) -> tuple[int, ...]:
    if name == "pool":
        high = payload[3]
        source, target = (high >> 4 & 3) << 8 | payload[4], (high >> 2 & 3) << 8 | payload[5]
        weight = int.from_bytes(payload[6:8], "big", signed=True)
        fields = (payload[0], int.from_bytes(payload[1:3], "big"), source, target, weight, high >> 6)
        return (*fields, high & 3) if high & 3 else fields  # two bits without a meaning
    out, at = [], 0
    for width in _WIDTHS[name]:
        out.append(int.from_bytes(payload[at : at + width], "big"))
        at += width
    return tuple(out)


def read_commands(data: bytes) -> list[Command]:
    """A byte stream as commands; unknown codes are kept as such. NetworkError if the last command is cut short."""
    found, at = [], 0
    while at < len(data):
        code = data[at]
        name, size = COMMANDS.get(code, ("", 0))
        payload = data[at + 1 : at + 1 + size]
        if len(payload) < size:
            raise NetworkError(
                f"catalyst host stream ends inside a command: {name} at byte {at} has {len(payload)} of {size} bytes"
            )
        found.append(Command(name, _fields(name, payload) if name else (), code))
        at += 1 + size
    return found


def write_commands(commands: Iterable[Command]) -> bytes:
    """Commands as one byte stream."""
    return b"".join(c.encode() for c in commands)


def to_commands(operations: Any) -> list[Command]:
    """Programming operations (n, 7) as host commands, one each."""
    return [_command(tuple(int(v) for v in row)) for row in np.asarray(operations, np.int64).reshape(-1, 7)]


def _command(row: tuple[int, ...]) -> Command:
    op, a, b, c, d, e, f = row
    if op == ops.POOL:
        return Command("pool", (a, b, c, d, e, f))
    if op == ops.INDEX:
        if d >= 1 << 14 or c >= 1 << 16:
            raise NetworkError(f"catalyst host command index: base {c}, count {d}; its bytes hold 16 and 14 bits")
        return Command("index", (a, b, c, e << 14 | d))
    if op in (ops.LOCAL, ops.GLOBAL):
        return Command("route" if op == ops.LOCAL else "global route", (a, b, c, d, e, f & 0xFFFF))
    if op == ops.DELAY:
        return Command("delay", (a, b, c))
    if op == ops.PROGRAM:
        return Command("learning program", (a, b, (c & 0xFFFF) << 16 | d & 0xFFFF))
    return Command("parameter", (a, b, c, d & 0xFFFF))


def to_operation(command: Command) -> tuple[int, ...] | None:
    """The programming operation of a command, None if it is not one."""
    v = command.fields
    if command.name == "pool":
        return (ops.POOL, *v[:6])
    if command.name == "index":
        return (ops.INDEX, v[0], v[1], v[2], v[3] & 0x3FFF, v[3] >> 14, 0)
    if command.name in ("route", "global route"):
        op = ops.LOCAL if command.name == "route" else ops.GLOBAL
        return (op, *v[:5], v[5] - ((v[5] & 0x8000) << 1))
    if command.name == "delay":
        return (ops.DELAY, *v, 0, 0, 0)
    if command.name == "learning program":
        return (ops.PROGRAM, v[0], v[1], v[2] >> 16, v[2] & 0xFFFF, 0, 0)
    if command.name == "parameter":
        return (ops.PARAMETER, *v[:3], ops.signed16(v[3]), 0, 0)
    if command.name == "tree":
        return (ops.PARAMETER, v[0], v[1], ops.PARAMETERS["tree"], v[2], 0, 0)
    if command.name == "clear":
        return (ops.PARAMETER, v[0], 0, ops.PARAMETERS["clear"], 0, 0, 0)
    return None


def to_operations(commands: Iterable[Command]) -> np.ndarray:
    """The programming operations among commands, in order, (n, 7) int64."""
    rows = [row for row in map(to_operation, commands) if row is not None]
    return np.array(rows, np.int64).reshape(-1, 7)


__all__ = ["COMMANDS", "Command", "read_commands", "to_commands", "to_operations", "write_commands"]
