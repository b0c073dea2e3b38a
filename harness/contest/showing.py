"""What people will want to look at, kept in the run's folder when a contest is over: media, and how likely each token
of a generated answer was. For the runner; the page is made from the folder alone. Nothing here is timed or scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness.contest.asking import Contestant, drawn_order
from harness.contest.task import Task
from harness.contract.dataset import Contents
from harness.contract.retriever import Generates
from harness.data.media import shrunk
from harness.machine import compute, files
from harness.machine.progress import track
from harness.report.explorer import ANSWERS, QUERIES
from harness.store.run_folder import RunFolder, cell_name

MEDIA = 1500  # files of a task
AT_ONCE = 64  # of them in memory


def shown(count: int) -> np.ndarray:
    """int64: the queries of a task that can be looked at, ascending: the first in the order in which all are asked."""
    return np.sort(drawn_order(count)[:QUERIES])


def keep(
    folder: RunFolder, task: Task, seed: int, contestants: Sequence[Contestant], reveal: Callable[[Contents], Contents]
) -> None:
    """Of contestants that did not fail; `reveal`: the dataset's own contents, whose names several tasks share."""
    queries = shown(len(task.queries))
    needed: list[int] = [int(right) for query in queries.tolist() for right in task.links.of(query)]
    for contestant in contestants:
        asked, place, _ = np.intersect1d(contestant.queries, queries, return_indices=True)
        answers = contestant.ranking.ids[place, :ANSWERS]
        needed += answers.ravel().tolist()
        if isinstance(contestant.retriever, Generates) and len(asked):
            odds = contestant.retriever.odds(task.queries[asked], answers)
            name = cell_name(task.name, contestant.name, seed)
            folder.write_odds(name, asked, odds, contestant.retriever.identifiers())
    found = {
        "shown": queries.tolist(),
        "queries": _kept(folder.root / "media", reveal(task.queries), queries.tolist()),
        "candidates": _kept(folder.root / "media", reveal(task.gallery), needed),
    }
    files.write_json(folder.media_path(task.name), found)


def _kept(folder: Path, contents: Contents, wanted: Iterable[int]) -> dict[str, str]:
    """Position → file below `folder`, without its ending: both its thumbnail and the thing itself are called so."""
    if contents.modality == "text":
        return {}
    places = [place for place in dict.fromkeys(wanted) if place >= 0][:MEDIA]
    dataset, split = ([*contents.source.split(":"), ""])[:2]
    group = "-".join([*re.findall(r"\w+", f"{dataset} {split}"), files.digest(contents.source)[:8]])
    names = {place: f"{group}/{int(contents.positions[place])}" for place in places}
    absent = [place for place, name in names.items() if not (folder / f"{name}.webp").exists()]
    (folder / group).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(compute.current().threads) as pool:
        for start in track(range(0, len(absent), AT_ONCE), "media to look at"):
            some = absent[start : start + AT_ONCE]
            stems = [folder / names[place] for place in some]
            list(pool.map(shrunk.write, stems, [contents.modality] * len(some), contents[np.array(some, np.int64)]))
    return {str(place): name for place, name in names.items()}
