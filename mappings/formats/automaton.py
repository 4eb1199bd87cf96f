"""Finite automata in JSON files: `{"states", "alphabet", "transitions", "start", "accepting"}`.

Names are texts (whole numbers become texts). Transitions are `{state: {symbol: state}}` or triples
`[state, symbol, next state]`. `"complete": true` sends what has none to a state that accepts nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chipsim.errors import FileError, NetworkError
from chipsim.mappings.builders.automata.automata import from_automaton
from chipsim.mappings.builders.automata.dfa import DFA
from chipsim.mappings.network.network import Network

MAX_BYTES = 1 << 28


def read_automaton(path: str | Path, *, complete: bool = False) -> DFA:
    """The automaton in a JSON file.

    Raises
    ------
    FileError
        No such file, one beyond 256 MiB, no JSON, or no automaton; the message names the file and what is wrong.
    """
    source = Path(path)
    try:
        if source.stat().st_size > MAX_BYTES:
            raise FileError(f"{source} holds more than {MAX_BYTES >> 20} MiB: too large for an automaton")
        given = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {source}: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileError(f"{source} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise FileError(f"{source} holds no automaton: the file must be one JSON object")
    complete = given.pop("complete", False) is True or complete
    try:
        return DFA.of({key: _texts(value, key) for key, value in given.items()}, complete=complete)
    except NetworkError as error:
        raise FileError(f"{source}: {error}") from None


def load_automaton(path: str | Path, encoding: str = "one-hot", *, complete: bool = False, **options: Any) -> Network:
    """The network of an automaton in a JSON file; options as in
    `chipsim.mappings.builders.automata.automata.from_automaton`."""
    return from_automaton(read_automaton(path, complete=complete), encoding, **options).network


def _texts(value: Any, what: str) -> Any:
    """Names as texts, so that a symbol 0 in a list and a key "0" are the same."""
    if isinstance(value, dict):
        return {key: _texts(v, what) for key, v in value.items()}
    if isinstance(value, list):
        return [_texts(v, what) for v in value]
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise NetworkError(f"automaton: {what} holds {value!r}; names are texts or whole numbers")
