"""What is found against one setting: texts judged, beams, steps, or the number of candidates. A line a contestant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report import axes, labels, points, style
from harness.report.scaling import MARK
from harness.report.words import percent
from harness.results.rows import Row, by_task
from harness.score.scoring import blind

LEAST = 3  # points that make a line
WIDE = 8.0  # a setting whose largest value is so many times the smallest is drawn on a logarithmic axis
MOST = 8  # values that have a number each at the axis
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Sweep:
    """One contestant, the same but for one setting."""

    name: str
    paradigm: str
    setting: str
    rows: dict[float, Row]  # by the setting's value, ascending


def sweeps(rows: Sequence[Row]) -> dict[str, list[Sweep]]:
    """By task and setting, as the panel's title has it."""
    fine = [each for each in rows if each.status == "ok" and "hit@1" in each.metrics and not blind(each.records[0])]
    found: dict[str, list[Sweep]] = {}
    for task, sweep in (*_settings(fine), *_sizes(fine)):
        found.setdefault(f"{task}, by {sweep.setting}", []).append(sweep)
    return found


def _settings(rows: Sequence[Row]) -> Iterator[tuple[str, Sweep]]:
    """Variants of one retriever in whose settings a single number differs."""
    for task, group in by_task(rows).items():
        families: dict[str, list[Row]] = {}
        for row in group:
            families.setdefault(row.retriever.partition("@")[0], []).append(row)
        for name, members in families.items():
            found = _only_difference([row.records[0]["config"].get("retriever") or {} for row in members])
            if found:
                yield task, _sweep(name, found[0], dict(zip(found[1], members, strict=True)))


def _sizes(rows: Sequence[Row]) -> Iterator[tuple[str, Sweep]]:
    """One retriever at one task in galleries of several sizes."""
    found: dict[tuple[str, str], dict[float, Row]] = {}
    for row in rows:
        task, mark, _ = row.task.partition(MARK)
        if mark:
            data: Any = row.records[0]["data"]
            found.setdefault((task, row.retriever), {})[float(data["items"])] = row
    for (task, name), members in found.items():
        if len(members) >= LEAST:
            yield task, _sweep(name, CANDIDATES, members)


def _sweep(name: str, setting: str, members: Mapping[float, Row]) -> Sweep:
    return Sweep(name, next(iter(members.values())).paradigm, setting, dict(sorted(members.items())))


def _only_difference(configs: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]] | None:
    """The setting in which these differ, and each one's value; None where it isn't a single number, or too few do."""
    leaves = [dict(_leaves(each)) for each in configs]
    names = dict.fromkeys(name for each in leaves for name in each)
    changed = [name for name in names if len({each.get(name) for each in leaves}) > 1]
    if len(changed) != 1:
        return None
    values = [each.get(changed[0]) for each in leaves]
    numbers = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(set(numbers)) < max(LEAST, len(configs)):
        return None
    return changed[0][-1], numbers


def _leaves(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(config, dict):
        for key, value in config.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, repr(config) if isinstance(config, list) else config


# -- the figure --------------------------------------------------------------------------------------------------------


def found_against_setting(rows: Sequence[Row], folder: Path) -> list[Path]:
    """SVG and PNG in `folder`; none where nobody was tried with several values of a setting."""
    found = sweeps(rows)
    if not found:
        return []
    alone = {title: (group, _unchanged(rows, group)) for title, group in found.items()}
    paradigms = {sweep.paradigm for group in found.values() for sweep in group}
    return style.drawn(alone, _panel, folder, "sweeps", height=lambda group: 2.5, paradigms=paradigms)


def alt(rows: Sequence[Row]) -> str:
    said = []
    for title, group in sweeps(rows).items():
        for sweep in group:
            ends = [f"{percent(row.metrics['hit@1'])} % at {value:g}" for value, row in sweep.rows.items()]
            said.append(f"{sweep.name}, {title}: {ends[0]}, {ends[-1]}.")
    return "hit@1 against a setting, a line a contestant. " + " ".join(said[:4])


def _unchanged(rows: Sequence[Row], group: Sequence[Sweep]) -> Row | None:
    """What the lines are seen beside: the task's first dual tower, where the setting isn't its own."""
    (task, *_) = {row.task for sweep in group for row in sweep.rows.values()}
    swept = {sweep.name for sweep in group}
    return next(
        (
            row
            for row in rows
            if row.task == task
            and (row.paradigm, row.status) == ("dual-tower", "ok")
            and row.retriever.partition("@")[0] not in swept
        ),
        None,
    )


def _panel(panel: Any, title: str, drawn_here: tuple[list[Sweep], Row | None]) -> style.Finish:
    group, beside = drawn_here
    tags, spread = [], []
    for sweep in group:
        values = list(sweep.rows)
        spans = [span for row in sweep.rows.values() if (span := points.found(row))]
        tone = style.colour(sweep.paradigm)
        panel.fill_between(values, *zip(*(span[1:] for span in spans), strict=True), color=tone, alpha=0.12, lw=0)
        panel.plot(values, [span.value for span in spans], color=tone, linewidth=1.4)
        for value, row, span in zip(values, sweep.rows.values(), spans, strict=True):
            (mark,) = panel.plot([value], [span.value], style.marker(sweep.paradigm), color=tone, markersize=6)
            style.hover(mark, f"{points.told(row)}, {sweep.setting} {value:g}")
        tags.append(labels.Label(values[-1], spans[-1].value, style.shortened(sweep.name, 30), tone))
        spread += [end for span in spans for end in span]
    ends = [min(min(each.rows) for each in group), max(max(each.rows) for each in group)]
    if ends[0] > 0 and ends[1] >= WIDE * ends[0]:
        axes.logarithmic(panel.xaxis, *axes.around(ends, room=0.04))
    if len(known := sorted({value for each in group for value in each.rows})) <= MOST:
        panel.set_xticks(known)
    panel.xaxis.set_major_formatter(axes.plainly)
    reference = points.found(beside) if beside is not None and group[0].setting != CANDIDATES else None
    if beside is not None and reference:
        tags.append(axes.level(panel, reference.value, f"{style.shortened(beside.retriever)} {reference.value:.1f} %"))
        spread.append(reference.value)
    panel.set_ylim(*axes.zoomed(spread))
    panel.set_xlabel(style.shortened(group[0].setting.replace("_", " ")))
    panel.set_ylabel("hit@1, %")
    data: Any = next(iter(group[0].rows.values())).records[0]["data"]
    sized = group[0].setting == CANDIDATES  # then neither their number nor chance is one
    axes.headed(panel, title, {**data, "items": None} if sized else data, recall=not sized)
    return labels.at_ends(panel, tags)
