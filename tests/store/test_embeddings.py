"""Vectors are written part by part: flat in memory, taken up after a kill, the same however often that happened."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harm import flip

from harness.contract.dataset import Contents
from harness.contract.instruments import Encoder
from harness.contract.store import Recipe
from harness.machine import files
from harness.store import embeddings
from harness.store.artifacts import Store

DIM, SIZE, PART = 8, 100, 16


class Numbers(Encoder):
    """The vector of n has the angle n / 100; it counts what it encodes, and falls where it is told to."""

    modalities = ("text", "image")

    def __init__(self, falls: int | None = None, dim: int = DIM) -> None:
        self.dim, self.falls = dim, falls
        self.encoded: list[int] = []

    def encode(self, contents: Contents) -> np.ndarray:
        asked = list(contents)
        if self.falls in asked:
            raise KeyboardInterrupt
        self.encoded += asked
        angles = np.array(asked, np.float32) / 100
        vectors = np.zeros((len(asked), self.dim), np.float32)
        vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
        return vectors

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


def numbers(size: int = SIZE) -> Contents:
    return Contents("image", int, np.arange(size), "numbers")


def numbered(vectors: np.ndarray) -> np.ndarray:
    """The number of each vector."""
    return np.rint(100 * np.arctan2(vectors[:, 1], vectors[:, 0]))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embeddings.PART, "image", PART)


def write(folder: Path, encoder: Encoder, contents: Contents | None = None) -> float:
    (folder / "out").mkdir(exist_ok=True)
    return embeddings.write(folder / "out", folder / "scratch", encoder, numbers() if contents is None else contents)


def read(folder: Path) -> np.ndarray:
    return np.load(folder / "out" / embeddings.FILE, mmap_mode="r", allow_pickle=False)


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, SIZE])
def test_what_is_written_is_what_was_encoded(tmp_path: Path, size: int) -> None:
    assert write(tmp_path, Numbers(), numbers(size)) == 0.0
    found = read(tmp_path)
    assert found.dtype == np.float32
    assert np.array_equal(found, Numbers().encode(numbers(size)).reshape(size, DIM))


def test_finished_parts_are_not_encoded_again(tmp_path: Path) -> None:
    for falls in (70, 90):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, Numbers(falls))
    last = Numbers()
    assert write(tmp_path, last) > 0, "and their seconds are told"
    assert last.encoded == list(range(80, 100))
    assert np.array_equal(numbered(read(tmp_path)), np.arange(SIZE))


@pytest.mark.parametrize("harm", ["cut", "other size", "other width", "no book", "odd book"])
def test_what_is_odd_is_begun_anew(tmp_path: Path, harm: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Numbers(70))
    path, book = tmp_path / "scratch" / embeddings.FILE, tmp_path / "scratch" / embeddings.BOOK
    size, encoder = SIZE, Numbers()
    if harm == "cut":
        os.truncate(path, 500)
    elif harm == "other size":
        size = SIZE - 1
    elif harm == "other width":
        encoder = Numbers(dim=DIM + 1)
    elif harm == "no book":
        book.unlink()
    else:
        files.write_sealed(book, b"[3]")
    write(tmp_path, encoder, numbers(size))
    assert encoder.encoded == list(range(size))
    assert np.array_equal(numbered(read(tmp_path)), np.arange(size))


@pytest.mark.parametrize(("row", "kept"), [(0, 0), (17, 16), (63, 48)])
def test_a_flipped_bit_is_found_and_encoded_again_from_there(
    tmp_path: Path, row: int, kept: int, messages: list[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Numbers(70))
    path = tmp_path / "scratch" / embeddings.FILE
    flip(path, path.stat().st_size - (64 - row) * DIM * 4)
    last = Numbers()
    write(tmp_path, last)
    assert last.encoded == list(range(kept, SIZE)), "from the last sound part"
    assert np.array_equal(numbered(read(tmp_path)), np.arange(SIZE))
    assert f"part {kept // PART + 1} of 4 was altered" in messages[0] and f"{kept // PART} sound parts" in messages[0]


def test_no_flipped_bit_in_the_book_goes_unseen(tmp_path: Path, messages: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Numbers(20))
    book = tmp_path / "scratch" / embeddings.BOOK
    sound = book.read_bytes()
    for place in range(len(sound)):
        book.write_bytes(sound)
        flip(book, place)
        with pytest.raises(ValueError, match="altered"):
            files.read_sealed(book)
    last = Numbers()
    write(tmp_path, last)
    assert last.encoded == list(range(SIZE)) and "altered" in messages[0]


def test_what_was_written_beyond_the_book_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Numbers(70))
    with (tmp_path / "scratch" / embeddings.FILE).open("ab") as stream:
        stream.write(b"half a row of a part that was cut off")
    write(tmp_path, Numbers())
    assert np.array_equal(numbered(read(tmp_path)), np.arange(SIZE))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_vectors_are_named_by_their_position_and_lose_nothing(tmp_path: Path, value: float) -> None:
    class Broken(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            found = super().encode(contents)
            found[numbered(found) == 50, 3] = value
            return found

    with pytest.raises(ValueError, match="1 of 16 vectors, the first at position 50: look at what stands there"):
        write(tmp_path, Broken())
    again = Numbers()
    write(tmp_path, again)
    assert again.encoded == list(range(48, SIZE)), "the parts before are kept"


def test_the_wrong_shape_is_told(tmp_path: Path) -> None:
    class Wide(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            return np.ones((len(contents) + 1, self.dim), np.float32)

    with pytest.raises(ValueError, match=r"shape \(17, 8\), expected \(16, 8\)"):
        write(tmp_path, Wide())


@pytest.mark.parametrize(("length", "words"), [(4.0, "4.0"), (0.5, "0.5"), (1.02, "1.02")])
def test_rows_of_another_length_are_named(tmp_path: Path, length: float, words: str) -> None:
    class Long(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            found = super().encode(contents)
            found[numbered(found) == 50] *= length
            return found

    with pytest.raises(ValueError, match=f"the encoder: row 50 has length {words}; expected 1; divide by its length"):
        write(tmp_path, Long())


@pytest.mark.parametrize("bits", [7, 10])
def test_half_precision_and_rows_of_zeros_pass(tmp_path: Path, bits: int) -> None:
    """bfloat16 keeps 7 bits of a number, float16 10. A text of unknown words alone has no direction."""

    class Coarse(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            fractions, exponents = np.frexp(super().encode(contents))
            found = np.ldexp(np.rint(fractions * 2 ** (bits + 1)) / 2 ** (bits + 1), exponents)
            found[numbered(found) == 50] = 0
            return found

    write(tmp_path, Coarse())
    lengths = np.linalg.norm(read(tmp_path), axis=1)
    assert lengths[50] == 0 and 1e-5 < np.abs(np.delete(lengths, 50) - 1).max() < 1e-2


def test_what_is_no_array_is_told(tmp_path: Path) -> None:
    class Listed(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            return super().encode(contents).tolist()  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"the encoder gave a list; expected a numpy array, float32 \[16, 8\]"):
        write(tmp_path, Listed())


RECIPE = Recipe("embeddings", "numbers", {"of": "numbers"})


def build(root: Path, falls: int | None, told: Any = None) -> dict[str, Any]:
    store, encoder = Store(root), Numbers(falls)

    def work(folder: Path) -> None:
        if told is not None:
            original = encoder.encode

            def killed(contents: Contents) -> np.ndarray:
                if falls is not None and falls in list(contents):
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(contents)

            encoder.encode = killed  # type: ignore[method-assign]
        store.carry(embeddings.write(folder, store.scratch(RECIPE), encoder, numbers()))

    artifact = store.make(RECIPE, work)
    found = np.load(artifact.folder / embeddings.FILE)
    return {"encoded": encoder.encoded, "vectors": found, "manifest": artifact.manifest, "root": root}


def test_killed_in_the_store_it_goes_on_where_it_was(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=build, args=(tmp_path, 70, True))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not list((tmp_path / "embeddings").glob("[!.]*"))
    done = build(tmp_path, None)
    assert done["encoded"] == list(range(64, SIZE))
    assert np.array_equal(numbered(done["vectors"]), np.arange(SIZE))
    spent = json.loads(json.dumps(done["manifest"]["seconds"]))
    assert spent["fit"] > 0
    assert not list((tmp_path / "unfinished").glob("*")), "nothing is left behind"


def peak(folder: Path, size: int, queue: Any) -> None:
    embeddings.PART["image"] = 512

    class Wide(Numbers):
        def encode(self, contents: Contents) -> np.ndarray:
            return np.full((len(contents), self.dim), self.dim**-0.5, np.float32)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write(folder, Wide(dim=1024), numbers(size))
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def test_memory_stays_flat(tmp_path: Path) -> None:
    """200 MB of vectors pass through a few."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=peak, args=(tmp_path, 50_000, queue))
    process.start()
    grown = queue.get(timeout=120)
    process.join(30)
    assert read(tmp_path).shape == (50_000, 1024)
    assert grown < 40
