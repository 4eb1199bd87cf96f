"""ReckOn's shift registers: which seed register loads which, after reset and from a seed, and what they put
out."""

from __future__ import annotations

from chipsim.kernels.chips.reckon import state as rk

# seed register -> (first row of the streams, registers it seeds, bits of each, values after reset)
SEEDS: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "SEED_INP": (rk.S_WINP, 1, 25, (0x0000001,)),
    "SEED_REC": (rk.S_WREC, 1, 25, (0x0424242,)),
    "SEED_OUT": (rk.S_WOUT, 1, 22, (0x000001,)),
    "SEED_STRND_NEUR": (rk.S_U, 2, 15, (0x1234, 0x70F0)),
    "SEED_STRND_ONEUR": (rk.S_OUT, 1, 15, (0x7ABA,)),
    "SEED_STRND_TINP": (rk.S_TINP, 2, 15, (0x1348, 0x7FCF)),
    "SEED_STRND_TREC": (rk.S_TREC, 2, 15, (0x4321, 0x7BEA)),
    "SEED_STRND_TOUT": (rk.S_TOUT, 2, 15, (0x3FF3, 0x7EF0)),
    "SEED_NOISE_NEUR": (rk.S_NOISE, 1, 17, (0x1F0F1,)),
}
# name -> (stream row, registers, bits put out at once): the random words visible in the chip
LFSR_OUTPUTS: dict[str, tuple[int, int, int]] = {
    "winp": (rk.S_WINP, 1, 512),
    "wrec": (rk.S_WREC, 1, 512),
    "wout": (rk.S_WOUT, 1, 448),
    "noise": (rk.S_NOISE, 1, 32),
    "u": (rk.S_U, 2, 15),
    "ou": (rk.S_OUT, 1, 7),
    "ti": (rk.S_TINP, 2, 15),
    "tr": (rk.S_TREC, 2, 15),
    "to": (rk.S_TOUT, 2, 7),
}


_TAPS = {25: 3, 17: 3, 22: 1, 15: 1}


def seed_window(seed: int, length: int, held: tuple[int, ...]) -> int:
    """Next `length` bits of a stream from a register value: register bit b holds stream bit s[T +
    held[b]]."""
    bits = {t: (seed >> b) & 1 for b, t in enumerate(held)}
    for t in range(length):
        if t not in bits:
            bits[t] = bits[t - _TAPS[length]] ^ bits[t - length]
    return sum(bits[t] << t for t in range(length))


def window(register: str, seed: int) -> int:
    """Stream window of one shift register from the value in its seed register (bit order of the Verilog)."""
    length = SEEDS[register][2]
    if register in ("SEED_INP", "SEED_REC", "SEED_NOISE_NEUR"):
        held = (0, 1, 2, *range(3 - length, 0))
    elif register in ("SEED_STRND_ONEUR", "SEED_STRND_TOUT"):
        held = (0, *(t for i in range(7) for t in (i - 14, i - 7)))
    else:
        held = (0, *range(1 - length, 0))
    return seed_window(seed, length, held)
