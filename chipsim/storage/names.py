"""Names of classes in files: short ones that stay when a module moves, `loihi.LIF`, `rules.EProp`.

A label stands for one or more modules; every record class of such a module has a name in files by being there, so a
new neuron model or rule needs no line here. Files of 0.1.0 named classes by module path: `FORMER` says what these
modules are called now.
"""

from __future__ import annotations

from importlib import import_module

from chipsim.errors import FileError

#: Label -> modules that hold its classes; no class name stands twice under one label.
LABELS: dict[str, tuple[str, ...]] = {
    "chip": ("chipsim.chips.schema", "chipsim.chips.costs", "chipsim.chips.arithmetic"),
    "native": ("chipsim.native.base", "chipsim.native.synapses"),
    "loihi": ("chipsim.native.loihi",),
    "floats": ("chipsim.native.floats",),
    "odin": ("chipsim.native.crossbar.odin",),
    "tinyodin": ("chipsim.native.crossbar.tinyodin",),
    "reckon": ("chipsim.native.reckon.neurons", "chipsim.native.reckon.registers"),
    "truenorth": ("chipsim.native.grid.truenorth",),
    "xylo": ("chipsim.native.xylo",),
    "catalyst": (
        "chipsim.native.catalyst.neurons",
        "chipsim.native.catalyst.synapses",
        "chipsim.native.catalyst.microcode",
        "chipsim.native.catalyst.build",
    ),
    "image": ("chipsim.native.crossbar.image", "chipsim.native.reckon.image", "chipsim.native.grid.image"),
    "program": ("chipsim.program.images", "chipsim.program.program", "chipsim.program.fan_out"),
    "run": (
        "chipsim.engines.contract",
        "chipsim.engines.catalyst.engine",
        "chipsim.engines.event_engine",
        "chipsim.engines.crossbar.steps",
        "chipsim.engines.grid.core",
        "chipsim.engines.reckon.io",
        "chipsim.run.activity",
    ),
    "rules": (
        "chipsim.rules.declaration",
        "chipsim.rules.fixed_format",
        "chipsim.rules.e_prop.rule",
        "chipsim.rules.products.rule",
        "chipsim.rules.pes",
        "chipsim.rules.e_prop.reward",
        "chipsim.rules.e_prop.group",
        "chipsim.rules.e_prop.net",
        "chipsim.rules.e_prop.online",
        "chipsim.rules.products.grammar",
        "chipsim.rules.perturbation",
        "chipsim.rules.carried",
        "chipsim.rules.checking",
        "chipsim.rules.costs",
        "chipsim.rules.verdicts",
    ),
    "estimate": (
        "chipsim.estimate.estimate",
        "chipsim.estimate.costing",
        "chipsim.estimate.timing",
        "chipsim.estimate.traffic",
        "chipsim.estimate.metrics",
    ),
}

#: Modules of 0.1.0 -> the label under which their classes are found now.
FORMER: dict[str, str] = {
    "chipsim.schema": "chip",
    "chipsim.costs": "chip",
    "chipsim.arithmetic": "chip",
    "chipsim.native.base": "native",
    "chipsim.native.synapses": "native",
    "chipsim.native.loihi": "loihi",
    "chipsim.native.floats": "floats",
    "chipsim.native.odin": "odin",
    "chipsim.native.tinyodin": "tinyodin",
    "chipsim.native.reckon": "reckon",
    "chipsim.native.reckon_registers": "reckon",
    "chipsim.native.truenorth": "truenorth",
    "chipsim.native.xylo": "xylo",
    "chipsim.native.crossbar_lower": "image",
    "chipsim.native.reckon_lower": "image",
    "chipsim.native.truenorth_lower": "image",
    "chipsim.program": "program",
    "chipsim.fanout": "program",
    "chipsim.engines.timestep": "run",
    "chipsim.engines.learning_run": "run",
    "chipsim.engines.crossbar_program": "run",
    "chipsim.engines.grid_program": "run",
    "chipsim.engines.reckon_program": "run",
    "chipsim.engines.event_engine": "run",
    "chipsim.engines.crossbar_steps": "run",
    "chipsim.engines.grid": "run",
    "chipsim.engines.reckon_io": "run",
    "chipsim.engines.eprop_network": "run",
    "chipsim.counters": "run",
    "chipsim.rule_declaration": "rules",
    "chipsim.fixed_format": "rules",
    "chipsim.eprop": "rules",
    "chipsim.sum_of_products": "rules",
    "chipsim.pes": "rules",
    "chipsim.eprop_reward": "rules",
    "chipsim.eprop_group": "rules",
    "chipsim.eprop_net": "rules",
    "chipsim.online_eprop": "rules",
    "chipsim.sop_grammar": "rules",
    "chipsim.perturbation": "rules",
    "chipsim.learning": "rules",
    "chipsim.rule_check": "rules",
    "chipsim.rule_cost": "rules",
    "chipsim.rule_verdict": "rules",
    "chipsim.estimate": "estimate",
    "chipsim.costing": "estimate",
    "chipsim.timing": "estimate",
    "chipsim.traffic": "estimate",
    "chipsim.metrics": "estimate",
}

#: Classes of 0.1.0 that are one class now, and what their fields are called in it.
MERGED: dict[str, tuple[str, dict[str, str]]] = {
    "run.CrossbarRaw": ("run.RawRun", {}),
    "run.GridRaw": ("run.RawRun", {"lost": "drops", "grid_cycles": "cycles"}),
    "run.ReckonRaw": ("run.RawRun", {}),
    "run.N1Raw": ("run.RawRun", {}),
}


def add_label(label: str, *modules: str, former: str = "") -> None:
    """Give the record classes of `modules` names in files, `label.Class`; `former` is a module path of older files.

    For packages above this one, whose files hold classes of their own. Adding the same label again changes nothing.
    """
    if LABELS.setdefault(label, modules) != modules:
        raise ValueError(f"'{label}' stands for {', '.join(LABELS[label])} in files already")
    if former:
        FORMER[former] = label


def name_of(kind: type) -> str:
    """What files call a class: `label.Class`, or `module:Class` for one of a package that is not chipsim's.

    Raises
    ------
    FileError
        A class inside another or inside a function, or one of chipsim's that files do not hold.
    """
    if "<" in kind.__qualname__ or "." in kind.__qualname__:
        raise FileError(f"cannot save a {kind.__qualname__}: define the class at the top of its module")
    for label, modules in LABELS.items():
        if kind.__module__ in modules:
            return f"{label}.{kind.__qualname__}"
    if is_own(kind.__module__):
        raise FileError(f"cannot save a {kind.__module__}.{kind.__qualname__}: files have no name for it")
    return f"{kind.__module__}:{kind.__qualname__}"


def current(name: str) -> tuple[str, dict[str, str]]:
    """What a class named in a file is called now, and the new names of its fields where they differ."""
    module, colon, kind = name.partition(":")
    if colon and module in FORMER:
        name = f"{FORMER[module]}.{kind}"
    return MERGED.get(name, (name, {}))


def is_own(name: str) -> bool:
    """True for names of chipsim's own modules and labels, whether or not there is such a class."""
    return name.partition(".")[0] in {"chipsim", "kernels", "mappings", *LABELS}


def class_of(name: str, modules: tuple[str, ...] = ()) -> type | None:
    """The class that a file calls `name`, or None if there is none of that name here.

    Parameters
    ----------
    name
        `label.Class`, or `module:Class` with a module of `FORMER` or of `modules`.
    modules
        Other modules whose classes the file may name.
    """
    module, colon, kind = name.partition(":")
    label = FORMER.get(module, "")
    if not colon:
        label, _, kind = name.rpartition(".")
    if not kind.isidentifier():
        return None
    places = LABELS.get(label) or (modules if module in modules else ())
    for place in places:
        if colon and not label and place != module:
            continue
        found = getattr(import_module(place), kind, None)
        if isinstance(found, type) and found.__module__ == place:
            return found
    return None
