"""`chipsim learn`: the learning experiments by name, resumable, with a figure and the spread over seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from chipsim.errors import FileError, RunError, Stopped

from .common import Json, progress, say, table, working


class Plan(NamedTuple):
    """What a user asked for; `iterations` None is the experiment's own number."""

    name: str
    seeds: tuple[int, ...]
    iterations: int | None
    chip: bool
    folder: Path
    every: int


def learn(
    name: Annotated[str, typer.Argument(help="An experiment; without it, they are listed.")] = "",
    rules: Annotated[
        bool, typer.Option("--rules", help="Which shipped rule runs on which chip; NAME is then one rule.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for figure, numbers and checkpoints.")] = Path(
        "learn-out"
    ),
    seeds: Annotated[str, typer.Option(help="Seeds, e.g. 1,2,3; the experiment's own if empty.")] = "",
    iterations: Annotated[
        int, typer.Option("--iterations", "-n", help="Iterations, trials or epochs; 0: its own.")
    ] = 0,
    chip: Annotated[bool, typer.Option("--chip/--float", help="8-bit weights and traces, or float64.")] = False,
    every: Annotated[int, typer.Option(help="Iterations between checkpoints.")] = 50,
    as_json: Json = False,
) -> None:
    """Run a learning experiment; the same command again goes on where it was interrupted."""
    if rules:
        from .rules import show_rules

        show_rules(name, as_json)
        return
    from importlib import import_module

    from chipsim.mappings.experiments import EXPERIMENTS
    from chipsim.report.page import make_folder

    known = {k: v for k, v in EXPERIMENTS.items() if k in _RUNS}
    if not name:
        about = {k: (import_module(m).__doc__ or "").strip().splitlines()[0] for k, m in known.items()}
        say(about, as_json, table("", ("experiment", "what it shows"), about.items()), "chipsim learn NAME runs one.")
        return
    if name not in known:
        raise RunError(f"no experiment '{name}'; there are {', '.join(known)}")
    module = import_module(known[name])
    plan = Plan(name, _seeds(seeds) or _RUNS[name].seeds, iterations or None, chip, make_folder(out), max(every, 1))
    try:
        with progress(name) as moved:
            rows, figure = _RUNS[name].run(module, plan, moved)
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"checkpoints are kept in {plan.folder}: the same command goes on from there") from None
    if len(rows) > 1:
        rows = [*rows, _spread(rows, _RUNS[name].key)]
    with working("drawing"):
        picture = _save(figure, plan)
    precision = _RUNS[name].always or ("chip, 8 bit" if chip else "float64")
    data = {"experiment": name, "precision": precision, "runs": rows, "figure": str(picture)}
    _write_json(data, plan.folder / f"{name}.json")
    columns = [k if k == "seed" else ">" + k.replace("_", " ") for k in rows[0]]
    shown = [[f"{v:.4g}" if isinstance(v, float) else v for v in row.values()] for row in rows]
    say(data, as_json, table(f"{name}, {data['precision']}", columns, shown), f"figure: {picture}")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(s) for s in text.split(",") if s.strip())
    except ValueError:
        raise RunError(f"--seeds {text}: write whole numbers with commas between, e.g. 1,2,3") from None


def _save(figure: Any, plan: Plan) -> Path:
    from chipsim.plots.figures import render
    from chipsim.storage.atomic import write_file

    return write_file(plan.folder / f"{plan.name}.png", render(figure, "png", dpi=150))


def _write_json(data: dict[str, Any], path: Path) -> None:
    import json

    from chipsim.storage.atomic import write_file

    write_file(path, json.dumps(data, indent=1) + "\n")


def _resumed(
    plan: Plan, seed: int, total: int, advance: Callable[[Any, int], Any], count: Callable[[dict], int]
) -> Any:
    """Run one seed in stretches of `plan.every` iterations, with a checkpoint between two of them.

    `advance(state or None, iterations in all)` returns a result with `.state`; `count(state)` is how many iterations
    a state has seen. The last stretch leaves no checkpoint: its result is made by running it.
    """
    kind = "chip" if plan.chip or _RUNS[plan.name].always else "float"
    path = plan.folder / f"{plan.name}-{kind}-seed{seed}.h5"
    state = _checkpoint(path) if path.exists() else None
    done = 0 if state is None else count(state)
    if done >= total:
        raise RunError(f"{path} has seen {done} iterations already: ask for more than that, or remove it")
    while True:
        goal = min(done + plan.every, total)
        result = advance(state, goal)
        if goal == total or result.solved:
            return result.made
        state, done = result.made.state, goal
        _keep(state, path)


class _Stretch(NamedTuple):
    """The result of a stretch, and whether the experiment needs no more."""

    made: Any
    solved: bool = False


def _keep(state: dict[str, Any], path: Path) -> None:
    from chipsim.storage.codec import write
    from chipsim.storage.file import writing

    with writing(path, "state") as file:
        write(file, "learning", dict(state))


def _checkpoint(path: Path) -> dict[str, Any]:
    from chipsim.storage.file import reading
    from chipsim.storage.reader import Reader

    with reading(path, "state") as file:
        if "learning" not in file:
            raise FileError(f"{path} is a checkpoint of an emulator, not of an experiment")
        return Reader().read(file, "learning")


def _pattern(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.figures import pattern_figure

    total = plan.iterations or 2000
    precision = module.chip_precision() if plan.chip else None
    results = []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, count: int, seed: int = seed, k: int = k) -> Any:
            def step(i: int, loss: float) -> None:
                moved(k * total + i, total * len(plan.seeds), f"loss {loss:.4g}")

            return _Stretch(module.run(seed, count, precision, step, state))

        results.append(_resumed(plan, seed, total, advance, lambda state: len(state["losses"])))
    rows = [
        {"seed": r.seed, "iterations": len(r.losses), "nmse": float(r.nmse), "loss": float(r.losses[-1])}
        for r in results
    ]
    return rows, pattern_figure({"8 bit" if plan.chip else "float64": results})


def _evidence(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.figures import evidence_figure

    total = plan.iterations or module.FULL.iterations
    precision = module.chip_precision(8, 8) if plan.chip else None
    results, rows = [], []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, count: int, seed: int = seed, k: int = k) -> Any:
            def step(i: int, error: float) -> None:
                moved(k * total + i, total * len(plan.seeds), f"error {error:.1%}")

            options = {"precision": precision, "progress": step, "resume": state, "test_trials": 0}
            made = module.run(seed, iterations=count, **options)
            return _Stretch(made, made.solved_at is not None)

        result = _resumed(plan, seed, total, advance, lambda state: len(state["errors"]))
        wrong = float(module.test(result.trainer, module.FULL, 128, seed + 10_000))
        rows.append(
            {"seed": seed, "iterations": len(result.errors), "solved_at": result.solved_at, "test_error": wrong}
        )
        results.append(result)
    return rows, evidence_figure(results)


def _reward(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.delayed_reward_figure import figure

    total = plan.iterations or 200
    runs = []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, trials: int, seed: int = seed, k: int = k) -> Any:
            def step(done: int, share: float) -> None:
                moved(k * total + done, total * len(plan.seeds), f"seed {seed}, {share:.0%} right")

            return _Stretch(module.run_seed(seed, trials, progress=step, resume=state))

        runs.append(_resumed(plan, seed, total, advance, lambda state: len(state["correct"])))
    outcome = module.joined(runs)
    right = outcome.accuracy()
    rows = [{"seed": s, "trials": total, "right_of_last_100": float(a)} for s, a in zip(plan.seeds, right, strict=True)]
    return rows, figure(outcome)


def _xor(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.xor_figure import xor_figure

    how = module.CHIP if plan.chip else module.FLOAT
    most = plan.iterations or 5000
    box = module.XorChip() if plan.chip else None
    runs = []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, epochs: int, seed: int = seed, k: int = k) -> Any:
            def step(epoch: int, cost: float) -> None:
                moved(k * most + epoch, most * len(plan.seeds), f"seed {seed}, epoch {epoch}, cost {cost:.3g}")

            made = module.run_one(seed, how, max_epochs=epochs, box=box, progress=step, resume=state)
            return _Stretch(made, made.epochs is not None)

        runs.append(_resumed(plan, seed, most, advance, lambda state: len(state["costs"]) - 1))
    any_warns = any(r.warnings for r in runs)
    rows = [
        {"seed": r.seed, "epochs": r.epochs, "chip_runs": r.chip_runs, "cost": float(r.costs[-1]),
         "stalled": r.stalled, "saturated": r.saturated, **({"warnings": "; ".join(r.warnings)} if any_warns else {})}
        for r in runs
    ]  # fmt: skip
    result = module.XorResult(tuple(runs))
    return rows, xor_figure({"chip, 8 bit" if plan.chip else "float64": result}, on_chip=plan.chip)


def _cue(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.cue_figure import cue_experiment_figure

    total = plan.iterations or 5
    results, rows = [], []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, epochs: int, seed: int = seed, k: int = k) -> Any:
            def step(done: int, of: int, text: str) -> None:
                moved(k * total + done * epochs / of, total * len(plan.seeds), text)

            return _Stretch(module.run_cue_experiment(epochs=epochs, seed=seed, progress=step, resume=state))

        result = _resumed(plan._replace(every=1), seed, total, advance, lambda state: len(state["correct"]))
        energy = result.energy()
        rows.append(
            {"seed": seed, "epochs": len(result.correct), "train_right": float(result.accuracy[-1, 0]),
             "test_right": float(result.accuracy[-1, 1]), "inference_uJ": 1e6 * energy["inference"],
             "learning_uJ": 1e6 * energy["learning"], "weight_moved_nJ": 1e9 * energy["update_weight"]}
        )  # fmt: skip
        results.append(result)
    (shown, _), _ = module.cue_data(None, 1, plan.seeds[0])
    return rows, cue_experiment_figure(results[0], shown)


def _digits(module: Any, plan: Plan, moved: Any) -> tuple[list[dict[str, Any]], Any]:
    from chipsim.mappings.experiments.odin_digits_figure import figure_of

    total = plan.iterations or module.EPOCHS
    images = module.digit_images()
    results, rows = [], []
    for k, seed in enumerate(plan.seeds):

        def advance(state: Any, epochs: int, seed: int = seed, k: int = k) -> Any:
            def step(done: int, of: int, text: str) -> None:
                moved(k * total + done * epochs / of, total * len(plan.seeds), text)

            return _Stretch(module.run(seed, epochs, step, state, images))

        result = _resumed(plan._replace(every=1), seed, total, advance, lambda state: len(state["rows"]))
        rows.append(
            {"seed": seed, "epochs": len(result.test), "train_right": float(result.train[-1]),
             "test_right": float(result.test[-1]), "inference_nJ": 1e9 * result.inference["energy"],
             "lesson_nJ": 1e9 * result.update["energy"], "weight_moved_nJ": 1e9 * result.update["energy_per_weight"]}
        )  # fmt: skip
        results.append(result)
    picture = figure_of(results, images.labels[images.train :])
    return rows, picture


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


class _Experiment(NamedTuple):
    run: Callable[..., tuple[list[dict[str, Any]], Any]]
    seeds: tuple[int, ...]
    key: str  #: the column whose spread over the seeds is told
    always: str = ""  #: the precision, where there is no choice


_RUNS = {
    "pattern-generation": _Experiment(_pattern, (1, 2, 3), "nmse"),
    "evidence-accumulation": _Experiment(_evidence, (1,), "test_error"),
    "delayed-reward": _Experiment(_reward, (0, 1, 2), "right_of_last_100", "Loihi's learning engine"),
    "xor-perturbation": _Experiment(_xor, tuple(range(12)), "epochs"),
    "reckon-cue": _Experiment(_cue, (0,), "test_right", "ReckOn's own e-prop, 8-bit weights"),
    "odin-digits": _Experiment(_digits, (0, 1, 2), "test_right", "ODIN's own SDSP, 3-bit weights"),
}
