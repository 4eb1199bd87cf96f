"""YAML from files that nobody vouches for: plain data out, or one line that names the place and what is wrong.

Refused before anything is built: large files, deep nesting, aliases that multiply (or hold themselves), characters that
no terminal shows, a key given twice, and values that a tag does not fit (`!!int abc`). PyYAML's safe loader makes the
rest.
"""

from __future__ import annotations

from typing import Any

from ..checks import shown
from ..errors import DescriptionError

MAX_BYTES = 1 << 17  #: of a file; shipped descriptions are below 12 KiB
MAX_DEPTH = 24  #: of mappings and lists in each other
MAX_NODES = 1 << 16  #: values of a file, those behind an alias counted as often as they are named
_WHITE = "\n\t\r"


def plain(data: bytes, where: str) -> Any:
    """The data in a YAML text; `where` names it in errors.

    Raises
    ------
    DescriptionError
        What is no YAML, or no plain and bounded data; the message names the line.
    """
    import yaml

    text = _text(data, where)
    loader = None
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, where)
        return loader.construct_document(node)
    except DescriptionError as error:
        raise DescriptionError(f"{where}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"line {mark.line + 1}: " if mark is not None else ""
        said = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise DescriptionError(f"{where}: {at}not YAML: {said[:160]}") from None
    except RecursionError:
        raise DescriptionError(f"{where}: not YAML of plain data: nested more than {MAX_DEPTH} deep") from None
    finally:
        if loader is not None:
            loader.dispose()


def _text(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise DescriptionError(f"{where}: {len(data)} bytes; a description has at most {MAX_BYTES}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(f"{where}: not YAML: byte {error.start} is no UTF-8 text") from None


def _check(root: Any, where: str) -> None:
    """Sizes of a tree of nodes, seen through its aliases; it is walked once, and never deeper than `MAX_DEPTH`."""
    from yaml import MappingNode, ScalarNode

    sizes: dict[int, int] = {}
    path: set[int] = set()

    def size(node: Any, depth: int) -> int:
        line = node.start_mark.line + 1
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in path:
            raise DescriptionError(f"line {line}: an alias leads back to what it stands in")
        if depth > MAX_DEPTH:
            raise DescriptionError(f"line {line}: nested more than {MAX_DEPTH} deep")
        if isinstance(node, ScalarNode):
            _check_scalar(node.value, line)
            return 1
        path.add(id(node))
        parts = [n for pair in node.value for n in pair] if isinstance(node, MappingNode) else node.value
        total = 1
        for part in parts:
            total += size(part, depth + 1)
            if total > MAX_NODES:
                raise DescriptionError(f"line {line}: more than {MAX_NODES} values, aliases written out")
        path.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root, 0)


def _check_scalar(text: str, line: int) -> None:
    wrong = next((c for c in text if not c.isprintable() and c not in _WHITE), None)
    if wrong is not None:
        raise DescriptionError(f"line {line}: {shown(text)} holds the unprintable character {wrong!a}")


def _pairs(node: Any) -> list[Any]:
    from yaml import MappingNode

    return node.value if isinstance(node, MappingNode) else []


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe loader that refuses a key given twice, and says where a value does not fit its tag."""

        def fetch_flow_collection_start(self, token: Any) -> None:
            # The scanner looks ahead as far as a key could reach, at every level anew.
            if self.flow_level >= MAX_DEPTH:
                raise DescriptionError(f"line {self.line + 1}: nested more than {MAX_DEPTH} deep")
            super().fetch_flow_collection_start(token)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            own = [key for key, _ in _pairs(node) if key.tag != "tag:yaml.org,2002:merge"]
            seen = set()
            for key in own:
                name = self.construct_object(key, deep=True)
                try:
                    twice = name in seen
                    seen.add(name)
                except TypeError:
                    raise DescriptionError(f"line {key.start_mark.line + 1}: a list or a mapping is no key") from None
                if twice:
                    line = node.start_mark.line + 1
                    raise DescriptionError(f"line {line}: key {shown(name)} is given twice")
            return super().construct_mapping(node, deep)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (yaml.YAMLError, DescriptionError, RecursionError):
                raise
            except Exception:  # whatever a constructor of PyYAML does not expect
                tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
                line = node.start_mark.line + 1
                raise DescriptionError(f"line {line}: {shown(node.value)} is no value of type {shown(tag)}") from None

    return Loader
