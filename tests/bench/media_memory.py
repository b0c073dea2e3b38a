"""By hand: how far memory rises while files are embedded, in this process and in all the workers.

    PYTHONPATH=.:tests/helpers python tests/bench/media_memory.py 20000 image|audio

Every file is decoded in a worker and embedded by a small encoder, as the builder does it, after a tenth to warm up.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from links import single
from media_files import write_picture, write_sound

from baselines.encoders.settings import SmallEncoderSettings
from baselines.encoders.small import SmallEncoder
from harness.contract.dataset import Pairs, texts
from harness.data import media
from harness.machine import compute

FILES = 100  # that many different ones; the others are links to them


def memory(process: int | str = "self") -> float:
    """MB resident now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def children() -> list[int]:
    me = os.getpid()
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == me:
            found.append(int(path.parent.name))
    return found


def total() -> float:
    return memory() + sum(memory(child) for child in children())


def paths(folder: Path, modality: str, count: int) -> list[Path]:
    made = []
    for number in range(count):
        path = folder / f"{number:06d}.{'jpg' if modality == 'image' else 'flac'}"
        if number >= FILES:
            os.link(made[number % FILES], path)
        elif modality == "image":
            write_picture(path, number)
        else:
            write_sound(path, 200 + number, seconds=4.0)
        made.append(path)
    return made


def main(count: int, modality: str) -> None:
    compute.configure("cpu", 1)
    with tempfile.TemporaryDirectory() as folder:
        contents = media.files(modality, paths(Path(folder), modality, count), "bench:all:items")  # type: ignore[arg-type]
        encoder = SmallEncoder(
            SmallEncoderSettings(steps=1, batch=16, dim=32, lr=1e-3, trained_on="tiny", patience=0), seed=0
        )
        few = Pairs(texts([f"thing {number}" for number in range(32)]), contents[:32], single(np.arange(32)))
        encoder.fit(few, few)
        warm = count // 10
        encoder.encode(contents[:warm])
        lasting, samples = threading.Event(), [total()]

        def look() -> None:
            while not lasting.wait(0.05):
                samples.append(total())

        watch = threading.Thread(target=look)
        watch.start()
        begun = time.monotonic()
        vectors = encoder.encode(contents)
        seconds = time.monotonic() - begun
        lasting.set()
        watch.join()
        tenths = [max(part) for part in np.array_split(np.array(samples), 10)]
        listed = " ".join(f"{each:.0f}" for each in tenths)
        sys.stdout.write(
            f"{len(vectors):,} {modality} files embedded in {seconds:.1f} s; {samples[0]:.0f} MB after the first "
            f"{warm:,}, then at most, tenth by tenth: {listed} MB (workers included)\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
