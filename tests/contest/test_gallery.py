"""`gallery`: the same questions to a split among ever more candidates, up to a million."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs import harness, records
from test_task import Numbers

from harness.contest.task import open_task
from harness.contract.problems import BadInput
from harness.data.datasets.motions import Motions, MotionsSettings
from harness.data.datasets.shapes import Shapes, ShapesSettings
from harness.data.datasets.soundscapes import Soundscapes, SoundscapesSettings
from harness.suite import load

SUITE = """\
name: sizes
k: [1, 5]
scenarios: {offline: {rounds: 5, cap_s: 2}}
datasets: {pictures: {kind: shapes, train: 48, validation: 16, test: 8}}
encoders: {image: {kind: small, trained_on: pictures, steps: 3, batch: 16, dim: 16, pixels: 16}}
captioners: {captions: {kind: small, encoder: image, steps: 2, items: 8, samples: 3}}
tasks:
  - {dataset: pictures, encoder: image, captioner: captions, gallery: [20, 50, 400]}
retrievers:
  random: {kind: random}
  oracle: {kind: oracle}
  exact:  {kind: dual_tower, index: exact}
  ivf:    {kind: dual_tower, index: "IVF*,Flat"}
  judge:  {kind: likelihood, tasks: ["*=20", "*=50"]}
  cart:   {kind: cart, steps: 2, batch: 8, clusters: 4, codes: 4, width: 48, described: 15, beams: [5, 8]}
"""


@pytest.mark.parametrize(
    "dataset",
    [
        Shapes(ShapesSettings(test=6)),
        Motions(MotionsSettings(test=6)),
        Soundscapes(SoundscapesSettings(test=6)),
    ],
    ids=lambda each: each.name,
)
def test_a_larger_gallery_holds_the_smaller_one_and_the_right_answers(dataset: Shapes) -> None:
    direction = f"text-{dataset.modality}"
    plain = open_task("t", dataset, "test", direction)
    before = set(plain.candidate_names)
    for size in (6, 20, 300):
        task = open_task("t", dataset, "test", direction, gallery=size)
        names = set(task.candidate_names)
        assert len(names) == task.items == size and before <= names
        before = names
        assert list(task.queries) == list(plain.queries)
        for query in (0, 7, 29):  # the same item, wherever it stands
            right = plain.candidate_names[int(plain.links.of(query)[0])]
            assert [task.candidate_names[place] for place in task.links.of(query)] == [right]
            mine, theirs = (each.gallery[int(each.links.of(query)[0])] for each in (task, plain))
            np.testing.assert_array_equal(getattr(mine, "samples", mine), getattr(theirs, "samples", theirs))


def test_the_ceiling_falls_as_candidates_fit_that_no_query_means() -> None:
    dataset = Shapes(ShapesSettings(test=50))
    ceilings = [open_task("t", dataset, "test", "text-image", gallery=size).ceiling or 0.0 for size in (50, 500, 5000)]
    assert ceilings == sorted(ceilings, reverse=True) and ceilings[0] > ceilings[-1] + 0.05
    task = open_task("t", dataset, "test", "text-image", gallery=500)
    scenes = dataset.scenes("test")
    many = Shapes(ShapesSettings(test=500)).scenes("test")
    fits = many.fits(scenes.meaning(np.arange(250)), np.arange(500))
    assert task.ceiling == pytest.approx(float((1 / fits.sum(1)).mean()))


def test_a_million_costs_positions_and_no_more() -> None:
    task = open_task("t", Shapes(ShapesSettings()), "test", "text-image", gallery=1_000_000)
    assert task.items == 1_000_000 and len(task.queries) == 5000
    assert np.array_equal(np.sort(task.gallery.positions), np.arange(1_000_000))


def test_each_size_is_a_task_and_another_question(tmp_path: Path) -> None:
    path = tmp_path / "sizes.yaml"
    path.write_text(SUITE)
    suite = load(path)
    names = [task.name for task in suite.tasks]
    assert names == [f"pictures/test/text-image/gallery={size}" for size in (20, 50, 400)]
    keys = {suite.key(cell) for cell in suite.cells()}
    assert len(keys) == len(suite.cells())


def test_a_dataset_from_elsewhere_that_makes_none_is_told() -> None:
    with pytest.raises(BadInput, match="no `crowd"):
        open_task("t", Numbers(12, 30), "test", "text-audio", gallery=50)


def test_a_run_in_several_sizes(tmp_path: Path) -> None:
    path, out = tmp_path / "sizes.yaml", tmp_path / "out"
    path.write_text(SUITE)
    done = harness(tmp_path / "cache", "run", path, "--out", out)
    assert done.returncode == 0, done.stderr
    found = records(out)
    sizes = {name: each["data"]["items"] for name, each in found.items()}
    assert all(name.split("gallery=")[1].startswith(str(size)) for name, size in sizes.items())
    page = (out / "tables" / "scaling.md").read_text()
    assert "| retriever | paradigm | 20 | 50 | 400 |" in page and "≈" in page
    # beams shape the search alone: what was learnt is made once for both, at every size
    made = found["pictures_test_text-image_gallery=400.cart@beams=8.0"]["cost"]["artifacts"]
    assert [name for name in made if name.startswith("retriever")] == ["retriever cart@beams=5"]
    kept = [path for path in (tmp_path / "cache" / "retriever").iterdir() if (path / "model.safetensors").exists()]
    assert len(kept) == 3
    # of 400 candidates 15 were described, and all of them have identifiers
    cart = found["pictures_test_text-image_gallery=400.cart@beams=5.0"]
    assert cart["details"]["identifiers"]["candidates"] == 400
    captions = list((tmp_path / "cache" / "captions").iterdir())
    assert len(captions) == 3
