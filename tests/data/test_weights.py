"""Checkpoints in the hub's cache: which files are fetched, what is here, and whether it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub import COMMIT, fetched
from runs import harness

from harness.data import weights
from harness.machine.hub import pinned, snapshot
from harness.suite import load

NAME = "org/name"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "clip"}')
    (folder / "model.safetensors").write_bytes(b"tensors")
    return folder


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (
            ["README.md", "config.json", "flax_model.msgpack", "model.safetensors", "pytorch_model.bin", "vocab.json"],
            {"config.json", "model.safetensors", "vocab.json"},
        ),
        (
            ["config.json", "merges.txt", "pytorch_model.bin", "tf_model.h5", "onnx/model.safetensors"],
            {"config.json", "merges.txt", "pytorch_model.bin"},
        ),
        (["config.json", "spiece.model", "training_args.bin"], {"config.json", "spiece.model"}),
    ],
)
def test_weights_are_fetched_in_one_form(names: list[str], wanted: set[str]) -> None:
    assert weights.wanted(names) == wanted


def test_a_revision_is_looked_for_by_its_name_and_by_its_commit(tmp_path: Path, cache: Path) -> None:
    folder = fetched(cache, NAME, made(tmp_path / "made"))
    assert snapshot(NAME) == snapshot(f"{NAME}@{COMMIT}") == folder
    assert snapshot(f"{NAME}@v2") is None
    (cache / "models--org--name" / "refs" / "v2").write_text(COMMIT)
    assert snapshot(f"{NAME}@v2") == folder and weights.lacking(f"{NAME}@v2") is None


def test_a_checkpoint_that_was_fetched_anew_is_another_one(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\nencoders: {{theirs: {{kind: clip, checkpoint: {NAME}}}}}\n"
        "tasks: [{dataset: shapes, encoder: theirs}]\nretrievers: {dual: {kind: dual_tower}}\n"
    )
    seen = []
    for commit in ("", "a" * 40, "b" * 40):
        if commit:
            fetched(cache, NAME, made(tmp_path / commit)).rename(cache / "models--org--name" / "snapshots" / commit)
            (cache / "models--org--name" / "refs" / "main").write_text(commit)
        (cell,) = load(path).cells()
        assert cell.encoder is not None
        seen.append((cell.encoder.digest, cell.encoder.config["checkpoint"]))
    assert [name for _, name in seen] == [NAME, f"{NAME}@{'a' * 40}", f"{NAME}@{'b' * 40}"]
    assert len({digest for digest, _ in seen}) == 3
    assert pinned(f"hf-hub:{NAME}") == f"hf-hub:{NAME}@{'b' * 40}"


def test_what_is_whole_passes_and_a_changed_byte_does_not(tmp_path: Path, cache: Path) -> None:
    folder = fetched(cache, NAME, made(tmp_path / "made"))
    done = harness(tmp_path, "weights", "check", NAME)
    assert done.returncode == 0 and "nothing wrong with it" in done.stdout, done.stderr
    (folder / "model.safetensors").resolve().write_bytes(b"tensorz")
    done = harness(tmp_path, "weights", "check", NAME)
    assert done.returncode == 1 and "model.safetensors" in done.stdout and "fetch it again" in done.stdout
    (folder / "model.safetensors").resolve().unlink()
    assert weights.lacking(NAME) == "is here without its weights"


def test_what_is_not_here_says_how_to_get_it(tmp_path: Path, cache: Path) -> None:
    done = harness(tmp_path, "weights", "check", NAME)
    assert done.returncode == 3 and f"weights get {NAME}" in done.stderr
    done = harness(tmp_path, "weights", "get", NAME)
    assert done.returncode == 3 and "run this again with a network" in done.stderr and "Traceback" not in done.stderr


def test_list_has_what_suites_name_and_where_it_is_used(tmp_path: Path, cache: Path) -> None:
    fetched(cache, NAME, made(tmp_path / "made"))
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\nencoders: {{theirs: {{kind: clip, checkpoint: {NAME}}}}}\n"
        "tasks: [{dataset: shapes, encoder: theirs}]\nretrievers: {dual: {kind: dual_tower}}\n"
    )
    done = harness(tmp_path, "weights", "list", tmp_path / "mine.yaml")
    assert done.returncode == 0, done.stderr
    blocks = done.stdout.split("\n\n")[0]
    assert f"{NAME}: present" in blocks and "used by: mine" in blocks
    assert "laion/clap-htsat-unfused: absent" in blocks and "Apache 2.0" in blocks and "615 MB" in blocks
