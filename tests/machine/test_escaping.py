"""What others wrote does nothing to a terminal, a table, a spreadsheet or a plot; and can be read all the same."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from fixtures.shouting import HIDDEN, WORDS
from folders import add, write_page
from hypothesis import given
from hypothesis import strategies as st
from media_files import write_sound
from runs import harness, records

from harness import cli, report
from harness.contract.problems import Problem
from harness.machine import escaping, progress
from harness.store.run_folder import RunFolder

TEXT = st.text(st.characters(codec=None))
NASTY = st.text(st.sampled_from(list("\x1b\x07\x9b\n\r\t\u202e\u200b\u2028\udc80\\|<>&;`$[](!*_ aé中")), max_size=30)
LINK = re.compile(r"(?<!\\)\]\(")
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def shows(text: str, breaks: str = "\n") -> bool:
    """Nothing in it acts on a terminal or hides: all the control characters are line breaks of ours."""
    return not any(unicodedata.category(letter) in INVISIBLE and letter not in breaks for letter in text)


@given(TEXT | NASTY)
def test_a_line_is_one_visible_line(text: str) -> None:
    line = escaping.line(text)
    assert shows(line, "")
    line.encode()
    assert escaping.line(line) == line
    if text.isprintable():
        assert line == text


@given(TEXT | NASTY)
def test_later_lines_are_never_lines_of_ours(text: str) -> None:
    first, *others = escaping.terminal(text).split("\n")
    assert shows(first, "") and all(shows(each, "") and each.startswith("    ") for each in others)


@given(st.lists(TEXT | NASTY, min_size=1, max_size=4))
def test_a_row_of_markdown_has_as_many_cells_as_it_was_given(cells: list[str]) -> None:
    row = escaping.row(cells)
    bare = re.sub(r"\\[\\|`*$\]]", "x", row)  # what is escaped is text, and parts what is beside it
    assert bare.count("|") == len(cells) + 1
    assert not re.search(r"[`<\n]|\]\(|\]\[", bare)


def test_backslash_and_bar_come_back() -> None:
    assert escaping.markdown("a\\|b") == "a\\\\\\|b"
    assert escaping.markdown("<b> &lt; R&D 3 & 4") == "&lt;b> &amp;lt; R&amp;D 3 & 4"
    assert escaping.markdown("60.2 [58.3, 62.1] dual@efSearch=16") == "60.2 [58.3, 62.1] dual@efSearch=16"


@given(TEXT | NASTY)
def test_no_field_of_a_csv_is_a_formula(text: str) -> None:
    for begun in ("", "=", "+", "-", "@", " ="):
        field = str(escaping.csv(begun + text))
        assert field.lstrip()[:1] not in ("=", "+", "-", "@")
        assert shows(field, "")
    assert escaping.csv(-0.5) == -0.5 and escaping.csv(None) is None


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Records that somebody else wrote."""
    made = RunFolder(tmp_path)
    write_page(made)
    add(made, 0, "_hidden$x$\\frac")
    add(made, 0, "=1+1|<b>" + HIDDEN, status="failed", reason=WORDS + HIDDEN, metrics={}, speed=None, cost=None)
    return made


def test_a_strangers_records_harm_no_report(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    rows = report.write(folder, "title\x1b[2J|<i>", folder.records()).rows
    report.show(rows, [1], None)
    told = capsys.readouterr().out
    assert shows(told) and "\\x1b[31mred" in told and "[red]rich[/red]" in told and ":smile:" in told
    for path in sorted((folder.root / "tables").glob("*.md")):
        text = path.read_text()
        assert shows(text) and "<b>" not in text and "<script" not in text and not LINK.search(text), path
    main = (folder.root / "tables" / "main.csv").read_text()
    assert shows(main)
    (failed,) = (row for row in csv.DictReader(io.StringIO(main)) if row["status"] == "failed")
    assert failed["retriever"].startswith("'=1+1|<b>\\u202e")
    drawn = (folder.root / "plots" / "recall-rate.svg").read_text()
    assert "_hidden$x$\\frac" in drawn  # matplotlib names each text in a comment


def test_progress_shows_what_it_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_reporter", progress.Plain(every=0))
    progress.say("failed: " + WORDS + "\nBROKEN: not really")
    list(progress.track(range(3), "label\x1b[31m", note=lambda: "note\u202e"))
    told = capsys.readouterr().err
    assert shows(told) and "\\x1b[31m" in told and "\\u202e" in told and "\nBROKEN" not in told


def test_bars_take_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    live = progress.Live(colour=False)
    live.console.file = out = io.StringIO()
    monkeypatch.setattr(progress, "_reporter", live)
    for _ in progress.track(range(2), "[red]label[/red]", note=lambda: "[bold]note"):
        live.console.print(live.bars.get_renderable())
    progress.say("[red]said[/red] :smile:")
    assert "[red]label[/red]" in out.getvalue() and "[bold]note" in out.getvalue()
    assert "[red]said[/red] :smile:" in out.getvalue()


def test_a_problem_is_one_line() -> None:
    told = str(Problem("a\nb\x1b[31m.csv", 3, "the item 'x'\nfake.yaml:1: all is well"))
    assert shows(told, "") and told.startswith("a\\nb\\x1b[31m.csv:3: ")


def test_a_word_of_the_command_line_is_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", "suite.yaml", "--out", "x", "\x1b[31m\u202e"])
    assert cli.main(["plan", "no\x1b[31m\nsuch.yaml"]) == 2
    told = capsys.readouterr()
    assert shows(told.err) and "\\x1b[31m\\u202e" in told.err and "no\\x1b[31m\\nsuch.yaml" in told.err


SUITE = """\
name: nasty
datasets: {{mine: {{kind: manifest, path: "{folder}/mine.jsonl", modality: audio, broken: 0.5}}}}
scenarios: {{offline: {{rounds: 1, cap_s: 5}}}}
tasks: [{{dataset: mine}}]
retrievers:
  random: {{kind: random}}
  oracle: {{kind: oracle}}
  shouting: {{kind: python, target: 'tests.fixtures.shouting:Shouting', paradigm: control}}
  mute: {{kind: python, target: 'tests.fixtures.shouting:Mute', paradigm: control}}
"""


def test_a_run_of_nasty_names_and_words(tmp_path: Path) -> None:
    names = [
        "\x1b[31mred.wav",
        "a|b\\|c.wav",
        "$x$ [red] <b>.wav",
        "line\nbreak.wav",
        "\u202evaw\u200b.wav",
        "=1+1.wav",
    ]
    for number, name in enumerate(names):
        write_sound(tmp_path / name, 200 + 50 * number, 0.2)
    (tmp_path / names[0]).write_bytes(b"no sound")
    rows = [{"path": name, "id": f"id {name}", "caption": f"{name} heard"} for name in names]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "suite.yaml").write_text(SUITE.format(folder=tmp_path))
    done = harness(tmp_path / "cache", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert shows(done.stdout) and shows(done.stderr)
    assert f"broken: {tmp_path}/\\x1b[31mred.wav" in done.stderr
    assert "shouting: failed: ValueError: \\x1b[31mred" in done.stderr and "Speechless: <exception str" in done.stderr
    assert "[red]rich[/red] :smile:" in done.stdout
    found = records(tmp_path / "out")
    assert {name.split(".")[1]: each["status"] for name, each in found.items()} == {
        **dict.fromkeys(("random", "oracle"), "ok"),
        **dict.fromkeys(("shouting", "mute"), "failed"),
    }
    assert WORDS + HIDDEN in found["mine_test_text-audio.shouting.0"]["reason"], "JSON keeps it as it was"
    table = (tmp_path / "out" / "tables" / "main.md").read_text()
    assert shows(table) and "<script" not in table and not LINK.search(table)
    damaged = tmp_path / "mine.jsonl"
    damaged.write_text(damaged.read_text() + '\n{"path": "\\u001b[31m\\u202e", "label": "x"}')
    checked = harness(tmp_path / "cache", "data", "check", "mine", "--suite", tmp_path / "suite.yaml")
    assert checked.returncode != 0 and shows(checked.stdout) and shows(checked.stderr)
