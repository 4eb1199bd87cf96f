"""One result object of a run: spikes, traces, counters; estimates and a report on demand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipsim.run.record import Run

if TYPE_CHECKING:
    from chipsim.estimate.estimate import Estimate


class Result(Run):
    """What a run produced.

    Attributes
    ----------
    spikes : mapping population -> (steps, n) bool, or numbers where spikes carry values
    events : mapping population -> structured array (step, neuron)
    trace : dict population -> dict variable -> (steps, n), the chip's integers (floats on float chips)
    activity : Activity
    learning : dict projection -> LearningReport
        What each projection that can learn did (`chipsim.rules.carried`), with what was recorded of it; empty without.
    first_step : int
        Steps that had been run before this run.
    """

    def estimate(self, **options: Any) -> Estimate:
        """Energy and time (chipsim.estimate.estimate.estimate); options: cost_set, timing, steps_per_inference, …"""
        from chipsim.estimate.estimate import estimate_result

        return estimate_result(self, **options)

    def save(self, path: str | Path) -> Path:
        """Write program, spikes, traces and counters to one HDF5 file (docs/formats.md)."""
        from chipsim.run.files import save_result

        return save_result(self, path)

    @staticmethod
    def load(path: str | Path) -> Result:
        """Read a saved result; raises FileError for a file that is missing or cut short."""
        from chipsim.run.files import load_result

        run = load_result(path)
        return Result(run.program, run.raw, run.trace, run.dropped_input, run.first_step)

    def waves(self, path: str | Path, populations: Any = None) -> Path:
        """Write spikes and recorded variables as a value change dump (.vcd) for waveform viewers."""
        from .run.waves import write_vcd

        return write_vcd(self, path, populations)

    def report(self, folder: str | Path, **options: Any) -> Path:
        """Write report.html (self-contained), report.json and csv tables; returns the HTML file."""
        from chipsim.report.page import write_report

        return write_report(self, folder, **options)

    def __repr__(self) -> str:
        """Steps and spikes."""
        return f"Result({self.program.name!r}: {self.steps} steps, {self.raw.spikes.ids.size} spikes)"
