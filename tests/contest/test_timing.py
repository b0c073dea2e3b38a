"""The contest: every contestant gets the same questions, once; who fails, lags or remembers is told apart."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.controls import Null
from harness.contest.asking import Contestant, Questions
from harness.contest.timing import contest
from harness.contract.dataset import Contents, texts
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.contract.settings import Settings
from harness.machine import compute
from harness.score.agreement import agreement

GALLERY, COUNT, K = 30, 120, 5
OFFLINE = {"offline": {"rounds": 4, "cap_s": 30.0}}


class Scripted(Retriever):
    """Answers as it is told, and writes down what it was asked."""

    def __init__(self, answer: Callable[[str], list[int]] | None = None, seconds: float = 0.0) -> None:
        self.answer = answer or (lambda text: [(int(text.split()[-1]) + step) % GALLERY for step in range(K)])
        self.seconds = seconds  # a query
        self.asked: list[str] = []
        self.steps = 0

    def index(self, gallery: Contents) -> None: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
    def footprint(self) -> Footprint:
        return Footprint(0, 0)

    def counts(self) -> dict[str, int]:
        return {"steps": self.steps}

    def reset_counts(self) -> None:
        self.steps = 0

    def search(self, queries: Contents, k: int) -> Ranking:
        found = []
        with compute.stage("think"):
            for text in queries:
                self.asked.append(text)
                self.steps += 1
                self.wait(text)
                found.append(self.answer(text))
        scores = np.broadcast_to(-np.arange(k, dtype=np.float32), (len(found), k))
        return Ranking(np.array(found, np.int64).reshape(-1, k), scores)

    def wait(self, text: str) -> None:
        if self.seconds:
            time.sleep(self.seconds)


class Remembering(Scripted):
    """Keeps every answer: fast on what it has been asked before."""

    def wait(self, text: str) -> None:
        if self.asked.count(text) == 1:
            super().wait(text)


class Failing(Scripted):
    """Gives up at the first question of the contest that it can't answer."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def wait(self, text: str) -> None:
        if text == self.at:
            raise RuntimeError(f"can't read {text!r}")


def questions(count: int = COUNT, seed: int = 0) -> Questions:
    queries = texts([f"query {number}" for number in range(count)])
    return Questions(queries, texts([f"warm {number}" for number in range(50)]), "validation", GALLERY, K, seed)


def run(scenarios: dict[str, Any], asked: Questions | None = None, **retrievers: Retriever) -> Any:
    contestants = [Contestant(name, retriever) for name, retriever in retrievers.items()]
    found = contest(contestants, asked or questions(), scenarios)
    return found[0] if len(found) == 1 else found


def test_rounds_are_disjoint_and_together_they_are_all_queries():
    one, other = run(OFFLINE, one=Scripted(), other=Scripted())
    for contestant in (one, other):
        assert len(contestant.rounds) == 4
        asked = np.concatenate([part.queries for part in contestant.rounds])
        assert sorted(asked.tolist()) == list(range(COUNT)), "each query once"
        assert contestant.queries.tolist() == list(range(COUNT))
    for mine, theirs in zip(one.rounds, other.rounds, strict=True):
        assert np.array_equal(mine.queries, theirs.queries), "in a round, all are asked the same"


def test_the_ranking_answers_the_queries_in_their_order():
    contestant = run(OFFLINE, one=Scripted())
    assert contestant.ranking.ids[:, 0].tolist() == [query % GALLERY for query in contestant.queries.tolist()]


def test_the_rounds_are_drawn_and_the_same_for_every_seed():
    drawn = [run(OFFLINE, questions(seed=seed), one=Scripted()).rounds[0].queries.tolist() for seed in (0, 1)]
    assert drawn[0] == drawn[1] != sorted(drawn[0])


def test_warm_up_asks_other_queries_than_the_contest():
    retriever = Scripted()
    run(OFFLINE, one=retriever)
    warm = [text for text in retriever.asked if text.startswith("warm")]
    asked = [text for text in retriever.asked if text.startswith("query")]
    assert warm
    assert retriever.asked[: len(warm)] == warm, "before all others"
    assert len(asked) == COUNT + COUNT // 4, "and one slice again at the end"


def test_more_rounds_than_queries():
    contestant = run({"offline": {"rounds": 10, "cap_s": 5.0}}, questions(3), one=Scripted())
    assert contestant.failure is None
    assert contestant.queries.tolist() == [0, 1, 2]


class Starting(Scripted):
    """Takes as long for one query as for many."""

    def search(self, queries: Contents, k: int) -> Ranking:
        time.sleep(0.03)
        return super().search(queries, k)


def test_slow_in_small_numbers_is_not_slow():
    """At the rate of its eight warm-up queries it would be too slow for all."""
    contestant = run({"offline": {"rounds": 4, "cap_s": 0.8}}, questions(400), one=Starting())
    assert len(contestant.queries) == 400 and not contestant.untimed


def test_a_slow_contestant_gets_fewer_queries_and_the_others_all():
    slow, fast = run({"offline": {"rounds": 4, "cap_s": 0.4}}, slow=Scripted(seconds=0.02), fast=Scripted())
    assert fast.queries.tolist() == list(range(COUNT))
    assert 4 <= len(slow.queries) < COUNT // 2
    assert slow.speed["offline"]["round_queries"] == slow.per_round == len(slow.queries) // 4
    assert slow.speed["offline"]["qps"]["median"] == pytest.approx(50, rel=0.3)
    for part, whole in zip(slow.rounds, fast.rounds, strict=True):
        assert np.array_equal(part.queries, whole.queries[: slow.per_round]), "the first few of every slice"


def test_what_is_asked_does_not_depend_on_a_busy_hour():
    """Half as fast as `cap_s` wants: it answers all queries, and the later half isn't timed."""
    contestant = run({"offline": {"rounds": 4, "cap_s": 1.2}}, one=Scripted(seconds=0.02))
    assert contestant.queries.tolist() == list(range(COUNT))
    assert np.array_equal(contestant.ranking.ids[:, 0], contestant.queries % GALLERY)
    timed = sum(len(part.queries) for part in contestant.rounds)
    assert timed < COUNT and contestant.counts == {"steps": timed}, "the rest is neither timed nor counted"


def test_rates_stages_and_counts_are_those_of_the_rounds():
    contestant = run(OFFLINE, one=Scripted(seconds=0.001))
    speed = contestant.speed["offline"]
    rates = [len(part.queries) / part.seconds for part in contestant.rounds]
    assert speed["qps"]["rounds"] == pytest.approx(rates)
    assert speed["qps"]["median"] == pytest.approx(float(np.median(rates)))
    assert speed["qps"]["q25"] <= speed["qps"]["median"] <= speed["qps"]["q75"]
    assert 0.001 <= speed["stages"]["think"] <= 1.01 / min(rates)
    assert contestant.counts == {"steps": COUNT}, "no warm-up, no repetition"
    assert speed["warm_up"] == "validation"


def test_who_fails_is_out_and_the_others_go_on():
    scenarios = {**OFFLINE, "single": {"queries": 10, "cap_s": 5.0}}
    failing, fine = run(scenarios, failing=Failing("query 77"), fine=Scripted())
    assert "can't read 'query 77'" in failing.failure
    assert "Traceback" in failing.failure
    assert "single" not in failing.speed
    assert fine.failure is None
    assert fine.queries.tolist() == list(range(COUNT))
    assert fine.speed["single"]["queries"] == 10


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda text: [1, 2, 2, 3, 4], "an id twice"),
        (lambda text: [1, 2, GALLERY, 3, 4], f"an id outside -1 .nothing. to {GALLERY - 1}"),
        (lambda text: [1, -1, 2, 3, 4], "an id after -1"),
    ],
)
def test_broken_rankings_fail_in_clear_words(answer, words):
    broken, fine = run(OFFLINE, broken=Scripted(answer), fine=Scripted())
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(broken.failure)
    assert fine.failure is None


class Wrong(Scripted):
    def __init__(self, change: Callable[[Ranking], Any]) -> None:
        super().__init__()
        self.change = change

    def search(self, queries: Contents, k: int) -> Ranking:
        return self.change(super().search(queries, k))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: Ranking(found.ids, -found.scores), "a score above the one before it"),
        (lambda found: Ranking(found.ids, found.scores * np.float32(np.nan)), "a score that isn't a number"),
        (lambda found: Ranking(found.ids.astype(np.int32), found.scores), "ids are int32: expected"),
        (lambda found: Ranking(found.ids, found.scores.astype(np.float64)), "scores are float64: expected"),
        (lambda found: Ranking(found.ids[:, :3], found.scores[:, :3]), "ids have shape"),
        (lambda found: Ranking(found.ids[1:], found.scores[1:]), "ids have shape"),
        (lambda found: Ranking(found.ids.tolist(), found.scores), "ids are list: expected"),
        (lambda found: None, "NoneType"),
    ],
)
def test_rankings_of_the_wrong_form_fail_in_clear_words(change, words):
    broken, fine = run(OFFLINE, broken=Wrong(change), fine=Scripted())
    assert words in broken.failure
    assert fine.failure is None


def test_a_cache_shows_in_the_repetition():
    cache, honest = run(OFFLINE, cache=Remembering(seconds=0.002), honest=Scripted(seconds=0.002))
    assert cache.speed["offline"]["repeat"]["speedup"] > 5
    assert honest.speed["offline"]["repeat"]["speedup"] < 3
    gain = cache.speed["offline"]["qps"]["median"] / honest.speed["offline"]["qps"]["median"]
    assert gain < 2, "and brings nothing in the rounds"


def test_a_cache_shows_one_by_one_too() -> None:
    """Over queries that nobody was asked before, where there are some; else over the first time."""
    settings = {"single": {"queries": 30, "cap_s": 5.0}}
    new = replace(questions(), unseen=texts([f"new {number}" for number in range(40)]))
    for asked, how in ((questions(), "speedup"), (new, "unseen")):
        cache, honest = run(settings, asked, cache=Remembering(seconds=0.002), honest=Scripted(seconds=0.002))
        assert cache.speed["single"]["repeat"][how] > 5 and honest.speed["single"]["repeat"][how] < 1.5
        assert cache.speed["single"]["repeat"].keys() == {how, "agree"}


def test_a_slow_one_is_asked_again_for_a_tenth_of_its_time() -> None:
    slow = Scripted(seconds=0.02)
    run({"single": {"queries": 40, "cap_s": 1.0}}, one=slow)
    assert 4 <= len([text for text in slow.asked if text.startswith("query")]) - 40 <= 6


def test_who_answers_otherwise_the_second_time_is_found_out():
    rng = np.random.default_rng(0)
    fickle = run(OFFLINE, fickle=Scripted(lambda text: rng.permutation(GALLERY)[:K].tolist()))
    assert fickle.speed["offline"]["repeat"]["agree"] < 0.1
    assert run(OFFLINE, steady=Scripted()).speed["offline"]["repeat"]["agree"] == 1.0


def test_single_queries_are_timed_one_by_one():
    retriever = Scripted(seconds=0.002)
    speed = run({"single": {"queries": 30, "cap_s": 5.0}}, one=retriever).speed["single"]
    assert speed["queries"] == 30
    assert 2.0 <= speed["p50_ms"] <= speed["p95_ms"] <= speed["p99_ms"]
    asked = [text for text in retriever.asked if text.startswith("query")]
    assert len(set(asked[:30])) == 30 and asked[30:] == asked[:20], "each once; then the first again"


def test_single_queries_end_at_the_cap():
    slow, fast = run({"single": {"queries": 100, "cap_s": 0.1}}, slow=Scripted(seconds=0.005), fast=Scripted())
    assert 20 <= slow.speed["single"]["queries"] <= 40, "whole blocks of twenty, until the cap is reached"
    assert fast.speed["single"]["queries"] == 100


def test_the_referee_costs_next_to_nothing():
    speed = run({"single": {"queries": 100, "cap_s": 5.0}}, null=Null(Settings())).speed["single"]
    assert speed["p50_ms"] <= 0.05


def test_rounds_do_not_search_the_whole_memory_for_garbage():
    class Watching(Scripted):
        def wait(self, text: str) -> None:
            if len(seen) < 5:  # counting takes a while
                seen.append(gc.get_freeze_count())

    seen: list[int] = []
    run(OFFLINE, one=Watching())
    assert min(seen) > 10_000 and gc.get_freeze_count() == 0


def test_a_contest_without_queries_breaks_nobody():
    """Each scenario says so of its contestants, instead of ending the run."""
    for name, settings in {**OFFLINE, "single": {"queries": 10, "cap_s": 1.0}}.items():
        contestant = run({name: settings}, questions(0), one=Scripted())
        assert contestant.failure is not None


def ranking(ids: list[list[int]], scores: list[list[float]]) -> Ranking:
    return Ranking(np.array(ids, np.int64), np.array(scores, np.float32))


def test_agreement_lets_near_ties_swap_and_nothing_else():
    one = ranking([[3, 1, 2, -1]], [[10.0, 5.0, 4.99999, -np.inf]])
    assert agreement(one, one) == 1.0
    assert agreement(one, ranking([[3, 2, 1, -1]], [[10.0, 5.0, 4.99999, -np.inf]])) == 1.0
    assert agreement(one, ranking([[1, 3, 2, -1]], [[10.0, 5.0, 4.99999, -np.inf]])) == 0.0, "equal scores, other ids"
    assert agreement(one, ranking([[3, 1, 7, -1]], [[10.0, 5.0, 4.99999, -np.inf]])) == 1.0, "a near-tie at the end"
    assert agreement(one, ranking([[3, 7, 1, -1]], [[10.0, 5.0, 4.99999, -np.inf]])) == 1.0
    assert agreement(one, ranking([[3, 7, 2, -1]], [[10.0, 5.0, 4.9, -np.inf]])) == 0.0, "7 pushed out what was better"
    assert agreement(one, ranking([[3, 2, 1, -1]], [[10.0, 4.9, 4.8, -np.inf]])) == 0.0
    assert agreement(one, ranking([[3, 1, 2, 4]], [[10.0, 5.0, 4.99999, 4.0]])) == 0.0
    assert agreement(one, ranking([[3, 1, -1, -1]], [[10.0, 5.0, -np.inf, -np.inf]])) == 0.0


def test_agreement_is_a_share_of_the_queries():
    one = ranking([[0, 1], [2, 3], [4, 5], [6, 7]], [[1.0, 0.5]] * 4)
    other = ranking([[0, 1], [3, 2], [4, 5], [6, 8]], [[1.0, 0.5], [1.0, 0.2], [1.0, 0.5], [1.0, 0.1]])
    assert agreement(one, other) == 0.5
    assert agreement(one, Ranking(one.ids, one.scores * np.float32(1 + 1e-6))) == 1.0
    nobody = ranking([], [])
    assert agreement(nobody, nobody) == 1.0


# -- fewer queries ----------------------------------------------------------------------------------------------------


def asked_at_most(limits: dict[str, int | None], seed: int = 0) -> dict[str, set[int]]:
    contestants = [Contestant(name, Scripted(), limit) for name, limit in limits.items()]
    contest(contestants, questions(seed=seed), {"offline": {"rounds": 5, "cap_s": 30.0}})
    assert not any(contestant.failure for contestant in contestants)
    return {contestant.name: set(contestant.queries.tolist()) for contestant in contestants}


def test_who_is_limited_is_asked_so_many_and_those_of_a_smaller_limit_are_among_them():
    asked = asked_at_most({"all": None, "three": 3, "seven": 7, "forty": 40, "too many": 10_000})
    assert [len(each) for each in asked.values()] == [COUNT, 3, 7, 40, COUNT]
    assert asked["three"] < asked["seven"] < asked["forty"] < asked["all"]


def test_the_queries_of_a_limit_are_the_same_for_every_seed():
    """Or a row of several seeds would be of the few that all of them happened to ask."""
    assert asked_at_most({"few": 10}, 0) == asked_at_most({"few": 10}, 1)


@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_who_is_limited_answers_its_queries_however_slow_the_machine(seconds):
    scenarios = {"offline": {"rounds": 4, "cap_s": 0.4}}
    contestants = [Contestant("limited", Scripted(seconds=seconds), 50), Contestant("free", Scripted())]
    limited, _ = contest(contestants, questions(), scenarios)
    assert len(limited.queries) == 50
    assert limited.queries.tolist() == sorted(asked_at_most({"limited": 50})["limited"])
    assert np.array_equal(limited.ranking.ids[:, 0], limited.queries % GALLERY)
    if seconds:
        timed = sum(len(part.queries) for part in limited.rounds)
        assert timed < 40 and limited.counts == {"steps": timed}, "the rest is neither timed nor counted"
        assert limited.speed["offline"]["counted"] == timed


def test_a_limit_holds_for_single_queries_too():
    scenarios = {**OFFLINE, "single": {"queries": 60, "cap_s": 5.0}}
    limited, free = Contestant("limited", Scripted(), 20), Contestant("free", Scripted())
    contest([limited, free], questions(), scenarios)
    assert limited.speed["single"]["queries"] == 20 and free.speed["single"]["queries"] == 60
    assert limited.speed["offline"]["round_queries"] == 5 and len(limited.queries) == 20


def test_slices_of_different_sizes_are_counted_as_they_are():
    contestant = run({"offline": {"rounds": 3, "cap_s": 30.0}}, questions(100), one=Scripted())
    timed = contestant.speed["offline"]
    assert timed["round_queries"] == 34 and timed["counted"] == 100 and contestant.counts == {"steps": 100}


# -- what was answered ------------------------------------------------------------------------------------------------

BOTH = {**OFFLINE, "single": {"queries": 25, "cap_s": 5.0}}


class Reusing(Scripted):
    """Gives out the same arrays each time, and writes the next answer into them."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers: dict[tuple[int, ...], Ranking] = {}

    def search(self, queries: Contents, k: int) -> Ranking:
        found = super().search(queries, k)
        fresh = Ranking(np.zeros_like(found.ids), np.zeros_like(found.scores))
        buffer = self.buffers.setdefault(found.ids.shape, fresh)
        buffer.ids[:], buffer.scores[:] = found.ids, found.scores
        return buffer


def test_a_buffer_that_is_used_again_changes_no_earlier_answer():
    contestant = run(BOTH, one=Reusing())
    assert contestant.ranking.ids[:, 0].tolist() == [query % GALLERY for query in contestant.queries.tolist()]
    assert contestant.speed["single"]["agree"] == contestant.speed["offline"]["repeat"]["agree"] == 1.0


class Alone(Scripted):
    """Answers otherwise when it is asked a single query."""

    def __init__(self, change: Callable[[Ranking], Any]) -> None:
        super().__init__()
        self.change = change

    def search(self, queries: Contents, k: int) -> Ranking:
        found = super().search(queries, k)
        return self.change(found) if len(queries) == 1 else found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: None, "NoneType: expected harness.contract.Ranking"),
        (lambda found: Ranking(found.ids[:, :2], found.scores[:, :2]), "ids have shape [1, 2]"),
        (lambda found: Ranking(found.ids * 0, found.scores), "an id twice"),
    ],
)
def test_single_answers_are_checked_like_all_others(change, words):
    lazy, fine = run(BOTH, lazy=Alone(change), fine=Scripted())
    assert words in lazy.failure
    assert fine.failure is None and fine.speed["single"]["queries"] == 25


def test_single_answers_are_compared_with_those_in_batches():
    def other(found: Ranking) -> Ranking:
        return Ranking((found.ids + 7) % GALLERY, found.scores) if found.ids[0, 0] < GALLERY // 2 else found

    honest, guessing = run(BOTH, honest=Scripted(), guessing=Alone(other))
    assert (honest.speed["single"]["agree"], honest.speed["single"]["compared"]) == (1.0, 25)
    assert 0.2 < guessing.speed["single"]["agree"] < 0.8 and guessing.failure is None
    alone = run({"single": BOTH["single"]}, one=Scripted())
    assert "agree" not in alone.speed["single"], "there is nothing to compare it with"


def test_a_limited_contestant_is_asked_the_same_queries_one_by_one():
    limited, free = Contestant("limited", Scripted(), 20), Contestant("free", Scripted())
    contest([limited, free], questions(), BOTH)
    assert {one.query for one in limited.singles} <= set(limited.queries.tolist())
    assert limited.speed["single"]["compared"] == 20
