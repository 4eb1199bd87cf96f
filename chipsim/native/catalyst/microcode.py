"""The learning engine's microcode: programs as text, assembled to 32-bit words, read back, and costed.

::

    ltd:                    ; for each synapse of a neuron that spiked (neighbour: the target)
        skip_nz x1          ; x1, x2, y1, y2, y3 of the neighbour, w, d, t, e, reward, stamp, r11 .. r15
        halt
        shr r11, x1, 3
        sub w, w, r11
        store_w
        halt
    ltp:                    ; for each synapse onto a neuron that spiked (neighbour: the source)
        ...

Sections: ``ltd``, ``ltp`` (at 0 and 64) or, with the three-factor flag, ``ltd3``, ``ltp3`` (at 128 and 192). Source:
behavioural specification of the released RTL, section 3.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import NetworkError

OPCODES = (
    "nop", "add", "sub", "mul", "shr", "shl", "max", "min", "loadi", "store_w", "store_e", "skip_z", "skip_nz", "halt",
    "store_d", "store_t",
)  # fmt: skip
#: Operands of each opcode: d and a, b registers, s a shift 0..7, i an immediate -32768..32767.
OPERANDS = {
    "add": "dab", "sub": "dab", "mul": "dabs", "shr": "das", "shl": "das", "max": "dab", "min": "dab", "loadi": "di",
    "skip_z": "a", "skip_nz": "a",
}  # fmt: skip
NAMES = ("x1", "x2", "y1", "y2", "y3", "w", "d", "t", "e", "reward", "stamp")
TRACES = NAMES[:5]
REGISTERS = {**{f"r{k}": k for k in range(16)}, **{name: k for k, name in enumerate(NAMES)}}
SECTIONS = {"ltd": 0, "ltp": 64, "ltd3": 128, "ltp3": 192}
LENGTH = 64  #: instructions from one section to the next


def assemble(text: str) -> dict[int, int]:
    """A program's text as address -> word; NetworkError names line, opcode, operand and limit."""
    words: dict[int, int] = {}
    at, section = None, ""
    for number, line in enumerate(text.splitlines(), 1):
        code = re.split(r"[;#]", line)[0].strip().lower()
        if not code:
            continue
        where = f"catalyst program, line {number}"
        if code.endswith(":"):
            section = code[:-1].strip()
            if section not in SECTIONS:
                raise NetworkError(f"{where}: no section {section!r}; there are {', '.join(SECTIONS)}")
            at = SECTIONS[section]
            if at in words:
                raise NetworkError(f"{where}: section {section!r} is given twice")
            continue
        if at is None:
            raise NetworkError(f"{where}: begin with a section, one of {', '.join(f'{s}:' for s in SECTIONS)}")
        if at >= SECTIONS[section] + LENGTH:
            raise NetworkError(
                f"{where}: section {section!r} is longer than {LENGTH} instructions, where the next one begins: "
                "shorten it"
            )
        words[at] = _word(code, where)
        at += 1
    return words


def _word(code: str, where: str) -> int:
    parts = code.replace(",", " ").split()
    name, given = parts[0], parts[1:]
    if name not in OPCODES:
        raise NetworkError(f"{where}: the RTL has no opcode {name!r}; it has {', '.join(OPCODES)}")
    kinds = OPERANDS.get(name, "")
    if len(given) != len(kinds):
        raise NetworkError(f"{where}: {name} takes {len(kinds)} operands ({_shape(kinds)}), not {len(given)}")
    value = {"d": 0, "a": 0, "b": 0, "s": 0, "i": 0}
    for kind, text in zip(kinds, given):
        value[kind] = _operand(kind, text, where)
    low = value["i"] & 0xFFFF if kinds.endswith("i") else value["s"] << 13
    return OPCODES.index(name) << 28 | value["d"] << 24 | value["a"] << 20 | value["b"] << 16 | low


def _shape(kinds: str) -> str:
    words = {"d": "register", "a": "register", "b": "register", "s": "shift 0..7", "i": "number"}
    return ", ".join(words[k] for k in kinds) or "none"


def _operand(kind: str, text: str, where: str) -> int:
    if kind in "dab":
        if text not in REGISTERS:
            raise NetworkError(f"{where}: no register {text!r}; there are r0..r15 or {', '.join(NAMES)}")
        return REGISTERS[text]
    try:
        value = int(text, 0)
    except ValueError:
        raise NetworkError(f"{where}: {text!r} is not a whole number") from None
    lo, hi = (0, 7) if kind == "s" else (-32768, 32767)
    if not lo <= value <= hi:
        raise NetworkError(f"{where}: {'shift' if kind == 's' else 'immediate'} {value} is outside {lo}..{hi}")
    return value


def disassemble_word(word: int) -> str:
    """One instruction as text that `assemble` takes."""
    name = OPCODES[word >> 28 & 15]
    registers = {"d": word >> 24 & 15, "a": word >> 20 & 15, "b": word >> 16 & 15}
    immediate = (word & 0xFFFF) - ((word & 0x8000) << 1)
    out = []
    for kind in OPERANDS.get(name, ""):
        if kind in registers:
            k = registers[kind]
            out.append(NAMES[k] if k < len(NAMES) else f"r{k}")
        else:
            out.append(str(word >> 13 & 7 if kind == "s" else immediate))
    return f"{name} {', '.join(out)}".strip()


def disassemble(words: dict[int, int]) -> str:
    """Words by address as text; gaps inside a section are written as `nop`."""
    out = []
    for name, start in SECTIONS.items():
        mine = [a for a in words if start <= a < start + LENGTH]
        if not mine:
            continue
        out.append(f"{name}:")
        out += [f"    {disassemble_word(words.get(a, 0))}" for a in range(start, max(mine) + 1)]
    return "\n".join(out) + "\n" if out else ""


@dataclass(frozen=True)
class Cost:
    """Instructions of one run of a section, from the shortest to the longest path; its cycles are 2 each."""

    fewest: int
    most: int


def cost(words: dict[int, int], section: str) -> Cost:
    """How long a section takes for one synapse; NetworkError if a path does not reach HALT.

    Skips are followed both ways; the chip has no jump, so a path ends or runs into the next section.
    """
    start = SECTIONS[section]
    memo: dict[int, tuple[int, int] | None] = {}
    for a in range(start + LENGTH + 1, start - 1, -1):
        inside = a in words and a < start + LENGTH
        op = OPCODES[words[a] >> 28] if inside else None
        if op is None:
            memo[a] = None
        elif op == "halt":
            memo[a] = (1, 1)
        elif op.startswith("skip"):
            one, two = memo.get(a + 1), memo.get(a + 2)
            ends = None if one is None or two is None else (one, two)
            memo[a] = None if ends is None else (1 + min(w[0] for w in ends), 1 + max(w[1] for w in ends))
        else:
            following = memo.get(a + 1)
            memo[a] = None if following is None else (1 + following[0], 1 + following[1])
    found = memo[start]
    if found is None:
        raise NetworkError(
            f"catalyst program: a path of section {section!r} does not end in halt; it would run on into the next "
            "section: end every path with halt"
        )
    return Cost(*found)


@dataclass(frozen=True, eq=False)
class Program:
    """Microcode as a learning rule: ``net.connect(pre, post, synapses, rule=cs.catalyst.Program(text))``.

    Parameters
    ----------
    text : str
        Sections ``ltd:`` and ``ltp:``, or ``ltd3:`` and ``ltp3:`` for the three-factor flag; a section that is left
        out does nothing.
    three_factor : bool or None
        The chip's flag: eligibilities decay and a reward moves all weights of the core. None: as the sections say.
    skip_idle : bool
        Timesteps of a core without a spike do not learn (the RTL skips both phases).
    taus : {"pre": {"x1": 4, ...}, "post": {...}} or None
        Tau registers that the program needs at the sources and the targets, instead of those of their neurons.
    reward_tau, epoch : int or None
        Registers of the core that the program needs; None: those of the neurons.
    weight_step : float or None
        What one unit of the weight means in the rule that the program was made from.
    notes : tuple of str
        What differs from that rule.

    Examples
    --------
    >>> from chipsim.native.catalyst.microcode import Program
    >>> rule = Program("ltp:\\n shr r11, x1, 4\\n add w, w, r11\\n store_w\\n halt")
    >>> rule.costs["ltp"].most, f"{rule.words[64]:08X}"
    (4, '4B008000')
    """

    text: str
    three_factor: bool | None = None
    skip_idle: bool = False
    name: str = "program"
    taus: Any = None
    reward_tau: int | None = None
    epoch: int | None = None
    weight_step: float | None = None
    notes: tuple[str, ...] = ()
    words: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Assemble, and check that every path ends."""
        if not isinstance(self.text, str):
            raise NetworkError(f"catalyst.Program takes its text, not {type(self.text).__name__}")
        for side, registers in (self.taus or {}).items():
            wrong = [n for n, v in registers.items() if n not in TRACES or not 0 <= v <= 15]
            if side not in ("pre", "post") or wrong:
                raise NetworkError(
                    f"catalyst.Program: taus={self.taus!r}: give pre and post, traces {', '.join(TRACES)}, values 0..15"
                )
        words = assemble(self.text)
        given = [s for s, start in SECTIONS.items() if start in words]
        if not given:
            raise NetworkError("catalyst.Program: the text has no instructions")
        threes = {s.endswith("3") for s in given}
        three = max(threes) if self.three_factor is None else bool(self.three_factor)
        if threes != {three}:
            raise NetworkError(
                f"catalyst.Program: sections {', '.join(given)} are not those that run with three_factor={three}; "
                f"use {'ltd3, ltp3' if three else 'ltd, ltp'}"
            )
        for section in ("ltd3", "ltp3") if three else ("ltd", "ltp"):
            words.setdefault(SECTIONS[section], OPCODES.index("halt") << 28)
            cost(words, section)
        object.__setattr__(self, "words", dict(sorted(words.items())))
        object.__setattr__(self, "three_factor", three)

    @property
    def sections(self) -> tuple[str, str]:
        """The two sections that run."""
        return ("ltd3", "ltp3") if self.three_factor else ("ltd", "ltp")

    @property
    def costs(self) -> dict[str, Cost]:
        """Instructions per synapse of each section."""
        return {section: cost(self.words, section) for section in self.sections}

    def cycles(self) -> dict[str, tuple[int, int]]:
        """Cycles per synapse, fewest and most: ltd 6 + 2 I, ltp 2 I (and 6 per reverse slot and spike)."""
        down, up = self.sections
        costs = self.costs
        return {
            down: (6 + 2 * costs[down].fewest, 6 + 2 * costs[down].most),
            up: (2 * costs[up].fewest, 2 * costs[up].most),
        }

    def operations(self, core: int) -> np.ndarray:
        """Programming operations (n, 7) that load it into a core."""
        from .operations import PROGRAM

        rows = [(PROGRAM, core, at, word >> 16, word & 0xFFFF, 0, 0) for at, word in self.words.items()]
        return np.array(rows, np.int64)

    @property
    def listing(self) -> str:
        """The program as text, disassembled from its words."""
        return disassemble(self.words)

    def __eq__(self, other: Any) -> bool:
        """Equal words, flags and registers of the core."""
        return isinstance(other, Program) and self._core() == other._core()

    def _core(self) -> tuple[Any, ...]:
        return tuple(self.words.items()), self.three_factor, self.skip_idle, self.reward_tau, self.epoch

    def __hash__(self) -> int:
        """Of what `==` compares."""
        return hash(self._core())


__all__ = ["NAMES", "OPCODES", "SECTIONS", "Cost", "Program", "assemble", "cost", "disassemble", "disassemble_word"]
