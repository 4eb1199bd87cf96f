"""Sum-of-products rules as text, read into products.

    dw = "2^-2*x1*y0 - 2^-2*y1*x0"       dt = "2*y0*x1 - u0*2^-1*t"

A rule is a sum of products of: one dependency (x0 pre spike, y0 post spike, uK every 2^K-th epoch); literals
n, 2^e, n*2^e, which merge into one scale; factors x1 x2 y1 y2 y3 w d t, (var + const), (const - var), sgn(w +
const); a second x0 or y0 is a factor. The syntax is Lava's. Where Lava silently misreads a text (a missing
`*`, `(-w)`, `(w*2)`, `(x1 + 2 + 3)`, `u10`), it is refused here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from chipsim.errors import NetworkError

MANTISSA_MIN, MANTISSA_MAX = -8, 7
EXPONENT_MIN, EXPONENT_MAX = -7, 8
_TOKEN = re.compile(r"\s*(?:(sgn|x[012]|y[0123]|u\d+|[wdt])|(\d+)|([-+*^()]))")
_SIGNABLE = ("w", "d", "t")


@dataclass(frozen=True)
class Factor:
    """clip(variable + constant), or its sign. A fraction left by the constant is cut toward 0."""

    variable: str
    constant: float = 0.0
    sgn: bool = False


@dataclass(frozen=True)
class Product:
    """mantissa * 2**exponent * dependency * factors; dependency "x0", "y0" or "u"; `text` for messages."""

    target: str
    dependency: str
    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]
    k: int | None
    text: str


def float_to_literal(value: float) -> str:
    """A number as the text of a literal, its fraction rounded to a power of two: 0.1 -> "(1) * 2 ^ -3".

    The whole part (at least 1) becomes the mantissa, so 2.5 is written as 2 * 2^0 = 2: choose mantissas by
    hand where that is too coarse.
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        raise NetworkError(f"learning rule: {value} is not a finite number; give a finite learning rate or amplitude")
    sign = 1 if value > 0 else -1
    mantissa = max(int(abs(value)), 1)
    remainder = abs(value) / mantissa
    if remainder == 1:
        return f"({sign * mantissa})"
    return f"({sign * mantissa}) * 2 ^ {round(math.log2(remainder))}"


def parse(target: str, text: str) -> tuple[Product, ...]:
    """Products of a rule.

    Parameters
    ----------
    target
        "dw", "dd" or "dt".
    text
        Right-hand side of the rule.

    Raises
    ------
    NetworkError
        Naming the product, the limit and the way out.
    """
    return _Parser(target, text).series()


class _Parser:
    """Reads tokens left to right; one method per construct."""

    def __init__(self, target: str, text: str) -> None:
        self.target, self.text = target, text
        self.tokens: list[tuple[str, str]] = []
        self.ends: list[int] = []
        self.at = self.first = 0
        self.scale_of_group = (1, 0)
        pos, end = 0, len(text.rstrip())
        if end == 0:
            raise NetworkError(f"{target}: the rule is empty; write e.g. {target} = '2^-2*x1*y0'")
        while pos < end:
            m = _TOKEN.match(text, pos)
            if m is None:
                raise self.error(
                    f"'{text[pos:].strip()[:12]}' is not understood; allowed are x0 x1 x2 y0 y1 y2 y3 u0..u9 "
                    "w d t sgn( ) integers 2^e + - * and brackets"
                )
            kind = ("name", "int", "op")[(m.lastindex or 1) - 1]
            self.tokens.append((kind, m.group(m.lastindex or 1)))
            self.ends.append(m.end())
            pos = m.end()

    def error(self, message: str) -> NetworkError:
        """Names the product that is being read."""
        if self.tokens and self.at > 0:
            start = self.ends[self.first - 1] if self.first else 0
            last = self.at
            while last < len(self.tokens) and not (self.tokens[last][1] in "+-" and self.depth(last) == 0):
                last += 1
            part = self.text[start : self.ends[min(last, len(self.tokens)) - 1]].strip()
        else:
            part = self.text.strip()
        return NetworkError(f"{self.target}, product '{part}': {message}")

    def depth(self, upto: int) -> int:
        """Open brackets before token `upto`, counted from the start of the product."""
        seen = [v for _, v in self.tokens[self.first : upto]]
        return seen.count("(") - seen.count(")")

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        self.at += 1
        return token

    def expect(self, value: str, message: str) -> None:
        if self.take()[1] != value:
            self.at -= 1
            raise self.error(message)

    def series(self) -> tuple[Product, ...]:
        products = []
        sign = 1
        if self.peek() in ("+", "-"):
            sign = -1 if self.take()[1] == "-" else 1
        while True:
            self.first = self.at
            products.append(self.product(sign))
            if self.at >= len(self.tokens):
                return tuple(products)
            sign = -1 if self.take()[1] == "-" else 1

    def product(self, sign: int) -> Product:
        mantissa, exponent, k = sign, 0, None
        dependency: str | None = None
        factors: list[Factor] = []
        while True:
            m, e, name, factor = self.term()
            mantissa, exponent = mantissa * m, exponent + e
            if name.startswith("u"):
                if dependency in ("x0", "y0"):
                    raise self.error(f"{name} after {dependency}: put {name} first, {dependency} is then a factor")
                if len(name) > 2 or (k is not None and k != int(name[1])):
                    raise self.error(f"{name}: K in uK is one digit, 0..9, and the same in the whole rule")
                dependency, k = "u", int(name[1])
            elif name:
                if dependency is None:
                    dependency = name
                else:
                    factors.append(Factor(name))
            if factor is not None:
                factors.append(factor)
            if self.peek() in ("+", "-", ""):
                break
            self.expect("*", "write '*' between factors")
        if dependency is None:
            raise self.error("no dependency: the engine evaluates a product only on x0, y0 or uK; multiply by one")
        mantissa, exponent = self.scale(mantissa, exponent)
        start = self.ends[self.first - 1] if self.first else 0
        text = self.text[start : self.ends[self.at - 1]].strip()
        return Product(self.target, dependency, mantissa, exponent, tuple(factors), k, text)

    def scale(self, m: int, e: int) -> tuple[int, int]:
        """Mantissa and exponent in their registers."""
        while abs(m) > 7 and m % 2 == 0 and e < EXPONENT_MAX:
            m, e = m // 2, e + 1
        if not MANTISSA_MIN <= m <= MANTISSA_MAX:
            raise self.error(
                f"scale {m}*2^{e} needs a mantissa in {MANTISSA_MIN}..{MANTISSA_MAX} (4 bits); round it, or "
                "split the product into two"
            )
        if not EXPONENT_MIN <= e <= EXPONENT_MAX:
            raise self.error(
                f"scale {m}*2^{e} needs an exponent in {EXPONENT_MIN}..{EXPONENT_MAX}; scale impulses instead"
            )
        return m, e

    def term(self) -> tuple[int, int, str, Factor | None]:
        """(mantissa, exponent, dependency name or "", factor or None) of one term of a product."""
        kind, value = self.take()
        if kind == "int":
            m, e = self.literal(int(value))
            return m, e, "", None
        if value == "sgn":
            self.expect("(", "write sgn(...)")
            scale, variable, constant = self.group()
            if variable not in _SIGNABLE:
                raise self.error("sgn(...) takes w, d or t, optionally with a constant")
            if scale < 0:
                raise self.error(f"sgn(... - {variable}): the variable must stand with a plus; move the minus outside")
            return 1, 0, "", Factor(variable, constant, True)
        if value == "(":
            scale, variable, constant = self.group()
            if variable == "":
                m, e = self.scale_of_group
                return m, e, "", None
            return scale, 0, "", Factor(variable, constant)
        if kind == "name":
            if value[0] == "u" or value in ("x0", "y0"):
                return 1, 0, value, None
            return 1, 0, "", Factor(value)
        if value in ("+", "-"):
            raise self.error(f"two operators in a row; write a negative factor in brackets: ({value}n)")
        raise self.error("a factor is missing" if value in ("", "*", ")") else f"'{value}' is out of place")

    def literal(self, value: int) -> tuple[int, int]:
        """n, 2^e or (inside a sum only) n*2^e, after its first integer."""
        if self.peek() != "^":
            return value, 0
        if value != 2:
            raise self.error(f"{value}^: only powers of 2 are literals; write n*2^e")
        self.take()
        sign = 1
        if self.peek() in ("+", "-"):
            sign = -1 if self.take()[1] == "-" else 1
        kind, digits = self.take()
        if kind != "int":
            raise self.error("2^ needs an integer exponent")
        return 1, sign * int(digits)

    def constant(self, first: str) -> tuple[int, int]:
        """n, 2^e or n*2^e inside brackets."""
        m, e = self.literal(int(first))
        if e == 0 and self.peek() == "*":
            self.take()
            kind, digits = self.take()
            m2, e = self.literal(int(digits)) if kind == "int" else (0, 0)
            if m2 != 1 or kind != "int":
                raise self.error("inside brackets a constant is n, 2^e or n*2^e; move other factors outside")
        return m, e

    def group(self) -> tuple[int, str, float]:
        """After "(": (sign, variable, constant); variable "" for a bare literal, left in `scale_of_group`."""
        parts: list[tuple[int, str, tuple[int, int] | None]] = []
        while True:
            sign, signed = 1, False
            if self.peek() in ("+", "-"):
                sign, signed = (-1 if self.take()[1] == "-" else 1), True
            kind, value = self.take()
            if kind == "int":
                parts.append((sign, "", self.constant(value)))
            elif kind == "name" and value not in ("sgn",) and value[0] != "u":
                parts.append((sign, value, None))
            else:
                raise self.error("brackets hold var, const, var +- const or const +- var; expand anything else")
            if self.peek() == ")":
                break
            if self.peek() not in ("+", "-") or (len(parts) > 1 and signed):
                raise self.error("brackets hold var, const, var +- const or const +- var; expand anything else")
        self.take()
        return self.read_group(parts)

    def read_group(self, parts: list[tuple[int, str, tuple[int, int] | None]]) -> tuple[int, str, float]:
        names = [(s, v) for s, v, c in parts if c is None]
        numbers = [(s, c) for s, _, c in parts if c is not None]
        if len(parts) == 1 and numbers:
            sign, (m, e) = numbers[0]
            self.scale_of_group = (sign * m, e)
            return 1, "", 0.0
        if len(parts) == 1:
            sign, variable = names[0]
            if sign < 0 or variable in ("x0", "y0"):
                raise self.error(f"write {variable} without brackets, its minus in front of the product")
            return 1, variable, 0.0
        if len(names) != 1 or len(numbers) != 1:
            raise self.error("brackets hold one variable and one constant; expand the rest into products")
        sign, variable = names[0]
        csign, (m, e) = numbers[0]
        return sign, variable, sign * csign * m * 2.0**e
