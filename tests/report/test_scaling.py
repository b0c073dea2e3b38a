"""Rates by the size of the gallery: who overtakes whom, how sure that is, and what is only extrapolated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import FIRST

from harness.report import scaling, scaling_plot
from harness.results import rows as results
from harness.score.rates import interval, log_ratios
from harness.store import record

SIZES = (1000, 10_000, 100_000)


def row(
    name: str, size: int, rates: list[float], paradigm: str = "dual-tower", session: str = "s", **counts: int
) -> results.Row:
    found: Any = record.load(FIRST)
    found["speed"] |= {"session": session, "noise": {}}
    task = f"pictures/test/text-image/gallery={size}"
    found |= {"task": task, "retriever": name, "paradigm": paradigm, "counts": counts}
    found["data"] |= {"items": size}
    low, median, high = np.percentile(rates, [25, 50, 75])
    found["speed"]["offline"]["qps"] = {"median": median, "q25": low, "q75": high, "rounds": rates}
    found["speed"]["offline"]["round_queries"] = 10
    return results.Row(task, name, paradigm, "ok", "", (0,), (session,), {}, (found,))


def noisy(rate: float, seed: int, noise: float = 0.02, rounds: int = 8) -> list[float]:
    return (rate * np.exp(np.random.default_rng(seed).normal(0, noise, rounds))).tolist()


def exact_and_constant(noise: float = 0.02) -> list[results.Row]:
    """One whose rate falls as 1/n from 10,000 queries a second, one that answers 400 whatever the size."""
    falling = [row("exact", size, noisy(1e7 / size, size, noise)) for size in SIZES]
    flat = [row("cart", size, noisy(400, size + 1, noise), "generative") for size in SIZES]
    return [*falling, *flat]


def test_two_lines_cross_where_they_do() -> None:
    (group,) = scaling.series(exact_and_constant()).values()
    (found,) = scaling.crossovers(*group)
    assert (found.first, found.second, found.sure) == ("exact", "cart", 1.0)
    assert found.low < found.at < found.high and found.at == pytest.approx(25_000, rel=0.1)
    assert found.high / found.low < 1.2
    (back,) = scaling.crossovers(*reversed(group))
    assert (back.first, back.second) == ("exact", "cart") and back.at == pytest.approx(found.at)


def test_the_interval_holds_the_true_crossing_about_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = []
        for size in SIZES:
            for name, rate in (("exact", 1e7 / size), ("cart", 400.0)):
                rounds = rate * np.exp(rng.normal(0, 0.05, 15))
                rows.append(row(name, size, rounds.tolist(), "generative" if name == "cart" else "dual-tower"))
        (group,) = scaling.series(rows).values()
        (found,) = scaling.crossovers(*group)
        inside += found.low <= 25_000 <= found.high
    assert inside >= 178, "of 200 intervals of 95 %; medians of few rounds are a little too sure"


def test_a_crossing_at_a_size_that_was_measured_is_no_less_sure() -> None:
    """Resampled, it lies now before that size, now behind it."""
    rows = [row("exact", size, noisy(4e6 / size, size)) for size in SIZES]
    rows += [row("cart", size, noisy(400, size + 1), "generative") for size in SIZES]
    (group,) = scaling.series(rows).values()
    (found,) = scaling.crossovers(*group)
    assert found.sure == 1.0 and found.low < 10_000 < found.high and found.high / found.low < 1.2


def test_more_noise_makes_a_wider_interval_and_a_doubtful_crossing_says_so() -> None:
    ends = []
    for noise in (0.01, 0.08):
        (group,) = scaling.series(exact_and_constant(noise)).values()
        (found,) = scaling.crossovers(*group)
        ends.append(np.log(found.high / found.low))
    assert ends[1] > 3 * ends[0]
    near = [row("a", 1000, noisy(100, 1, 0.08)), row("a", 10_000, noisy(98, 2, 0.08))]
    near += [row("b", 1000, noisy(99, 3, 0.08)), row("b", 10_000, noisy(99, 4, 0.08))]
    (group,) = scaling.series(near).values()
    (found,) = scaling.crossovers(*group)
    assert found.sure < 0.9 and "% of resamplings not at all" in found.words


def test_who_never_crosses_is_told_and_growth_too() -> None:
    rows = [row("quick", size, noisy(1000, size), "generative") for size in SIZES]
    rows += [row("slow", size, noisy(10, size + 1), "single-tower") for size in SIZES]
    (group,) = scaling.series(rows).values()
    said = scaling.sentences(group)
    never = "quick is faster than slow from 1,000 to 100,000 candidates, at the end "
    assert any(each.startswith(never) for each in said), said
    assert sum("times as many queries a second with 100,000 candidates as with 1,000" in each for each in said) == 2
    assert not any("overtakes" in each for each in said)


FASTER = re.compile(r"(\w+) is faster than (\w+) (?:from ([\d,]+) to|with) ([\d,]+) candidates")


def sides(one: scaling.Series, other: scaling.Series) -> dict[int, int]:
    """At each size 1 where the first is certainly faster, -1 where the other is."""
    found = {}
    for size in SIZES:
        low, high = interval(log_ratios(other.rates[size].rounds, one.rates[size].rounds)[1:])
        found[size] = int(low > 0) - int(high < 0)
    return found


def test_faster_is_only_said_of_sizes_at_which_that_is_certain() -> None:
    said = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = [
            row(name, size, (400 * np.exp(rng.normal(0, 0.05, 8))).tolist(), paradigm)
            for name, paradigm in (("dual", "dual-tower"), ("cart", "generative"))
            for size in SIZES
        ]
        (group,) = scaling.series(rows).values()
        by = {each.retriever: each for each in group}
        for first, second, least, most in (
            match for each in scaling.sentences(group) for match in FASTER.findall(each)
        ):
            said += 1
            ends = [int(each.replace(",", "")) for each in (least or most, most)]
            side = sides(by[first], by[second])
            assert all(side[size] == 1 for size in SIZES if ends[0] <= size <= ends[1]), (seed, first, side)
    assert said > 5


def alternating(*shares: float) -> list[str]:
    """What is said of one that has so many times the rate of cart at each size."""
    wave = np.array([0.97, 1.03, 0.98, 1.02, 0.99, 1.01, 1.0, 1.0])
    rows = [row("dual", size, (400 * share * wave).tolist()) for size, share in zip(SIZES, shares, strict=True)]
    rows += [row("cart", size, (400 * wave[::-1]).tolist(), "generative") for size in SIZES]
    (group,) = scaling.series(rows).values()
    return [each for each in scaling.sentences(group) if "times as many" not in each]


def test_where_nobody_is_certainly_faster_the_page_says_so() -> None:
    assert alternating(1.001, 1.001, 1.001) == [
        "neither dual nor cart is certainly faster from 1,000 to 100,000 candidates"
    ]
    (said,) = alternating(2, 2, 1.001)
    assert said.startswith("dual is faster than cart from 1,000 to 10,000 candidates, at the end 2 [")
    assert said.endswith("times; with 100,000 neither is certainly faster")
    (said,) = alternating(1.001, 1.001, 2)
    assert said.startswith("dual is faster than cart with 100,000 candidates, 2 [") and said.endswith("] times")


# -- what doesn't compare ----------------------------------------------------------------------------------------------


def told(rows: list[results.Row]) -> tuple[list[str], str]:
    (group,) = scaling.series(rows).values()
    return scaling.sentences(group), scaling.markdown({"t": group})


def crossing(sessions: dict[tuple[str, int], str]) -> list[results.Row]:
    """Exact search and cart, which overtakes it; timed in these sessions, by retriever and size."""
    rates = {"exact": lambda size: 1e7 / size, "cart": lambda size: 400.0}
    return [
        row(name, size, noisy(rates[name](size), size), paradigm, sessions.get((name, size), "monday"))
        for name, paradigm in (("exact", "dual-tower"), ("cart", "generative"))
        for size in SIZES
    ]


def test_who_was_timed_in_another_session_is_not_compared() -> None:
    said, page = told(crossing({("cart", size): "tuesday" for size in SIZES}))
    assert len(said) == 2 and all("times as many queries a second" in each for each in said), "of one session each"
    assert "with 1,000, 10,000, 100,000 candidates rates come from 2 sessions (monday, tuesday)" in page
    said, _ = told(crossing({("cart", 100_000): "tuesday"}))
    assert any(each.startswith("exact is faster than cart from 1,000 to 10,000 candidates") for each in said)
    assert any("cart answers" in each and "with 10,000 candidates as with 1,000" in each for each in said)


def test_sizes_may_be_of_different_sessions_but_not_of_different_machines() -> None:
    rows = crossing({(name, 100_000): "tuesday" for name in ("exact", "cart")})
    said, page = told(rows)
    assert any(each.startswith("cart overtakes exact at 2") for each in said)
    assert sum("with 10,000 candidates as with 1,000" in each for each in said) == 2, "a rate falls within one session"
    assert "not all sizes were timed in one session" in page and "rates come from" not in page
    for each in rows:
        each.records[0]["environment"]["threads"] = 16 if each.sessions == ("tuesday",) else 1
    said, page = told(rows)
    assert not any("overtakes" in each for each in said)
    assert any(each.startswith("exact is faster than cart from 1,000 to 10,000 candidates") for each in said)
    assert "not all sizes were timed on one machine with as many threads" in page


def test_what_is_invalid_is_not_compared() -> None:
    rows = crossing({})
    rows[-1].records[0]["speed"]["noise"] = {"noisy": True, "others": 0.6}  # type: ignore[index]
    said, page = told(rows)
    assert not any("overtakes" in each or "100,000" in each for each in said if "exact answers" not in each)
    assert "with 100,000 candidates INVALID: noise (cart): other processes took 60 % of the machine" in page
    rows = [row("quick", size, noisy(1000, size), "generative") for size in SIZES]
    rows += [row("slow", size, noisy(10, size + 1)) for size in SIZES]
    rows[1].records[0]["speed"]["noise"] = {"noisy": True, "others": 0.6}  # type: ignore[index]
    said, _ = told(rows)
    assert any(
        each.startswith("quick is faster than slow with 1,000, 100,000 candidates, at the end ") for each in said
    )
    _, page = told(crossing({}))
    assert "Not compared" not in page, "too few single queries for a p95 is no matter of these rates"


def test_only_who_counts_every_pair_is_extrapolated_and_marked() -> None:
    queries = 80  # 8 rounds of 10
    rows = [row("judge", size, noisy(1e4 / size, size), "single-tower", pairs=queries * size) for size in SIZES[:2]]
    rows += [row("exact", size, noisy(1e7 / size, size)) for size in SIZES]
    rows += [row("some", 1000, noisy(5, 3), "hybrid", pairs=queries * 20)]
    (group,) = scaling.series(rows).values()
    judge, _, some = group
    beyond = judge.rates[100_000]
    assert not beyond.measured and beyond.value == pytest.approx(judge.rates[10_000].value / 10)
    assert list(some.rates) == [1000]
    page = scaling.markdown({"t": group})
    line = next(each for each in page.splitlines() if each.startswith("| judge"))
    assert line.count("≈") == 1 and "≈ 0.1" in line
    assert not any("judge" in each and "overtakes" in each and "100,000" in each for each in scaling.sentences(group))


@pytest.mark.parametrize("offline", [{"counted": 75}, {"counted": 75, "processes": [5.0, 5.0]}])
def test_counts_are_of_as_many_queries_as_the_record_says(offline: dict[str, Any]) -> None:
    """Not of all rounds, where several processes had some or slices differ in size."""
    rows = [row("judge", size, noisy(1e4 / size, size), "single-tower", pairs=75 * size) for size in SIZES[:2]]
    rows += [row("exact", size, noisy(1e7 / size, size)) for size in SIZES]
    for each in rows:
        each.records[0]["speed"]["offline"].update(offline)  # type: ignore[index, typeddict-item]
    (group,) = scaling.series(rows).values()
    assert 100_000 in group[0].rates and not group[0].rates[100_000].measured
    assert "10,000 pairs" in scaling.markdown({"t": group})


def test_older_records_of_several_processes_dont_say_what_their_counts_are_of() -> None:
    rows = [row("judge", size, noisy(1e4 / size, size), "single-tower", pairs=40 * size) for size in SIZES[:2]]
    for each in rows:
        each.records[0]["speed"]["offline"]["processes"] = [5.0, 5.0]  # type: ignore[index]
    (group,) = scaling.series([*rows, row("exact", SIZES[2], noisy(100, 1))]).values()
    assert SIZES[2] not in group[0].rates and "pairs |" not in scaling.markdown({"t": group})


def test_one_size_alone_and_tasks_without_sizes_have_no_such_table() -> None:
    assert scaling.series([row("exact", 1000, [1.0, 2.0])]) == {}
    other = exact_and_constant()[0]
    assert scaling.series([results.Row(**{**vars(other), "task": "pictures/test/text-image"})] * 2) == {}
    assert scaling_plot.rate_against_size({}, Path("nowhere")) == []


def test_the_plot_is_written(tmp_path: Path) -> None:
    found = scaling.series(exact_and_constant())
    written = scaling_plot.rate_against_size(found, tmp_path)
    assert {path.suffix for path in written} == {".svg", ".png"}
    text = written[0].read_text()
    assert "exact" in text and "cart" in text


def test_rounds_of_one_contest_are_drawn_together() -> None:
    """What slowed both down at once is no difference between them."""
    shared = np.exp(np.random.default_rng(0).normal(0, 0.5, 12))
    together = log_ratios(100 * shared, 200 * shared)
    apart = log_ratios(100 * shared, 200 * shared, together=False)
    assert np.ptp(together) < 1e-9 and together[0] == pytest.approx(np.log(2))
    assert np.std(apart) > 0.1
