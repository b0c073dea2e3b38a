"""Files of weights: read whatever is plain numbers, run nothing, and say what doesn't fit."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.contract.dataset import Unavailable
from harness.contract.problems import BadInput
from harness.nn import checkpoints


class Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (Path.touch, (self.place,))


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def same(found: dict[str, torch.Tensor], model: nn.Module) -> bool:
    state = model.state_dict()
    return found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


def test_what_training_leaves_behind(model: nn.Module, tmp_path: Path) -> None:
    """Names behind `module.`, an optimizer, and numbers of numpy beside the weights: all of it plain."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    beside = {"epoch": 3, "loss": np.float64(0.25), "best": np.float32(1), "step": np.int64(9), "name": "a run"}
    torch.save(
        {"state_dict": state, "optimizer": torch.optim.AdamW(model.parameters()).state_dict(), **beside},
        tmp_path / "a.pt",
    )
    save_file(model.state_dict(), tmp_path / "b.safetensors")
    torch.save(model.state_dict(), tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for name in ("a.pt", "b.safetensors", "c.pth"):
        assert same(checkpoints.weights(tmp_path / name), model), name


@pytest.mark.parametrize("core", [b"core", b"_core"])
def test_numbers_as_another_numpy_wrote_them(tmp_path: Path, core: bytes) -> None:
    """The module that makes them was renamed with numpy 2; LAION's checkpoints hold the older name."""
    torch.save({"state_dict": {"w": torch.ones(2)}, "loss": np.float64(0.25)}, tmp_path / "ours.pt")
    with zipfile.ZipFile(tmp_path / "ours.pt") as ours, zipfile.ZipFile(tmp_path / "theirs.pt", "w") as theirs:
        for each in ours.namelist():
            renamed = re.sub(rb"numpy\._?core\.multiarray", b"numpy." + core + b".multiarray", ours.read(each))
            theirs.writestr(each, renamed if each.endswith("data.pkl") else ours.read(each))
    assert b"numpy." + core + b".multiarray" in (tmp_path / "theirs.pt").read_bytes()
    assert torch.equal(checkpoints.weights(tmp_path / "theirs.pt")["w"], torch.ones(2))


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_nothing_is_run(tmp_path: Path, kind: str, wrapped: bool) -> None:
    bomb: Any = Bomb(tmp_path / "burst")
    bomb = {"state_dict": {"w": bomb}} if wrapped else bomb
    path = tmp_path / "weights.pt"
    if kind == "bare":
        path.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(BadInput, match="a pickle that holds more than weights, which is never run"):
        checkpoints.weights(path)
    assert not (tmp_path / "burst").exists()
    torch.load(path, weights_only=False) if kind != "bare" else pickle.loads(path.read_bytes())
    assert (tmp_path / "burst").exists(), "it would have burst"


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_cut_short(model: nn.Module, tmp_path: Path, ending: str, left: int) -> None:
    path = tmp_path / f"weights{ending}"
    torch.save(model.state_dict(), path) if ending == ".pt" else save_file(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(BadInput, match=rf"weights{ending}: no weights can be read"):
        checkpoints.weights(path)


def test_not_there_or_something_else(tmp_path: Path, model: nn.Module) -> None:
    with pytest.raises(Unavailable, match="no weights can be read"):
        checkpoints.weights(tmp_path / "nowhere.pt")
    torch.save({"state_dict": {"w": "words"}}, tmp_path / "words.pt")
    with pytest.raises(BadInput, match="holds no tensors by name"):
        checkpoints.weights(tmp_path / "words.pt")
    torch.jit.script(model).save(tmp_path / "program.pt")
    with pytest.raises(BadInput, match=r"a TorchScript program.*save its state_dict\(\) as .safetensors"):
        checkpoints.weights(tmp_path / "program.pt")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"0.bias": torch.zeros(5)},
            r"1 weights have another shape, the first of them 0.bias: \(5,\), expected \(4,\)",
        ),
        ({"0.bias": None}, "1 weights are missing, the first of them 0.bias"),
        ({"2.bias": torch.zeros(5), "3.bias": torch.zeros(1)}, "2 weights are unknown, the first of them 2.bias"),
    ],
)
def test_weights_that_do_not_fit(model: nn.Module, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {name: tensor for name, tensor in ({**before, **change}).items() if tensor is not None}
    with pytest.raises(BadInput, match=words):
        checkpoints.fill(model, tensors, tmp_path / "weights.pt")
    assert same(before, model), "nothing was changed"
    checkpoints.fill(model, {name: tensor + 1 for name, tensor in before.items()}, tmp_path / "weights.pt")
    assert torch.equal(model.state_dict()["0.bias"], before["0.bias"] + 1)
