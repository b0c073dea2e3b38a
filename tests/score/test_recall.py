"""Where a query has several right answers, finding one (hit) and finding all (recall) are two numbers, both shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_files import write_picture
from runs import harness, records

HEAD = """\
name: several
k: {k}
scenarios: {{offline: {{rounds: 1, cap_s: 5}}}}
datasets: {{mine: {dataset}}}
tasks: [{{dataset: mine, direction: [{direction}]}}]
retrievers: {{random: {{kind: random}}, oracle: {{kind: oracle}}}}
"""


def test_media_to_text_shows_hit_and_recall(tmp_path: Path) -> None:
    """Five captions an item: the best possible recall@1 is a fifth, while a hit@1 is a hit."""
    dataset = "{kind: soundscapes, train: 8, validation: 8, test: 20}"
    head = HEAD.format(k="[1, 5, 10]", dataset=dataset, direction="text-audio, audio-text")
    (tmp_path / "suite.yaml").write_text(head)
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = records(tmp_path / "out")
    data, metrics = (found["mine_test_audio-text.oracle.0"][part] for part in ("data", "metrics"))
    assert data["positives"] == 5 and data["queries"] == 20 and data["items"] == 100
    values = [metrics[f"{name}@{k}"]["value"] for name in ("hit", "recall") for k in (1, 5, 10)]
    assert values == pytest.approx([1, 1, 1, 0.2, 1, 1])
    chance = found["mine_test_audio-text.random.0"]["metrics"]
    assert chance["hit@10"]["value"] > 2 * chance["recall@10"]["value"] > 0
    blocks = (tmp_path / "out" / "tables" / "main.md").read_text().split("## ")
    assert "recall@" not in blocks[1]
    assert "hit@1 % | hit@5 % | hit@10 % | recall@1 % | recall@5 % | recall@10 %" in blocks[2]
    assert "| oracle | control | 100.0" in blocks[2] and "| 20.0" in blocks[2] and "5 right ones a query" in blocks[2]
    mirrored = done.stdout.split("mine/test/audio-text")[1]
    assert "recall@10 %" in mirrored, "of seven columns on a terminal"


def test_labels_show_hit_and_recall(tmp_path: Path) -> None:
    """Label → image: three right ones each, so that the best possible recall@1 is a third, recall@2 two thirds."""
    for number in range(6):
        write_picture(tmp_path / f"{number}.png", number)
    dataset = f"{{kind: manifest, path: {tmp_path / 'mine.csv'}, modality: image}}"
    head = HEAD.format(k="[1, 2]", dataset=dataset, direction="text-image, image-text")
    (tmp_path / "suite.yaml").write_text(head)
    rows = [f"{number}.png,{'even' if number % 2 == 0 else 'odd'}" for number in range(6)]
    (tmp_path / "mine.csv").write_text("\n".join(["path,label", *rows]))
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = records(tmp_path / "out")
    record = found["mine_test_text-image.oracle.0"]
    assert record["data"]["positives"] == 3 and record["data"]["queries"] == 2
    values = {name: record["metrics"][name]["value"] for name in ("hit@1", "hit@2", "recall@1", "recall@2")}
    assert values == pytest.approx({"hit@1": 1, "hit@2": 1, "recall@1": 1 / 3, "recall@2": 2 / 3})
    assert "positives" not in found["mine_test_image-text.oracle.0"]["data"]
    blocks = (tmp_path / "out" / "tables" / "main.md").read_text().split("## ")
    assert "hit@1 % | hit@2 % | recall@1 % | recall@2 %" in blocks[1] and "3 right ones a query" in blocks[1]
    assert "| oracle | control | 100.0" in blocks[1] and "| 33.3" in blocks[1] and "| 66.7" in blocks[1]
    assert "recall@" not in blocks[2] and "right ones a query" not in blocks[2]
