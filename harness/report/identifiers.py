"""How the identifiers of generative retrievers came out: tables/identifiers.md. From what their records say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.machine import escaping
from harness.report import forms
from harness.results.rows import Row, by_task, inside

FOOT = (
    "Distinct: identifiers that differ; colliding: candidates that share theirs with another one, at most as many as "
    "in largest. Codes used, of all there are, and their perplexity: level by level; a perplexity as high as the "
    "number of codes means that all are used alike; codes and perplexity are the first seed's. First token right: of "
    "generated captions of the candidates, the share for which the first token of the right identifier is likeliest."
)


def markdown(rows: Sequence[Row]) -> str:
    """Empty where no retriever has identifiers."""
    lines: list[str] = []
    for task, group in by_task([row for row in rows if not row.folds]).items():
        found = [each for row in group if (each := _cells(row))]
        if found:
            lines += ["", f"## {escaping.markdown(task)}", "", forms.markdown(pd.DataFrame(found, dtype=object))]
    return "\n".join(["# Identifiers", *lines, "", FOOT, ""]) if lines else ""


def _cells(row: Row) -> dict[str, str] | None:
    counts = {name: row.mean("details", "identifiers", name) for name in ("candidates", "distinct", "colliding")}
    if counts["candidates"] is None:
        return None
    largest, right = row.mean("details", "identifiers", "largest"), row.mean("details", "first_token_accuracy")
    return {
        "retriever": row.retriever,
        **{name: _whole(count) for name, count in counts.items()},
        "largest": _whole(largest),
        "codes used": _levels(row, lambda level: f"{level['used']:,}/{level['size']:,}", "used", "size"),
        "perplexity": _levels(row, lambda level: f"{level['perplexity']:.1f}", "perplexity"),
        "first token right %": "–" if right is None else f"{100 * right:.1f}",
    }


def _whole(count: float | None) -> str:
    return "–" if count is None else f"{count:,.0f}"


def _levels(row: Row, text: Any, *needed: str) -> str:
    """Of the first seed: codes of others have nothing to do with these."""
    levels = inside(row.records[0], ("details", "identifiers", "levels")) or []
    return ", ".join(text(level) if all(name in level for name in needed) else "–" for level in levels) or "–"
