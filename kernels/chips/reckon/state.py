"""Records of the recurrent e-prop core: registers, state, stimulus and log, as plain arrays for the kernels.

Sizes: 256 inputs, 256 recurrent neurons stored as 128 pairs, 16 outputs; t ticks, e events, n logged neurons.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

INPUTS = NEURONS = 256
PAIRS = NEURONS // 2
OUTPUTS = 16
GROUP = 16  # post-synaptic neurons served by one weight word of 128 bits
UNIT_ALPHA = 0x8000  # leak factor 1.0: 1 integer bit, 15 fraction bits
UNIT_KAPPA = 0x80  # output leak factor 1.0: 1 integer bit, 7 fraction bits
TRACE_MAX = 4095  # input and recurrent traces: 12 bits
TRACE_OUT_MAX = 1023  # output trace: 10 bits

# rows of the shift registers in `Streams`
# (typed: a plain constant would compile a copy of the callee for every value)
S_WINP, S_WREC, S_WOUT, S_U, S_OUT, S_TINP, S_TREC, S_TOUT, S_NOISE = map(np.int64, (0, 1, 2, 3, 5, 6, 8, 10, 12))
WORD_BITS, OUT_WORD_BITS, LEAK_BITS, KAPPA_BITS, NOISE_BITS = map(np.int64, (512, 448, 15, 7, 16))  # per step
ZERO, ONE, TWO = map(np.int64, (0, 1, 2))
TAPS = [(3, 25), (3, 25), (1, 22)] + [(1, 15)] * 9 + [(3, 17)]

# columns of Log.cycles: clock cycles per state of the controller
C_STEP, C_SDONE, C_TARGET, C_EPROP, C_SEND, C_COUNT, C_EVENT, C_SUPP = range(8)
# columns of Log.access: neuron read, write, input weights read, write, recurrent read, write, output read,
# write
A_NEUR_R, A_NEUR_W, A_WINP_R, A_WINP_W, A_WREC_R, A_WREC_W, A_WOUT_R, A_WOUT_W = range(8)
# entries of Log.effects: what the chip does silently
(
    E_IGNORED,
    E_REPEATED,
    E_LOST,
    E_SAT_HIGH,
    E_SAT_LOW,
    E_OUT_SAT,
    E_WRAP,
    E_UPDATES_INP,
    E_UPDATES_REC,
    E_UPDATES_OUT,
    E_WEIGHT_SAT,
) = range(11)
EFFECTS = (
    "events_ignored",
    "events_repeated",
    "events_lost",
    "membrane_saturated_high",
    "membrane_saturated_low",
    "output_saturated",
    "reset_wrapped",
    "updates_input",
    "updates_recurrent",
    "updates_output",
    "weight_saturated",
)
# entries of State.flags
F_LABEL, F_GOT_LABEL, F_IN_SAMPLE = range(3)


class Config(NamedTuple):
    """Configuration registers as integers; `i`, `r`, `o` are the indices of the last input, recurrent and
    output
    neuron, `m` = max(i, r), `x` = max(i, r, o)."""

    i: int
    r: int
    o: int
    m: int
    x: int
    rst_mode: int
    do_eprop: int
    fp_winp: int
    fp_wrec: int
    fp_wout: int
    fp_tinp: int
    fp_trec: int
    fp_tout: int
    learn_sig_scale: int
    regul_mode: int
    regul_w: int
    stoch: int
    regression: int
    single_label: int
    no_out_act: int
    send_each: int
    send_label: int
    noise_en: int
    noise_str: int
    force_traces: int
    kappa: int
    thr_h0: int
    thr_h1: int
    thr_h2: int
    thr_h3: int
    h0: int
    h1: int
    h2: int
    h3: int
    h4: int
    lr_r_winp: int
    lr_p_winp: int
    lr_r_wrec: int
    lr_p_wrec: int
    lr_r_wout: int
    lr_p_wout: int
    regul_f0: int
    k_inp_r: int
    k_inp_p: int
    k_rec_r: int
    k_rec_p: int
    k_mul: int


class State(NamedTuple):
    """Everything the core remembers between ticks, except the random streams.

    `u` int16, `tinp`, `trec`, `tout` uint16, `dirty`, `z`, `pending`, `collected` uint8: (256,), raw memory
    fields.
    `thr`, `alpha` int32 (256,): threshold and 16-bit leak factor of each neuron (one value per pair).
    `out` int16, `wins` uint16, `target`, `lsig` int16: (16,). `winp`, `wrec` int8 (256, 256), `wout` int8
    (256, 16):
    [pre, post]. `flags` int64 (3,): label, label received in this sample, inside a sample.
    """

    u: np.ndarray
    tinp: np.ndarray
    trec: np.ndarray
    tout: np.ndarray
    dirty: np.ndarray
    z: np.ndarray
    pending: np.ndarray
    collected: np.ndarray
    thr: np.ndarray
    alpha: np.ndarray
    out: np.ndarray
    wins: np.ndarray
    target: np.ndarray
    lsig: np.ndarray
    winp: np.ndarray
    wrec: np.ndarray
    wout: np.ndarray
    flags: np.ndarray


class Stimulus(NamedTuple):
    """What arrives at the pins, tick by tick.

    `ev_ptr` int64 (t+1,), `ev_addr` uint8 (e,): input events sent before tick k. `last`, `target_valid`,
    `infer_acc` uint8 (t,): pin levels (`last`: SAMPLE is low). `label` int16 (t,): label sent before tick k,
    -1 none;
    `answer` int16 (t,): label sent when the chip asks in tick k, -1 none. `target` int16 (t, 16),
    `target_given`
    uint8 (t,): regression targets sent when the chip asks.
    """

    ev_ptr: np.ndarray
    ev_addr: np.ndarray
    last: np.ndarray
    target_valid: np.ndarray
    infer_acc: np.ndarray
    label: np.ndarray
    answer: np.ndarray
    target: np.ndarray
    target_given: np.ndarray


class Log(NamedTuple):
    """What a run leaves behind; "step" = after leak, fire and reset, "end" = when the chip is ready again.

    `has_step` uint8 (t,), `cycles` int32 (t, 8), `access` int32 (t, 8), `npass` int32 (t,), `spikes` uint8
    (t, n),
    `out_step`, `out_end`, `lsig` int16 (t, 16), `sent` int16 (t, 32) padded with -1, `effects` int64 (11,).
    Snapshots, index 0 = step, 1 = end, with t = 0 when not wanted: `snap_u` int16 (2, t, n), `snap_trace`
    uint16
    (2, 3, t, n) (input, recurrent, output), `snap_dirty` uint8 (2, t, n).
    """

    has_step: np.ndarray
    cycles: np.ndarray
    access: np.ndarray
    npass: np.ndarray
    spikes: np.ndarray
    out_step: np.ndarray
    out_end: np.ndarray
    lsig: np.ndarray
    sent: np.ndarray
    effects: np.ndarray
    snap_u: np.ndarray
    snap_trace: np.ndarray
    snap_dirty: np.ndarray


class Scratch(NamedTuple):
    """Work arrays: `rnd` int32 (4, 256) random words (u, tinp, trec, tout), `q` int64 (8,) the neuron
    memory's data
    register (u, tinp, trec, tout of both neurons of a pair), `err` int64 (16,), `drive` int32 (16,) = L * h,
    `reg` int64 (16,), `mul` int32 (16,), `sub` int32 (2, 16) (input, recurrent)."""

    rnd: np.ndarray
    q: np.ndarray
    err: np.ndarray
    drive: np.ndarray
    reg: np.ndarray
    mul: np.ndarray
    sub: np.ndarray


def make_state() -> State:
    """A cleared core: all memories and flags zero."""
    n, k = NEURONS, OUTPUTS
    fields = [
        *((name, np.uint16, n) for name in ("tinp", "trec", "tout")),
        *((name, np.uint8, n) for name in ("dirty", "z", "pending", "collected")),
        *((name, np.int32, n) for name in ("thr", "alpha")),
        *((name, np.int16, k) for name in ("out", "target", "lsig")),
        *((name, np.int8, (INPUTS, n)) for name in ("winp", "wrec")),
        ("u", np.int16, n),
        ("wins", np.uint16, k),
        ("wout", np.int8, (n, k)),
        ("flags", np.int64, 3),
    ]
    return State(**{name: np.zeros(shape, dtype) for name, dtype, shape in fields})


def make_log(ticks: int, neurons: int, snapshots: bool) -> Log:
    """An empty log for `ticks` ticks of `neurons` recurrent neurons."""
    s = ticks if snapshots else 0
    return Log(
        np.zeros(ticks, np.uint8),
        np.zeros((ticks, 8), np.int32),
        np.zeros((ticks, 8), np.int32),
        np.zeros(ticks, np.int32),
        np.zeros((ticks, neurons), np.uint8),
        np.zeros((ticks, OUTPUTS), np.int16),
        np.zeros((ticks, OUTPUTS), np.int16),
        np.zeros((ticks, OUTPUTS), np.int16),
        np.full((ticks, 2 * OUTPUTS), -1, np.int16),
        np.zeros(len(EFFECTS), np.int64),
        np.zeros((2, s, neurons), np.int16),
        np.zeros((2, 3, s, neurons), np.uint16),
        np.zeros((2, s, neurons), np.uint8),
    )


def make_scratch() -> Scratch:
    """Work arrays of a run."""
    return Scratch(
        np.zeros((4, NEURONS), np.int32),
        np.zeros(8, np.int64),
        np.zeros(OUTPUTS, np.int64),
        np.zeros(GROUP, np.int32),
        np.zeros(GROUP, np.int64),
        np.zeros(GROUP, np.int32),
        np.zeros((2, GROUP), np.int32),
    )
