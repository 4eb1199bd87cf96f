"""What a torch module computes, as a graph of its leaf modules: one run on a sample, every tensor followed.

Exporters follow only what modules pass to each other; a `+` or an `F.relu` between two modules cuts their graph in
two without a word. Here operations between modules are watched as well: those that only move numbers are followed,
sums join their sources, ReLU counts as a layer, and any other is refused where a module would need its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from chipsim.errors import ChipsimError, NetworkError

INPUT = "input"
Shape = tuple[int, ...]
#: Operations that hand numbers on; `reshape` and the like may lay them out anew.
PASSES = frozenset(
    (
        "clone", "contiguous", "detach", "to", "float", "double", "cpu", "squeeze", "unsqueeze", "view", "view_as",
        "reshape", "flatten", "__getitem__", "getitem", "stack", "select", "unbind", "expand",
    )
)  # fmt: skip
SUMS = frozenset(("add", "__add__", "__radd__", "__iadd__", "add_"))
RELUS = frozenset(("relu", "relu_"))


def library() -> Any:
    """torch, imported when a module is read.

    Raises
    ------
    ChipsimError
        It is not installed.
    """
    try:
        return import_module("torch")
    except ImportError as error:
        raise ChipsimError("from_torch needs torch, which is not installed: pip install 'chipsim[torch]'") from error


@dataclass(frozen=True, eq=False)
class Layer:
    """One leaf module (or ReLU between modules) as it ran: `sources` are names of layers or "input".

    `before` and `after` are the shapes that arrived and left, with all axes of batch and time.
    """

    name: str
    module: Any
    kind: str
    sources: tuple[str, ...]
    before: Shape
    after: Shape


@dataclass
class Trace:
    """Layers in the order in which they ran, what the module returned, and what was noted on the way."""

    layers: dict[str, Layer] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def input_shape(self) -> Shape:
        """Of the input as the first layer that reads it sees it, all axes."""
        return next(layer.before for layer in self.layers.values() if INPUT in layer.sources)


@dataclass(frozen=True)
class _Origin:
    """Where a tensor's numbers come from; `spoilt` names an operation that changed them."""

    sources: tuple[str, ...]
    spoilt: str = ""


class _Watch:
    """Origins of the tensors of one run."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.trace = Trace()
        self.origins: dict[int, _Origin] = {}
        self.kept: list[Any] = []  # so that no id is used twice
        self.inside = 0

    def mark(self, tensor: Any, origin: _Origin) -> None:
        """Remember where a tensor comes from."""
        self.kept.append(tensor)
        self.origins[id(tensor)] = origin

    def origin(self, tensor: Any) -> _Origin | None:
        """Where a tensor comes from; None if not from the sample."""
        return self.origins.get(id(tensor))

    def enter(self, module: Any, args: tuple[Any, ...]) -> None:
        """A leaf module starts; what happens inside is its own."""
        self.inside += 1

    def leave(self, name: str, module: Any, args: tuple[Any, ...], out: Any) -> None:
        """A leaf module has run: a new layer, or the same one in a later time step."""
        self.inside -= 1
        if self.inside:
            return
        given: Any = args[0] if args else None
        kind = type(module).__name__
        sources = self._sources(given, name, kind)
        sent = next(iter(tensors(out)), None)
        if sent is None:
            return
        known = self.trace.layers.get(name)
        if known is not None and known.sources != sources:
            raise NetworkError(
                f"from_torch: {name}: {kind} runs behind {_listed(known.sources)} and behind {_listed(sources)}: "
                "give each use a module of its own"
            )
        self.trace.layers[name] = Layer(name, module, kind, sources, tuple(given.shape), tuple(sent.shape))
        self.mark(sent, _Origin((name,)))
        for state in list(tensors(out))[1:]:
            if state is not sent:
                self.mark(state, _Origin((name,), f"the state of {name}"))

    def _sources(self, given: Any, name: str, kind: str) -> tuple[str, ...]:
        origin = self.origin(given)
        if origin is None:
            raise NetworkError(
                f"from_torch: {name}: {kind} receives a tensor that does not come from the sample; a network has "
                "constants only as biases"
            )
        if origin.spoilt:
            raise NetworkError(
                f"from_torch: {name}: {kind} receives the result of {origin.spoilt} (behind "
                f"{_listed(origin.sources)}), which is no layer of a spiking network; leave it out or make it part of "
                "a weight"
            )
        return origin.sources

    def operation(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """An operation between modules."""
        results = list(tensors(out))
        given = [t for t in tensors((args, kwargs)) if self.origin(t) is not None]
        if not results or not given:
            return
        word = getattr(func, "__name__", str(func))
        origins = [self.origins[id(t)] for t in given]
        sources = tuple(dict.fromkeys(s for o in origins for s in o.sources))
        spoilt = next((o.spoilt for o in origins if o.spoilt), "")
        same = len({o.sources for o in origins}) == 1
        if spoilt:
            origin = _Origin(sources, spoilt)
        elif word in RELUS:
            origin = _Origin((self._relu(sources, given[0]),))
        elif word in SUMS:
            origin = self._sum(word, args, origins, sources)
        elif word in PASSES and same:
            origin = self._moved(word, given[0], results[0], sources)
        else:
            origin = _Origin(sources, f"'{word}'")
        for tensor in results:
            self.mark(tensor, origin)

    def _relu(self, sources: tuple[str, ...], given: Any) -> str:
        count = sum(1 for layer in self.trace.layers.values() if layer.module is None and layer.kind == "ReLU")
        name = f"relu{count + 1}"
        self.trace.layers[name] = Layer(name, None, "ReLU", sources, tuple(given.shape), tuple(given.shape))
        return name

    def _sum(self, word: str, args: tuple[Any, ...], origins: list[_Origin], sources: tuple[str, ...]) -> _Origin:
        shapes = {tuple(t.shape) for t in tensors(args)}
        plain = len(origins) == 2 and len(shapes) == 1 and len(sources) == sum(len(o.sources) for o in origins)
        return _Origin(sources) if plain else _Origin(sources, f"'{word}'")

    def _moved(self, word: str, given: Any, result: Any, sources: tuple[str, ...]) -> _Origin:
        """A tensor with other axes; where more than one axis of size > 1 became one, that is a Flatten."""
        old = [d for d in given.shape if d > 1]
        new = [d for d in result.shape if d > 1]
        if word in ("view", "reshape", "flatten") and len(new) < len(old):
            name = f"flatten{sum(1 for layer in self.trace.layers.values() if layer.module is None) + 1}"
            self.trace.layers[name] = Layer(name, None, "Flatten", sources, tuple(given.shape), tuple(result.shape))
            return _Origin((name,))
        if word in ("view", "reshape") and new != old:
            return _Origin(sources, f"'{word}' from {tuple(given.shape)} to {tuple(result.shape)}")
        return _Origin(sources)

    def finish(self, out: Any) -> Trace:
        """The trace, with the layers whose numbers the module returned."""
        found = next((o for o in map(self.origin, tensors(out)) if o is not None), None)
        if found is None:
            raise NetworkError(f"from_torch: {self.label} returns nothing that comes from the sample")
        if found.spoilt:
            self.trace.notes.append(
                f"the module returns the result of {found.spoilt}: not part of the network, whose output is "
                f"{_listed(found.sources)}"
            )
        if not self.trace.layers:
            raise NetworkError(f"from_torch: {self.label} has no layers")
        self.trace.outputs = found.sources
        return self.trace


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"'{n}'" for n in names)


def tensors(value: Any) -> Iterator[Any]:
    """All tensors in nested tuples, lists and dicts, in order."""
    if hasattr(value, "detach") and hasattr(value, "shape"):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors(item)


def run(module: Any, sample: Any, is_leaf: Callable[[Any], bool], label: str) -> Trace:
    """Run `module` once on `sample` (without gradients, its buffers put back) and say what flowed where.

    Parameters
    ----------
    module : torch.nn.Module
    sample : torch.Tensor
    is_leaf
        Says of a module with modules inside whether it is one layer nonetheless.
    label
        What messages call the whole.

    Raises
    ------
    NetworkError
        The module does not run on the sample, or a layer needs the result of an operation that is no layer.
    """
    torch, watch = library(), _Watch(label)

    class Mode(import_module("torch.overrides").TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if not watch.inside:
                watch.operation(func, args, kwargs or {}, out)
            return out

    with torch.random.fork_rng(devices=[]), _buffers_kept(module), _hooked(module, is_leaf, watch), torch.no_grad():
        watch.mark(sample, _Origin((INPUT,)))
        try:
            with Mode():
                out = module(sample)
        except NetworkError:
            raise
        except Exception as error:  # whatever a user's module raises on a sample that does not fit
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise NetworkError(
                f"from_torch: {label} does not run on a sample of shape {tuple(sample.shape)}: {first}"
            ) from error
    return watch.finish(out)


@contextmanager
def _hooked(module: Any, is_leaf: Callable[[Any], bool], watch: _Watch) -> Iterator[None]:
    handles = []
    for name, leaf in leaves(module, is_leaf):
        handles.append(leaf.register_forward_pre_hook(watch.enter))
        handles.append(leaf.register_forward_hook(lambda m, args, out, name=name: watch.leave(name, m, args, out)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def leaves(module: Any, is_leaf: Callable[[Any], bool], name: str = "") -> Iterator[tuple[str, Any]]:
    """Modules without modules inside, and those that `is_leaf` names, with their path."""
    if is_leaf(module) or not any(True for _ in module.children()):
        yield name or type(module).__name__.lower(), module
        return
    for key, child in module.named_children():
        yield from leaves(child, is_leaf, f"{name}.{key}" if name else key)


@contextmanager
def _buffers_kept(module: Any) -> Iterator[None]:
    """Hidden states of neurons are buffers; a run for looking must leave them as they were."""
    before = [(m, dict(m._buffers), set(m.__dict__)) for m in module.modules()]
    try:
        yield
    finally:
        for m, buffers, names in before:
            m._buffers.clear()
            m._buffers.update(buffers)
            for extra in set(m.__dict__) - names:
                del m.__dict__[extra]
