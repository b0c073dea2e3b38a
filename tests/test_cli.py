"""The command line: quick to start, kind to mistakes, its exit codes as promised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from folders import add, write_page
from malformed import CASES
from runs import ROOT, TINY, command, environment, harness

from harness import cli
from harness.machine.escaping import line
from harness.store.run_folder import RunFolder


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "suites/audio.yaml"], ["list"]])
def test_starts_without_torch(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom harness import cli\n"
        f"try: cli.main({arguments!r})\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules or 'faiss' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_windows_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="this is Windows; expected Linux"):
        cli.entry()


@pytest.mark.parametrize("verb", ["run", "plan"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_suites_end_in_exit_code_2(
    verb: str, case: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = case.write(tmp_path)  # type: ignore[attr-defined]
    code = cli.main([verb, str(path), "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert code == 2
    assert line(path.name) in said.err and "Traceback" not in said.err
    assert said.out == ""
    assert not (tmp_path / "out").exists()


def test_the_suites_of_this_project_can_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suites = sorted((ROOT / "suites").glob("*.yaml"))
    assert len(suites) >= 4
    for suite in suites:
        assert cli.main(["plan", str(suite), "--out", str(tmp_path), "--data", str(tmp_path)]) == 0
        assert "to do" in capsys.readouterr().out


def test_real_datasets_say_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["plan", str(ROOT / "suites/audio.yaml"), "--out", str(tmp_path), "--data", str(tmp_path)])
    said = capsys.readouterr().out
    assert "Zenodo" in said and str(tmp_path / "clotho") in said


def test_strict_ends_with_3_when_something_is_unavailable(tmp_path: Path) -> None:
    suite = tmp_path / "tiny.yaml"
    suite.write_text(TINY.replace("- {dataset: pictures, encoder: image}", "- {dataset: clotho, encoder: audio}"))
    out = ["--out", tmp_path / "out", "--data", tmp_path, "--only", "random"]
    done = harness(tmp_path / "cache", "run", suite, *out, "--strict")
    assert done.returncode == 3, done.stderr
    assert "unavailable" in done.stdout and "Zenodo" in done.stdout
    assert harness(tmp_path / "cache", "run", suite, *out).returncode == 0


def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    suite = tmp_path / "tiny.yaml"
    suite.write_text(TINY.replace('"HNSW8,Flat", search: {efSearch: 8}', '"PQ4"'))
    done = harness(tmp_path / "cache", "run", suite, "--out", tmp_path / "out", "--only", "sounds/*")
    assert done.returncode == 1
    assert "hnsw: failed" in done.stdout and "'PQ4' can't be built from 24 vectors" in done.stdout
    assert "oracle" in done.stdout
    assert (tmp_path / "out/rankings/sounds_test_text-audio.dual.0.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "nowhere"], "no run's folder"),
        (["export", "nowhere", "--trec", "there"], "no run's folder"),
        (["run", "suites/smoke.yaml", "--only", "dual-exat"], "dual-exact"),
        (["run", "suites/smoke.yaml", "--out", "/proc/nowhere"], "name another folder"),
    ],
)
def test_bad_requests_end_in_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_report_that_can_not_be_written_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    add(folder)
    (tmp_path / "tables").write_text("in the way")
    assert cli.main(["report", str(tmp_path)]) == 1
    assert f"{tmp_path / 'tables'}: File exists" in capsys.readouterr().err


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    suite = tmp_path / "tiny.yaml"
    suite.write_text(TINY)
    done = subprocess.run(
        command("run", suite, "--out", tmp_path / "out", "--device", "cuda"),
        env={**environment(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "--device cpu" in done.stderr


def test_threads_must_be_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", "suites/smoke.yaml", "--threads", "0"])
    assert stopped.value.code == 2
    assert "expected 1 to 1024" in capsys.readouterr().err
