"""What is found against one setting: texts judged, beams, steps, or the number of candidates. A line a contestant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.machine import escaping
from harness.report.plots import COLOURS, MARKERS, drawn, framed, level_line, plainly
from harness.report.scaling import MARK
from harness.results.rows import Row, by_task
from harness.score.scoring import blind

LEAST = 3  # points that make a line
WIDE = 8.0  # a setting whose largest value is so many times the smallest is drawn on a logarithmic axis
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
    alone = {title: (group, _unchanged(rows, group)) for title, group in found.items()}
    return drawn(alone, _panel, folder, "sweeps") if found else []


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


def _panel(panel: Any, title: str, drawn_here: tuple[list[Sweep], Row | None]) -> None:
    group, beside = drawn_here
    for number, sweep in enumerate(group):
        values = list(sweep.rows)
        metrics = [row.metrics["hit@1"] for row in sweep.rows.values()]
        middle, low, high = ([100 * (each[part] or 0.0) for each in metrics] for part in ("value", "low", "high"))
        colour = COLOURS.get(sweep.paradigm, "#555555")
        label = escaping.plot(f"{sweep.name} ({sweep.paradigm})")
        panel.plot(values, middle, MARKERS[number % len(MARKERS)] + "-", color=colour, markersize=6, label=label)
        panel.fill_between(values, low, high, color=colour, alpha=0.12, linewidth=0)
    ends = [min(min(each.rows) for each in group), max(max(each.rows) for each in group)]
    if ends[0] > 0 and ends[1] >= WIDE * ends[0]:
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(lambda value, place: "")
    panel.xaxis.set_major_formatter(plainly)
    if beside is not None and group[0].setting != CANDIDATES:
        level = 100 * (beside.metrics["hit@1"]["value"] or 0.0)
        level_line(panel, level, escaping.plot(f"{beside.retriever} {level:.1f} %"), "--")
    panel.set_xlabel(escaping.plot(group[0].setting.replace("_", " ")))
    panel.set_ylabel("hit@1, %")
    data: Any = next(iter(group[0].rows.values())).records[0]["data"]
    framed(panel, title, data)
