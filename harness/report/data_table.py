"""What was measured at each task: tables/data.md. Which data, how much of it, and what chance and perfection find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.report import forms
from harness.results.rows import Row, by_task

FOOT = (
    "Generated data shows how paradigms compare under known conditions, recorded data how good models are in the "
    "world. Chance: hit@k of a random order at the smallest k; ceiling: hit@1 of perfect understanding, known of "
    "generated data alone. Dropped: items that should be here and are not. Digest: of the questions; where it is "
    "equal, numbers of two runs compare."
)


def markdown(rows: Sequence[Row]) -> str:
    """A row a task of which something was measured; empty where nothing was."""
    groups = by_task([row for row in rows if not row.folds and row.records]).items()
    found = [_cells(task, group[0].records[0]["data"]) for task, group in groups if group[0].records[0]["data"]]
    return "\n".join(["# Data", "", forms.markdown(pd.DataFrame(found, dtype=object)), "", FOOT, ""]) if found else ""


def _cells(task: str, data: Any) -> dict[str, str]:
    first = min(data["chance"], key=data["chance"].get, default="")
    return {
        "task": task,
        "data": "generated" if data["generated"] else "recorded",
        "candidates": f"{data['items']:,}",
        "queries": f"{data['queries']:,}",
        "right a query": f"{data.get('positives', 1):.3g}",
        "chance %": f"{100 * data['chance'][first]:.3g} ({first})" if first else "–",
        "ceiling %": "–" if data["ceiling"] is None else f"{100 * data['ceiling']:.1f}",
        "dropped": f"{data['dropped']:,}",
        "digest": data["digest"][:12],
    }
