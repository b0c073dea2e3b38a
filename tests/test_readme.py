"""The README followed literally: each of its YAML, Python and shell blocks is run, in a folder that has what they name.

What is changed: `steps` become few, one seed is left, scenarios are short, and the generated datasets are replaced by
tiny ones of the same name. Of the suites that shell lines name, only `random` and two dual towers run. `make` is left
out; a contestant of this repository is added in `suite/test_adding`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_checkpoints
import yaml
from disk import COPIES, real, write_json
from media_files import write_picture, write_sound
from runs import ROOT, records

from harness.cli import main
from harness.machine import compute

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
SUITES = {str(yaml.safe_load(text)["name"]): text for language, text in BLOCKS if language == "yaml"}
PYTHON = [text for language, text in BLOCKS if language == "python" and not text.startswith("# baselines/")]
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
CALLS = [words for line in LINES if (words := shlex.split(line, comments=True)) and words[0] != "make"]
ABSENT = {"elsewhere": {"vit"}}  # weights that only a network brings
TINY = {"train": 48, "validation": 16, "test": 24}
GENERATED = ("soundscapes", "shapes", "motions")
DIM = 16  # of vectors made elsewhere, and of the tiny sentence encoder


def test_nothing_in_the_readme_is_left_out() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "yaml", "python", "toml"}
    assert len(SUITES) == sum(language == "yaml" for language, _ in BLOCKS), "each has a name of its own"
    assert {call[3] for call in CALLS} == {"run", "plan", "report", "export", "check", "list", "data", "weights"}
    for name in re.findall(r"^class (\w+)", "".join(PYTHON), re.MULTILINE):
        assert any(f":{name}" in text for text in SUITES.values()), f"no suite uses {name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: their files under the names that the README gives them."""
    here = tmp_path_factory.mktemp("readme")
    (here / "results").mkdir()
    (here / "suites").mkdir()
    for path in (ROOT / "suites").glob("*.yaml"):
        (here / "suites" / path.name).write_text(shrunk(path.read_text(), few=True))
    for text in PYTHON:
        (here / text.splitlines()[0].removeprefix("# ")).write_text(text)
    clips = [f"{number}.wav" for number in range(40)]
    for number, name in enumerate(clips):
        write_sound(here / name, 200 + 50 * number, 0.3, 8_000)
    (here / "clips.csv").write_text("\n".join(["path,caption", *(f"{name},a tone of {name}" for name in clips)]))
    rng = np.random.default_rng(0)
    spoken = [f"caption {number} {row}" for number in range(2) for row in range(20)]
    (here / "rows.csv").write_text("\n".join(["row,caption", *(f"{text.split()[2]},{text}" for text in spoken)]))
    vectors = rng.normal(size=(20, DIM)).astype(np.float32)
    np.save(here / "images.npy", vectors)
    np.save(here / "captions.npy", vectors[[int(text.split()[2]) for text in spoken]])
    (here / "models" / "clip-ViT-B-32-multilingual-v1").mkdir(parents=True)
    tiny_checkpoints.sentences(here / "models" / "clip-ViT-B-32-multilingual-v1")
    flickr(here, vectors)
    COPIES["clotho"].build(here / "data" / "clotho")
    real(here / "data" / "clotho")
    return here


def flickr(here: Path, vectors: np.ndarray) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    images = [{"filename": name, "split": "test", "sentences": [{"raw": f"picture {name}"}]} for name in names]
    write_json(here / "data" / "flickr30k" / "dataset_flickr30k.json", {"images": images})
    for number, name in enumerate(names):
        write_picture(here / "data" / "flickr30k" / name, number)
    np.savez(here / "images.npz", vectors=vectors[:12], names=np.array(names))
    np.savez(here / "captions.npz", vectors=vectors[:12], names=np.array([f"picture {name}" for name in names]))


def shrunk(text: str, few: bool = False) -> str:
    suite = yaml.safe_load(text)
    suite |= {"seeds": [0], "scenarios": {"offline": {"rounds": 1, "cap_s": 1}, "single": {"queries": 2, "cap_s": 1}}}
    suite["datasets"] = {kind: {"kind": kind, **TINY} for kind in GENERATED} | suite.get("datasets", {})
    for dataset in suite["datasets"].values():
        dataset |= TINY if dataset["kind"] in GENERATED else {}
    if few:
        wanted = ("random", "dual-exact", "dual-hnsw")
        suite["retrievers"] = {name: suite["retrievers"][name] for name in wanted if name in suite["retrievers"]}
        suite.pop("captioners", None)
        for task in suite["tasks"]:
            task.pop("captioner", None)
    for encoder in suite.get("encoders", {}).values():
        encoder |= {"steps": 5} if encoder["kind"] == "small" else {}
    _fewer(suite)
    return yaml.safe_dump(suite, sort_keys=False)


def _fewer(part: Any) -> None:
    if isinstance(part, dict):
        part |= {"steps": 3} if isinstance(part.get("steps"), int) else {}
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _fewer(each)


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In that folder, which `python -m` has on its path."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("HARNESS_DATA", "data")
    yield
    compute.configure("cpu", 1)


@pytest.mark.parametrize("name", SUITES)
def test_each_suite_is_planned_and_run(folder: Path, name: str) -> None:
    (folder / f"{name}.yaml").write_text(SUITES[name])
    assert main(["plan", f"{name}.yaml"]) == 0
    (folder / f"{name}.yaml").write_text(shrunk(SUITES[name]))
    out = folder / "out" / name
    done = main(["run", f"{name}.yaml", "--out", str(out), "--threads", "1"])
    assert done == 0, [each["reason"] for each in records(out).values()]
    asked = yaml.safe_load(SUITES[name])["retrievers"]
    found = {each["retriever"].partition("@")[0]: each["status"] for each in records(out).values()}
    assert found == {each: "unavailable" if each in ABSENT.get(name, ()) else "ok" for each in asked}


def test_vectors_are_found_where_the_readme_says(folder: Path) -> None:
    """The captions' vectors are those of their images: everything is found."""
    for name, retriever in (("vectors", "dual"), ("elsewhere", "theirs")):
        out = folder / "out" / name
        if not out.exists():
            test_each_suite_is_planned_and_run(folder, name)
        found = {each["retriever"]: each for each in records(out).values()}
        assert found[retriever]["metrics"]["hit@1"]["value"] == 1.0


def test_each_line_for_the_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In their order: what one leaves, the next one finds."""
    # Without a network there is nothing to fetch; Clotho's copy is tiny, and checkpoints aren't here.
    allowed = {"data get": {0, 3}, "data check": {0, 1}, "data path": {3}, "weights get": {3}, "weights check": {3}}
    for words in CALLS:
        action = " ".join(words[3:5])
        assert words[:3] == [".venv/bin/python", "-m", "harness"]
        done, told = main([*words[3:], *(["--threads", "1"] if words[3] == "run" else [])]), capsys.readouterr()
        assert done in allowed.get(action, {0}), (words, told)
        assert "Traceback" not in told.err and (told.out or done == 3)
    assert (folder / "results" / "runs" / "audio" / "tables" / "main.md").exists()
