"""What the gate says of one cell, and of all of them: in words, as Markdown, as JUnit's XML, as an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from harness.machine.escaping import row

Tier = Literal["exact", "recall", "rate"]
State = Literal["fine", "regression", "inconclusive"]
FINE, REGRESSION, INCONCLUSIVE = 0, 1, 3  # 2: bad input
HEAD = ("verdict", "cell", "tier", "what was found")


@dataclass(frozen=True)
class Verdict:
    cell: str
    tier: Tier
    state: State
    words: str  # what was measured, with its interval and the margin


def named(task: str, retriever: str, seed: int) -> str:
    """A cell, as all that the gate says calls it."""
    return f"{task} · {retriever} · seed {seed}"


def exit_code(verdicts: Sequence[Verdict], inconclusive: int = INCONCLUSIVE) -> int:
    """1 where anything got worse; `inconclusive` where something can't be told, or nothing was compared at all."""
    states = {each.state for each in verdicts}
    if "regression" in states:
        return REGRESSION
    if not verdicts:
        return INCONCLUSIVE
    return inconclusive if "inconclusive" in states else FINE


def summary(verdicts: Sequence[Verdict]) -> str:
    """One sentence."""
    counts = {state: sum(each.state == state for each in verdicts) for state in ("regression", "inconclusive", "fine")}
    if not verdicts:
        return "inconclusive: there was nothing to compare"
    worst = next(state for state, count in counts.items() if count)
    return f"{worst}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def markdown(verdicts: Sequence[Verdict], notes: Sequence[str] = ()) -> str:
    """For a job's summary: what is wrong first."""
    order = ("regression", "inconclusive", "fine")
    lines = [f"# {summary(verdicts)}", "", row(list(HEAD)), "|" + "---|" * len(HEAD)]
    lines += [
        row([each.state, each.cell, each.tier, each.words])
        for each in sorted(verdicts, key=lambda each: order.index(each.state))
    ]
    return "\n".join([*lines, "", *(f"{note}\n" for note in notes)])


def junit(verdicts: Sequence[Verdict]) -> str:
    """A test case a verdict; what is inconclusive counts as skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name="harness check",
        tests=str(len(verdicts)),
        failures=str(sum(each.state == "regression" for each in verdicts)),
        skipped=str(sum(each.state == "inconclusive" for each in verdicts)),
    )
    for each in verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname=each.tier, name=_allowed(each.cell))
        if each.state == "fine":
            ElementTree.SubElement(case, "system-out").text = _allowed(each.words)
        else:
            name = "failure" if each.state == "regression" else "skipped"
            ElementTree.SubElement(case, name, message=_allowed(each.words))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _allowed(text: str) -> str:
    """XML has no way to write most control characters."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
