"""`chipsim learn`: the learning experiments by name, resumable, measured beside their bars.

One loop over `chipsim.mappings.experiments.EXPERIMENTS`; what an experiment does stands in its value, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from chipsim.errors import FileError, RunError, Stopped

from .common import Json, progress, say, table, working

if TYPE_CHECKING:
    from chipsim.mappings.experiments.protocol import Bar, Experiment, Ran, Way

ROUNDINGS = ("stochastic", "nearest")
SEED_MAX = 2**32 - 1


class Plan(NamedTuple):
    """One way of an experiment, and its size."""

    experiment: Experiment
    tag: str  #: of the way, in the names of checkpoints
    way: Way
    seeds: tuple[int, ...]
    iterations: int
    bars: tuple[Bar, ...]
    size: Mapping[str, Any]
    folder: Path
    every: int

    def checkpoint(self, seed: int) -> Path:
        """Where a seed's state is kept between two stretches."""
        return self.folder / f"{self.experiment.name}-{self.tag}-seed{seed}.h5"


class Asked(NamedTuple):
    """The options that every experiment understands; None and 0 are the experiment's own."""

    seeds: tuple[int, ...] | None
    iterations: int
    every: int
    quick: bool
    folder: Path


def learn(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="An experiment; without it, they are listed.")
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Which shipped rule runs on which chip; NAME is then one rule.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Run all (or NAME...), print measured beside bar.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="The small form of an experiment, with its own bars.")] = False,
    way: Annotated[str, typer.Option("--way", help="A variant of NAME; several with commas are compared.")] = "",
    compare: Annotated[bool, typer.Option("--compare", help="All ways of NAME on the same seeds.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for figure, numbers and checkpoints.")] = Path(
        "learn-out"
    ),
    seeds: Annotated[str, typer.Option(help="Seeds, e.g. 1,2,3; the experiment's own if empty.")] = "",
    iterations: Annotated[
        int, typer.Option("--iterations", "-n", help="Iterations, trials or epochs; 0: its own.")
    ] = 0,
    chip: Annotated[
        bool | None, typer.Option("--chip/--float", help="Short for --way chip (8-bit weights) or --way float.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Bits of the weights, where NAME takes any.")] = 0,
    rounding: Annotated[str, typer.Option(help="stochastic or nearest, with --bits.")] = ROUNDINGS[0],
    every: Annotated[int, typer.Option(help="Iterations between checkpoints.")] = 50,
    as_json: Json = False,
) -> None:
    """Run a learning experiment; the same command again goes on where it was interrupted."""
    given = list(names or ())
    if rules:
        from .rules import show_rules

        show_rules(given[0] if given else "", as_json)
        return
    from chipsim.mappings.experiments import EXPERIMENTS

    chosen = [_known(EXPERIMENTS, name) for name in given]
    if not given and not check:
        _list(EXPERIMENTS, as_json)
        return
    if iterations < 0:
        raise RunError(f"-n {iterations}: 1 or more, or 0 for the experiment's own")
    asked = Asked(_seeds(seeds), iterations, max(every, 1), quick, out)
    try:
        if check:
            if way or compare or chip is not None or bits:
                raise RunError("--check runs every way that has a bar: leave --way, --compare, --chip and --bits out")
            _check(chosen or list(EXPERIMENTS.values()), asked, as_json)
            return
        if len(chosen) > 1:
            raise RunError(f"{' '.join(given)}: one experiment at a time, or --check")
        ways = _ways(chosen[0], way, compare, chip, bits, rounding)
        _show(chosen[0], ways, asked, as_json)
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"checkpoints are kept in {out}: the same command goes on from there") from None


def _known(experiments: Mapping[str, Experiment], name: str) -> Experiment:
    if name not in experiments:
        raise RunError(f"no experiment '{name}'; there are {', '.join(experiments)}")
    return experiments[name]


def _seeds(text: str) -> tuple[int, ...] | None:
    try:
        found = tuple(int(s) for s in text.split(",") if s.strip())
    except ValueError:
        raise RunError(f"--seeds {text}: write whole numbers with commas between, e.g. 1,2,3") from None
    if any(not 0 <= seed <= SEED_MAX for seed in found):
        raise RunError(f"--seeds {text}: a seed is 0 to {SEED_MAX}")
    return tuple(dict.fromkeys(found)) or None


def _list(experiments: Mapping[str, Experiment], as_json: bool) -> None:
    """Name, paper, chips, bar and time of every experiment, and its ways."""
    data, shown = {}, []
    for name, e in experiments.items():
        bars = [str(bar) for bar in e.ways[e.default].bars]
        data[name] = {
            "about": e.about, "paper": e.paper, "chips": list(e.chips), "metric": e.key, "bars": bars,
            "cpu_seconds": e.cpu_seconds, "seeds": list(e.seeds), e.unit: e.iterations,
            "ways": {
                k: {"about": w.about, "chip": w.chip, "bars": [str(b) for b in w.bars]} for k, w in e.ways.items()
            },
        }  # fmt: skip
        shown.append((name, e.about, e.paper, ", ".join(e.chips), "; ".join(bars), ", ".join(e.ways), e.cpu_seconds))
    columns = ("experiment", "what it shows", "paper", "chips", "bar", "ways", ">CPU s")
    say(data, as_json, table("", columns, shown), "chipsim learn NAME runs one, chipsim learn --check all.")


def _ways(
    experiment: Experiment, names: str, compare: bool, chip: bool | None, bits: int, rounding: str
) -> dict[str, Way]:
    """The ways that the options ask for, by name."""
    if sum((bool(names), compare, chip is not None, bool(bits))) > 1:
        raise RunError("--way, --compare, --chip/--float and --bits exclude each other")
    if bits:
        if rounding not in ROUNDINGS:
            raise RunError(f"--rounding {rounding}: {' or '.join(ROUNDINGS)}")
        if experiment.declared is None:
            raise RunError(f"{experiment.name} has fixed formats; its ways are {', '.join(experiment.ways)}")
        return {f"{bits}bit-{rounding}": experiment.declared(bits, rounding)}
    if compare:
        return dict(experiment.ways)
    if chip is not None:
        names = "chip" if chip else "float"
    chosen = [n.strip() for n in names.split(",") if n.strip()] or [experiment.default]
    return {name: experiment.way(name) for name in chosen}


def _plan(experiment: Experiment, name: str, way: Way, asked: Asked, folder: Path) -> Plan:
    """What is run: the options, then the quick form if that is wanted, then the experiment's own size."""
    quick = way.quick if asked.quick else None
    if asked.quick and quick is None:
        raise RunError(f"{experiment.name} has no quick form of its way '{name}'")
    size = quick or experiment
    return Plan(
        experiment, f"{name}-quick" if quick else name, way, asked.seeds or size.seeds,
        asked.iterations or size.iterations, quick.bars if quick else way.bars, quick.size if quick else {}, folder,
        experiment.every or asked.every,
    )  # fmt: skip


def _run(plan: Plan, label: str) -> tuple[Ran, list[dict[str, Any]]]:
    """All seeds of a plan, and their rows."""
    from chipsim.mappings.experiments.protocol import Ran

    ready = plan.experiment.prepare(plan.way, plan.size)
    total, made = plan.iterations, {}
    with progress(label) as moved:
        for k, seed in enumerate(plan.seeds):

            def tell(done: float, text: str, k: int = k) -> None:
                moved(k * total + done, total * len(plan.seeds), text)

            made[seed] = _seed(plan, ready, seed, tell)
    with working("measuring"):
        ran = Ran(plan.way, ready, made)
        return ran, plan.experiment.rows(ran)


def _seed(plan: Plan, ready: Any, seed: int, tell: Any) -> Any:
    """One seed in stretches of `plan.every` iterations, with a checkpoint between two of them.

    The last stretch leaves no checkpoint: its result is made by running it.
    """
    path = plan.checkpoint(seed)
    state = _resumed(plan, seed, path) if path.exists() else None
    done = 0 if state is None else plan.experiment.seen(state)
    if done >= plan.iterations:
        raise RunError(f"{path} has seen {done} iterations already: ask for more than that, or remove it")
    while True:
        goal = min(done + plan.every, plan.iterations)
        outcome = plan.experiment.advance(ready, seed, goal, tell, state)
        if goal == plan.iterations or outcome.solved:
            return outcome.made
        state, done = outcome.made.state, goal
        _keep(plan, seed, state, path)


def _identity(plan: Plan, seed: int) -> dict[str, Any]:
    return {"experiment": plan.experiment.name, "way": plan.tag, "seed": seed}


def _keep(plan: Plan, seed: int, state: Mapping[str, Any], path: Path) -> None:
    from chipsim.storage.codec import write
    from chipsim.storage.file import writing

    with writing(path, "state") as file:
        write(file, "learning", dict(state))
        write(file, "of", _identity(plan, seed))


def _resumed(plan: Plan, seed: int, path: Path) -> dict[str, Any]:
    """The state in a checkpoint; one that names another experiment, way or seed is refused."""
    from chipsim.storage.file import reading
    from chipsim.storage.reader import Reader

    with reading(path, "state") as file:
        if "learning" not in file:
            raise FileError(f"{path} is a checkpoint of an emulator, not of an experiment")
        of = Reader().read(file, "of") if "of" in file else _identity(plan, seed)  # files of 0.1.0 do not say
        if of != _identity(plan, seed):
            told = f"{of.get('experiment')}, way {of.get('way')}, seed {of.get('seed')}"
            raise FileError(f"{path} is a checkpoint of {told}; remove it or take another folder")
        return Reader().read(file, "learning")


def _show(experiment: Experiment, ways: Mapping[str, Way], asked: Asked, as_json: bool) -> None:
    """Run the ways, write figure and numbers, print rows and bars."""
    from chipsim.report.page import make_folder

    folder = make_folder(asked.folder)
    plans = {name: _plan(experiment, name, way, asked, folder) for name, way in ways.items()}
    many = len(plans) > 1
    file = f"{experiment.name}-compare" if many else experiment.name
    groups, runs, bars, shown = {}, [], [], []
    for name, plan in plans.items():
        ran, rows = _run(plan, f"{experiment.name} {name}" if many else experiment.name)
        groups[plan.way.label] = ran
        found = _judged(plan, rows, {"way": name} if many else {})
        told = [*rows, _spread(rows, experiment.key)] if len(rows) > 1 else rows
        runs += [{"way": name, **row} if many else row for row in told]
        bars += found
        shown += [_rows_table(f"{experiment.name}, {plan.way.precision}", told), *_bars_table(plan, found)]
    with working("drawing"):
        picture = _save(experiment.figure(groups), folder / f"{file}.png")
    precision = "; ".join(dict.fromkeys(p.way.precision for p in plans.values()))
    data = {"experiment": experiment.name, "precision": precision, "runs": runs, "figure": str(picture),
            "ways": list(plans), "chips": [p.way.chip for p in plans.values()], "paper": experiment.paper,
            "bars": bars}  # fmt: skip
    _write_json(data, folder / f"{file}.json")
    say(data, as_json, *shown, f"figure: {picture}")


def _check(experiments: Sequence[Experiment], asked: Asked, as_json: bool) -> None:
    """Every way that has bars (or a quick form), each figure beside its bar; one experiment's files in the folder."""
    import time

    from chipsim.report.page import make_folder

    folder = make_folder(asked.folder / ("check-quick" if asked.quick else "check"))
    found: list[dict[str, Any]] = []
    for experiment in experiments:
        for name, way in experiment.ways.items():
            if (way.quick is None) if asked.quick else not way.bars:
                continue
            start = time.process_time()
            plan = _plan(experiment, name, way, asked, folder)
            _, rows = _run(plan, f"{experiment.name} {name}")
            spent = {"cpu_s": round(time.process_time() - start, 1)}
            found += _judged(plan, rows, {"experiment": experiment.name, "way": name, "chip": way.chip}, spent)
    data = {"quick": asked.quick, "rows": found, "met": sum(r["met"] for r in found), "of": len(found)}
    _write_json(data, folder / "check.json")
    columns = ("experiment", "way", "chip", "bar", ">measured", "", ">CPU s")
    shown = [
        (r["experiment"], r["way"], r["chip"], r["bar"], _figure(r["measured"]), _verdict(r), f"{r['cpu_s']:.1f}")
        for r in found
    ]
    title = "all experiments, quick form" if asked.quick else "all experiments"
    say(data, as_json, table(title, columns, shown), f"{data['met']} of {data['of']} bars met")


def _judged(plan: Plan, rows: list[dict[str, Any]], first: dict[str, Any], last: dict[str, Any] | None = None) -> list:
    from chipsim.mappings.experiments.protocol import judged

    return [first | bar | (last or {}) for bar in judged(plan.bars, rows)]


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _verdict(bar: Mapping[str, Any]) -> str:
    return "met" if bar["met"] else "missed"


def _rows_table(title: str, rows: list[dict[str, Any]]) -> Any:
    columns = [k if k == "seed" else ">" + k.replace("_", " ") for k in rows[0]]
    return table(title, columns, [[f"{v:.4g}" if isinstance(v, float) else v for v in row.values()] for row in rows])


def _bars_table(plan: Plan, bars: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The bars as a table, and a line if they are stated for another size; nothing where there are none."""
    if not bars:
        return []
    shown = [(b["bar"], _figure(b["measured"]), _verdict(b), b["why"]) for b in bars]
    made: list[Any] = [table("", ("bar", ">measured", "", "why"), shown)]
    own = plan.way.quick if plan.tag.endswith("-quick") and plan.way.quick else plan.experiment
    if (plan.iterations, plan.seeds) != (own.iterations, own.seeds):
        seeds = ", ".join(map(str, own.seeds))
        made.append(f"the bars are stated for {own.iterations} {plan.experiment.unit}, seeds {seeds}")
    return made


def _save(figure: Any, path: Path) -> Path:
    from chipsim.plots.figures import render
    from chipsim.storage.atomic import write_file

    return write_file(path, render(figure, "png", dpi=150))


def _write_json(data: dict[str, Any], path: Path) -> None:
    import json

    from chipsim.storage.atomic import write_file

    write_file(path, json.dumps(data, indent=1) + "\n")


def _spread(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """A last row with the means, and smallest and largest `key` in place of the seed; None does not count."""
    known = {k: [row[k] for row in rows if row[k] is not None] for k in rows[0] if k != "seed"}
    mean = {
        k: None if not values else "" if isinstance(values[0], str) else sum(values) / len(values)
        for k, values in known.items()
    }
    if not known[key]:
        return {"seed": f"mean (no {key.replace('_', ' ')})", **mean}
    part = "" if len(known[key]) == len(rows) else f"{len(known[key])} of {len(rows)} seeds, "
    low, high = min(known[key]), max(known[key])
    return {"seed": f"mean ({part}{key.replace('_', ' ')} {low:.3g} to {high:.3g})", **mean}
