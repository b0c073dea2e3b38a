"""The frame: what stands in it is what the records say, and a CSV keeps all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from folders import FIRST, TASK, add, write_page
from runs import ROOT, python_path

from harness.contract.problems import BadInput
from harness.results import FIELDS, frame, read_frame
from harness.results import rows as results
from harness.store import record
from harness.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    write_page(made)
    return made


def test_a_row_has_the_numbers_of_its_record(folder: RunFolder) -> None:
    name = add(folder)
    found: Any = record.load(folder.record_path(name))
    (row,) = frame(folder.root).to_dict("records")
    assert (row["task"], row["retriever"], row["status"], row["seeds"]) == (TASK, "dual", "ok", "0")
    assert row["generated"] is True and (row["queries"], row["candidates"], row["asked"]) == (4, 4, 4)
    for each in ("hit@1", "hit@5", "mrr@10"):
        metric = found["metrics"][each]
        assert [row[each], row[f"{each} low"], row[f"{each} high"]] == [*metric.values()]
    rates = found["speed"]["offline"]["qps"]
    assert [row["qps"], row["qps low"], row["qps high"]] == [rates["median"], rates["q25"], rates["q75"]]
    assert row["p95 ms"] == found["speed"]["single"]["p95_ms"] and row["fit s"] == found["cost"]["fit_s"]
    assert row["digest"] == "these" and "noise" in row["invalid"] and row["session"] == found["speed"]["session"]


def test_seeds_are_one_row_and_fewer_queries_are_told(folder: RunFolder) -> None:
    for seed in range(3):
        add(folder, seed)
    name = add(folder, 0, "slow")
    data: Any = record.load(folder.record_path(name))["data"]
    add(folder, 0, "slow", data={**data, "sampled_queries": 2})
    made = frame(folder.root).set_index("retriever")
    assert made.loc["dual", "seeds"] == "0 1 2" and made.loc["dual", "hit@1"] == pytest.approx(0.5)
    assert (made.loc["dual", "asked"], made.loc["slow", "asked"]) == (4, 2)


def test_seeds_of_other_code_or_other_data_are_left_out(folder: RunFolder) -> None:
    for change in ({"family": "older"}, {"data": {**record.load(FIRST)["data"], "contents": "older"}}):
        add(folder, 0, made="2026-01-01", **change)  # type: ignore[arg-type]
        for seed in (1, 2):
            data = {**record.load(FIRST)["data"], "contents": "newer"}  # type: ignore[misc]
            add(folder, seed, made="2026-01-02", family="newer", data=data)
        (row,) = results.rows(folder, folder.records())
        assert row.seeds == (1, 2), change


def test_every_column_is_documented_and_typed(folder: RunFolder) -> None:
    add(folder)
    made, known = frame(str(folder.root)), {field.name: field for field in FIELDS}
    metrics = [name for name in made.columns if name not in known]
    assert {name.removesuffix(" low").removesuffix(" high") for name in metrics} >= {"hit@1", "mrr@10"}
    assert [name for name in made.columns if name in known] == [name for name in known if name != "METRIC"]
    for name in made.columns:
        assert made[name].dtype == known.get(name, known["METRIC"]).dtype, name
    assert all(field.meaning for field in FIELDS)


def test_a_csv_keeps_all_of_it(folder: RunFolder, tmp_path: Path) -> None:
    """Names that read like gaps, gaps in numbers and words, and numbers to the last digit."""
    add(folder, 0, "null", speed=None, cost=None)
    add(folder, 1, "NA")
    add(folder, 0, "gone", status="failed", reason='Traceback\nValueError: "1, 2"', metrics={}, speed=None, cost=None)
    made = frame(folder.root)
    made.to_csv(tmp_path / "frame.csv", index=False)
    again = read_frame(tmp_path / "frame.csv")
    pd.testing.assert_frame_equal(made, again, check_exact=True)
    assert set(again["retriever"]) == {"null", "NA", "gone"} and again["qps"].isna().sum() == 2


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run's folder"):
        frame(tmp_path)


def test_it_needs_no_torch(folder: RunFolder) -> None:
    add(folder)
    program = "import sys; from harness.results import frame; print(len(frame(sys.argv[1])), 'torch' in sys.modules)"
    call = [sys.executable, "-c", program, str(folder.root)]
    env = {"PYTHONPATH": python_path(), "PATH": ""}
    done = subprocess.run(call, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "False"], done.stderr
