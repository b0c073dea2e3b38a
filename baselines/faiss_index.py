"""Nearest neighbours of unit vectors with whatever index a FAISS factory string names. Called by `indexes.make`, and by
`index_trial` in a process of its own; so it imports no torch.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from baselines import faiss_counts
from harness.contract.problems import meant
from harness.contract.retriever import Ranking, Unsupported, padded
from harness.machine import compute, finite
from harness.machine.progress import say

FAULTS = (RuntimeError, MemoryError)  # what FAISS raises
CELLS, MEMBERS = "IVF*", 39
BITS, FEWEST, MOST = "x*", 3, 8  # of a codeword in PQ and RQ
WARNING = "WARNING "  # how FAISS's warnings on standard error begin
TOO_FEW = re.compile(r"(HNSW[01]|NSG[0-3]|(IVF|PQ|PCA)0)(?!\d)")  # FAISS takes some of these, and dies or hangs later
COMMON = {  # factory strings by their letters
    re.sub(r"\d", "", each).lower(): each
    for each in ("Flat", "HNSW32,Flat", "IVF64,Flat", "IVF64,PQ16", "PQ16", "SQ8", "LSH", "NSG32,Flat")
} | {"hnsw": "HNSW32,Flat", "ivf": "IVF64,Flat", "nsg": "NSG32,Flat"}
SETTINGS = ("nprobe", "efSearch", "efConstruction", "k_factor_rf", "ht", "max_codes", "quantizer_efSearch")


def for_gallery(factory: str, count: int) -> str:
    """With numbers in place of stars. `IVF*`: 4 √n cells, but no more than there are vectors to learn from, as a power
    of two; FAISS advises both. `PQ32x*`: 8 bits, or as many as there are vectors to make codewords of.
    """
    cells = min(4 * math.sqrt(count), count / MEMBERS)
    factory = factory.replace(CELLS, f"IVF{1 << math.floor(math.log2(max(1, cells)))}")
    return factory.replace(BITS, f"x{min(MOST, max(FEWEST, math.floor(math.log2(max(1, count)))))}")


class FaissIndex:
    """Any factory string, such as `Flat`, `HNSW32,Flat` or `OPQ16,IVF*,PQ16`, with its search settings."""

    def __init__(self, factory: str, settings: Mapping[str, int]) -> None:
        self.factory = factory
        self.settings = dict(settings)
        self.index: Any = None
        self.placed: Any = None  # the same on a GPU, where one is used
        self.resources: Any = None  # of the GPU: they have to last as long
        self.similarity: Callable[[np.ndarray], np.ndarray] = np.asarray  # of what FAISS measures
        self.distances = 0  # computed since the last reset
        self.untold: int | None = None  # those of every query that FAISS doesn't note: see `faiss_counts`

    def build(self, vectors: np.ndarray, quick: bool = False) -> None:
        """`quick`: to see whether it can be built at all, with far less training."""
        vectors = self._checked(vectors)
        self.begin(*vectors.shape[::-1])
        if quick:
            _hurry(self.index)
        if len(vectors):
            try:
                with _gathered_warnings(self.factory):
                    self.index.train(vectors)
                    self.index.add(vectors)
            except FAULTS as error:
                raise ValueError(
                    f"index {self.factory!r} can't be built from {len(vectors)} vectors{words(error)}; "
                    "use fewer cells or codes, or a larger gallery"
                ) from error
        self._place()

    def begin(self, dim: int, count: int) -> None:
        """An empty index for so many vectors. By inner product, or by L2 distance where FAISS knows no other or a PCA
        subtracts a mean: of unit vectors both give the same order."""
        faiss = compute.faiss()
        for metric in (faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2):
            try:
                self.index = faiss.index_factory(dim, for_gallery(self.factory, count), metric)
            except FAULTS as error:
                problem = error
                continue
            if metric == faiss.METRIC_L2 or not _centres(self.index):
                if "ht" not in self.settings:
                    _leave_unsorted(self.index)
                return
        raise ValueError(
            f"index {self.factory!r}: FAISS knows no such factory string for vectors of dimension {dim}"
            f"{words(problem)}{_meant(self.factory)}; write `exact`, `Flat`, `HNSW32,Flat` or `IVF64,Flat`, say"
        ) from problem

    def add(self, vectors: np.ndarray) -> None:
        if self.index is None or not self.index.is_trained:
            self.build(vectors)
            return
        try:
            with _gathered_warnings(self.factory):
                self.index.add(self._checked(vectors))
        except FAULTS as error:
            raise Unsupported(
                f"index {self.factory!r} takes no later vectors{words(error)}: index the whole gallery again"
            ) from error
        self._place()

    def _checked(self, vectors: np.ndarray) -> np.ndarray:
        """The store can't check FAISS's files for NaN: vectors are checked before they go in."""
        finite.require(vectors, f"index {self.factory!r}")
        return np.ascontiguousarray(vectors, np.float32)

    def search(self, queries: np.ndarray, k: int) -> Ranking:
        count = len(queries)
        if not count or self.index is None or not self.index.ntotal:
            return padded(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), count, k)
        index = self.index if self.placed is None else self.placed
        before = faiss_counts.told()
        found, ids = index.search(np.ascontiguousarray(queries, np.float32), min(k, self.index.ntotal))
        self.distances += faiss_counts.told() - before + count * (self.untold or 0)
        return padded(ids, self.similarity(found), count, k)

    def save(self, folder: Path) -> None:
        compute.faiss().write_index(self.index, str(folder / "index.faiss"))

    def load(self, folder: Path) -> None:
        self.index = compute.faiss().read_index(str(folder / "index.faiss"))
        self._place()

    def sizes(self) -> tuple[int, int]:
        """Bytes that grow with the gallery, and those of the trained index without any vector."""
        if self.index is None:
            return 0, 0
        faiss = compute.faiss()
        whole = faiss.serialize_index(self.index)
        empty = faiss.deserialize_index(whole)
        try:
            empty.reset()
        except RuntimeError:  # it can't be emptied: all of it counts as growing
            return int(whole.nbytes), 0
        constant = int(faiss.serialize_index(empty).nbytes)
        return int(whole.nbytes) - constant, constant

    def size(self) -> int:
        return 0 if self.index is None else int(self.index.ntotal)

    def cells(self) -> int:
        """Cells of an inverted file: the largest `nprobe`."""
        return int(compute.faiss().extract_index_ivf(self.index).nlist)

    def counts(self) -> dict[str, int]:
        """Nothing where FAISS doesn't tell, as on a GPU."""
        return {} if self.untold is None else {"distances": self.distances}

    def reset_counts(self) -> None:
        self.distances = 0

    def change(self, name: str, value: int) -> None:
        """Change a search setting."""
        self.settings[name] = value
        self.settle()

    def engine(self) -> str:
        return "faiss on cpu" if self.placed is None else "faiss on cuda"

    def _place(self) -> None:
        """On the GPU, where there is one, faiss was built for it, and it knows this kind of index."""
        faiss = compute.faiss()
        self.placed, self.similarity = None, _similarity(self.index)
        if compute.current().device == "cuda" and on_gpu():
            with suppress(RuntimeError):  # HNSW, say: it stays where it is
                self.resources = faiss.StandardGpuResources()
                self.placed = faiss.index_cpu_to_gpu(self.resources, 0, self.index)
        self.untold = None if self.placed is not None else faiss_counts.untold(self.index)
        self.settle()

    def settle(self) -> None:
        """Search settings by their FAISS names: nprobe, efSearch, …"""
        faiss = compute.faiss()
        for space, index in ((faiss.ParameterSpace, self.index), ("GpuParameterSpace", self.placed)):
            if index is None:
                continue
            made = getattr(faiss, space)() if isinstance(space, str) else space()
            for name, value in self.settings.items():
                try:
                    made.set_index_parameter(index, name, value)
                except RuntimeError as error:
                    raise ValueError(
                        f"search setting {name}: {value}: index {self.factory!r} has no such setting{words(error)}"
                        f"{'' if name in SETTINGS else meant(name, SETTINGS)}; HNSW takes efSearch, IVF takes nprobe"
                    ) from error


def refuse(factory: str, settings: Mapping[str, int]) -> None:
    """Raise a ValueError for what is wrong with the string and settings as written."""
    if factory == "exact" and settings:
        raise ValueError(f"index exact searches everything: it takes no setting, found {dict(settings)}")
    few = TOO_FEW.search(factory)
    if few:
        raise ValueError(f"index {factory!r}: {few[0]} asks for too few; write a larger number")
    for name, value in settings.items():
        if name.endswith(("nprobe", "efSearch")) and value < 1:
            raise ValueError(f"search setting {name}: {value}: it looks at nothing; write a number from 1 up")


def on_gpu() -> bool:
    """Whether this faiss was built for GPUs and sees one."""
    return bool(getattr(compute.faiss(), "get_num_gpus", int)())


def _inside(index: Any) -> Any:
    """The index that computes the distances, below transformations and refinements."""
    faiss = compute.faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return _inside(index.index)
    return _inside(index.refine_index) if isinstance(index, faiss.IndexRefine) else index


def _similarity(index: Any) -> Callable[[np.ndarray], np.ndarray]:
    """From an index's distances of unit vectors to cosines. Some are no cosines, yet in order: PCAW measures in scaled
    directions, and LSH has only the number of bits that differ.
    """
    faiss, inner = compute.faiss(), _inside(index)
    if inner.metric_type == faiss.METRIC_INNER_PRODUCT:
        return np.asarray
    return np.negative if isinstance(inner, faiss.IndexLSH) else lambda distances: 1 - distances / 2


def _parts(index: Any) -> Iterator[Any]:
    """An index and those that it is made of, each as what it is."""
    index = compute.faiss().downcast_index(index)
    yield index
    for name in ("index", "storage", "base_index", "refine_index"):
        if getattr(index, name, None) is not None:
            yield from _parts(getattr(index, name))


def _transforms(index: Any) -> Iterator[Any]:
    """Those of vectors, wherever in the index they stand."""
    faiss = compute.faiss()
    for part in _parts(index):
        if isinstance(part, faiss.IndexPreTransform):
            yield from (faiss.downcast_VectorTransform(part.chain.at(place)) for place in range(part.chain.size()))


def _centres(index: Any) -> bool:
    """Whether a PCA subtracts the candidates' mean, from queries too: distances stay, inner products don't.

    In a quantiser it only chooses cells: that is let be.
    """
    return any(isinstance(each, compute.faiss().PCAMatrix) for each in _transforms(index))


def _leave_unsorted(index: Any) -> None:
    """PQ's codewords in any order. FAISS spends minutes on one that only a search with `ht` makes use of."""
    for part in _parts(index):
        if hasattr(part, "do_polysemous_training"):
            part.do_polysemous_training = False


def _hurry(index: Any) -> None:
    """Leave out most of what takes OPQ, PQ and LSQ minutes."""
    faiss = compute.faiss()
    _leave_unsorted(index)
    for transform in _transforms(index):
        if isinstance(transform, faiss.OPQMatrix):
            transform.niter = transform.niter_pq = transform.niter_pq_0 = 1
    for part in _parts(index):
        quantizer = getattr(part, "lsq", None)
        if quantizer is not None:
            quantizer.train_iters = quantizer.train_ils_iters = quantizer.encode_ils_iters = 1


def words(error: Exception) -> str:
    """FAISS's words on the cause, without its function names and source files; often there are none."""
    _, cause, said = str(error).strip().rpartition(": Error: ")
    return f" ({said.splitlines()[0][:160]})" if cause else ""


def _meant(factory: str) -> str:
    """Which factory string was probably meant, by its letters."""
    close = difflib.get_close_matches(re.sub(r"\d", "", factory).lower()[:100], COMMON, 1, 0.7)
    return f" (did you mean '{COMMON[close[0]]}'?)" if close else ""


@contextmanager
def _gathered_warnings(factory: str) -> Iterator[None]:
    """FAISS writes its warnings to standard error, one for each part that it trains: they become one line."""
    sys.stderr.flush()
    try:
        real = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            file.seek(0)
            written = file.read().decode(errors="replace").splitlines()
            others = [line for line in written if not line.startswith(WARNING)]
            os.write(2, "".join(f"{line}\n" for line in others).encode())
            found = [line.removeprefix(WARNING).strip() for line in written if line.startswith(WARNING)]
            if found:
                times = f" ({len(found)} times)" if len(found) > 1 else ""
                say(f"    index {factory!r}: FAISS warns: {'; '.join(dict.fromkeys(found))}{times}")
