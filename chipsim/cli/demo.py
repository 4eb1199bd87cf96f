"""`chipsim demo`: handwritten digits, from training to energy per image, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import Json, progress, say, table, working


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report, program and result.")] = Path(
        "demo-report"
    ),
    chip: Annotated[str, typer.Option("--chip", help="A chip of family loihi.")] = "loihi",
    images: Annotated[int, typer.Option(min=0, help="Test images to run; 0: all 450.")] = 0,
    steps: Annotated[int, typer.Option(min=0, help="Steps per image; 0: the demo's own choice.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of training and split.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the emulator.")] = 1,
    as_json: Json = False,
) -> None:
    """Train on scikit-learn's digits, map onto the chip, run all test images, report."""
    from chipsim.mappings.experiments.digits import STEPS, digits_network, evaluate, train_digits
    from chipsim.report.page import make_folder

    with working("training the float network on handwritten digits"):
        digits = train_digits(seed=seed)
    with working(f"converting, quantising and mapping onto {chip}"):
        ready = digits_network(digits, chip, steps=steps or STEPS, images=images or None, seed=seed)
    with progress(f"running {len(ready.labels)} images on the chip") as moved:
        outcome = evaluate(ready, threads=threads, progress=moved)
    with working("writing the report"):
        folder = make_folder(out)
        ready.program.save(folder / "program.h5")
        outcome.result.save(folder / "result.h5")
        page = _report(outcome, folder)
    data = _data(outcome, page)
    say(data, as_json, *_shown(outcome, data))


def _report(outcome: Any, folder: Path) -> Path:
    accuracy = {
        "steps": list(range(1, outcome.steps + 1)),
        "curves": {"chip": outcome.accuracy_by_step},
        "reference": ("float network", outcome.float_accuracy),
    }
    facts = {
        "correct on the chip": f"{outcome.chip_accuracy:.2%}",
        "correct in float": f"{outcome.float_accuracy:.2%}",
        "spikes per image": f"{outcome.spikes_per_image:,.0f}",
        "synaptic events per image": f"{outcome.synops_per_image:,.0f}",
    }
    costs = {"steps_per_inference": outcome.steps} if outcome.result.program.chip.costs else {}
    title = f"Handwritten digits on {outcome.result.program.chip.title}"
    return outcome.result.report(folder, title=title, facts=facts, accuracy=accuracy, **costs)


def _data(outcome: Any, page: Path) -> dict[str, Any]:
    from chipsim.report.facts import losses, mapping

    mapped = mapping(outcome.result)
    data = outcome.as_dict() | {
        "report": str(page),
        "cores": mapped["cores_used"],
        "cores_of_chip": mapped["cores_of_chip"],
        "utilisation": {k: {"mean": sum(v) / len(v), "most": max(v)} for k, v in mapped["utilisation"].items()},
        "losses": losses(outcome.result),
    }
    if outcome.result.program.chip.costs:
        made = outcome.result.estimate(steps_per_inference=outcome.steps)
        share = outcome.steps / outcome.result.steps
        data |= {
            "energy_per_image_J": made.inference["energy"],
            "latency_per_image_s": made.inference["latency"],
            "energy_per_image_by_category_J": {k: v * share for k, v in made.energy.items()},
            "cost_set": made.cost_set,
            "unknown_costs": list(made.unknown),
        }
    return data


def _shown(outcome: Any, data: dict[str, Any]) -> list[Any]:
    from chipsim.plots.chip import merged
    from chipsim.text import human

    gained = 0.0 - round(data["loss_percentage_points"], 2)  # 0.0 - 0.0 has no minus sign
    rows = [
        ("images", f"{data['images']}, {data['steps_per_image']} steps each"),
        ("correct, float network", f"{data['float_accuracy']:.2%}"),
        ("correct, on the chip", f"{data['chip_accuracy']:.2%} ({gained:+.2f} points)"),
        ("spikes per image", f"{data['spikes_per_image']:,.0f}"),
        ("synaptic events per image", f"{data['synops_per_image']:,.0f}"),
        ("cores", f"{data['cores']} of {data['cores_of_chip']}"),
    ]
    for name in ("neurons", "input_axons", "synapse_bits"):
        if name in data["utilisation"]:
            use = data["utilisation"][name]
            rows.append((f"  {name.replace('_', ' ')}", f"{use['mean']:.1%} on average, {use['most']:.1%} at most"))
    out: list[Any] = [table(f"Digits on {outcome.result.program.chip.title}", ("", ""), rows)]
    if "energy_per_image_J" in data:
        bound = "at least " if data["unknown_costs"] else ""
        total = data["energy_per_image_J"]
        lines = [
            (k.replace("_", " "), human(v, "J"), f"{v / total:.1%}")
            for k, v in merged(data["energy_per_image_by_category_J"]).items() if v
        ]  # fmt: skip
        title = f"An image: {bound}{human(total, 'J')} in {human(data['latency_per_image_s'], 's')}"
        out.append(table(title, ("energy", ">per image", ">share"), lines))
        out += [f"unknown: {u}" for u in data["unknown_costs"]]
    out += [f"note: {x['where']}: {x['count']:,} {x['meaning']}" for x in data["losses"]]
    return [*out, f"report: {data['report']}"]
