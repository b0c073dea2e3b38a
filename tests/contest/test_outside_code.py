"""Code that a suite brings: what it is made of is part of its name, and whatever it does harms only its own cells."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from outside_code import HEAD, write
from runs import command, environment, harness, records

from harness.contest import child, isolated
from harness.contract.dataset import Contents, texts
from harness.contract.problems import SuiteError
from harness.contract.retriever import Footprint, Ranking, Retriever, best
from harness.machine import interruption
from harness.machine.disk import NoRoom
from harness.score.metrics import BrokenRanking
from harness.suite import load, registry, sources

ENDINGS = {  # where and how → the end of what its record says
    "index-exit": "SystemExit: 0",
    "search-vanish": "its process ended with exit code 0 before it was done",
    "load-crash": "killed by signal 11 (SIGSEGV)",
    "counts-hang": "it took more than 6 s and was ended; raise `limit_s`, beside the retriever or at the top of the "
    "suite, if it needs longer",
}
# In the trial all is well; in the contest it isn't.
LATER = {"search": "exit", "footprint": "exit", "details": "interrupt", "load": "exit"}


def test_code_that_exits_hangs_or_crashes_fails_alone(tmp_path: Path) -> None:
    misbehaving = {
        name: ", arguments: {{at: {}, way: {}}}".format(*name.split("-")) + (", limit_s: 6" if "hang" in name else "")
        for name in ENDINGS
    }
    later = {f"later-{at}": f", arguments: {{at: {at}, way: {way}, only_in: parent}}" for at, way in LATER.items()}
    suite = write(tmp_path, {"fine": "", **misbehaving, **later})
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out", "--threads", 1, timeout=500)
    assert done.returncode == 1, done.stderr
    found = {record["retriever"]: record for record in records(tmp_path / "out").values()}
    assert found.keys() == {"random", "fine", *misbehaving, *later}
    assert [name for name, record in found.items() if record["status"] == "ok"] == ["fine", "random"]
    for name, ending in ENDINGS.items():
        assert found[name]["reason"].strip().endswith(ending), name
    for name, way in ((f"later-{at}", way) for at, way in LATER.items()):
        wanted = "SystemExit: 0" if way == "exit" else "KeyboardInterrupt"
        assert found[name]["reason"].strip().endswith(wanted), name


@pytest.mark.parametrize(
    ("answers", "size", "words"),
    [
        (False, Footprint(0, 0), "the answer is of type NoneType: expected harness.contract.Ranking"),
        (True, 5, "the footprint is of type int: expected harness.contract.Footprint"),
    ],
)
def test_answers_of_another_type_are_told(answers: bool, size: Any, words: str) -> None:
    class Odd(Retriever):
        def index(self, gallery: Contents) -> None: ...
        def save(self, folder: Path) -> None: ...
        def load(self, folder: Path) -> None: ...

        def search(self, queries: Contents, k: int) -> Ranking:
            found = best(np.zeros((len(queries), 5), np.float32), k)
            return found if answers else None  # type: ignore[return-value]

        def footprint(self) -> Footprint:
            return size  # type: ignore[no-any-return]

    with pytest.raises((BrokenRanking, TypeError), match=words):
        isolated._try_out(Odd(), SimpleNamespace(queries=texts(["one", "two"]), items=5), 3)


def test_an_interruption_ends_the_child_too(tmp_path: Path) -> None:
    suite = write(tmp_path, {"hangs": ", arguments: {at: index, way: hang}"})
    process = subprocess.Popen(
        command("run", suite, "--out", tmp_path / "out", "--threads", 1),
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    pid = next(int(line.split()[-1]) for line in process.stderr if "it hangs as" in line)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in words
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_module_does_when_it_is_imported_is_found_out_by_a_child(tmp_path: Path) -> None:
    """It fails, is seen by `plan`, and never gets to the referee's own process."""
    suite = write(tmp_path, {"fine": ""})
    for name, text in {"leaving": "import sys\nsys.exit(0)\n", "dying": "import os\nos._exit(3)\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
        with suite.open("a") as stream:
            stream.write(f"  {name}: {{kind: python, target: '{name}:Any', paradigm: control, tasks: 'sounds/*'}}\n")
    theirs = "{dataset: {kind: python, target: 'dying:Data', modality: audio}}"
    suite.write_text(suite.read_text().replace("[{dataset: sounds}]", f"[{{dataset: sounds}}, {theirs}]"))
    planned = harness(tmp_path / "cache", "plan", suite, "--out", tmp_path / "out")
    assert planned.returncode == 0, planned.stderr
    assert "4 will fail" in planned.stdout and "SystemExit: 0" in planned.stdout and "exit code 3" in planned.stdout
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out", "--threads", 1)
    assert done.returncode == 1, done.stderr
    assert {name: record["status"] for name, record in records(tmp_path / "out").items()} == {
        "sounds_test_text-audio.random.0": "ok",
        "sounds_test_text-audio.fine.0": "ok",
        "sounds_test_text-audio.leaving.0": "failed",
        "sounds_test_text-audio.dying.0": "failed",
        "python_test_text-audio.random.0": "failed",
        "python_test_text-audio.fine.0": "failed",
    }


def test_a_limit_of_its_own_is_for_any_retriever(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(HEAD.replace("{kind: random}", "{kind: random, limit_s: 0.01}"))
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out", "--threads", 1)
    assert done.returncode == 1
    assert "random: failed: it took more than 0.01 s and was ended; raise `limit_s`" in done.stderr


def test_a_package_is_loaded_when_its_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs when it is imported is nothing to suites that don't name it."""
    loaded = []
    point = importlib.metadata.EntryPoint("theirs", "nowhere.at_all:ENTRY", "harness.retrievers")
    ours = importlib.metadata.EntryPoint("random", "baselines.controls:RANDOM", "harness.retrievers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point, ours] if group == point.group else [])
    known = registry.Kinds("retrievers")
    assert "theirs" in known and "theirs" in list(known) and known["random"].kind == "random"
    monkeypatch.setattr(registry, "_loaded", lambda section, point: loaded.append(point.name))
    assert list(known) == ["random", "theirs"] and len(known) == 2 and not loaded
    assert known["theirs"] is None and loaded == ["theirs"]


def test_only_classes_of_the_interface_are_called(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(
        HEAD + "  command: {kind: python, target: 'os:system', paradigm: control, "
        f"arguments: {{command: 'touch {tmp_path}/ran'}}}}\n"
        "  other: {kind: python, target: 'collections:OrderedDict', paradigm: control}\n"
        "  lost: {kind: python, target: 'collections:NoSuch', paradigm: control}\n"
        "  dataset: {kind: dual_tower, encoder: {kind: python, target: 'harness.contract.retriever:Retriever'}}\n"
    )
    for verb in ("plan", "run"):
        done = harness(tmp_path / "cache", verb, tmp_path / "suite.yaml", "--out", tmp_path / "out")
        assert done.returncode == 2, done.stderr
        for line, words in {
            8: "os:system is a function; expected a subclass of harness.contract.Retriever",
            9: "is the class OrderedDict(dict); expected a subclass of harness.contract.Retriever",
            10: "there is no NoSuch in collections",
            11: "is the class Retriever(ABC); expected a subclass of harness.contract.Encoder",
        }.items():
            assert any(f"suite.yaml:{line}: " in each and words in each for each in done.stderr.splitlines()), line
        assert not (tmp_path / "ran").exists()


def test_arguments_that_a_class_does_not_take_are_a_mistake_of_the_suite(tmp_path: Path) -> None:
    suite = write(
        tmp_path, {"odd": ", arguments: {size: 3}", "needy": ", needs: [captioner], captioner: {kind: file, path: c}"}
    )
    (tmp_path / "c").touch()
    done = harness(tmp_path / "cache", "plan", suite, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout
    assert "suite.yaml:8: retrievers.odd: mine:Mine(at='', way='', only_in='', file='') is given size" in done.stderr
    assert "suite.yaml:9" in done.stderr and "captioner" in done.stderr


# -- its source -------------------------------------------------------------------------------------------------------


def test_an_edited_source_is_another_retriever(tmp_path: Path) -> None:
    suite = write(tmp_path, {"mine": ", arguments: {file: score.txt}"}, "edited")
    (tmp_path / "score.txt").write_text("0.5")
    (tmp_path / "unused.py").write_text("")
    before = load(suite)
    mine = before.retrievers[1].component
    assert list(mine.sources) == ["edited.py", "edited_helper.py", "score.txt"]
    (tmp_path / "unused.py").write_text("1")
    assert load(suite).retrievers[1].component.digest == mine.digest
    digests = {mine.digest}
    for name in mine.sources:
        path = tmp_path / name
        path.write_text(path.read_text() + ("\n" if name.endswith("py") else "1"))
        after = load(suite)
        digests.add(after.retrievers[1].component.digest)
        assert after.retrievers[0].component.digest == before.retrievers[0].component.digest
        assert sources.changed({"sources": mine.sources}, after.cells()[1].sources)[-1] == name
    assert len(digests) == 4
    assert mine.config["arguments"] == {"file": "score.txt"}, "as it was written"


def test_what_changed_is_told_and_run_again(tmp_path: Path) -> None:
    suite = write(tmp_path, {"mine": ""})
    run = ["run", suite, "--out", tmp_path / "out", "--threads", 1, "--only", "mine"]
    assert harness(tmp_path / "cache", *run).returncode == 0
    assert "1 reused" in harness(tmp_path / "cache", *run).stderr
    (tmp_path / "mine_helper.py").write_text("SCORE = 0.25\n")
    planned = harness(tmp_path / "cache", "plan", suite, "--out", tmp_path / "out", "--only", "mine")
    assert "to do: the source of mine_helper.py changed: run again" in planned.stdout
    again = harness(tmp_path / "cache", *run)
    assert "mine: the source of mine_helper.py changed: run again" in again.stderr and "reused" not in again.stderr
    (record,) = records(tmp_path / "out").values()
    assert record["sources"].keys() == {"mine.py", "mine_helper.py"}
    assert again.stderr.count("it is indexed") == 1 and "it is indexed" not in again.stdout
    fresh = harness(tmp_path / "cache", *run, "--fresh")
    assert fresh.stderr.count("it is indexed") == 1 and "it is indexed" not in fresh.stdout, "by the child, and once"


DEEP = {
    "pack/__init__.py": "from .c import y",
    "pack/c.py": "",
    "pack/in/__init__.py": "",
    "pack/in/a.py": "from ..d import z\nimport other",
    "pack/d.py": "",
    "other.py": "import numpy, json",
}
FLAT = {"pack/__init__.py": "", "pack/a.py": "from . import b", "pack/b.py": "", "pack/c.py": ""}


@pytest.mark.parametrize(
    ("files", "target", "expected"),
    [
        (FLAT, "pack.a:X", ["pack/__init__.py", "pack/a.py", "pack/b.py"]),
        (DEEP, "pack.in.a:X", sorted(DEEP)),
        ({"bare/a.py": "def f():\n    import bare.b", "bare/b.py": ""}, "bare.a:X", ["bare/a.py", "bare/b.py"]),
        ({"wrong.py": "def ("}, "wrong:X", ["wrong.py"]),
        ({}, "nowhere.at_all:X", []),
        ({"lone.py": "from harness.retriever import Retriever\nimport torch"}, "lone:X", ["lone.py"]),
    ],
)
def test_which_files_a_class_is_made_of(
    files: dict[str, str], target: str, expected: list[str], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(sources.digests(target, tmp_path)) == expected


# -- paths ------------------------------------------------------------------------------------------------------------

PATHS = """\
name: paths
datasets: {clips: {kind: manifest, path: data/clips.csv, modality: audio}}
encoders:
  here: {kind: clip, checkpoint: models/own}
  hub: {kind: clip, checkpoint: openai/clip}
  given: {kind: precomputed, media: m.npy, text: t.npy}
tasks: [{dataset: clips}]
retrievers: {random: {kind: random}}
"""


def test_relative_paths_follow_the_suite_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "suites"
    for name in ("suites/data/clips.csv", "suites/models/own/config.json", "suites/m.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("path,caption\n")
    (folder / "suite.yaml").write_text(PATHS)
    suite = load("suites/suite.yaml")
    dataset = suite.tasks[0].dataset
    assert dataset.arguments["path"] == Path("suites/data/clips.csv")
    assert dataset.config["path"] == "data/clips.csv"
    digest = dataset.digest
    monkeypatch.chdir(folder)
    assert load("suite.yaml").tasks[0].dataset.digest == digest


def test_hub_ids_stay_hub_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites/models/own").mkdir(parents=True)
    text = PATHS.replace("{random: {kind: random}}", "{a: {kind: dual_tower, encoder: [here, hub]}}")
    (tmp_path / "suites/suite.yaml").write_text(
        text.replace("{kind: manifest, path: data/clips.csv, modality: audio}", "{kind: shapes}")
    )
    here, hub = (spec.encoder for spec in load("suites/suite.yaml").retrievers)
    assert here is not None and here.arguments["checkpoint"] == Path("suites/models/own")
    assert hub is not None and hub.arguments["checkpoint"] == Path("openai/clip")


@pytest.mark.parametrize("place", ["data/clips.csv", "models/own/config.json", "t.npy"])
def test_what_lies_in_the_current_folder_alone_is_pointed_out(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()
    (tmp_path / "suites/suite.yaml").write_text(PATHS)
    with pytest.raises(SuiteError) as caught:
        load("suites/suite.yaml")
    shown = place.removesuffix("/config.json")
    (problem,) = caught.value.problems
    assert problem.line == {"data": 2, "models": 4, "t.npy": 6}[place.partition("/")[0]]
    assert f"there is one at ./{shown}, seen from the current folder" in problem.message
    assert f"write ../{shown}" in problem.message


def test_modules_beside_the_suite_are_found_from_anywhere(tmp_path: Path) -> None:
    """And those in the current folder by `harness` as by `python -m harness`."""
    suite = write(tmp_path / "suites", {"mine": ""})
    program = f"import sys; sys.argv = ['harness', 'plan', {str(suite)!r}]; from harness.cli import entry; entry()"
    script = tmp_path / "bin" / "harness"
    script.parent.mkdir()
    script.write_text(program)
    (tmp_path / "elsewhere").mkdir()
    for folder in ("suites", "elsewhere"):
        done = subprocess.run(
            [command()[0], str(script)],
            cwd=tmp_path / folder,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and "0 unavailable\n" in done.stdout, done.stdout + done.stderr
    (tmp_path / "elsewhere/mine.py").write_text("")
    done = subprocess.run(
        [command()[0], str(script)],
        cwd=tmp_path / "elsewhere",
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "there is no Mine in mine" in done.stderr, "the current folder comes first"


# -- the process of its own -------------------------------------------------------------------------------------------


def test_each_job_gets_its_answer_whatever_the_others_do() -> None:
    jobs = ["1 + 1", "__import__('os')._exit(5)", "1 / 0", "'x' * 100_000", "__import__('sys').exit(1)"]
    found = list(child.answers("builtins:eval", jobs, 60))
    assert [answer.value for answer in found] == [2, None, None, "x" * 100_000, None]
    endings = [(answer.failure or "").strip().rpartition("\n")[2] for answer in found]
    assert endings[1] == "its process ended with exit code 5 before it was done"
    assert (endings[0], endings[2:]) == ("", ["ZeroDivisionError: division by zero", "", "SystemExit: 1"])


def test_a_limit_is_for_each_job_and_ends_all_that_it_started() -> None:
    sleep = "__import__('subprocess').run(['sh', '-c', 'echo pid $$; sleep 600'])"
    (found,) = child.answers("builtins:eval", [sleep], 5)
    assert found.failure is not None and found.failure.endswith("it took more than 5 s and was ended")
    pid = int(found.failure.partition("pid ")[2].split()[0])
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("its own child lives on")


def test_a_wish_to_stop_passes_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_listening", True)
    interruption.let_pass(SystemExit(0))
    interruption.let_pass(KeyboardInterrupt())  # a contestant's own
    with pytest.raises(NoRoom):
        interruption.let_pass(NoRoom("full"))
    monkeypatch.setattr(interruption, "_stopping", True)
    with pytest.raises(KeyboardInterrupt):
        interruption.let_pass(SystemExit(0))
    monkeypatch.setattr(interruption, "_stopping", False)
    monkeypatch.setattr(interruption, "_listening", False)
    with pytest.raises(KeyboardInterrupt):
        interruption.let_pass(KeyboardInterrupt())
