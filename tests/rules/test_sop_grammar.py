"""The grammar of sum-of-products rules: what it reads, what it refuses and how it says so."""

from __future__ import annotations

import pytest

from chipsim.errors import NetworkError
from chipsim.rules.products.grammar import Factor, float_to_literal, parse


@pytest.mark.parametrize(
    "text, expected",
    [
        ("x0*y1", [("x0", 1, 0, ("y1",))]),
        (" -4*x0*y3*y0 ", [("x0", -4, 0, ("y3", "y0"))]),
        ("(1) * 2 ^ -1 * (-2) * x0 * y1", [("x0", -2, -1, ("y1",))]),
        ("24*y0 - 2*2^-3*2^2*u3*x0", [("y0", 6, 2, ()), ("u", -2, -1, ("x0",))]),
        ("-8*x0", [("x0", -4, 1, ())]),
        ("0*x0", [("x0", 0, 0, ())]),
    ],
)
def test_grammar(text: str, expected: list) -> None:
    got = [(p.dependency, p.mantissa, p.exponent, tuple(f.variable for f in p.factors)) for p in parse("dw", text)]
    assert got == expected


def test_grammar_of_brackets() -> None:
    (p,) = parse("dw", "x0*(w-100)*(3-y1)*sgn(t+2*2^3)*(2^-1+x1)*(w)")
    assert p.mantissa == -1
    assert p.factors == (
        Factor("w", -100),
        Factor("y1", -3),
        Factor("t", 16, True),
        Factor("x1", 0.5),
        Factor("w"),
    )


@pytest.mark.parametrize(
    "text, fragments",
    [
        ("x1*y1", ["'x1*y1'", "no dependency"]),
        ("x0*y1 + 17*x0", ["'17*x0'", "-8..7", "split"]),
        ("2^9*x0", ["exponent", "-7..8"]),
        ("2^-8*x0*y1", ["exponent", "-7..8"]),
        ("3^2*x0", ["powers of 2"]),
        ("x0*y4", ["'y4'", "allowed are"]),
        ("x0*u0", ["put u0 first"]),
        ("u10*w", ["one digit"]),
        ("x0*-2*y1", ["two operators", "brackets"]),
        ("x0 y1", ["write '*'"]),
        ("x0*(-w)", ["minus in front"]),
        ("x0*(w*2)", ["brackets hold"]),
        ("x0*(x1+2+3)", ["brackets hold"]),
        ("x0*(x1+y1)", ["one variable and one constant"]),
        ("x0*sgn(x1)", ["sgn", "w, d or t"]),
        ("x0*sgn(3-w)", ["stand with a plus"]),
        ("x0*(y1", ["brackets"]),
        ("x0*", ["missing"]),
        ("", ["empty"]),
    ],
)
def test_grammar_errors_name_product_limit_and_way_out(text: str, fragments: list[str]) -> None:
    with pytest.raises(NetworkError) as error:
        parse("dw", text)
    message = str(error.value)
    assert message.startswith("dw") and "\n" not in message
    for fragment in fragments:
        assert fragment in message, message


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (1, "(1)"),
        (-2, "(-2)"),
        (0.5, "(1) * 2 ^ -1"),
        (-0.1, "(-1) * 2 ^ -3"),
        (2.5, "(2) * 2 ^ 0"),
    ],
)
def test_float_to_literal(value: float, text: str) -> None:
    assert float_to_literal(value) == text
