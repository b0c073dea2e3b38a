"""Index strings are tried in a process of their own: the worst end in a sentence, and this process lives on."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from kit import Kit

from baselines import index_trial
from baselines.dual_tower import DualTower
from baselines.index_trial import problem
from baselines.settings import DualTowerSettings


@pytest.mark.parametrize("factory", ["PQ4x0", "RR0,Flat", "LSQ4x0"])
def test_what_kills_its_process_is_told(factory: str) -> None:
    found = problem({"index": factory})
    assert found is not None
    assert found.startswith(f"index {factory!r}: FAISS crashed in a trial with 400 vectors (signal ")


@pytest.mark.parametrize("factory", ["HNSW0,Flat", "HNSW1", "NSG3,Flat", "IVF0,Flat"])
def test_what_would_hang_is_refused_unread(factory: str) -> None:
    assert "asks for too few" in str(problem({"index": factory}))


@pytest.mark.timeout(60)
def test_a_trial_has_a_time_limit() -> None:
    assert "took more than 0.01 s" in str(problem({"index": "PLSQ2x8x8"}, limit_s=0.01))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"index": "hnsw"}, "did you mean 'HNSW32,Flat'?"),
        ({"index": "HNSW32,Flat", "search": {"efsearch": 64}}, "did you mean 'efSearch'?"),
        ({"index": "IVF64,Flat", "search": {"nprobes": 4}}, "did you mean 'nprobe'?"),
        ({"index": "IVF4096,Flat", "search": {"efSearch": 4}}, "no such setting"),
        ({"index": "exact", "search": {"nprobe": 4}}, "takes no setting"),
        ({"index": "HNSW32,Flat", "search": {"efSearch": 0}}, "from 1 up"),
        ({"index": "HNSW32,Flat", "search": {"k_factor_rf": 10**400}}, "can't be tried"),
        ({"index": "PQ8", "tune": {"recall": 0.9}}, "no setting to tune"),
        ({"index": "IDMap,Flat"}, "can't be built"),
        ({"index": "ZnLattice2x4_4"}, "can't be kept in a file"),
    ],
)
def test_mistakes_are_found_without_an_encoder(arguments: dict, words: str) -> None:
    assert words in str(problem(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        *[{"index": factory} for factory in ("exact", "Flat", "LSH", "PQ5", "PCA256,Flat", "IVF4096,Flat", "PQ4x12")],
        {"index": "HNSW32,Flat", "search": {"efSearch": 64}},
        {"index": "IVF64,PQ16,RFlat", "search": {"nprobe": 8, "k_factor_rf": 4}},
        {"index": "HNSW32,Flat", "tune": {"recall": 0.99}},
        {},
    ],
)
def test_what_some_encoder_and_gallery_could_use_is_no_problem(arguments: dict) -> None:
    assert problem(arguments) is None


def test_a_verdict_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = problem({"index": "LSQ4x0"})
    monkeypatch.setattr(index_trial.subprocess, "run", None)
    assert problem({"index": "LSQ4x0"}) == first


def test_a_trial_imports_no_torch() -> None:
    code = (
        "import sys; from baselines.index_trial import problem; problem({'index': 'HNSW32,Flat'}); "
        "assert 'torch' not in sys.modules and 'faiss' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dual_tower_tries_a_string_before_it_relies_on_it(tiny) -> None:
    kit: Kit = tiny("audio")
    retriever = DualTower(DualTowerSettings(index="RR0,Flat"), encoder=kit.encoder, seed=0)
    with pytest.raises(ValueError, match="FAISS crashed in a trial with 40 vectors"):
        retriever.index(kit.test("text-audio").candidates)
    retriever = DualTower(DualTowerSettings(index="LSH"), encoder=kit.encoder, seed=0)
    retriever.index(kit.test("text-audio").candidates)
    assert retriever.search(kit.test("text-audio").queries, 5).ids.min() >= 0
    growing, _, constant = retriever.footprint()
    assert growing == 40 * 2 and 0 < constant < 200, "16 bits a vector"


def test_a_system_without_a_limit_of_memory_tries_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refused(what: int, limits: tuple[int, int]) -> None:
        asked.append(what)
        if what == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refused)
    index_trial._limited()
    assert resource.RLIMIT_AS in asked
