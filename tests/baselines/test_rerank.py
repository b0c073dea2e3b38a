"""Re-ranking: the first one proposes, the second one decides, and nobody else is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import Kit

from baselines.controls import Constant
from baselines.dual_tower import DualTower
from baselines.dual_tuned import DualTuned
from baselines.rerank import Rerank
from baselines.settings import DualTowerSettings, DualTunedSettings, RerankSettings
from baselines.single_tower.scorer import SingleTower
from harness.contract.dataset import Contents, texts
from harness.contract.retriever import Footprint, Ranking, Retriever, padded
from harness.contract.settings import Settings
from harness.suite import Suite, load


class Proposing(Retriever):
    """Proposes 3, 1, 2 and nobody else."""

    size = 0

    def index(self, gallery: Contents) -> None:
        self.size = len(gallery)

    def add(self, contents: Contents) -> None:
        self.size += len(contents)

    def search(self, queries: Contents, k: int) -> Ranking:
        ids = np.tile([3, 1, 2], (len(queries), 1))
        return padded(ids, np.tile([9.0, 8.0, 7.0], (len(queries), 1)), len(queries), k)

    def save(self, folder: Path) -> None:
        (folder / "size.json").write_text(str(self.size))

    def load(self, folder: Path) -> None:
        self.size = int((folder / "size.json").read_text())

    def footprint(self) -> Footprint:
        return Footprint(self.size, 5)


class Numbers(SingleTower):
    """Prefers what is nearest to the number that is asked for."""

    parameters = 7

    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        return {"values": np.array([float(each) for each in media], np.float32)}

    def judge(self, asked: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        return -np.abs(np.array([float(text) for text in asked])[pairs[:, 0]] - self.media["values"][pairs[:, 1]])


GALLERY = texts(["0", "10", "20", "30", "40"])


def made(n: int) -> Rerank:
    rerank = Rerank(RerankSettings(n=n, first="first"), first=Proposing(), second=Numbers())
    for inner in (rerank.first, rerank.second):
        inner.index(GALLERY)
    rerank.index(GALLERY)
    return rerank


@pytest.mark.parametrize(("n", "ids"), [(3, [[1, 2, 3], [3, 2, 1]]), (2, [[1, 3, -1], [3, 1, -1]])])
def test_the_second_decides_among_those_that_the_first_proposed(n: int, ids: list[list[int]]) -> None:
    rerank = made(n)
    found = rerank.search(texts(["4", "39"]), 3)
    assert found.ids.tolist() == ids  # 0 and 40 would have been nearer
    assert found.scores[0, 0] == -6 and rerank.counts() == {"pairs": 2 * n}
    assert rerank.footprint() == Footprint(5 + 20, 5 + 7)


def test_what_both_count_is_added_up() -> None:
    both = Rerank(RerankSettings(n=3, first="first"), first=made(3), second=Numbers())
    both.second.index(GALLERY)
    both.search(texts(["4", "39"]), 3)
    assert both.counts() == {"pairs": 2 * 3 + 2 * 3}


def test_those_inside_are_kept_once_something_was_added(tmp_path: Path) -> None:
    rerank = made(3)
    (tmp_path / "before").mkdir()
    rerank.save(tmp_path / "before")
    assert [path.name for path in (tmp_path / "before").iterdir()] == ["rerank.json"], (
        "they have artifacts of their own"
    )
    rerank.add(texts(["50"]))
    rerank.save(tmp_path)
    again = made(3)
    again.load(tmp_path)
    assert again.footprint() == rerank.footprint() == Footprint(6 + 24, 12)


def test_who_can_not_judge_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="second is Constant, which can't score single pairs"):
        Rerank(RerankSettings(first="first", n=5), Proposing(), Constant(Settings()))


def test_a_tuned_dual_tower_can_decide(tiny: Callable[[str], Kit]) -> None:
    kit = tiny("audio")
    task = kit.test("text-audio")
    tuned = DualTuned(DualTunedSettings(steps=2, batch=8), kit.encoder, kit.captioner, seed=0)
    settings = RerankSettings(first="first", n=len(task.candidates))
    everybody = Rerank(settings, DualTower(DualTowerSettings(), kit.encoder, seed=0), tuned)
    for retriever in (everybody.first, tuned):
        retriever.index(task.candidates)
    mine, theirs = everybody.search(task.queries, 5), tuned.search(task.queries, 5)
    np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-5)
    assert (mine.ids == theirs.ids).mean() > 0.99  # but for ties


# -- in a suite -------------------------------------------------------------------------------------------------------

SUITE = """\
name: both
encoders: {{audio: {{kind: small, trained_on: soundscapes}}}}
captioners: {{captions: {{kind: small, encoder: audio}}}}
tasks: [{{dataset: soundscapes, encoder: audio{captioner}}}]
retrievers:
  dual:  {{kind: dual_tower}}
  asked: {{kind: likelihood, queries: 200}}
  both:  {{kind: rerank, first: dual{second}}}
"""


def suite(tmp_path: Path, second: str = "", captioner: str = ", captioner: captions") -> Suite:
    path = tmp_path / "both.yaml"
    path.write_text(SUITE.format(second=second, captioner=captioner))
    return load(path)


def component(made: Suite, name: str) -> Any:
    return next(spec.component for spec in made.retrievers if spec.name == name)


def test_the_captioners_likelihood_decides_unless_another_is_named(tmp_path: Path) -> None:
    silent, spoken, named = (
        component(suite(tmp_path, each), "both") for each in ("", ", second: likelihood", ", second: asked")
    )
    assert silent.arguments["second"].kind == "likelihood" and silent.wants == {"encoder", "captioner"}
    assert silent.digest == spoken.digest == named.digest
    other = component(suite(tmp_path, ", second: match"), "both")
    assert other.wants == {"encoder"} and other.digest != silent.digest


def test_of_a_task_no_captioner_is_asked_where_none_decides(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    text = SUITE.format(second=", second: match", captioner="").replace(
        "  asked: {kind: likelihood, queries: 200}\n", ""
    )
    path.write_text(text)
    assert load(path).cells()[1].captioner is None
