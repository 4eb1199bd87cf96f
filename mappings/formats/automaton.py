"""Finite automata in JSON files: `{"states", "alphabet", "transitions", "start", "accepting"}`.

Names are texts (whole numbers become texts). Transitions are `{state: {symbol: state}}` or triples
`[state, symbol, next state]`. `"complete": true` sends what has none to a state that accepts nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chipsim.checks import shown
from chipsim.errors import FileError, NetworkError
from chipsim.mappings.builders.automata.automata import from_automaton
from chipsim.mappings.builders.automata.dfa import DFA
from chipsim.mappings.network.network import Network

MAX_BYTES = 1 << 26
MAX_DEPTH = 4  #: of lists and objects in each other: transitions are two deep


def read_automaton(path: str | Path, *, complete: bool = False) -> DFA:
    """The automaton in a JSON file.

    Raises
    ------
    FileError
        No such file, one beyond 64 MiB, no JSON, or no automaton; the message names the file and what is wrong.
    """
    source = Path(path)
    if source.exists() and not source.is_file():
        raise FileError(f"cannot read {source}: it is a folder, a device or a pipe, no file")
    try:
        with source.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise FileError(f"it holds more than {MAX_BYTES >> 20} MiB: too large for an automaton")
        given = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {source}: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    except FileError as error:
        raise FileError(f"{source}: {error}") from None
    except (ValueError, RecursionError) as error:  # also integers of more digits than Python converts
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise FileError(f"{source} is not JSON: {said[:160]}") from None
    if not isinstance(given, dict):
        raise FileError(f"{source} holds no automaton: the file must be one JSON object")
    complete = given.pop("complete", False) is True or complete
    try:
        return DFA.of({key: _texts(value, key) for key, value in given.items()}, complete=complete)
    except NetworkError as error:
        raise FileError(f"{source}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once: of two transitions of one symbol, JSON would keep the last."""
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))
        raise FileError(f"key {shown(twice)} is given twice")
    return made


def _no_number(word: str) -> Any:
    raise FileError(f"{word} is no JSON")


def load_automaton(path: str | Path, encoding: str = "one-hot", *, complete: bool = False, **options: Any) -> Network:
    """The network of an automaton in a JSON file; options as in
    `chipsim.mappings.builders.automata.automata.from_automaton`."""
    return from_automaton(read_automaton(path, complete=complete), encoding, **options).network


def _texts(value: Any, what: str, depth: int = 0) -> Any:
    """Names as texts, so that a symbol 0 in a list and a key "0" are the same."""
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        raise NetworkError(f"automaton: {shown(what)} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {_text(key, what): _texts(v, what, depth + 1) for key, v in value.items()}
    if isinstance(value, list):
        return [_texts(v, what, depth + 1) for v in value]
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return _text(str(value), what)
    raise NetworkError(f"automaton: {shown(what)} holds {shown(value)}; names are texts or whole numbers")


def _text(name: str, what: str) -> str:
    """A name that a file can keep: any text, line breaks too, but no half of a character and no NUL."""
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in name):
        raise NetworkError(f"automaton: {shown(what)} holds the name {shown(name)}, which is no text that can be kept")
    return name
