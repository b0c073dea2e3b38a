"""Results as a pandas frame, a row a retriever at a task. For notebooks; `report` writes tables/main.csv from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from harness.contract.problems import BadInput
from harness.results.folds import with_means
from harness.results.rows import Row, doubts, rows, search_only
from harness.store.run_folder import RunFolder


class Field(NamedTuple):
    """A column of the frame."""

    name: str
    meaning: str
    dtype: str


STATES = tuple(f"{where} {state} MB" for where in ("host", "device") for state in ("before", "loaded", "peak"))
METRIC = Field("METRIC", "hit@1, recall@5, mrr@10 and so on, a share from 0 to 1; ranks as they are", "float64")
BEFORE = (
    Field("task", "dataset/split/direction, and what else tells it from others", "string"),
    Field("dataset", "its name in the suite", "string"),
    Field("generated", "whether a program made the data; missing where nothing was measured", "boolean"),
    Field("retriever", "its name in the suite, with its variant", "string"),
    Field("paradigm", "single-tower, dual-tower, generative, hybrid or control", "string"),
    Field("status", "ok, failed or unavailable", "string"),
    Field("reason", "why it isn't ok, the last line", "string"),
    Field("seeds", "all that are in this row, a space between them", "string"),
    Field("folds", "the row is the mean of so many tasks; missing: it is of one", "Int64"),
    Field("queries", "queries of the task", "Int64"),
    Field("candidates", "candidates in the gallery", "Int64"),
    Field("asked", "queries that the metrics are of", "Int64"),
    Field("chance", "hit@k of a random order, at the smallest k", "float64"),
    Field("ceiling", "hit@1 of perfect understanding; missing for recorded data", "float64"),
)
AFTER = (
    Field("qps", "queries a second, query in to ids out, all at once: the median of the rounds", "float64"),
    Field("qps low", "their lower quartile", "float64"),
    Field("qps high", "their upper quartile", "float64"),
    Field("search only qps", "the same without encoding the queries, where that is known", "float64"),
    *(Field(f"p{share} ms", f"one query at a time: {share} % take no longer", "float64") for share in (50, 95, 99)),
    *(Field(state, "memory of the process, where it was measured", "float64") for state in STATES),
    Field("fit s", "seconds of learning, every artifact counted, made now or found", "float64"),
    Field("index s", "seconds of indexing, likewise", "float64"),
    Field("index bytes", "bytes that grow with the gallery", "float64"),
    Field("constant bytes", "bytes of the index that don't", "float64"),
    Field("parameters", "of all models that it has", "float64"),
    Field("invalid", "why its rates and latencies can't be trusted", "string"),
    Field("session", "rates compare within one only; several: a space between them", "string"),
    Field("commit", "of the code that measured it", "string"),
    Field("digest", "of the questions: equal ones compare", "string"),
)
# Every column in its order. METRIC stands for three: `METRIC`, `METRIC low` and `METRIC high`, its 95 % interval.
FIELDS = (*BEFORE, METRIC, *AFTER)


def frame(run: str | Path) -> pd.DataFrame:
    """All results of a run's folder. `to_csv(path, index=False)` keeps it, `read_frame` brings it back."""
    folder = opened(run)
    return of_rows(with_means(rows(folder, folder.records())))


def opened(run: str | Path) -> RunFolder:
    """The folder of a run; an error that says so, where it is none."""
    if not (Path(run) / "records").is_dir():
        raise BadInput(f"{run}: no run's folder (there is no records/ in it); run a suite first, or name another")
    return RunFolder(Path(run))


def of_rows(all_rows: Sequence[Row]) -> pd.DataFrame:
    flat = [_flat(row) for row in all_rows]
    names = dict.fromkeys(name for row in all_rows for name in row.metrics)
    metrics = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    columns = [*(field.name for field in BEFORE), *metrics, *(field.name for field in AFTER)]
    made = pd.DataFrame(flat, columns=columns, dtype=object)
    return made.astype({name: _dtype(name) for name in columns})


def read_frame(path: str | Path) -> pd.DataFrame:
    """A frame that was written with `to_csv(path, index=False)`, as it was. `null` is a retriever's name, not a gap."""
    read = pd.read_csv(path, dtype="string", keep_default_na=False, na_values=[""])
    return pd.DataFrame({name: _typed(read[name], _dtype(name)) for name in read.columns})


def _typed(words: pd.Series, dtype: str) -> pd.Series:
    """Numbers to their last digit, which parsers of CSV round."""
    if dtype == "float64":
        return words.astype(object).where(words.notna(), "nan").map(float).astype(dtype)
    return words.map({"True": True, "False": False}).astype(dtype) if dtype == "boolean" else words.astype(dtype)


def _dtype(name: str) -> str:
    return _DTYPES.get(name, METRIC.dtype)


_DTYPES = {field.name: field.dtype for field in (*BEFORE, *AFTER)}


def _flat(row: Row) -> dict[str, Any]:
    """Only what is known: the others come out as missing."""
    flat: dict[str, Any] = {"task": row.task, "retriever": row.retriever, "paradigm": row.paradigm}
    flat |= {"status": row.status, "reason": row.reason, "seeds": " ".join(map(str, row.seeds))}
    flat |= {"folds": row.folds or None, "session": " ".join(row.sessions)}
    flat["dataset"] = row.records[0]["dataset"] if row.records else row.task.split("/")[0]
    data: Any = row.records[0]["data"] if row.records else None
    if data:
        flat |= {"candidates": data["items"], "generated": data["generated"], "queries": data["queries"]}
        flat |= {"ceiling": data["ceiling"], "chance": min(data["chance"].values(), default=None)}
        flat["asked"] = data["queries"] if row.asked is None else row.asked
    for name, metric in row.metrics.items():
        flat |= {name: metric["value"], f"{name} low": metric["low"], f"{name} high": metric["high"]}
    for name, key in (("qps", "median"), ("qps low", "q25"), ("qps high", "q75")):
        flat[name] = row.mean("speed", "offline", "qps", key)
    flat["search only qps"] = search_only(row)
    for name in ("p50 ms", "p95 ms", "p99 ms"):
        flat[name] = row.mean("speed", "single", name.replace(" ", "_"))
    for name in STATES:
        flat[name] = row.mean("speed", "memory", name.lower().replace(" ", "_"))
    for name in ("fit s", "index s", "index bytes", "constant bytes", "parameters"):
        flat[name] = row.mean("cost", name.replace(" ", "_"))
    flat["invalid"] = "; ".join(kind for kind, each in doubts(row).items() if each.invalid)
    flat["commit"] = " ".join(dict.fromkeys(str(each["environment"].get("commit")) for each in row.records))
    flat["digest"] = " ".join(dict.fromkeys(each["data"]["digest"] for each in row.records if each["data"]))
    return {name: value for name, value in flat.items() if value is not None and value != ""}
