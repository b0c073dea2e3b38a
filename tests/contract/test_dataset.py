"""Contents, links, pairs and splits: flat arrays that must agree with the plain meaning of what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from links import grouped, single

from harness.contract.dataset import Contents, Links, Pairs, Split, texts

GROUPS = st.lists(st.integers(0, 5), max_size=30)  # the item of each caption; some items may have none


def plain(links: Links) -> list[list[int]]:
    return [links.of(query).tolist() for query in range(len(links))]


@given(st.lists(st.integers(0, 100), max_size=30))
def test_single_links(targets):
    links = single(np.array(targets, np.int64))
    assert plain(links) == [[target] for target in targets]
    assert links.counts.tolist() == [1] * len(targets)


@given(GROUPS)
def test_grouped_links_are_the_mirror_of_single_ones(groups):
    links = grouped(np.array(groups, np.int64), 6)
    assert plain(links) == [[place for place, group in enumerate(groups) if group == item] for item in range(6)]
    assert sorted(links.targets.tolist()) == list(range(len(groups)))
    assert links.queries.tolist() == sorted(groups)


@given(GROUPS, st.lists(st.integers(0, 5), max_size=12))
def test_taking_queries_renumbers_them_and_keeps_their_links(groups, chosen):
    links = grouped(np.array(groups, np.int64), 6)
    taken = links.take(np.array(chosen, np.int64))
    assert plain(taken) == [plain(links)[query] for query in chosen]
    assert taken.starts.dtype == taken.targets.dtype == np.int64
    assert len(taken) == len(chosen)


def drawn(positions: list[int], source: str = "somewhere", modality: str = "text") -> Contents:
    return Contents(modality, "thing {}".format, np.array(positions, np.int64), source)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 99), max_size=20), st.slices(20))
def test_contents_slice_as_lists_do(positions, cut):
    assert list(drawn(positions)[cut]) == [f"thing {place}" for place in positions[cut]]


def test_contents_index_as_arrays_do():
    contents = drawn([5, 6, 7, 8])
    assert contents[1] == contents[np.int64(-3)] == "thing 6"
    assert list(contents[np.array([3, 0, 0])]) == ["thing 8", "thing 5", "thing 5"]
    assert list(contents[np.array([True, False, False, True])]) == ["thing 5", "thing 8"]
    assert list(contents[1:][np.array([0])]) == ["thing 6"], "positions are the source's, through every slice"
    assert "thing 7" in contents
    with pytest.raises(IndexError):
        contents[4]


def test_nothing_is_fetched_before_it_is_asked_for():
    asked: list[int] = []
    contents = Contents("text", lambda place: asked.append(place) or str(place), np.arange(10**6), "huge")
    part = contents[500_000:500_002]
    assert (len(contents), len(part), part.digest != contents.digest, asked) == (10**6, 2, True, [])
    assert next(iter(contents)) == "0"
    assert list(part) == ["500000", "500001"]
    assert asked == [0, 500_000, 500_001]


def test_a_digest_names_things_order_source_and_modality():
    digests = [
        drawn([1, 2]),
        drawn([2, 1]),
        drawn([1]),
        drawn([1, 2, 2]),
        drawn([]),
        drawn([1, 2], "elsewhere"),
        drawn([1, 2], modality="audio"),
    ]
    assert len({contents.digest for contents in digests}) == len(digests)
    assert drawn([0, 1, 2, 3])[1:3].digest == drawn([1, 2]).digest
    narrow = Contents("text", "thing {}".format, np.array([1, 2], np.int32), "somewhere")
    assert narrow.digest == drawn([1, 2]).digest, "the same positions, however they are stored"


@given(st.lists(st.text(), max_size=5), st.lists(st.text(), max_size=5))
def test_texts_are_equal_when_their_strings_are(one, other):
    assert list(texts(one)) == one
    assert (texts(one).digest == texts(other).digest) == (one == other)


def test_pairs_are_named_by_their_links_too():
    queries, candidates = drawn([0, 1]), drawn([0, 1], "media")
    one = Pairs(queries, candidates, single(np.array([0, 1])))
    other = Pairs(queries, candidates, single(np.array([1, 0])))
    same = Pairs(queries, candidates, single(np.array([0, 1], np.int32)))
    assert one.digest != other.digest
    assert one.digest == same.digest


def test_empty_pairs_are_of_their_modalities_and_hold_nothing():
    pairs = Pairs.empty("text", "video")
    assert (pairs.queries.modality, pairs.candidates.modality) == ("text", "video")
    assert list(pairs.queries) == list(pairs.candidates) == plain(pairs.links) == []


@pytest.fixture
def split() -> Split:
    items = Contents("audio", "clip {}".format, np.arange(3), "clips")
    captions = Contents("text", "caption {}".format, np.arange(5), "captions")
    return Split("test", items, ["a", "b", "c"], captions, np.array([0, 0, 2, 1, 2]))


def test_a_split_asked_with_texts(split):
    pairs = split.pairs("text-audio")
    assert (pairs.queries, pairs.candidates) == (split.captions, split.items)
    assert plain(pairs.links) == [[0], [0], [2], [1], [2]]


def test_a_split_asked_with_media(split):
    pairs = split.pairs("audio-text")
    assert (pairs.queries, pairs.candidates) == (split.items, split.captions)
    assert plain(pairs.links) == [[0, 1], [3], [2, 4]]


@pytest.mark.parametrize("direction", ["text-image", "audio", "audio-audio", "text-text", ""])
def test_a_direction_that_the_split_does_not_have(split, direction):
    with pytest.raises(ValueError, match="text-audio or audio-text") as caught:
        split.pairs(direction)
    assert repr(direction) in str(caught.value)
