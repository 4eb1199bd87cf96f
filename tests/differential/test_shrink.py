"""The machinery itself: a difference is shrunk to its cause, and printed as code that shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .as_code import as_code
from .case import Case, Values, run_chipsim
from .compare import agree, difference, first_difference
from .draw import brian2_loihi_case, lava_case, lava_images, nengo_case
from .draw_floats import ideal_case, lava_float_case
from .draw_learning import lava_learning_case, pes_case

KINDS = (
    lava_case, lava_images, lava_learning_case, lava_float_case, nengo_case, pes_case, brian2_loihi_case, ideal_case,
)  # fmt: skip


@pytest.mark.parametrize("draw", KINDS)
def test_printed_code_is_the_case(draw) -> None:
    """The script that a report prints gives the same run, and the same seed the same script."""
    case = draw(3)
    names: dict[str, Any] = {}
    exec(compile(as_code(case), "printed", "exec"), names)
    result, mine = names["result"], run_chipsim(case)
    assert as_code(draw(3)) == as_code(case)
    for name in case.populations:
        np.testing.assert_array_equal(result.spikes[name], mine[name, "spikes"])
    for name, variables in case.record.items():
        kept = result.learning[name].trace if name in case.links else result.trace[name]
        for variable in variables:
            np.testing.assert_array_equal(kept[variable], mine[name, variable])


def wrong(case: Case) -> Values:
    """A tool whose neurons forget to leak where dv is 4095."""
    for name, model in case.populations.items():
        if np.any(np.asarray(model.kwargs.get("dv", 0)) == 4095):
            case.populations[name] = model.changed(dv=np.where(np.asarray(model.kwargs["dv"]) == 4095, 0, 9))
    return run_chipsim(case)


def test_a_difference_is_shrunk_to_its_cause() -> None:
    def tool(case: Case) -> Values:
        return wrong(Case(**(vars(case) | {"populations": dict(case.populations)})))

    seed = next(s for s in range(1000) if difference(lava_case(s), tool) is not None)
    with pytest.raises(pytest.fail.Exception) as failure:
        agree(lava_case(seed), tool, "a tool")
    text = str(failure.value)
    case_lines = [line for line in text.splitlines() if line.startswith("net.")]
    assert "dv=4095" in text and "chipsim and a tool differ" in text
    assert len(case_lines) <= 3, text  # at most a source, a neuron, a link
    assert len(text) < 900, text


def test_a_refusal_of_what_a_tool_runs_is_a_difference() -> None:
    case = lava_case(3)
    bad = Case(**(vars(case) | {"populations": case.populations | {"p0": case.populations["p0"].changed(du=9999)}}))
    found = difference(bad, lambda _: run_chipsim(case))
    assert found is not None and found.kind == "refused" and "du=9999" in found.text


def test_the_first_step_counts() -> None:
    a = {("p", "v"): np.array([[1, 2], [3, 4]]), ("p", "spikes"): np.zeros((2, 2))}
    b = {("p", "v"): np.array([[1, 2], [3, 5]]), ("p", "spikes"): np.array([[0, 1], [0, 0]])}
    found = first_difference(a, b)
    assert found is not None and found.step == 0 and "p.spikes[0, 1]" in found.text and "p.v" not in found.text
    assert first_difference(a, a) is None
