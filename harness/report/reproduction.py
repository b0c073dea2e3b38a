"""Whether a run finds what the literature has for the very checkpoint and split: a check of the user's files.

Only a dual tower with exact search over weights from elsewhere can be held against a published figure. What differs
from the published protocol is named; only where nothing does, the figures have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.machine.escaping import row as table_row
from harness.report.published import Figure, figures
from harness.results.rows import Row

KS = (1, 5, 10)
CLOSE = 0.5  # points: libraries resize pictures and round a little differently
HEAD = ("task", "retriever", "checkpoint", "recall", "measured %", "published %", "source")
FOOT = (
    f"Agrees: no recall differs by more than {CLOSE} points, which is what other versions of the libraries make of the "
    "same pictures. Where more differs, look at the files first (missing or other pictures, another split), then at "
    "how pictures are resized, at the precision and at a prompt before the text: published figures have none of ours."
)


@dataclass(frozen=True)
class Reproduced:
    row: Row
    checkpoint: str
    figure: Figure
    measured: dict[int, float]  # recall at k in per cent, where a figure is published
    otherwise: tuple[str, ...]  # what differs from the published protocol

    @property
    def published(self) -> dict[int, float]:
        return {k: value for k, value in zip(KS, self.figure.recall, strict=True) if value is not None}

    @property
    def verdict(self) -> str:
        widest = max(self.measured, key=lambda k: abs(self.measured[k] - self.published[k]))
        apart = self.measured[widest] - self.published[widest]
        if self.otherwise:
            return f"not the same protocol: {', '.join(self.otherwise)} (R@{widest} differs by {apart:+.1f} points)"
        if abs(apart) <= CLOSE:
            return "agrees"
        return f"differs by {apart:+.1f} points at R@{widest}"

    @property
    def sentence(self) -> str:
        return f"{self.row.task}, {self.row.retriever} beside {self.figure.source}: {self.verdict}"


def reproduced(rows: Sequence[Row]) -> list[Reproduced]:
    return [each for row in rows if row.status == "ok" and row.records for each in _of(row)]


def _of(row: Row) -> Iterator[Reproduced]:
    config: Any = row.records[0]["config"]
    retriever, encoder = config.get("retriever") or {}, config.get("encoder") or {}
    if (retriever.get("kind"), retriever.get("index", "exact")) != ("dual_tower", "exact") or retriever.get("start"):
        return
    if "/test" not in row.task or "/text-" not in row.task:
        return
    name = checkpoint(encoder)
    for figure in figures():
        if name in figure.checkpoints and figure.dataset == config["dataset"].get("kind"):
            wanted = {k: value for k, value in zip(KS, figure.recall, strict=True) if value is not None}
            measured = {k: 100 * value for k in wanted if (value := _hit(row, k)) is not None}
            if measured:
                yield Reproduced(row, name, figure, measured, tuple(_otherwise(row, encoder, figure)))


def checkpoint(encoder: Any) -> str:
    """Its name as `published.yaml` has it: a hub id, or open_clip's architecture and tag."""
    given = str(encoder.get("checkpoint") or encoder.get("pretrained") or "").removeprefix("hf-hub:").partition("@")[0]
    architecture = encoder.get("architecture")
    return f"{architecture} {given}" if architecture else given


def _hit(row: Row, k: int) -> float | None:
    metric = row.metrics.get(f"hit@{k}")
    return metric["value"] if metric else None


def _otherwise(row: Row, encoder: Any, figure: Figure) -> Iterator[str]:
    data: Any = row.records[0]["data"]
    if row.folds:
        yield f"the mean of {row.folds} folds"
    elif figure.items and data["items"] != figure.items:
        yield f"{data['items']:,} candidates instead of {figure.items:,}"
    if row.asked is not None:
        yield f"{row.asked:,} queries instead of {data['queries']:,}"
    if encoder.get("precision", "fp32") != "fp32":
        yield f"precision {encoder['precision']}"


def markdown(found: Sequence[Reproduced]) -> str:
    lines = ["# Beside published figures of the same checkpoints", ""]
    lines += [f"- {each.sentence}." for each in found]
    lines += ["", table_row(list(HEAD)), "|" + "---|" * len(HEAD)]
    for each in found:
        for k, value in each.measured.items():
            names = [each.row.task, each.row.retriever, each.checkpoint]
            lines.append(table_row([*names, f"R@{k}", f"{value:.2f}", f"{each.published[k]:g}", each.figure.source]))
    return "\n".join([*lines, "", FOOT, ""])
