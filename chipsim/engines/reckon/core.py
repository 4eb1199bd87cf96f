"""Engine of ReckOn: the network, its state and its random streams, run tick by tick, bit for bit and cycle
for cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from chipsim.checks import shown
from chipsim.engines.reckon.io import ReckonRun, as_run, stimulus
from chipsim.engines.reckon.random import LFSR_OUTPUTS, SEEDS, window
from chipsim.errors import RunError
from chipsim.kept import FOREVER, Kept, checked, flags, like, same, under
from chipsim.kernels.arithmetic import lfsr
from chipsim.kernels.chips.reckon import state as rk
from chipsim.kernels.chips.reckon.core import run_ticks
from chipsim.native.reckon.registers import NEURONS, Memories, Registers, leak_factor

__all__ = ["ReckonEngine", "ReckonRun", "stimulus"]

# registers in the order of the fields of `rk.Config` after the sizes
_CONFIG = (
    *("RST_MODE", "DO_EPROP", "FP_LOC_WINP", "FP_LOC_WREC", "FP_LOC_WOUT", "FP_LOC_TINP", "FP_LOC_TREC"),
    *(
        "FP_LOC_TOUT",
        "LEARN_SIG_SCALE",
        "REGUL_MODE",
        "REGUL_W",
        "EN_STOCH_ROUND",
        "REGRESSION",
        "SINGLE_LABEL",
    ),
    *("NO_OUT_ACT", "SEND_PER_TIMESTEP", "SEND_LABEL_ONLY", "NOISE_EN", "NOISE_STR", "FORCE_TRACES", "KAPPA"),
    *("THR_H_0", "THR_H_1", "THR_H_2", "THR_H_3", "H_0", "H_1", "H_2", "H_3", "H_4"),
    *("LR_R_WINP", "LR_P_WINP", "LR_R_WREC", "LR_P_WREC", "LR_R_WOUT", "LR_P_WOUT"),
    *("REGUL_F0", "REGUL_K_INP_R", "REGUL_K_INP_P", "REGUL_K_REC_R", "REGUL_K_REC_P", "REGUL_K_MUL"),
)


class ReckonEngine:
    """One ReckOn: registers, memories, state. Running 2 x 100 ticks equals running 200.

    Parameters
    ----------
    registers, memories
        What is programmed before the run.
    """

    def __init__(self, registers: Registers, memories: Memories | None = None) -> None:
        self.registers = registers
        self.memories = memories or Memories()
        self.reset()

    def reset(self) -> None:
        """Everything as after programming: memories, flags, random streams."""
        self._state = rk.make_state()
        self._streams = lfsr.make_streams(rk.TAPS)
        self._scratch = rk.make_scratch()
        st, mem = self._state, self.memories
        for name in ("u", "tinp", "trec", "tout", "winp", "wrec", "wout"):
            getattr(st, name)[...] = getattr(mem, name)
        st.thr[:] = np.repeat(mem.thr.astype(np.int32), 2)
        self._apply_leak()
        self._seed(SEEDS)

    def _apply_leak(self) -> None:
        self._state.alpha[:] = np.repeat(leak_factor(self.registers, self.memories), 2)

    def _seed(self, names: Iterable[str]) -> None:
        """(Re)load shift registers: from the seed register, or their reset value where it is None."""
        for name in names:
            row, count, bits, resets = SEEDS[name]
            value = getattr(self.registers, name)
            for n in range(count):
                part = resets[n] if value is None else (value >> (bits * n)) & ((1 << bits) - 1)
                lfsr.load_window(self._streams, row + n, window(name, part))

    def configure(self, **changes: int) -> None:
        """Write configuration registers between ticks; writing a seed restarts its random stream at once."""
        self.registers = self.registers.with_(**changes)
        if "ALPHA_CONF" in changes:
            self._apply_leak()
        self._seed(name for name in changes if name in SEEDS)

    def run(self, stim: rk.Stimulus, *, neurons: int | None = None, snapshots: bool = False) -> ReckonRun:
        """Run all ticks of `stim` (see `stimulus`).

        Parameters
        ----------
        neurons
            How many recurrent neurons to log (default: NUM_REC_NEUR + 1).
        snapshots
            Also keep the raw neuron memory after the step and at the end of every tick.

        Raises
        ------
        RunError
            A learning tick without a label or target, LOCAL_TICK = 1, or EN_CONF = 1.
        """
        self._check_runnable()
        count = self.registers.NUM_REC_NEUR + 1 if neurons is None else neurons
        if not 1 <= count <= NEURONS:
            raise RunError(f"neurons to log: {count} is outside 1 .. {NEURONS}")
        log = rk.make_log(stim.last.size, count, snapshots)
        done, why = run_ticks(self.config(), self._state, self._streams, self._scratch, stim, log)
        if why:
            what, arg = ("a label", "answer=") if why == 1 else ("regression targets", "target=")
            raise RunError(
                f"tick {done}: the chip learns (DO_EPROP = {self.registers.DO_EPROP}) and asks for {what}, "
                f"but none is "
                f"given; pass {arg}, or set DO_EPROP = 0"
            )
        return as_run(log)

    def _check_runnable(self) -> None:
        if self.registers.LOCAL_TICK:
            raise RunError("register LOCAL_TICK = 1: a sample never starts on this chip; use external ticks (0)")
        if self.registers.EN_CONF:
            raise RunError("register EN_CONF = 1: the chip stays in its configuration state; set it to 0")

    def config(self) -> rk.Config:
        """The registers in the form the kernels take."""
        r = self.registers
        i, n, o = r.NUM_INP_NEUR, r.NUM_REC_NEUR, r.NUM_OUT_NEUR
        return rk.Config(i, n, o, max(i, n), max(i, n, o), *(getattr(r, name) for name in _CONFIG))

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of the input, recurrent and output weights, [pre, post], cut to the enabled layers."""
        r, st = self.registers, self._state
        i, n, o = r.NUM_INP_NEUR + 1, r.NUM_REC_NEUR + 1, r.NUM_OUT_NEUR + 1
        return st.winp[:i, :n].copy(), st.wrec[:n, :n].copy(), st.wout[:n, :o].copy()

    def memory(self, name: str) -> np.ndarray:
        """Copy of one memory as it is now: thr, winp, wrec, wout, u, tinp, trec or tout (full size, raw)."""
        names = ("thr", "winp", "wrec", "wout", "u", "tinp", "trec", "tout")
        if name not in names:
            raise RunError(f"ReckOn has no memory {shown(name)}; it has {', '.join(names)}")
        array = getattr(self._state, name)
        return array[::2].astype(np.int16) if name == "thr" else array.copy()

    def lfsr_outputs(self) -> dict[str, np.ndarray]:
        """Random words the chip's shift registers show now: uint32 words, low bits first."""
        out = {}
        for name, (row, count, bits) in LFSR_OUTPUTS.items():
            words = [lfsr.output_words(self._streams, row + n, bits) for n in range(count)]
            out[name] = np.concatenate(words)
        return out

    def state(self) -> dict[str, np.ndarray]:
        """Checkpoint: copies of all state arrays and of the random streams."""
        saved = {f"state.{k}": v.copy() for k, v in self._state._asdict().items()}
        saved.update({f"streams.{k}": v.copy() for k, v in self._streams._asdict().items()})
        saved["learning.reg"] = self._scratch.reg.copy()
        return saved

    def kept(self) -> dict[str, Kept]:
        """What `state` holds."""
        st, streams = self._state, self._streams
        wanted = {name: like(array) for name, array in st._asdict().items()}
        wanted |= {name: like(getattr(st, name), 0, rk.TRACE_MAX) for name in ("tinp", "trec")}
        wanted["tout"] = like(st.tout, 0, rk.TRACE_OUT_MAX)
        wanted |= {name: flags(getattr(st, name)) for name in ("dirty", "z", "pending", "collected")}
        wanted |= {"thr": same(st.thr), "alpha": same(st.alpha), "flags": like(st.flags, 0, np.array([15, 1, 1]))}
        random = {
            "words": like(streams.words), "pos": like(streams.pos, 0, lfsr.WORD * streams.words.shape[1]),
            "tap": same(streams.tap), "length": same(streams.length),
        }  # fmt: skip
        register = like(self._scratch.reg, -FOREVER, FOREVER)
        return under("state.", wanted) | under("streams.", random) | {"learning.reg": register}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint made by `state` (same registers).

        Raises
        ------
        RunError
            A checkpoint that lacks an array, has another shape or dtype, or a value beyond its register.
        """
        saved = checked(saved, self.kept())
        targets = {f"state.{k}": v for k, v in self._state._asdict().items()}
        targets.update({f"streams.{k}": v for k, v in self._streams._asdict().items()})
        targets["learning.reg"] = self._scratch.reg
        for name, array in targets.items():
            array[...] = saved[name]
