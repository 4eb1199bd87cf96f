"""Makes a network that shows a difference smaller, one change at a time, as long as the difference stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .case import Call, Case, Link

#: Evaluations and seconds after which the smallest network so far is taken.
MOST, SECONDS = 1500, 60.0


def shrink(case: Case, found: Any, still: Callable[[Case], Any]) -> tuple[Case, Any]:
    """The smallest case reached and its difference; `still` gives a case's difference, or None where there is none."""
    tries, until = 0, time.monotonic() + SECONDS
    progress = True
    while progress:
        progress = False
        for smaller in candidates(case, found.step):
            if tries >= MOST or time.monotonic() > until:
                return case, found
            tries += 1
            other = still(smaller)
            if other is not None:
                case, found, progress = smaller, other, True
                break
    return case, found


def candidates(case: Case, step: int) -> Iterator[Case]:
    """Smaller cases, the boldest first."""
    for steps in (step + 1, case.steps // 2, case.steps - 1):
        if 1 <= steps < case.steps:
            yield cut(case, steps)
    for steps in (case.steps // 2, case.steps // 4, 1):
        if 1 <= steps < case.steps:
            yield later(case, steps)
    for name in case.links:
        yield without_link(case, name)
    for name in case.populations:
        if len(case.populations) > 1:
            yield without_population(case, name)
    for name in case.populations:
        yield from fewer_neurons(case, name)
    for name, model in case.populations.items():
        for smaller in simpler_call(model):
            yield replace(case, populations=case.populations | {name: smaller})
    for name, link in case.links.items():
        if link.rule is not None:
            yield with_link(case, name, replace(link, rule=None))
            for smaller in simpler_call(link.rule):
                yield with_link(case, name, replace(link, rule=smaller))
        for smaller in simpler_call(link.synapses):
            yield with_link(case, name, replace(link, synapses=smaller))
    for name, values in case.inputs.items():
        for smaller in simpler_array(values):
            yield replace(case, inputs=case.inputs | {name: smaller})
    for name, given in case.third.items():
        for key, values in given.items() if isinstance(given, dict) else ((None, given),):
            for smaller in simpler_array(values):
                yield replace(case, third=case.third | {name: smaller if key is None else given | {key: smaller}})


def cut(case: Case, steps: int) -> Case:
    """The first steps of it."""
    inputs = {k: v[:steps] for k, v in case.inputs.items()}
    return replace(case, steps=steps, inputs=inputs, third=_each(case.third, lambda v: v[:steps]))


def _each(third: dict[str, Any], change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """Third factors with every array changed."""
    return {
        name: {k: change(v) for k, v in given.items()} if isinstance(given, dict) else change(given)
        for name, given in third.items()
    }


def later(case: Case, steps: int) -> Case:
    """Without the first steps of it."""
    inputs = {k: v[steps:] for k, v in case.inputs.items()}
    return replace(case, steps=case.steps - steps, inputs=inputs, third=_each(case.third, lambda v: v[steps:]))


def with_link(case: Case, name: str, link: Link) -> Case:
    """With one link replaced; what only a rule records goes with it."""
    record = case.record if link.rule is not None else {k: v for k, v in case.record.items() if k != name}
    third = case.third if link.rule is not None else {k: v for k, v in case.third.items() if k != name}
    return replace(case, links=case.links | {name: link}, record=record, third=third)


def without_link(case: Case, name: str) -> Case:
    """With one link less."""
    keep = {k: v for k, v in case.links.items() if k != name}
    record = {k: v for k, v in case.record.items() if k != name}
    return replace(case, links=keep, record=record, third={k: v for k, v in case.third.items() if k != name})


def without_population(case: Case, name: str) -> Case:
    """With one population and its links less."""
    for link in [k for k, v in case.links.items() if name in (v.pre, v.post)]:
        case = without_link(case, link)
    parts = {part: {k: v for k, v in getattr(case, part).items() if k != name} for part in ("inputs", "record")}
    return replace(case, populations={k: v for k, v in case.populations.items() if k != name}, **parts)


def fewer_neurons(case: Case, name: str) -> Iterator[Case]:
    """Halves of a population, then all but one neuron; images stay as they are."""
    n = case.size(name)
    if (
        n < 2
        or np.ndim(case.populations[name].args[0])
        or any(link.synapses.name == "Conv" and name in (link.pre, link.post) for link in case.links.values())
    ):
        return
    everyone = np.arange(n)
    for keep in (everyone[: n // 2], everyone[n // 2 :], *(np.delete(everyone, k) for k in range(n) if n <= 16)):
        if keep.size:
            yield kept_neurons(case, name, keep)


def kept_neurons(case: Case, name: str, keep: np.ndarray) -> Case:
    """With only some neurons of a population, in every array that has one entry for each."""
    n = case.size(name)
    model = case.populations[name]
    registers = {k: v[keep] if np.shape(v) == (n,) else v for k, v in model.kwargs.items()}
    populations = case.populations | {name: Call(model.name, (int(keep.size), *model.args[1:]), registers)}
    links = {}
    for key, link in case.links.items():
        shape = link.weights.shape
        for axis, end in ((0, link.post), (1, link.pre)):
            if end == name:
                link = replace(
                    link,
                    synapses=_taken(link.synapses, shape, axis, keep),
                    rule=_taken(link.rule, shape, axis, keep),
                )
                shape = link.weights.shape
        links[key] = link
    inputs = {k: v[:, keep] if k == name else v for k, v in case.inputs.items()}
    third = {
        k: {f: v[:, keep] for f, v in given.items()} if isinstance(given, dict) and links[k].post == name else given
        for k, given in case.third.items()
    }
    return replace(case, populations=populations, links=links, inputs=inputs, third=third)


def _taken(value: Any, shape: tuple, axis: int, keep: np.ndarray) -> Any:
    """Every array of `shape` inside a call with only some rows or columns."""
    if isinstance(value, Call):
        args = tuple(_taken(v, shape, axis, keep) for v in value.args)
        return Call(value.name, args, {k: _taken(v, shape, axis, keep) for k, v in value.kwargs.items()})
    if isinstance(value, np.ndarray) and value.shape == shape:
        return np.take(value, keep, axis)
    return value


def simpler_call(call: Call) -> Iterator[Call]:
    """Keyword arguments left out, then every value simpler."""
    for key in call.kwargs:
        yield call.changed(**{key: None})
    for key, value in call.kwargs.items():
        for smaller in simpler_value(value):
            yield call.changed(**{key: smaller})
    for k, value in enumerate(call.args):
        if isinstance(value, (Call, np.ndarray)):
            for smaller in simpler_value(value):
                yield Call(call.name, (*call.args[:k], smaller, *call.args[k + 1 :]), call.kwargs)


def simpler_value(value: Any) -> Iterator[Any]:
    """Simpler values of the same kind."""
    if isinstance(value, Call):
        if value.name == "sp.csc_array":
            yield value.args[0]
        yield from simpler_call(value)
    elif isinstance(value, np.ndarray) and value.ndim == 1 and np.all(value == value[0]):
        yield value[0].item()
    elif isinstance(value, np.ndarray):
        yield from simpler_array(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from simpler_number(value)


def simpler_number(value: float) -> Iterator[float]:
    """Nearer to zero."""
    seen = {value}
    for other in (type(value)(0), type(value)(np.sign(value)), type(value)(value / 2), value - np.sign(value)):
        other = type(value)(other)
        if other not in seen and abs(other) < abs(value):
            seen.add(other)
            yield other


def simpler_array(values: np.ndarray) -> Iterator[np.ndarray]:
    """Rows zeroed by halves, then single entries zeroed, then halved."""
    flat = values.ravel()
    used = np.flatnonzero(flat)
    size = max(1, used.size // 2)
    while used.size and size:
        for a in range(0, used.size, size):
            other = flat.copy()
            other[used[a : a + size]] = 0
            yield other.reshape(values.shape)
        size = size // 2 if used.size <= 512 else 0
    for k in used[:64]:
        for number in simpler_number(flat[k].item()):
            if number:
                other = flat.copy()
                other[k] = number
                yield other.reshape(values.shape)
