"""All plots of a run, in the order in which a reader needs them; a report writes them and a page shows them.

Each has its file's name, a title, words for who can't see it, and what draws it, which draws nothing where there is
nothing to show. To add one: a module with a function and an `alt`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.report import (
    ablation,
    ablation_plot,
    beams_plot,
    equal_recall,
    equal_recall_plot,
    identifier_map_plot,
    identifiers_plot,
    latency_plot,
    preparation_plot,
    recall_k_plot,
    recall_rate_plot,
    scaling,
    scaling_plot,
    stages_plot,
    sweeps,
    tasks_plot,
)
from harness.results.folds import without_parts
from harness.results.rows import Row
from harness.store.run_folder import RunFolder


class Picture(NamedTuple):
    """A plot that was drawn."""

    name: str  # of its files, without .svg and .png
    title: str
    alt: str
    files: list[Path]  # SVG, PNG


class Plot(NamedTuple):
    name: str
    draw: Callable[[RunFolder, Sequence[Row]], Picture | None]  # None where there is nothing to show


def _of(
    name: str,
    title: str,
    draw: Callable[[Any, Path], list[Path]],
    alt: Callable[[Any], str],
    needs: Callable[[RunFolder, Sequence[Row]], Any] = lambda run, rows: without_parts(rows),
) -> Plot:
    """`needs`: what both functions get of a run's rows; rankings are read where it reads them."""

    def drawn(run: RunFolder, rows: Sequence[Row]) -> Picture | None:
        needed = needs(run, rows)
        paths = draw(needed, run.root / "plots")
        return Picture(name, title, alt(needed), paths) if paths else None

    return Plot(name, drawn)


PLOTS = [
    _of("recall-rate", "Recall against rate", recall_rate_plot.recall_against_rate, recall_rate_plot.alt),
    _of("tasks", "What is found at each task", tasks_plot.found_by_task, tasks_plot.alt),
    _of("recall-k", "Recall among the first k", recall_k_plot.recall_against_k, recall_k_plot.alt),
    _of(
        "equal-recall",
        "Speed at equal recall",
        equal_recall_plot.recall_against_speedup,
        equal_recall_plot.alt,
        equal_recall.families,
    ),
    _of(
        "scaling",
        "Rate against the number of candidates",
        scaling_plot.rate_against_size,
        scaling_plot.alt,
        lambda run, rows: scaling.series(rows),
    ),
    _of("latency", "Latency, one query at a time", latency_plot.latencies, latency_plot.alt),
    _of("stages", "Where the time goes", stages_plot.time_by_stage, stages_plot.alt),
    _of("preparation", "What preparing costs", preparation_plot.found_against_preparation, preparation_plot.alt),
    _of("ablation", "What each part is worth", ablation_plot.differences, ablation_plot.alt, ablation.ablations),
    _of("beams", "The width of the beam", beams_plot.found_against_beams, beams_plot.alt),
    _of("sweeps", "What is found against a setting", sweeps.found_against_setting, sweeps.alt),
    _of("identifiers", "How identifiers use their codes", identifiers_plot.codes_by_level, identifiers_plot.alt),
    _of(
        "identifier-map",
        "Whether identifiers follow the vectors",
        identifier_map_plot.candidates_by_token,
        identifier_map_plot.alt,
        lambda run, rows: identifier_map_plot.maps(run, without_parts(rows)),
    ),
]


def write(run: RunFolder, rows: Sequence[Row]) -> list[Picture]:
    """Draw all that have something to show; files of those that no longer have are removed."""
    pictures = []
    for plot in PLOTS:
        picture = plot.draw(run, rows)
        if picture:
            pictures.append(picture)
        else:
            for kind in ("svg", "png"):
                (run.root / "plots" / f"{plot.name}.{kind}").unlink(missing_ok=True)
    return pictures
