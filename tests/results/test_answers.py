"""Answers in long form, and as TREC's files: every one of them, in its order, and whether it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from folders import TASK, add, write_page
from ir_measures import RR, Success
from large_run import large_run, task_name

from harness.cli import main
from harness.contract.problems import BadInput
from harness.contract.retriever import PAD, Ranking
from harness.machine import files
from harness.results import rankings, trec
from harness.results.trec_files import falling, tokens
from harness.store import record
from harness.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    write_page(made)
    for seed in (0, 1):
        add(made, seed)
    return made


def rewrite(folder: RunFolder, name: str, ids: list[list[int]], scores: list[list[float]], asked: list[int]) -> None:
    found: Any = record.load(folder.record_path(name))
    ranking = Ranking(np.array(ids, np.int64), np.array(scores, np.float32))
    found["rankings"] = folder.write_ranking(name, ranking, np.array(asked))
    record.save(folder.record_path(name), found)


def test_a_row_an_answer(folder: RunFolder) -> None:
    rewrite(folder, add(folder, 0, "few"), [[2, PAD], [3, 0]], [[0.5, -np.inf], [0.7, 0.7]], [2, 0])
    made = rankings(folder.root, retriever="few")
    assert list(made.columns) == ["task", "retriever", "seed", "query", "rank", "candidate", "score", "right"]
    assert made.drop(columns=["task", "retriever", "score"]).values.tolist() == [
        [0, 2, 1, 2, True],
        [0, 0, 1, 3, False],
        [0, 0, 2, 0, True],
    ]
    every = rankings(folder.root, task=TASK)
    assert len(every) == 3 + 2 * 8 and str(every["task"].dtype) == str(every["retriever"].dtype) == "category"
    first = every[every["rank"] == 1].groupby(["retriever", "seed"], observed=True)["right"].mean()
    assert first["dual", 0] == 1.0 and first["dual", 1] == 0.5
    with pytest.raises(BadInput, match="retriever 'duel'"):
        rankings(folder.root, retriever="duel")


def test_many_answers_take_few_bytes(tmp_path: Path) -> None:
    made = rankings(large_run(tmp_path, retrievers=3, tasks=2, queries=500).root)
    assert len(made) == 3 * 2 * 500 * 10
    assert made.memory_usage(index=False).sum() < 32 * len(made), "so 2.5 million stay below 100 MB"


def test_several_right_ones_a_query(folder: RunFolder) -> None:
    page = folder.read_task(TASK)
    files.write(folder.task_path(TASK), files.pack_json({**page, "positives": [[3, 0], [1], [2], [0]]}))
    made = rankings(folder.root)
    seen = made[(made["seed"] == 0)].groupby("query")["right"].sum()
    assert seen.tolist() == [1, 1, 1, 1], "0 and 1 are asked of query 0, 3 and 0 of query 3"


def test_others_score_trec_files_as_we_do(tmp_path: Path) -> None:
    run = large_run(tmp_path / "run", retrievers=4, tasks=1, queries=300)
    written = trec(run.root, tmp_path / "trec")
    assert len(written) == 1 + 4
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "trec/qrels/clips-0_test_text-audio.qrels")))
    assert len(qrels) == 300 and " " not in qrels[0].query_id
    for each in run.records():
        name = f"{task_name(0).replace('/', '_')}.{each['retriever']}.0.run"
        answers = list(ir_measures.read_trec_run(str(tmp_path / "trec/runs" / name)))
        found = ir_measures.calc_aggregate([Success @ 1, Success @ 5, RR @ 10], qrels, answers)
        for measure, ours in ((Success @ 1, "hit@1"), (Success @ 5, "hit@5"), (RR @ 10, "mrr@10")):
            assert found[measure] == pytest.approx(each["metrics"][ours]["value"]), (name, ours)


def test_ties_keep_their_order_and_names_have_no_spaces(folder: RunFolder, tmp_path: Path) -> None:
    scores = np.array([[1, 1, 1, 0.5], [0, 0, -1, -np.inf]], np.float32)
    made = falling(scores)
    assert (made[0, :-1] > made[0, 1:]).all() and np.abs(made[:, :3] - scores[:, :3]).max() < 1e-6
    assert tokens(["a b", 'c"d', "e"], "d").tolist() == ["a_b", "c_d", "e"]
    assert tokens(["a b", "a_b"], "d").tolist() == ["d0", "d1"], "they would be one"
    assert main(["export", str(folder.root), "--trec", str(tmp_path / "out")]) == 0
    lines = (tmp_path / "out/runs/sounds_test_text-audio.dual.1.run").read_text().splitlines()
    assert lines[0] == "q0 Q0 a 1 1 dual" and len(lines) == 8
    assert (tmp_path / "out/qrels/sounds_test_text-audio.qrels").read_text().splitlines()[3] == "q3 0 d 1"
