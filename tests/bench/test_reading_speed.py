"""How fast a hundred thousand rows of annotations are read and checked."""

from __future__ import annotations

import csv
import resource
import time
from pathlib import Path

from disk import HEADER, write
from runs import harness

from harness.data.datasets.audiocaps import AudioCaps

SUITE = """\
name: mine
datasets: {{mine: {{kind: manifest, path: {path}, modality: audio, columns: {{path: file, id: youtube_id}}}}}}
tasks: [{{dataset: mine}}]
retrievers: {{random: {{kind: random}}}}
"""


def test_audiocaps_is_read_in_three_seconds(tmp_path: Path) -> None:
    rows = (f"{number},id{number % 20_000:09d},{number % 600},Somebody says {number}" for number in range(100_000))
    write(tmp_path / "test.csv", "\r\n".join([HEADER, *rows]))
    begun = time.process_time()
    clips = AudioCaps(tmp_path).annotated("test").clips
    assert time.process_time() - begun < 3
    assert len(clips) == 20_000 and clips[7].captions[1] == "Somebody says 20007"


def test_a_manifest_is_checked_in_three_seconds(tmp_path: Path) -> None:
    """As AudioCaps has them: five captions a clip, not consecutive, ids that begin with a dash."""
    ids = [f"{'-' if number % 7 == 0 else 'x'}{number:010d}" for number in range(20_000)]
    for name in ids:
        (tmp_path / f"{name}.wav").touch()
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audiocap_id", "youtube_id", "start_time", "caption", "file", "split"])
        for number in range(100_000):
            name = ids[number % 20_000]
            split = "test" if number % 20_000 < 1000 else "train"
            writer.writerow([number, name, 30, f"A dog barks {number} times, and a man speaks", f"{name}.wav", split])
    (tmp_path / "suite.yaml").write_text(SUITE.format(path=tmp_path / "mine.csv"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = harness(tmp_path / "cache", "data", "check", "mine", "--suite", tmp_path / "suite.yaml")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train: 19,000 items, 95,000 captions" in done.stdout and "test: 1,000 items, 5,000 captions" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
