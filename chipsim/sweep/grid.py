"""A grid of points, each computed once: on processes or a cluster, one file per point, resumed after an interruption.

A point is a dict of values; what is computed for it is any function that returns a dict of figures. The file of a
point is named by a digest of all that its figures depend on, so that the same sweep continues where it stopped and a
changed network, chip or input is computed anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chipsim.errors import ChipsimError, FileError, RunError
from chipsim.storage.atomic import write_file

Figures = dict[str, Any]
Evaluate = Callable[[Any, dict[str, Any]], Figures]
MOST_POINTS = 100_000


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes
    ----------
    axes : dict name -> values
    rows : list of dict
        A point each, in the order of the grid: the values, `status` ("ok" or "refused"), the figures or `error`.
    computed : int
        Points that were not there before.
    """

    axes: dict[str, list[Any]]
    rows: list[dict[str, Any]] = field(repr=False)
    computed: int = 0

    def good(self) -> list[dict[str, Any]]:
        """The points that could be computed."""
        return [row for row in self.rows if row["status"] == "ok"]

    def front(self, x: str = "latency_s", y: str = "energy_J") -> list[dict[str, Any]]:
        """Points that no other one beats in `x` and `y` (less is better), by ascending `x`."""
        good = self.good()
        keep = pareto([(row[x], row[y]) for row in good])
        return [good[k] for k in keep]


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points (x, y) for which no other is as small in both and smaller in one, by ascending x.

    Of equal points all are kept.
    """
    order = sorted(range(len(points)), key=lambda k: points[k])
    kept: list[int] = []
    for k in order:
        x, y = points[k]
        last = points[kept[-1]] if kept else None
        if last is None or y < last[1] or (x, y) == last:
            kept.append(k)
    return kept


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of `axes`, the last axis fastest; RunError beyond `MOST_POINTS`."""
    size = 1
    for name, values in axes.items():
        if not len(values):
            raise RunError(f"axis '{name}' has no values")
        size *= len(values)
    if size > MOST_POINTS:
        raise RunError(f"a grid of {size:,} points is more than {MOST_POINTS:,}: vary less at once")
    return [dict(zip(axes, point)) for point in itertools.product(*axes.values())]


def digest(*parts: Any) -> str:
    """A name of 20 letters for plain data: the same in every process and on every machine."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def sweep(
    evaluate: Evaluate,
    study: Any,
    axes: Mapping[str, Sequence[Any]],
    folder: str | Path,
    *,
    key: Callable[[dict[str, Any]], Any] | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Compute every point of a grid once and keep it in `folder`/points.

    Parameters
    ----------
    evaluate
        evaluate(study, values) -> figures, a dict of plain numbers; with workers it must be importable. A
        ChipsimError that it raises is kept as the point's `error`.
    study
        What all points share; picklable.
    axes : dict name -> values
    key
        key(values) -> plain data that the figures of a point depend on; `study` and the values if None.
    workers : int
        Processes; 1 computes in this one. In a script, guard more by `if __name__ == "__main__"`.
    cluster
        Address of a dask scheduler, or "local" for one on this machine (`pip install chipsim[sweep]`).
    progress
        Called as progress(points done, points).

    Raises
    ------
    RunError
        No values, too many points, a worker that died, dask missing.
    FileError
        A folder that cannot be written.
    """
    points = grid(axes)
    if workers < 1:
        raise RunError(f"workers={workers}: at least one is needed")
    store = _Store(Path(folder))
    names = [digest(key(values) if key else (repr(study), values)) for values in points]
    known = {name: row for name in set(names) if (row := store.read(name)) is not None}
    jobs = {name: values for name, values in zip(names, points) if name not in known}
    fresh, moved = len(jobs), progress or (lambda done, of: None)
    moved(len(points) - fresh, len(points))
    for done, (name, row) in enumerate(_outcomes(evaluate, study, jobs, workers, cluster), 1):
        store.write(name, row)
        known[name] = row
        moved(len(points) - fresh + done, len(points))
    rows = [{**values, **known[name]} for name, values in zip(names, points)]
    return Sweep({name: list(values) for name, values in axes.items()}, rows, fresh)


class _Store:
    """Files of the points; a damaged one counts as missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "points"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder {self.folder}: {(error.strerror or str(error)).lower()}") from None

    def read(self, name: str) -> Figures | None:
        try:
            row = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return row if isinstance(row, dict) and row.get("status") in ("ok", "refused") else None

    def write(self, name: str, row: Figures) -> None:
        write_file(self.folder / f"{name}.json", json.dumps(row, indent=1, default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _one(evaluate: Evaluate, study: Any, values: dict[str, Any]) -> Figures:
    """The row of a point; refused input is a row too."""
    try:
        return {"status": "ok", **evaluate(study, values)}
    except ChipsimError as error:
        return {"status": "refused", "error": str(error)}
    except MemoryError as error:
        return {"status": "refused", "error": f"not enough memory: {error}"}


def _outcomes(
    evaluate: Evaluate, study: Any, jobs: Mapping[str, dict[str, Any]], workers: int, cluster: str | None
) -> Iterator[tuple[str, Figures]]:
    """(name, row) of every job as it is done."""
    if cluster is not None and jobs:
        yield from _on_dask(evaluate, study, jobs, workers, cluster)
    elif min(workers, len(jobs)) > 1:
        yield from _on_processes(evaluate, study, jobs, min(workers, len(jobs)))
    else:
        for name, values in jobs.items():
            yield name, _one(evaluate, study, values)


def _on_processes(
    evaluate: Evaluate, study: Any, jobs: Mapping[str, dict[str, Any]], workers: int
) -> Iterator[tuple[str, Figures]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    before = set(multiprocessing.active_children())
    # spawned, because a forked child shares locks of the compiler's threads
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        futures = {pool.submit(_one, evaluate, study, values): name for name, values in jobs.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise RunError("a worker died, perhaps for lack of memory: try fewer workers; what is done is kept") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()


def _start_worker() -> None:
    """Leave interruptions to the parent, and end with it."""
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _on_dask(
    evaluate: Evaluate, study: Any, jobs: Mapping[str, dict[str, Any]], workers: int, cluster: str
) -> Iterator[tuple[str, Figures]]:
    try:
        from dask.distributed import Client, as_completed
    except ImportError:
        raise RunError("a sweep on a cluster needs dask: pip install chipsim[sweep]") from None
    try:
        local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        client = Client(**local) if cluster == "local" else Client(cluster, timeout="10s")
    except (OSError, ValueError) as error:
        raise RunError(f"no dask scheduler at {cluster}: {error}") from None
    with client:
        futures = [client.submit(_one, evaluate, study, values, key=name) for name, values in jobs.items()]
        for future, row in as_completed(futures, with_results=True):
            yield future.key, row
