"""The interface of all identifier schemes, and the statistics of any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cart.identifiers import unique
from cart.trie import keys
from harness.contract.retriever import Unsupported
from harness.machine import finite


@dataclass(frozen=True)
class Identifiers:
    """One identifier a candidate, all of the same length, no two the same."""

    tokens: np.ndarray  # int32 [N, levels]
    sizes: tuple[int, ...]  # the vocabulary of each level
    statistics: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)


class Scheme(ABC):
    """Turns embeddings into codes. `counted`: a counter follows, to distinguish equal codes."""

    counted: ClassVar[bool] = True
    sizes: tuple[int, ...]  # of the codes, known once fitted

    def fit(self, embeddings: np.ndarray) -> Identifiers:
        """Learn whatever the scheme learns from these candidates, and name them."""
        embeddings = checked(embeddings)
        codes = self.learn(embeddings)
        tokens, sizes = unique.separate(codes, self.sizes) if self.counted else (codes, self.sizes)
        found = {**statistics(codes, self.sizes), **self.quality(embeddings, codes)}
        return Identifiers(tokens, sizes, found)

    def extend(self, identifiers: Identifiers, embeddings: np.ndarray) -> Identifiers:
        """The same identifiers, then those of new candidates; codebooks stay as they are."""
        if not len(embeddings):
            return identifiers
        fresh = self.assign(embeddings, len(identifiers))
        width = len(self.sizes)
        codes = np.concatenate([identifiers.tokens[:, :width], fresh])
        # Counters are given in the order of rows, so those of the old candidates come out as they were.
        tokens, sizes = unique.separate(codes, self.sizes) if self.counted else (codes, self.sizes)
        sizes = tuple(max(pair) for pair in zip(sizes, identifiers.sizes, strict=True))
        return Identifiers(tokens, sizes, {**identifiers.statistics, **statistics(codes, self.sizes)})

    def assign(self, embeddings: np.ndarray, known: int = 0) -> np.ndarray:
        """int32 [n, levels]: codes of new candidates, without the counter; `known` candidates came before them."""
        return self.codes(checked(embeddings), known)

    def quality(self, embeddings: np.ndarray, codes: np.ndarray) -> dict[str, Any]:
        """The reconstruction error of the codes, as a share of the variance."""
        rebuilt = self.decode(codes)
        if rebuilt is None:
            return {}
        spread = float(np.square(embeddings - embeddings.mean(axis=0)).sum())
        lost = float(np.square(embeddings - rebuilt).sum())
        return {"reconstruction_error": lost / spread if spread > 1e-12 * len(embeddings) else 0.0}

    @abstractmethod
    def learn(self, embeddings: np.ndarray) -> np.ndarray:
        """int32 [N, levels]: fit, settle `sizes`, and give every candidate its codes."""

    def codes(self, embeddings: np.ndarray, known: int) -> np.ndarray:
        raise Unsupported(f"{type(self).__name__} identifiers name no new candidates: index the whole gallery again")

    def decode(self, codes: np.ndarray) -> np.ndarray | None:
        """float32 [n, d]: the vector of a prefix of codes [n, any number of levels], if it has one."""
        return None

    def codewords(self) -> list[np.ndarray] | None:
        """[size, d] for each level, where `decode` is a constant + the sum of a prefix's codewords."""
        return None

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learnt; the mirror of `restore`."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, np.ndarray], sizes: Sequence[int]) -> None: ...


def checked(embeddings: np.ndarray) -> np.ndarray:
    embeddings = np.ascontiguousarray(embeddings, np.float32)
    if embeddings.ndim != 2 or not embeddings.size:
        raise ValueError(f"identifiers need at least one candidate with an embedding, found shape {embeddings.shape}")
    finite.require(embeddings, "the embeddings of candidates")
    return embeddings


def statistics(codes: np.ndarray, sizes: Sequence[int]) -> dict[str, Any]:
    """How many candidates share their codes, and how evenly each level's vocabulary is used."""
    _, members = np.unique(keys(codes, sizes), return_counts=True)
    levels = []
    for level, size in enumerate(sizes):
        share = np.bincount(codes[:, level], minlength=size) / len(codes)
        used = share[share > 0]
        perplexity = float(np.exp(-(used * np.log(used)).sum()))
        prefixes = len(np.unique(keys(codes[:, : level + 1], sizes[: level + 1])))
        balance = perplexity / min(size, len(codes))  # 1: all codes are used equally often
        levels.append(
            {"size": size, "used": len(used), "perplexity": perplexity, "balance": balance, "prefixes": prefixes}
        )
    return {
        "candidates": len(codes),
        "distinct": len(members),  # prefixes before the counter
        "colliding": int(members[members > 1].sum()),  # candidates that share theirs with another
        "largest": int(members.max()),  # candidates of the most crowded prefix
        "levels": levels,
    }
