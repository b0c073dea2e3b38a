"""How many distances a search by FAISS computes, as far as FAISS tells. Called by `faiss_index`.

FAISS keeps its statistics for all indexes of a process together, so what counts is by how much a search raises them.
They are right with several threads, too: those of one search are added up by OpenMP's reduction, and noted once after
it. An index that compares a query with all that it stores keeps none; there the number is known.
"""

from __future__ import annotations

from typing import Any

from harness.machine import compute


def told() -> int:
    """Distances that FAISS has noted in this process: to members of cells, and to nodes of graphs (HNSW)."""
    noted = compute.faiss().cvar
    return noted.indexIVF_stats.ndis + noted.hnsw_stats.ndis


def untold(index: Any) -> int | None:
    """Distances of every query that an index computes without noting them; None where it computes any unknown number.

    Unknown: a graph of NSG, the coarse quantiser of IMI, what Panorama leaves half computed, and how many candidates a
    refinement (`,RFlat`) compares anew.
    """
    faiss = compute.faiss()
    index = faiss.downcast_index(index)
    if "Panorama" in type(index).__name__:  # not in all versions of FAISS, and else a flat index
        return None
    if isinstance(index, faiss.IndexPreTransform):
        return untold(index.index)
    if isinstance(index, faiss.IndexIVF):
        return untold(index.quantizer)
    if isinstance(index, faiss.IndexHNSW):
        return 0
    return int(index.ntotal) if isinstance(index, faiss.IndexFlatCodes | faiss.IndexFastScan) else None
