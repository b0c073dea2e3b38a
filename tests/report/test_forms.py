"""The same table in four forms: marks, escapes, and LaTeX that a compiler takes; where there is one, it is asked."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from folders import add, write_page
from large_run import large_run

from harness.machine import escaping
from harness.report import against, forms, main_table
from harness.results import rows as results
from harness.store.run_folder import RunFolder

NASTY = r"a_b & 50% $x$ #1 {y} \z ~ ^ | <i> \"q\" [n] *" + "\x1b[31m\u202e"
LETTERS = "é Łódź ğ ß œ “x” ‘x’ … · ² µ – — − ≤ ≈ × → ° ''x'' ,,x,, ``x`` <<x>> ?` λ 中文 e\u0301 \u2003 🐕"
COMPILER = shutil.which("pdflatex")
DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
{\hfuzz=\maxdimen\listoftables}
%s
\end{document}
"""
TABLE = pd.DataFrame({"name <": [NASTY, "plain"], "hit@1 %": ["1.0", "2.0"]}, dtype=object)
MARKS = pd.DataFrame({"name <": ["", ""], "hit@1 %": [forms.NEAR, forms.BEST]}, dtype=object)


def rows_of(latex: str) -> list[list[str]]:
    """The cells of each tabular's rows; fails where something is not closed or not escaped."""
    bare = re.sub(r"(?m)^%.*$", "", latex)
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", bare) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended) and begun
    depth = 0
    for each in re.sub(r"\\[{}\\]", "", bare):
        depth += {"{": 1, "}": -1}.get(each, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0 or r"\$" in bare
    found = []
    for sides, body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", bare, re.DOTALL):
        assert [body.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        for line in lines:
            cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
            assert len(cells) == len(sides), line
            assert not re.search(r"(?<!\\)[%#_]|(?<!\\)~|\^(?!\\circ\$)", line), line
            assert not line.lstrip().startswith(("[", "*")), r"\\ before it would take it for its own"
            found.append([cell.strip() for cell in cells])
    return found


def compiles(folder: Path, *tables: str) -> bool:
    """Without a word on letters that are missing or on what is too wide; true where there is no compiler."""
    if COMPILER is None:
        return True
    (folder / "all.tex").write_text(DOCUMENT.replace("%s", "\n".join(tables)), encoding="utf-8")
    command = [COMPILER, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # the list of tables is read by the second
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
    return not re.search(r"Missing character|Overfull \\hbox.* in paragraph", done.stdout)


def test_latex_is_balanced_and_everything_in_it_escaped(tmp_path: Path) -> None:
    made = forms.latex(TABLE, NASTY, MARKS, ["name <"])
    head, nasty, plain = rows_of(made)
    assert head == [r"name \textless{}", r"hit@1 \%"] and plain[1] == r"\textbf{2.0}" and nasty[1] == r"1.0\,$^\circ$"
    assert r"\begin{tabular}{lr}" in made and r"\textbackslash{}z" in nasty[0] and r"\$x\$" in nasty[0]
    assert r"\textbackslash{}x1b" in nasty[0] and "\x1b" not in made and "\u202e" not in made
    assert escaping.latex("–°a--b") == r"--\textdegree{}a{-}{-}b"
    assert escaping.latex("e\u0301 Ł λ 中 ,,x''") == r"é Ł \textbackslash{}u03bb \textbackslash{}u4e2d ,{},x'{}'"
    wide = TABLE.assign(**{NASTY: LETTERS, LETTERS: "x" * 200})
    assert compiles(tmp_path, made, *[forms.latex(wide, LETTERS, words=["name <"])] * 3)


def test_the_tables_of_a_run_would_compile(tmp_path: Path) -> None:
    folder = large_run(tmp_path, retrievers=4, tasks=1, queries=100)
    found = results.rows(folder, folder.records())
    main, held = main_table.latex(found, [1, 5, 10]), against.latex(against.against(folder, found))
    assert len(rows_of(main)) == 1 + 4 and len(rows_of(held)) == 1 + 1
    assert main.count(r"\begin{table}") == 1 and r"\textbf{" in main
    assert compiles(tmp_path, main, held)


def test_markdown_csv_and_html_say_the_same() -> None:
    head, _, nasty, plain = forms.markdown(TABLE, MARKS).splitlines()
    assert head == "| name &lt; | hit@1 % |" and plain == "| plain | **2.0** |"
    assert nasty.endswith("| 1.0 ° |") and len(re.findall(r"(?<!\\)\|", nasty)) == 3
    page = forms.html(TABLE, MARKS, ["name <"])
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = lambda data: seen.append(data.strip())  # type: ignore[method-assign]
    parser.feed(page)
    words = [each for each in seen if each]
    assert words == ["name <", "hit@1 %", escaping.line(NASTY), "1.0 °", "plain", "2.0"] and "<b>2.0</b>" in page
    read = list(csv.reader(io.StringIO(forms.comma_separated(TABLE))))
    assert read[0] == ["name <", "hit@1 %"] and read[2] == ["plain", "2.0"]


def test_a_long_word_is_not_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    long = "x" * 150
    add(folder, 0, long)
    add(folder, 0, "short")
    found = results.rows(folder, folder.records())
    made = [main_table.markdown("t", found, [1], None), main_table.html("t", found, [1], None)]
    made += [main_table.latex(found, [1]), main_table.comma_separated(found)]
    made += [against.markdown(against.against(folder, found))]
    assert [long in text for text in made] == [True] * 5
