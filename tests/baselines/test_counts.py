"""Operation counts are true, and depend neither on batches nor on threads nor on what else searches."""

from __future__ import annotations

import numpy as np
import pytest
from test_indexes import SIZE, K, built, unit

from baselines import indexes
from harness.machine import compute

CELLS = 8
QUERIES = unit(60, 1)
FACTORIES = ["exact", "Flat", "IVF8,Flat", "IVF8_HNSW4,Flat", "IVF8,PQ4x4fs", "HNSW8,Flat", "HNSW8,SQ8", "PQ4x4", "LSH"]


def counted(index: indexes.Index, queries: np.ndarray, size: int = 1 << 20, k: int = K) -> dict[str, int]:
    """What a search counts that asks so many queries at once."""
    index.reset_counts()
    for start in range(0, len(queries), size):
        index.search(queries[start : start + size], k)
    return index.counts()


@pytest.mark.parametrize(
    ("factory", "found"),
    [
        ("exact", {"products": 60 * SIZE}),
        *((name, {"distances": 60 * SIZE}) for name in ("Flat", "PQ4x4", "PQ4x4fs", "SQ8", "LSH", "ITQ8,LSH", "RQ2x4")),
        *((name, {"distances": 60 * (SIZE + CELLS)}) for name in ("IVF8,Flat", "IVF8,SQ8", "OPQ4,IVF8,PQ4x4")),
        *((name, {}) for name in ("NSG8,Flat", "IMI2x2,Flat", "IVF8,Flat,RFlat", "FlatIPPanorama4")),
    ],
)
def test_who_looks_at_all_that_is_stored_counts_all_of_it(factory, found):
    settings = {"nprobe": CELLS} if "IVF" in factory else {}
    assert counted(built(factory, unit(SIZE, 0), **settings), QUERIES) == found


@pytest.mark.parametrize("nprobe", [1, 3])
def test_an_inverted_file_counts_cells_and_the_members_of_those_it_probes(nprobe):
    index = built("IVF8,Flat", unit(SIZE, 0), nprobe=nprobe)
    _, cells = index.index.quantizer.search(QUERIES, nprobe)
    members = [index.index.invlists.list_size(cell) for cell in cells.ravel().tolist()]
    assert counted(index, QUERIES) == {"distances": sum(members) + len(QUERIES) * CELLS}


def test_a_graph_counts_the_nodes_that_it_looks_at():
    index, few, many = built("HNSW8,Flat", unit(SIZE, 0)), [], []
    for found, depth in ((few, 4), (many, 64)):
        index.change("efSearch", depth)
        found.append(counted(index, QUERIES)["distances"] / len(QUERIES))
    assert K < few[0] < many[0] < 2 * SIZE


@pytest.mark.parametrize("factory", FACTORIES)
def test_counts_depend_on_neither_batches_nor_threads(factory):
    index = built(factory, unit(SIZE, 0))
    at_once = counted(index, QUERIES)
    assert sum(at_once.values()) > 0
    for threads in (1, 4):
        with compute.limited_threads(threads):
            assert all(counted(index, QUERIES, size) == at_once for size in (1, 7, 60)), f"{threads} threads"
    twice = counted(index, np.concatenate([QUERIES, QUERIES]))
    assert twice == {name: 2 * number for name, number in at_once.items()}


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_others_search_is_not_counted_nor_what_is_not_asked(factory):
    index, others = built(factory, unit(SIZE, 0)), [built(name, unit(SIZE, 2)) for name in ("HNSW8,Flat", "IVF8,Flat")]
    alone = counted(index, QUERIES[:5])
    for other in others:
        other.search(QUERIES, K)
    assert index.counts() == alone
    assert not any(counted(index, QUERIES[:0]).values())


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_loaded_index_counts_as_the_built_one(factory, tmp_path):
    index, loaded = built(factory, unit(SIZE, 0)), indexes.make(factory, {})
    index.save(tmp_path)
    loaded.load(tmp_path)
    assert counted(loaded, QUERIES) == counted(index, QUERIES)


def test_added_vectors_are_counted():
    for factory in ("exact", "Flat"):
        index = built(factory, unit(SIZE, 0))
        index.add(unit(50, 2))
        assert list(counted(index, QUERIES).values()) == [60 * (SIZE + 50)]
