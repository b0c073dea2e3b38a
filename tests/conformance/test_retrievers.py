"""The contract of `harness.contract.Retriever`, which every retriever, ours or anybody's, keeps. Cases: cases.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, Case
from kit import FEW, Kit

from harness.contract.dataset import Contents, Waveform, texts
from harness.contract.retriever import PAD, Generates, Quantises, Ranking, Retriever, Unsupported
from harness.machine import files
from harness.score.agreement import agreement
from harness.score.metrics import check_ranking

K = 10
WAYS = [pytest.param((name, way), id=f"{name}-{way}") for name, case in CASES.items() for way in case.directions]
HALF = FEW // 2


class Bench:
    """One retriever in one direction: made ready, and what it is asked."""

    def __init__(self, case: Case, kit: Kit, direction: str) -> None:
        self.case, self.kit, self.direction = case, kit, direction
        self.pairs = kit.test(direction)
        self.queries, self.gallery = self.pairs.queries[:HALF], self.pairs.candidates[:FEW]
        self.shared = self.ready(self.gallery)  # for all tests that change nothing

    def ready(self, gallery: Contents) -> Retriever:
        retriever = self.case.build(self.kit)
        retriever.fit(*self.kit.training(self.direction))
        retriever.index(gallery)
        return self.told(retriever)

    def told(self, retriever: Retriever) -> Retriever:
        """The oracle's door, through which the runner hands it the answers that the gallery holds."""
        if hasattr(retriever, "peek"):
            links = self.pairs.links
            kept = links.targets < FEW
            starts = np.concatenate([[0], np.cumsum(np.bincount(links.queries[kept], minlength=len(links)))])
            retriever.peek(type(links)(starts, links.targets[kept]))
        return retriever

    def ask(self, retriever: Retriever, queries: Contents, k: int = K, size: int = FEW) -> Ranking:
        """An answer that keeps the contract."""
        ranking = retriever.search(queries, k)
        check_ranking(ranking.ids, ranking.scores, size, (len(queries), k))
        assert np.array_equal(ranking.ids == PAD, np.isneginf(ranking.scores)), "-inf stands beside -1, nowhere else"
        return ranking


@pytest.fixture(scope="module", params=WAYS)
def bench(request: pytest.FixtureRequest, tiny: Callable[[str], Kit]) -> Bench:
    name, way = request.param
    medium = next(word for word in way.split("-") if word != "text")
    return Bench(CASES[name], tiny(medium), way)


def test_answers_keep_the_contract(bench):
    bench.ask(bench.shared, bench.queries)


def test_beyond_the_gallery_stands_padding(bench):
    ranking = bench.ask(bench.shared, bench.queries, FEW + 7)
    assert (ranking.ids[:, FEW:] == PAD).all()


def test_a_deep_search_begins_like_a_shallow_one(bench):
    deep = bench.ask(bench.shared, bench.queries, K)
    shallow = bench.ask(bench.shared, bench.queries, 1)
    assert agreement(Ranking(deep.ids[:, :1], deep.scores[:, :1]), shallow) == 1.0


def test_one_by_one_is_as_in_a_batch(bench):
    batch = bench.ask(bench.shared, bench.queries)
    ones = [bench.ask(bench.shared, bench.queries[row : row + 1]) for row in range(len(bench.queries))]
    together = Ranking(np.concatenate([one.ids for one in ones]), np.concatenate([one.scores for one in ones]))
    assert agreement(batch, together) == 1.0


def test_the_order_of_the_queries_changes_no_answer(bench):
    forward = bench.ask(bench.shared, bench.queries)
    backward = bench.ask(bench.shared, bench.queries[::-1])
    assert agreement(forward, Ranking(backward.ids[::-1], backward.scores[::-1])) == 1.0


def test_made_again_it_answers_the_same(bench):
    first, second = (bench.ask(each, bench.queries) for each in (bench.shared, bench.ready(bench.gallery)))
    assert np.array_equal(first.ids, second.ids)
    assert np.array_equal(first.scores, second.scores)


def test_who_generates_can_say_how_likely_each_token_was(bench):
    if not isinstance(bench.shared, Generates):
        return
    ranking = bench.ask(bench.shared, bench.queries, FEW)
    tokens, odds = bench.shared.identifiers(), bench.shared.odds(bench.queries, ranking.ids)
    assert len(np.unique(tokens, axis=0)) == FEW == len(tokens)
    assert odds.shape == (*ranking.ids.shape, tokens.shape[1])
    answered = ranking.ids != PAD
    assert np.allclose(np.log(odds).sum(2)[answered], ranking.scores[answered], atol=2e-2), "they multiply to the score"


def test_who_quantises_shows_the_vectors_of_any_candidates(bench, tmp_path):
    if not isinstance(bench.shared, Quantises):
        return
    bench.shared.save(tmp_path)
    loaded = bench.case.build(bench.kit)
    loaded.load(tmp_path)
    some, every = np.array([3, FEW - 1, 0]), np.arange(FEW)
    vectors = bench.shared.vectors_of(bench.gallery, every)
    assert vectors.dtype == np.float32 and len(vectors) == FEW == len(bench.shared.identifiers())
    for each in (bench.shared, loaded):
        assert np.array_equal(each.vectors_of(bench.gallery, some), vectors[some])


def test_saved_and_loaded_it_answers_the_same(bench, tmp_path):
    bench.shared.save(tmp_path)
    loaded = bench.case.build(bench.kit)  # neither fitted nor indexed: `load` stands in for both
    loaded.load(tmp_path)
    before, after = (bench.ask(each, bench.queries) for each in (bench.shared, bench.told(loaded)))
    assert np.array_equal(before.ids, after.ids)
    assert np.array_equal(before.scores, after.scores)
    assert loaded.footprint() == bench.shared.footprint()
    assert files.canonical(loaded.details()) == files.canonical(bench.shared.details()), "plain values"
    assert _endings(tmp_path) <= {".json", ".gz", ".safetensors", ".npy", ".faiss"}, "plain data, no pickled code"


def test_a_fit_that_is_kept_apart_stands_in_for_the_fit(bench, tmp_path):
    if not bench.shared.keeps_fit:
        pytest.skip("its fit is part of its index")
    bench.shared.save_fit(tmp_path)
    loaded = bench.case.build(bench.kit)
    loaded.load_fit(tmp_path)
    loaded.index(bench.gallery)
    before, after = (bench.ask(each, bench.queries) for each in (bench.shared, bench.told(loaded)))
    assert np.array_equal(before.ids, after.ids)
    assert np.array_equal(before.scores, after.scores)


def test_a_loaded_one_can_be_saved_again(bench, tmp_path):
    """What comes from the store is read-only and memory-mapped: nothing may rely on having built it."""
    bench.shared.save(tmp_path)
    loaded = bench.case.build(bench.kit)
    loaded.load(tmp_path)
    (tmp_path / "again").mkdir()
    loaded.save(tmp_path / "again")
    for path in (path for path in (tmp_path / "again").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(tmp_path / "again")).read_bytes()


def test_no_queries_get_no_answers(bench):
    ranking = bench.ask(bench.shared, bench.queries[:0], 7)
    assert ranking.ids.shape == (0, 7)


def test_odd_queries_get_answers_all_the_same(bench):
    ranking = bench.ask(bench.shared, _odd(bench.queries))
    assert len(ranking.ids) == 2


def test_an_empty_gallery_gives_only_padding_or_a_clear_error(bench):
    _padding_or_refusal(bench, 0)


def test_a_gallery_of_one(bench):
    ranking = _padding_or_refusal(bench, 1)
    if bench.case.smallest <= 1:
        assert ranking is not None, "only cases that say so may refuse a small gallery"


def test_a_gallery_that_holds_a_thing_twice(bench):
    gallery = bench.gallery[np.concatenate([np.arange(HALF), np.arange(HALF)])]
    retriever = bench.ready(gallery)
    bench.ask(retriever, bench.queries, FEW)


def test_added_candidates_are_as_if_they_had_been_there(bench):
    whole = bench.ask(bench.shared, bench.queries, FEW)
    retriever = bench.ready(bench.gallery[:HALF])
    before, bytes_before = retriever.search(bench.queries, K), retriever.footprint().index_bytes
    try:
        retriever.add(bench.gallery[HALF:])
    except Unsupported as reason:
        assert "index the" in str(reason), "the message says what to do instead"
        assert np.array_equal(before.ids, retriever.search(bench.queries, K).ids), "and nothing has changed"
        return
    grown = bench.ask(retriever, bench.queries, FEW)
    assert retriever.footprint().index_bytes > bytes_before or not bench.case.grows
    if bench.case.learns:
        wanted, found = (np.unique(each.ids[each.ids >= HALF]) for each in (whole, grown))
        assert 2 * len(found) >= len(wanted), "what is added is found, if not by all queries that would find it"
    else:
        assert agreement(whole, grown) == 1.0


def test_added_after_loading_is_as_added_before(bench, tmp_path):
    retriever = bench.ready(bench.gallery[:HALF])
    retriever.save(tmp_path)
    loaded = bench.case.build(bench.kit)
    loaded.load(tmp_path)
    before, after = (_added(each, bench.gallery[HALF:]) for each in (retriever, bench.told(loaded)))
    assert before == after, "the same refusal, or none"
    assert agreement(*(bench.ask(each, bench.queries, FEW) for each in (retriever, loaded))) == 1.0


def test_added_to_nothing(bench):
    retriever = bench.case.build(bench.kit)
    retriever.fit(*bench.kit.training(bench.direction))
    try:
        retriever.index(bench.gallery[:0])
        retriever.add(bench.gallery)
    except Unsupported as reason:
        assert "index the" in str(reason), "the message says what to do instead"
    except ValueError as reason:
        assert "gallery" in str(reason), "the message says what is too small"
    else:
        assert agreement(bench.ask(bench.shared, bench.queries), bench.ask(bench.told(retriever), bench.queries)) == 1.0


def test_the_footprint_grows_with_the_gallery_and_the_parameters_do_not(bench):
    small, large = bench.ready(bench.gallery[:HALF]).footprint(), bench.shared.footprint()
    assert all(isinstance(number, int) and number >= 0 for number in (*small, *large))
    assert small.parameters == large.parameters
    assert small.index_bytes < large.index_bytes if bench.case.grows else large.index_bytes == 0


def test_counts_begin_anew_when_they_are_reset(bench):
    """Who counts nothing goes on counting nothing."""
    seen = []
    for searches in (1, 2, 1):
        bench.shared.reset_counts()
        assert not any(bench.shared.counts().values())
        for _ in range(searches):
            bench.ask(bench.shared, bench.queries)
        seen.append(dict(bench.shared.counts()))
    once, twice, again = seen
    assert all(isinstance(number, int) and number > 0 for number in once.values())
    assert once == again and twice == {name: 2 * number for name, number in once.items()}


def test_counts_one_by_one_are_those_of_the_batch(bench):
    seen = []
    for size in (len(bench.queries), 1):
        bench.shared.reset_counts()
        for start in range(0, len(bench.queries), size):
            bench.ask(bench.shared, bench.queries[start : start + size])
        seen.append(dict(bench.shared.counts()))
    assert seen[0] == seen[1]


def _added(retriever: Retriever, contents: Contents) -> str | None:
    """Why it refuses."""
    try:
        retriever.add(contents)
    except Unsupported as reason:
        return str(reason)
    return None


def _endings(folder: Path) -> set[str]:
    return {path.suffix for path in folder.rglob("*") if path.is_file()}


def _odd(queries: Contents) -> Contents:
    """Nothing, and something that no training has seen."""
    if queries.modality == "text":
        return texts(["", "xylograph ∅ 你好"])
    thing = queries[0]
    if isinstance(thing, Waveform):
        odd = [Waveform(np.zeros_like(thing.samples), thing.rate), Waveform(np.ones(99, np.float32), 8_000)]
    else:
        odd = [np.zeros_like(thing), np.full_like(thing, 255)]
    return Contents(queries.modality, odd.__getitem__, np.arange(2), "odd")


def _padding_or_refusal(bench: Bench, size: int) -> Ranking | None:
    """A valid answer over so small a gallery; None where the retriever refuses it in clear words."""
    try:
        retriever = bench.ready(bench.gallery[:size])
    except ValueError as reason:
        assert "gallery" in str(reason), "the message says what is too small"
        return None
    if hasattr(retriever, "peek"):
        retriever.peek(type(bench.pairs.links)(np.zeros(1, np.int64), np.empty(0, np.int64)))
    ranking = bench.ask(retriever, bench.queries, 3, size)
    assert (ranking.ids[:, size:] == PAD).all()
    return ranking
