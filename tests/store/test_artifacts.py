"""The store: made once, verified when read, and never is half an artifact taken for a whole one."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from harm import flip
from runs import python_path

from harness.contest.session import run_suite
from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput
from harness.contract.store import Artifact, Recipe
from harness.machine import disk, files, finite
from harness.machine.disk import NoRoom
from harness.store.artifacts import MANIFEST, Store
from harness.suite import load

MEASURED = os.access("/proc/self/clear_refs", os.W_OK)  # whether the peak of memory can be known here

RECIPE = Recipe("embeddings", "a few", {"seed": 1, "of": ["this", "that"]})
CONTENTS = {"vectors.bin": bytes(range(256)) * 4, "deep/notes.json": b'{"a": 1}\n', "empty": b""}


class Builder:
    """Writes the same files every time, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        assert not list(folder.iterdir()), "a build begins with an empty folder"
        for name, data in CONTENTS.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)


def contents(artifact: Artifact) -> dict[str, bytes]:
    paths = [path for path in artifact.folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    return {str(path.relative_to(artifact.folder)): path.read_bytes() for path in paths}


def leftovers(root: Path) -> list[Path]:
    """Everything below the store that is neither a finished artifact nor a lock."""
    return [path for path in root.glob("*/*") if path.parent.name != "locks" and not (path / MANIFEST).is_file()]


def test_what_is_there_is_not_made_again(tmp_path):
    build = Builder()
    first = Store(tmp_path).make(RECIPE, build)
    again = Store(tmp_path).make(RECIPE, build)  # another process, as far as the store can tell
    assert build.times == 1
    assert contents(first) == contents(again) == CONTENTS
    assert first.manifest == again.manifest


def test_a_recipe_is_named_by_all_that_shapes_it_and_by_nothing_else(tmp_path):
    other = Recipe("embeddings", "another label", {"of": ["this", "that"], "seed": 1})
    assert other.digest == RECIPE.digest
    for changed in (
        Recipe("captions", "a few", RECIPE.config),
        Recipe("embeddings", "a few", {**RECIPE.config, "seed": 2}),
        Recipe("embeddings", "a few", {**RECIPE.config, "of": ["that", "this"]}),
        Recipe("embeddings", "a few", {**RECIPE.config, "more": None}),
    ):
        assert changed.digest != RECIPE.digest


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("harm", [truncate, flip, grow, Path.unlink], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", [*(name for name in CONTENTS if name != "empty"), MANIFEST])
def test_harm_is_named_set_aside_and_made_good(tmp_path, messages, name, harm):
    if (name, harm) == (MANIFEST, truncate):  # its last byte is a line break: cut into the JSON
        harm = lambda path: path.write_bytes(path.read_bytes()[:-3])  # noqa: E731
    build = Builder()
    first = Store(tmp_path).make(RECIPE, build)
    harm(first.folder / name)
    second = Store(tmp_path).make(RECIPE, build)
    assert build.times == 2
    assert contents(second) == CONTENTS
    assert second.folder == first.folder
    [aside] = (tmp_path / "set-aside").iterdir()
    told = " ".join(messages)
    assert str(aside) in told
    assert name in told
    assert "embeddings a few" in told


def test_a_surplus_file_is_harm_too(tmp_path, messages):
    build = Builder()
    (Store(tmp_path).make(RECIPE, build).folder / "more.bin").write_bytes(b"1")
    assert contents(Store(tmp_path).make(RECIPE, build)) == CONTENTS
    assert "more.bin" in " ".join(messages)


def test_an_artifact_in_the_place_of_another_is_not_taken_for_it(tmp_path, messages):
    build, store = Builder(), Store(tmp_path)
    other = store.make(Recipe("embeddings", "others", {}), build)
    wanted = store.folder(RECIPE)
    other.folder.rename(wanted)
    assert Store(tmp_path).make(RECIPE, build).manifest["digest"] == RECIPE.digest
    assert build.times == 2
    assert "another recipe" in " ".join(messages)


def test_no_change_of_a_byte_in_the_manifest_goes_unseen(tmp_path):
    """Unless it changes nothing: white space."""
    store = Store(tmp_path)
    artifact = store.make(RECIPE, Builder())
    path = artifact.folder / MANIFEST
    data, whole = path.read_bytes(), json.loads(path.read_bytes())
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            value = json.loads(bytes(changed))
        except ValueError:
            continue
        assert value == whole or not files.unbroken(value), f"byte {place}"


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("error", "raised"), [(FULL, NoRoom), (KeyboardInterrupt(), KeyboardInterrupt)])
def test_a_build_that_fails_leaves_no_trace(tmp_path, error, raised):
    def fails(folder: Path) -> None:
        (folder / "half.bin").write_bytes(b"1234")
        raise error

    store = Store(tmp_path)
    with store.ledger() as book, pytest.raises(raised):
        store.make(RECIPE, fails)
    assert not leftovers(tmp_path)
    assert not store.folder(RECIPE).exists()
    assert not book.used
    build = Builder()
    assert contents(store.make(RECIPE, build)) == CONTENTS


def test_a_disk_that_fills_up_while_the_manifest_is_written(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        raise FULL

    store = Store(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(NoRoom, match=r"make room: .* has .*B free, embeddings a few"):
        patch.setattr(files, "write", full)
        store.make(RECIPE, Builder())
    assert not leftovers(tmp_path)
    assert contents(store.make(RECIPE, Builder())) == CONTENTS


def test_nothing_is_built_where_there_is_no_room_for_it(tmp_path):
    build = Builder()
    with pytest.raises(NoRoom, match=r"embeddings a few needs about 1,000,000,000\.0 GB"):
        Store(tmp_path).make(RECIPE, build, needs=10**18)
    assert build.times == 0


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
        (OSError("160000 requested and 4096 written"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (ValueError("no space between words"), False),
    ],
)
def test_a_full_disk_is_known_whoever_tells_of_it(tmp_path, error, full):
    outer = ValueError("what was being done")
    outer.__cause__ = error
    for told in (error, outer):
        with pytest.raises(NoRoom) if full else nullcontext():
            disk.end_if_full(tmp_path, "encoder small", told)


@pytest.mark.parametrize("error", [ValueError("the loss is nan at step 3"), Unavailable("fetch it first")])
def test_what_failed_once_is_not_built_again(tmp_path, messages, error):
    tried = []

    def fails(folder: Path) -> None:
        tried.append(folder)
        raise error

    store = Store(tmp_path)
    encoder = Recipe("encoder", "small", {})
    wholes = [Recipe("retriever", name, {"name": name}) for name in ("dual", "cart")]
    for whole in wholes:
        with pytest.raises(type(error), match=str(error)):
            store.make(whole, lambda folder: store.make(encoder, fails))
    assert len(tried) == 1
    assert "encoder small failed before" in " ".join(messages)
    assert Store(tmp_path).make(encoder, Builder()), "another run tries again"


def array(value: float) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "vectors.npy", np.array([0.0, value]))


def test_what_is_no_number_is_not_stored(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(FloatingPointError, match=r"embeddings a few isn't stored: vectors\.npy: .* lower the lr"):
        store.make(RECIPE, array(np.nan))
    assert not leftovers(tmp_path) and not store.folder(RECIPE).exists()


def test_what_was_stored_before_it_was_looked_into_is_found_when_it_is_read(tmp_path, messages, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(finite, "check", lambda folder: None)
        old = Store(tmp_path).make(RECIPE, array(np.inf))
    manifest = {key: value for key, value in old.manifest.items() if key != "finite"}
    files.write_json(old.folder / MANIFEST, files.sealed(manifest))
    assert np.load(Store(tmp_path).make(RECIPE, array(1.0)).folder / "vectors.npy")[1] == 1
    assert "vectors.npy: the array holds NaN or infinity; set aside" in " ".join(messages)


def test_fresh_makes_everything_anew_once(tmp_path):
    build, store = Builder(), Store(tmp_path)
    first = store.make(RECIPE, build)
    store.scratch(RECIPE).mkdir(parents=True)
    (store.scratch(RECIPE) / "checkpoint").write_bytes(b"of an earlier attempt")

    def again(folder: Path) -> None:
        assert first.folder.is_dir(), "the old one stays until the new one is whole"
        assert not anew.scratch(RECIPE).exists(), "and nothing unfinished is taken up"
        build(folder)

    anew = Store(tmp_path, fresh=True)
    assert contents(anew.make(RECIPE, again)) == CONTENTS
    anew.make(RECIPE, again)
    assert build.times == 2
    assert not leftovers(tmp_path)


def test_fresh_that_fails_keeps_the_old_one(tmp_path):
    build = Builder()
    Store(tmp_path).make(RECIPE, build)
    with pytest.raises(ZeroDivisionError):
        Store(tmp_path, fresh=True).make(RECIPE, lambda folder: 1 / 0)
    assert contents(Store(tmp_path).make(RECIPE, build)) == CONTENTS
    assert build.times == 1


def test_killed_between_the_old_one_and_the_new_it_is_made_once_more(tmp_path, monkeypatch):
    build = Builder()
    Store(tmp_path).make(RECIPE, build)
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if target == Store(tmp_path).folder(RECIPE):
            os._exit(9)
        return rename(path, target)

    child = os.fork()
    if not child:
        monkeypatch.setattr(Path, "rename", killed)
        Store(tmp_path, fresh=True).make(RECIPE, build)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert contents(Store(tmp_path).make(RECIPE, build)) == CONTENTS
    assert build.times == 2 and not leftovers(tmp_path)


SLOW = """
import sys, time
from pathlib import Path
from harness.machine import progress
from harness.store.artifacts import Store
from harness.contract.store import Recipe
progress.use(progress.Plain())

def build(folder):
    (folder / "half.bin").write_bytes(b"1" * 1000)
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "half.bin").write_bytes(b"2" * 1000)

artifact = Store(Path(sys.argv[1])).make(Recipe("embeddings", "slow", {}), build)
print("done", (artifact.folder / "half.bin").read_bytes()[:1].decode(), flush=True)
"""


def process(root: Path, seconds: float) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": python_path()}
    command = [sys.executable, "-c", SLOW, str(root), str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_while_building_leaves_nothing_that_is_taken_for_finished(tmp_path):
    doomed = process(tmp_path, 60)
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "begun\n"
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    assert leftovers(tmp_path), "the half-made folder lies there"
    out, told = process(tmp_path, 0).communicate(timeout=30)
    assert out == "begun\ndone 2\n", told
    assert not leftovers(tmp_path), "and is cleared away"


def test_two_processes_make_one_thing_once(tmp_path):
    both = [process(tmp_path, 1.5) for _ in range(2)]
    answers = [each.communicate(timeout=30) for each in both]
    assert sorted(out for out, _ in answers) == ["begun\ndone 2\n", "done 2\n"]
    assert sum("waiting: another process is making embeddings slow" in told for _, told in answers) == 1


def work(seconds: float, then: Callable[[], object] = lambda: None) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        time.sleep(seconds)
        then()
        (folder / "done").write_bytes(b"1")

    return build


def booked(store: Store, use: Callable[[Store], object]) -> dict[str, dict[str, float]]:
    """Seconds by label and phase."""
    with store.ledger() as book:
        use(store)
    return {entry["label"]: entry["seconds"] for entry in book.used.values()}


def use_nested(store: Store) -> None:
    """A retriever made from an encoder (while it is fitted) and from vectors (while it is indexed)."""
    encoder, vectors, whole = (Recipe("part", label, {"of": label}) for label in ("encoder", "vectors", "whole"))

    def inner() -> None:
        store.make(encoder, work(0.3))
        with store.phase("index"):
            time.sleep(0.05)
            store.make(vectors, work(0.1, lambda: store.make(encoder, work(0.3))))

    store.make(whole, work(0.1, inner))


def test_the_cost_of_what_is_made_from_others_is_its_own_alone(tmp_path):
    costs = booked(Store(tmp_path), use_nested)
    assert set(costs) == {"encoder", "vectors", "whole"}
    assert costs["encoder"] == {"fit": pytest.approx(0.3, abs=0.15)}
    assert costs["vectors"] == {"index": pytest.approx(0.1, abs=0.15)}, "whatever an index is made from"
    assert costs["whole"]["fit"] == pytest.approx(0.1, abs=0.15)
    assert costs["whole"]["index"] == pytest.approx(0.05, abs=0.15)


def test_what_is_found_costs_what_it_cost_to_make(tmp_path):
    made = booked(Store(tmp_path), use_nested)
    store = Store(tmp_path)
    assert booked(store, use_nested) == made
    assert booked(store, use_nested) == made, "and once more, when this process has seen it"


def test_what_was_there_before_a_shared_part_costs_the_same(tmp_path):
    """Another retriever made the encoder first: whoever comes second books it too, once."""
    store = Store(tmp_path)
    encoder = Recipe("part", "encoder", {"of": "encoder"})
    store.make(encoder, work(0.3))
    costs = booked(store, use_nested)
    assert costs["encoder"] == {"fit": pytest.approx(0.3, abs=0.15)}
    assert costs["whole"]["fit"] < 0.3


def test_what_a_cut_off_attempt_spent_is_a_cost_of_its_phase(tmp_path):
    store = Store(tmp_path)
    store.carry(5.0)  # nobody keeps book: nothing to be booked

    def build(folder: Path) -> None:
        store.carry(10.0)
        with store.phase("index"):
            store.carry(30.0)

    seconds = store.make(RECIPE, build).manifest["seconds"]
    assert seconds == {"fit": pytest.approx(10.0, abs=0.5), "index": pytest.approx(30.0, abs=0.5)}


def test_a_cost_is_in_the_manifest_with_who_paid_it(tmp_path):
    manifest = Store(tmp_path).make(RECIPE, Builder()).manifest
    assert set(manifest["seconds"]) <= {"fit", "index"}
    assert not MEASURED or manifest["peak_mb"] >= 0
    assert manifest["config"] == RECIPE.config
    assert {"at", "device", "threads", "versions", "commit"} <= set(manifest["made"])


@pytest.mark.skipif(not MEASURED, reason="this system can't reset the mark of a process's memory")
def test_memory_is_measured_where_the_system_lets_us(tmp_path):
    def hungry(folder: Path) -> None:
        (folder / "size").write_text(str(len(bytearray(64 << 20))))

    peak = Store(tmp_path).make(RECIPE, hungry).manifest["peak_mb"]
    assert 60 <= peak < 200


@pytest.mark.skipif(not MEASURED, reason="this system can't reset the mark of a process's memory")
def test_a_second_build_needs_no_less_memory(tmp_path):
    """What the first has freed is still held by the process; it must not make the second look frugal."""

    def hungry(folder: Path) -> None:
        small = [bytes(50_000) for _ in range(800)]  # too small to be given back to the system at once
        keep.append(bytes(50_000))  # lies above the others, so that the heap can't shrink
        (folder / "size").write_text(str(sum(map(len, small))))

    keep: list[bytes] = []
    recipes = [Recipe("retriever", "hungry", {"number": number}) for number in range(3)]
    peaks = [Store(tmp_path).make(recipe, hungry).manifest["peak_mb"] for recipe in recipes]
    assert all(30 <= peak < 80 for peak in peaks), peaks


@pytest.mark.parametrize("place", ["--out", "HARNESS_CACHE"])
def test_a_place_that_can_not_be_written_is_named_before_anything_is_done(tmp_path, place):
    suite = tmp_path / "suite.yaml"
    suite.write_text("name: x\ntasks: [{dataset: soundscapes}]\nretrievers: {random: {kind: random}}\n")
    (tmp_path / "file").write_bytes(b"")
    folders = {"--out": tmp_path / "out", "HARNESS_CACHE": tmp_path / "cache"} | {place: tmp_path / "file" / "below"}
    with pytest.raises(BadInput) as caught:
        run_suite(load(suite), folders["--out"], tmp_path, folders["HARNESS_CACHE"], argparse.Namespace())
    assert place in str(caught.value)
    assert str(tmp_path / "file" / "below") in str(caught.value)
