"""What others wrote (names, file names, captions, messages of their exceptions) made safe for where it is shown.

One function a medium. Called where text goes out: the command line, progress, tables, plots. JSON keeps it as it is.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape

_CONTINUED = "\n        "  # a line break inside a message begins no line of ours


def line(text: object) -> str:
    """On one line, all of it visible: `\\x1b` stands for a control character, `\\u202e` for one that turns the
    direction, `\\u200b` for one without width, `\\udc80` for half a character, which no file could hold."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(each if _shows(each) else each.encode("unicode_escape").decode() for each in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"  # spaces of other widths than the usual one


def terminal(text: object) -> str:
    """For a terminal or a log: lines stay lines, and all but the first are indented."""
    first, *others = str(text).split("\n")
    return _CONTINUED.join([line(first), *map(line, others)])


def markdown(text: object) -> str:
    """For Markdown, in a cell of a table or outside: no cell ends, no HTML, no link, no picture begins in it."""
    plain = re.sub(r"&(?=#|\w)", "&amp;", line(text)).replace("<", "&lt;")
    return re.sub(r"[\\`|*$]|\](?=[(\[:])", r"\\\g<0>", plain)


def row(cells: list[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(map(markdown, cells))} |"


def csv(value: object) -> object:
    """For a field of a CSV: numbers as they are; in front of text that a spreadsheet would compute, an apostrophe."""
    if not isinstance(value, str):
        return value
    return f"'{line(value)}" if value.lstrip()[:1] in ("=", "+", "-", "@") else line(value)


def plot(text: object) -> str:
    """For Matplotlib without formulas: its legend leaves out names that begin with an underscore."""
    plain = line(text)
    return f" {plain}" if plain.startswith("_") else plain


def html(text: object) -> str:
    """For HTML, in an element or in quotes."""
    return escape(line(text))


_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "*": "{*}",
    "-": "{-}",  # behind a row's end they would belong to it; two - would be a dash
    "–": "--",
    "°": r"\textdegree{}",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}
_SET = ("cp1252", "cp1250", "cp1254")  # code pages whose letters LaTeX has in the encoding T1


def latex(text: object) -> str:
    """For LaTeX, in a cell of a table or outside: what it writes is what stood there. Letters that it has no type for,
    at which pdfLaTeX would stop, are told by their numbers."""
    written = "".join(_LATEX.get(each) or _typeset(each) for each in unicodedata.normalize("NFC", line(text)))
    return re.sub(r"([,'])(?=\1)", r"\1{}", written)  # two of them would be one quotation mark


def _typeset(letter: str) -> str:
    if letter.isascii() or any(letter.encode(page, "ignore") for page in _SET):
        return letter
    return letter.encode("unicode_escape").decode().replace("\\", _LATEX["\\"])
