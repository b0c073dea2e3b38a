"""A protocol that asks a split in folds: so many tasks, and the mean of them in the tables."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk import coco_name, five, karpathy, real, touch, write_json
from folders import add, write_page
from runs import harness, records

from harness.contract.folds import Fold, fold_of, folds
from harness.report import main_table
from harness.results import folds as report_folds
from harness.results import rows as results
from harness.store.run_folder import RunFolder
from harness.suite import load

IMAGES = 20
SUITE = """\
name: folded
k: [1, 2]
scenarios: {offline: {rounds: 1, cap_s: 5}}
datasets: {coco-1k: {kind: coco, protocol: 1k}}
tasks: [{dataset: coco-1k, direction: [text-image, image-text]}]
retrievers: {random: {kind: random}, oracle: {kind: oracle}}
"""


def test_names() -> None:
    assert folds(1) == [""] and folds(3) == ["1of3", "2of3", "3of3"]
    assert fold_of("coco/test/text-image/2of5") == Fold("coco/test/text-image", 2, 5)
    assert fold_of("coco/test/text-image") is fold_of("1of5") is fold_of("coco/test/1ofmany") is None


def test_a_suite_has_a_task_for_each_fold(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    suite = load(path)
    assert [task.name for task in suite.tasks] == [
        f"coco-1k/test/{direction}/{number}of5" for direction in ("text-image", "image-text") for number in range(1, 6)
    ]
    assert len({suite.key(cell) for cell in suite.cells()}) == len(suite.cells())
    path.write_text(SUITE.replace("protocol: 1k", "protocol: 5k"))
    assert [task.fold for task in load(path).tasks] == ["", ""]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folded")
    told = [("a.jpg", "train", five("a")), ("b.jpg", "val", five("b"))]
    told += [(coco_name(number), "test", five(str(number))) for number in range(IMAGES)]
    write_json(root / "data/coco/dataset_coco.json", karpathy(told))
    touch(root / "data/coco/images", [name for name, _, _ in told[:-1]])  # the last of the last fold is missing
    real(root / "data")
    (root / "suite.yaml").write_text(SUITE)
    done = harness(root / "cache", "run", root / "suite.yaml", "--out", root / "out", "--data", root / "data")
    assert done.returncode == 0, done.stderr
    (root / "said").write_text(done.stdout)
    (root / "told").write_text(done.stderr)
    return root


def test_every_fold_is_a_task_with_a_record(run: Path) -> None:
    found = records(run / "out")
    assert len(found) == 2 * 5 * 2
    asked = [found[f"coco-1k_test_text-image_{number}of5.oracle.0"]["data"] for number in range(1, 6)]
    assert [(each["items"], each["queries"], each["dropped"]) for each in asked] == [(4, 20, 0)] * 4 + [(3, 15, 1)]
    assert [(each["present"], each["expected"]) for each in asked] == [(4, 1000)] * 4 + [(3, 1000)]
    assert asked[0]["layout"] == "Karpathy (dataset_coco.json)"
    assert len({each["digest"] for each in asked}) == 5


def test_the_mean_of_the_folds_stands_before_them(run: Path) -> None:
    written = (run / "out/tables/main.md").read_text()
    heads = [line.removeprefix("## ") for line in written.splitlines() if line.startswith("## ")]
    assert heads[:6] == ["coco-1k/test/text-image", *(f"coco-1k/test/text-image/{number}of5" for number in range(1, 6))]
    assert len(heads) == 12
    words = written.split("## coco-1k/test/text-image\n")[1].splitlines()[1]
    assert words.startswith("mean of 5 folds, each of 3 to 4 candidates, 15 to 20 queries, 1 items missing")
    found = records(run / "out")
    hits = [
        found[f"coco-1k_test_text-image_{number}of5.random.0"]["metrics"]["hit@1"]["value"] for number in range(1, 6)
    ]
    lines = list(csv.DictReader((run / "out/tables/main.csv").open()))
    (line,) = [each for each in lines if each["task"] == "coco-1k/test/text-image" and each["retriever"] == "random"]
    assert float(line["hit@1"]) == pytest.approx(np.mean(hits)) and line["folds"] == "5"
    assert float(line["hit@1 low"]) < np.mean(hits) < float(line["hit@1 high"])


def test_a_terminal_and_the_plots_have_the_mean_alone(run: Path) -> None:
    said = (run / "said").read_text()
    assert "mean of 5 folds" in said and "1of5" not in said
    assert "coco test/1of5: Karpathy (dataset_coco.json): 4 items, 20 captions" in (run / "told").read_text()


def test_without_one_fold_there_is_no_mean(run: Path, tmp_path: Path) -> None:
    part = (
        "run",
        run / "suite.yaml",
        "--out",
        tmp_path / "out",
        "--data",
        run / "data",
        "--only",
        "*text-image/[1-4]of5",
    )
    done = harness(tmp_path / "cache", *part)
    assert done.returncode == 0, done.stderr
    assert "mean of" not in (tmp_path / "out/tables/main.md").read_text()
    assert "4of5" in done.stdout


def rows_of(folder: RunFolder, metrics: list[dict[str, Any]]) -> list[results.Row]:
    """A row a fold, with these metrics."""
    write_page(folder)
    add(folder)
    (row,) = results.rows(folder, folder.records())
    return [
        replace(row, task=f"x/test/text-audio/{number}of{len(metrics)}", metrics=each)
        for number, each in enumerate(metrics, 1)
    ]


def metric(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def test_errors_of_independent_folds_add_as_squares(tmp_path: Path) -> None:
    parts = [{"hit@1": metric(0.5, 0.2, 0.9)}, {"hit@1": metric(0.7, 0.3, 1.0)}]
    rows = rows_of(RunFolder(tmp_path), parts)
    mean, *others = report_folds.with_means(rows)
    assert others == rows and mean.task == "x/test/text-audio" and mean.folds == 2
    assert mean.metrics["hit@1"] == pytest.approx(metric(0.6, 0.6 - 0.25, 0.6 + 0.25))
    seeds = [replace(row, seeds=(0, 1, 2)) for row in rows]
    assert report_folds.with_means(seeds)[0].metrics["hit@1"] == pytest.approx(metric(0.6, 0.25, 0.95))


def test_what_is_not_known_of_one_fold_is_not_known_of_the_mean(tmp_path: Path) -> None:
    parts = [{"median_rank": metric(None), "mrr@10": metric(0.2, 0.1, None)} for _ in range(2)]
    mean = report_folds.with_means(rows_of(RunFolder(tmp_path), parts))[0]
    assert mean.metrics == {"median_rank": metric(None), "mrr@10": metric(pytest.approx(0.2))}


def test_a_fold_that_failed_fails_the_mean(tmp_path: Path) -> None:
    rows = rows_of(RunFolder(tmp_path), [{"hit@1": metric(0.5)}] * 2)
    rows[1] = replace(rows[1], status="failed", reason="broken", metrics={}, records=())
    mean = report_folds.with_means(rows)[0]
    assert (mean.status, mean.reason, mean.records, mean.metrics) == ("failed", "broken", (), {})
    assert report_folds.without_parts([mean, *rows]) == [mean]
    assert report_folds.without_parts(rows) == rows
    assert "broken" in main_table.markdown("t", [mean, *rows], [1], None)
