"""Whole runs: what they leave behind, that they resume, that nothing finished is redone, lost, or trusted blindly."""

from __future__ import annotations

import csv
import gzip
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harm import no_file_above
from PIL import Image
from runs import TINY, command, environment, harness, records, results

KILLS = 4


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(TINY + "compare_to: hnsw\n")
    return path


@pytest.fixture(scope="module")
def undisturbed(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The run folder and the cache of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = harness(folder / "cache", "run", suite, "--out", folder / "out", tables="all")
    assert done.returncode == 0, done.stderr
    return folder / "out", folder / "cache"


def test_leaves_all_that_report_and_gate_need(undisturbed: tuple[Path, Path]) -> None:
    out, _ = undisturbed
    assert len(records(out)) == 8
    for name in ("suite.yaml", "run.json", "tables/main.md", "tables/main.csv"):
        assert (out / name).stat().st_size > 0, name
    drawn = (out / "plots/recall-rate.svg").read_text()
    ElementTree.fromstring(drawn)
    contestants = {each["retriever"] for each in records(out).values() if each["paradigm"] != "control"}
    assert contestants and all(f"{name} (" in drawn for name in contestants), "each says what it is on hover"
    assert "answers-sounds-test-text-audio" in (out / "report.html").read_text(), "and its answers can be looked at"
    with Image.open(out / "plots/recall-rate.png") as picture:
        assert picture.convert("L").getextrema()[0] < 100 < picture.width, "something is drawn"
    page = json.loads(gzip.decompress((out / "tasks/sounds_test_text-audio.json.gz").read_bytes()))
    assert len(page["queries"]["texts"]) == len(page["positives"]) == len(page["cluster"]) == 120
    assert len(page["candidates"]["names"]) == 24
    journal = json.loads((out / "run.json").read_text())
    assert journal["sessions"][0]["exit"] == 0 and journal["compare_to"] == "hnsw"
    assert "## sounds/test/text-audio, against hnsw" in (out / "tables/against.md").read_text()


def test_records_hold_what_the_contract_says(undisturbed: tuple[Path, Path]) -> None:
    record = records(undisturbed[0])["sounds_test_text-audio.dual.0"]
    assert record["status"] == "ok" and record["paradigm"] == "dual-tower" and record["schema_version"] == 1
    assert record["data"]["generated"] and record["data"]["items"] == 24 and record["data"]["queries"] == 120
    assert 0.9 < record["data"]["ceiling"] <= 1
    metric = record["metrics"]["hit@1"]
    assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    assert len(record["speed"]["offline"]["qps"]["rounds"]) == 2
    assert {"encode", "search"} <= record["speed"]["offline"]["stages"].keys()
    assert record["speed"]["single"]["p50_ms"] > 0
    encoder = record["cost"]["artifacts"]["encoder audio"]
    assert encoder["phase"] == "fit" and 0 < encoder["s"] <= record["cost"]["fit_s"]
    assert record["cost"]["index_bytes"] == 24 * 16 * 4


def test_controls_are_where_they_must_be(undisturbed: tuple[Path, Path]) -> None:
    found = records(undisturbed[0])
    assert found["sounds_test_text-audio.oracle.0"]["metrics"]["hit@1"]["value"] == 1.0
    assert found["sounds_test_text-audio.random.0"]["metrics"]["hit@1"]["value"] < 0.2


def test_reuse_keeps_the_timing_and_says_so(suite: Path, undisturbed: tuple[Path, Path]) -> None:
    out, cache = undisturbed
    before = {name: record["speed"] for name, record in records(out).items()}
    again = harness(cache, "run", suite, "--out", out)
    assert again.returncode == 0
    assert {name: record["speed"] for name, record in records(out).items()} == before
    assert "timing reused" in again.stdout
    assert "8 reused" in again.stderr


def test_reuse_of_artifacts_hides_no_cost(suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    out, cache = undisturbed
    assert harness(cache, "run", suite, "--out", tmp_path).returncode == 0
    for name, record in records(tmp_path).items():
        assert record["cost"] == records(out)[name]["cost"]
    assert results(tmp_path) == results(out)


def test_other_threads_have_the_contest_timed_anew(suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    _, cache = undisturbed
    found = []
    for threads in (1, 2):
        arguments = ["run", suite, "--out", tmp_path, "--only", "sounds/*.random.0", "--threads", threads]
        assert harness(cache, *arguments).returncode == 0
        found.append(records(tmp_path)["sounds_test_text-audio.random.0"])
    assert [each["environment"]["threads"] for each in found] == [1, 2]
    assert found[0]["speed"]["session"] != found[1]["speed"]["session"]
    assert found[0]["metrics"] == found[1]["metrics"]


def test_a_split_that_is_asked_is_not_warmed_up_with(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    _, cache = undisturbed
    suite = tmp_path / "tiny.yaml"
    suite.write_text(
        TINY.replace("{dataset: sounds, encoder: audio}", "{dataset: sounds, encoder: audio, split: validation}")
    )
    arguments = ["run", suite, "--out", tmp_path / "out", "--only", "sounds/*.random.0,pictures/*.random.0"]
    assert harness(cache, *arguments).returncode == 0
    warm_up = {name: record["speed"]["offline"]["warm_up"] for name, record in records(tmp_path / "out").items()}
    assert warm_up == {
        "sounds_validation_text-audio.random.0": "train",
        "pictures_test_text-image.random.0": "validation",
    }


def test_a_new_contestant_has_the_contest_timed_anew(undisturbed: tuple[Path, Path], tmp_path: Path) -> None:
    _, cache = undisturbed
    suite = tmp_path / "tiny.yaml"
    suite.write_text(TINY)
    assert harness(cache, "run", suite, "--out", tmp_path / "out", "--only", "dual").returncode == 0
    first = records(tmp_path / "out")
    assert len(first) == 2
    assert harness(cache, "run", suite, "--out", tmp_path / "out").returncode == 0
    second = records(tmp_path / "out")
    assert len(second) == 8
    assert len({record["speed"]["session"] for record in second.values()}) == 1
    for name, record in first.items():
        assert second[name]["metrics"] == record["metrics"]


def test_killed_again_and_again_it_ends_as_if_nothing_had_been(
    suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    rng = random.Random(5)
    for _ in range(KILLS):
        process = subprocess.Popen(
            command("run", suite, "--out", tmp_path / "out"),
            env=environment(tmp_path / "cache"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(1.5, 6))
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "out") == results(undisturbed[0])


def test_interrupted_politely_it_says_how_to_go_on(suite: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("run", suite, "--out", tmp_path / "out"),
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in words and "Traceback" not in words


@pytest.mark.parametrize(
    "place",
    ["cache/encoder", "cache/embeddings", "cache/retriever", "out/records", "out/rankings", "out/tasks"],
)
def test_a_flipped_byte_is_found_and_mended(
    suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path, place: str
) -> None:
    out, cache = undisturbed
    subprocess.run(["cp", "-r", str(out), str(tmp_path / "out")], check=True)
    subprocess.run(["cp", "-r", str(cache), str(tmp_path / "cache")], check=True)
    files = [path for path in sorted((tmp_path / place).rglob("*")) if path.is_file() and path.stat().st_size > 200]
    victims = [path for path in files if path.name != "manifest.json"] or files
    for path in victims:
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 0x10
        path.write_bytes(bytes(damaged))
    if place.startswith("cache"):  # artifacts are read where a cell is measured
        shutil.rmtree(tmp_path / "out/records")
    if place == "cache/embeddings":  # they are read only where something is made from them
        shutil.rmtree(tmp_path / "cache/retriever")
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "altered" in done.stderr or "no readable JSON" in done.stderr
    assert victims[0].name in done.stderr
    assert results(tmp_path / "out") == results(out)


def test_fresh_makes_anew_what_the_named_cells_need_and_nothing_else(
    suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    def made() -> dict[str, int]:
        folders = [path for kind in ("encoder", "embeddings", "retriever") for path in (tmp_path / kind).iterdir()]
        return {str(path): path.stat().st_ino for path in folders}

    out, cache = undisturbed
    subprocess.run(["cp", "-r", *map(str, cache.iterdir()), str(tmp_path)], check=True)
    before = made()
    arguments = ["--out", tmp_path / "out", "--fresh", "--only", "sounds/test/text-audio.dual.0"]
    done = harness(tmp_path, "run", suite, *arguments)
    assert done.returncode == 0, done.stderr
    after = made()
    assert after.keys() == before.keys()
    anew = {Path(path).parent.name for path in before if before[path] != after[path]}
    assert anew == {"encoder", "embeddings", "retriever"}
    assert sum(before[path] != after[path] for path in before) == 3, "the encoder, once; its vectors; the retriever"
    assert results(tmp_path / "out") == {
        name: found for name, found in results(out).items() if name == "sounds_test_text-audio.dual.0"
    }


def test_a_full_disk_stops_the_run_at_once_and_what_is_finished_is_kept(
    suite: Path, undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    """The encoder takes more than a file may hold here: it is trained once, and the cells before it stay done."""
    done = subprocess.run(
        command("run", suite, "--out", tmp_path / "out"),
        env=environment(tmp_path / "cache"),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: no_file_above(1 << 20),
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"make room: {tmp_path / 'cache'} has ") and "encoder audio needs more" in last
    assert "run the same command to go on" in last and "failed" not in done.stderr
    assert harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out").returncode == 0
    assert results(tmp_path / "out") == results(undisturbed[0])


DIVERGED = """
name: diverged
datasets: {sounds: {kind: soundscapes, train: 48, validation: 16, test: 24}}
encoders: {audio: {kind: python, target: "tests.fixtures.diverging:Diverging"}}
tasks: [{dataset: sounds, encoder: audio}]
retrievers: {dual: {kind: dual_tower}, hnsw: {kind: dual_tower, index: "HNSW8,Flat"}, random: {kind: random}}
"""


def test_an_encoder_that_diverges_is_trained_once_and_named_by_all_who_need_it(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(DIVERGED)
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    found = records(tmp_path / "out")
    assert done.returncode == 1
    assert {name.split(".")[1]: each["status"] for name, each in found.items()} == {
        "dual": "failed",
        "hnsw": "failed",
        "random": "ok",
    }
    for name in ("dual", "hnsw"):
        reason = found[f"sounds_test_text-audio.{name}.0"]["reason"]
        assert "training the diverging encoder: the loss is nan at step 8 of 20" in reason
    assert "encoder audio failed before" in done.stderr
    assert not list((tmp_path / "cache" / "encoder").glob("[!.]*")), "nothing of it is stored"


def test_two_runs_do_not_write_into_one_folder(suite: Path, tmp_path: Path) -> None:
    first = subprocess.Popen(
        command("run", suite, "--out", tmp_path / "out"),
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stderr is not None
    first.stderr.readline()
    second = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out")
    first.kill()
    first.wait(20)
    assert second.returncode == 2
    assert "another run is writing here" in second.stderr


def test_half_of_a_run_timed_later_says_so_or_is_timed_anew(suite: Path, tmp_path: Path) -> None:
    """Another contestant has all of its contest timed anew; another task's rates keep their session, and say so."""
    cache, out, whole = tmp_path / "cache", tmp_path / "out", ["run", suite, "--out", tmp_path / "out"]
    assert harness(cache, *whole, "--only", "sounds/*,pictures/*.dual.0").returncode == 0
    first = {name: record["speed"]["session"] for name, record in records(out).items()}
    assert len(first) == 5 and len(set(first.values())) == 1
    done = harness(cache, *whole)
    assert done.returncode == 0, done.stderr
    second = {name: record["speed"]["session"] for name, record in records(out).items()}
    (today,) = set(first.values())
    tomorrow = set(second.values()) - {today}
    assert len(second) == 8 and len(tomorrow) == 1
    assert {name for name, session in second.items() if session == today} == {n for n in second if "sounds" in n}
    rows = [line for line in (out / "tables/main.md").read_text().splitlines() if line.startswith("| ")]
    assert ["timing reused" in line for line in rows if "retriever" not in line] == [True] * 4 + [False] * 4
    with (out / "tables/main.csv").open() as stream:
        told = {(row["task"], row["retriever"]): row["session"] for row in csv.DictReader(stream)}
    assert told["sounds/test/text-audio", "dual"] == today != told["pictures/test/text-image", "dual"]
