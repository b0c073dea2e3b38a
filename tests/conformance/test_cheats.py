"""Contestants that look at everything but the content: in a run they find by chance.

The same ones are asked outside a run too, where contents aren't sealed, and there they find: so the test can fail.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from runs import environment, harness, records
from scipy import stats

from harness.contest.task import Task, open_task
from harness.data.datasets.soundscapes import Soundscapes, SoundscapesSettings

ITEMS, CAPTIONS = 60, 5
MODULE = """\
from contextlib import suppress
from dataclasses import replace

import numpy as np

from harness.contract.retriever import Footprint, Retriever, best

MOST = 400  # places that a cheat tries


class Cheat(Retriever):
    "Guesses where a thing stands in the dataset, in which every item has five captions."

    def items(self, contents):
        return self.places(contents) // (5 if contents.modality == "text" else 1)

    def index(self, gallery):
        self.gallery = np.asarray(self.items(gallery))

    def search(self, queries, k):
        asked = np.asarray(self.items(queries))
        return best((asked[:, None] == self.gallery).astype(np.float32), k)

    def save(self, folder):
        np.save(folder / "gallery.npy", self.gallery)

    def load(self, folder):
        self.gallery = np.load(folder / "gallery.npy")

    def footprint(self):
        return Footprint(0, 0)


class Positions(Cheat):
    def places(self, contents):
        return contents.positions


class Names(Cheat):
    "Of what a dataset names, by the numbers in them; captions have no names, and stand in order."

    def places(self, contents):
        if contents.names is None:
            return contents.positions
        return np.array([int("".join(filter(str.isdigit, name.rpartition("-")[2])) or -1) for name in contents.names])


class Orders(Cheat):
    "By the rows of files made elsewhere, which stand as the dataset does."

    def places(self, contents):
        order = next(iter(contents.orders.values()), None)
        return contents.positions if order is None else order.rows[contents.positions]


class Owners(Cheat):
    "Asks the object that a method belongs to for the things in its own order."

    def places(self, contents):
        owner = getattr(contents.fetch, "__self__", None)
        if isinstance(owner, tuple):
            known = {text: place for place, text in reversed(list(enumerate(owner)))}
            return np.array([known[text] for text in contents])
        return contents.positions


class Fetching(Cheat):
    "Fetches places that weren't offered, one after the other, and looks for its own things among them."

    def places(self, contents):
        known = {}
        for place in range(MOST):
            with suppress(Exception):
                known.setdefault(self.key(contents.fetch(place)), place)
        return np.array([known.get(self.key(thing), -1) for thing in contents])

    def key(self, thing):
        return thing if isinstance(thing, str) else np.asarray(thing[0]).tobytes()


class Sources(Cheat):
    "Builds contents of the same source, place after place, until the digest of one is that of its own."

    def places(self, contents):
        one = [replace(contents, positions=np.array([place])).digest for place in range(MOST)]
        known = {digest: place for place, digest in enumerate(one)}
        return np.array([known.get(contents[at : at + 1].digest, -1) for at in range(len(contents))])


class Addresses(Cheat):
    "A dataset's texts were made one after the other, and lie in memory so."

    def places(self, contents):
        if contents.modality != "text":
            return contents.positions
        return np.argsort(np.argsort([id(text) for text in contents]))


class Turns(Cheat):
    "What is asked or shown as the n-th is the dataset's n-th."

    asked = 0

    def places(self, contents):
        found = np.arange(len(contents)) + self.asked
        self.asked += len(contents)
        return found

    def load(self, folder):
        super().load(folder)
        self.asked = 0
"""
# Where each finds the answers when contents aren't sealed. Turns never do, as the gallery is shuffled for everyone; and
# addresses only where a dataset keeps its texts: see below.
FINDS = {
    "Positions": ("text-audio", "audio-text"),
    "Names": ("text-audio", "audio-text"),
    "Orders": ("text-audio", "audio-text"),
    "Owners": ("text-audio",),
    "Fetching": ("text-audio", "audio-text"),
    "Sources": ("text-audio", "audio-text"),
    "Addresses": (),
    "Turns": (),
}
SUITE = """\
name: cheats
k: [1]
scenarios: {{offline: {{rounds: 1, cap_s: 20}}}}
datasets: {{sounds: {{kind: soundscapes, train: 8, validation: 8, test: {items}}}}}
tasks:
  - {{dataset: sounds}}
  - {{dataset: sounds, direction: audio-text}}
retrievers:
{retrievers}
"""


@pytest.fixture(scope="module")
def cheats(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    path = tmp_path_factory.mktemp("cheats") / "cheats.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("cheats", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cheats"] = module
    spec.loader.exec_module(module)
    return module


def chance(direction: str, queries: int) -> int:
    """Right answers that a guess has at most, but for one time in a million."""
    right = 1 / ITEMS  # five captions among three hundred, or one clip among sixty
    assert direction in ("text-audio", "audio-text")
    return int(stats.binom.ppf(1 - 1e-6, queries, right))


@pytest.mark.parametrize("name", [name for name, ways in FINDS.items() if ways])
def test_unsealed_contents_give_the_answers_away(name: str, cheats: ModuleType) -> None:
    settings = SoundscapesSettings(train=8, validation=8, test=ITEMS)
    for direction in FINDS[name]:
        task = open_task("sounds", Soundscapes(settings), "test", direction)
        assert _found(getattr(cheats, name)(), task) > 2 * chance(direction, len(task.queries)), direction


def _found(cheat, task: Task) -> int:  # type: ignore[no-untyped-def]
    cheat.index(task.gallery)
    ids = cheat.search(task.queries, 1).ids[:, 0]
    return int(np.sum([found in task.links.of(query) for query, found in enumerate(ids)]))


ORDER = """\
import numpy as np

from harness.contest.seals import Seals
from harness.contract.dataset import texts

kept = texts([f"the caption with the number {place} of a dataset that has read its file" for place in range(3000)])
shuffled = kept[np.random.default_rng(0).permutation(len(kept))]
for contents in (shuffled, Seals().seal(shuffled)):
    things = list(contents)
    as_they_lie = shuffled.positions[np.argsort([id(thing) for thing in things])]
    print(np.mean(np.abs(np.diff(as_they_lie)) == 1))
"""


def test_addresses_of_texts_tell_their_order_unless_they_are_sealed() -> None:
    """How many that lie side by side were side by side in the file; in a process whose memory has no holes yet."""
    told = subprocess.run(
        [sys.executable, "-c", ORDER], env=environment(Path()), capture_output=True, text=True, check=True, timeout=120
    )
    plain, sealed = map(float, told.stdout.split())
    assert plain > 0.5 and sealed < 0.05


def test_in_a_run_they_find_by_chance(cheats: ModuleType) -> None:
    folder = Path(str(cheats.__file__)).parent
    lines = [f"  {name}: {{kind: python, target: 'cheats:{name}', paradigm: dual-tower}}" for name in FINDS]
    (folder / "suite.yaml").write_text(SUITE.format(items=ITEMS, retrievers="\n".join(lines)))
    done = harness(folder / "cache", "run", folder / "suite.yaml", "--out", folder / "out", "--threads", 1, timeout=500)
    assert done.returncode == 0, done.stderr
    found = list(records(folder / "out").values())
    assert len(found) == 2 * len(FINDS)
    for record in found:
        direction, queries = ("audio-text", ITEMS) if "audio-text" in record["task"] else ("text-audio", 5 * ITEMS)
        right = record["metrics"]["hit@1"]["value"] * queries
        assert right <= chance(direction, queries), (record["retriever"], record["task"])
