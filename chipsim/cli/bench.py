"""`chipsim bench`: how fast this machine emulates a random recurrent network; peers are in benchmarks/."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipsim.errors import RunError

from .common import Json, progress, say, table, working


def bench(
    neurons: Annotated[int, typer.Option(help="Neurons, 80 % of them excitatory.")] = 10_000,
    fan_out: Annotated[int, typer.Option(help="Synapses per neuron.")] = 100,
    steps: Annotated[int, typer.Option(help="Steps per round.")] = 500,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of the emulator.")] = 1,
    as_json: Json = False,
) -> None:
    """Time a random recurrent network with all counters on."""
    if min(neurons, fan_out, steps, rounds) < 1 or fan_out > neurons:
        raise RunError("bench needs at least 1 neuron, step and round, and 1..neurons synapses per neuron")
    with working("building the network"):
        ready = _Ready(neurons, fan_out, threads)
    times: list[float] = []
    with progress(f"{rounds} rounds of {steps} steps") as moved:
        for k in range(rounds):
            seconds, totals = ready.round(steps)
            times.append(seconds)
            moved(k + 1, rounds)
    data = _measured(ready, times, totals, steps)
    rows = [(k.replace("_", " "), v if isinstance(v, str) else f"{v:,.4g}") for k, v in data.items()]
    say(data, as_json, table(f"{neurons:,} neurons, {neurons * fan_out:,} synapses", ("", ">"), rows))


class _Ready:
    """The network on an emulated chip without limits, and how long each stage took."""

    def __init__(self, neurons: int, fan_out: int, threads: int) -> None:
        from time import perf_counter

        from chipsim.emulator import Emulator
        from chipsim.mappings.compiler.compile import compile

        net = _network(neurons, fan_out)
        start = perf_counter()
        program = compile(net, "unlimited")
        self.compile_seconds = perf_counter() - start
        start = perf_counter()
        self.emulator = Emulator(program, threads=threads)
        self.load_seconds = perf_counter() - start
        start = perf_counter()
        self.round(2)
        self.first_seconds = perf_counter() - start
        self.neurons, self.threads = neurons, threads

    def round(self, steps: int) -> tuple[float, dict[str, int]]:
        """Seconds for `steps` steps with their counters, and the counts."""
        from time import perf_counter

        self.emulator.reset()
        start = perf_counter()
        totals = self.emulator.run({}, steps).activity.totals()
        return perf_counter() - start, totals


def _network(neurons: int, fan_out: int) -> Any:
    """Recurrent, driven by biases near threshold: a step sees a few per cent of the neurons fire."""
    import numpy as np
    import scipy.sparse as sp

    from chipsim.mappings.network.network import Network
    from chipsim.native.loihi import LIF, Synapses

    rng = np.random.default_rng(1)
    excitatory = int(0.8 * neurons)
    vth, dv = 1024, 205
    bias = np.round((vth << 6) * dv / 4096 * rng.uniform(0.95, 1.35, neurons) / 2).astype(int)
    net = Network("bench")
    start = rng.integers(0, vth << 6, neurons)
    cells = net.add("cells", LIF(neurons, du=1023, dv=dv, vth=vth, bias_mant=bias, bias_exp=1, v=start))
    post = rng.integers(0, neurons, neurons * fan_out)
    pre = np.repeat(np.arange(neurons), fan_out)
    weight = np.where(pre < excitatory, rng.integers(1, 8, pre.size), -rng.integers(10, 31, pre.size)) * 2
    matrix = sp.csc_array((weight, (post, pre)), shape=(neurons, neurons))
    net.connect(cells, cells, Synapses(matrix, sign="mixed", saturate=True))
    return net


def _measured(ready: _Ready, times: list[float], totals: dict[str, int], steps: int) -> dict[str, Any]:
    import resource
    from statistics import median

    seconds = median(times)
    return {
        "steps_per_second": steps / seconds,
        "microseconds_per_step": 1e6 * seconds / steps,
        "synaptic_events_per_second": totals["synaptic_events"] / seconds,
        "neuron_updates_per_second": ready.neurons * steps / seconds,
        "spikes_per_neuron_and_step": totals["spikes"] / ready.neurons / steps,
        "threads": ready.threads,
        "compile_seconds": ready.compile_seconds,
        "load_seconds": ready.load_seconds,
        "first_run_seconds": ready.first_seconds,
        "peak_memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
