"""CSV and its kin, read strictly: what would lose or misplace a row is an error with its line, never a shorter table.

The only reader of such files: `text_files.table` has it for recorded datasets, `rows` for manifests. The danger is a
quote that is never closed. It swallows the rows up to the next quote or the end, and a lenient reader says nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from harness.contract.problems import Problems

DELIMITERS = ",\t;"
MOST_LINES = 50  # that one quoted field may run over
Row = tuple[int, list[str]]  # the line that it begins on, a value for each column


def csv_rows(text: str, problems: Problems) -> tuple[list[str], Iterator[Row]]:
    """The header, which says by its looks what the delimiter is, and the rows. What is wrong joins the `problems`."""
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    taken: list[str] = []  # the lines of the row that is being read
    reader = csv.reader(_kept(text, taken), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise problems.fail(1, f"is no CSV ({error}); expected names of columns; correct it") from None
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise problems.fail(1, f"the column {twice[:80]!r} twice; expected each name once; rename one")
    return header, _rows(reader, header, delimiter, taken, problems)


def _kept(text: str, taken: list[str]) -> Iterator[str]:
    for line in io.StringIO(text, newline=""):
        taken.append(line)
        yield line


def _rows(
    reader: Iterator[list[str]], header: list[str], delimiter: str, taken: list[str], problems: Problems
) -> Iterator[Row]:
    sound = _sound(delimiter)
    line = 1 + len(taken)
    taken.clear()
    try:
        for fields in reader:
            wrong = _swallowed(fields, delimiter) if len(taken) > 1 else None
            if not wrong and any('"' in each for each in taken) and not sound.fullmatch("".join(taken)):
                wrong = (
                    "a quote in the middle of a field; expected quotes around the whole field, each quote inside it "
                    'doubled; write for instance "a 5"" nail"'
                )
            if not wrong and fields and len(fields) != len(header):
                wrong = (
                    f"{len(fields)} fields; expected {len(header)}, as in the first line ({', '.join(header)[:200]}); "
                    "is it cut off, or a text with a delimiter or a quote in it not quoted?"
                )
            if wrong:
                problems.add(line, wrong)
            elif fields:  # an empty line is none
                yield line, fields
            line += len(taken)
            taken.clear()
    except csv.Error as error:
        raise problems.fail(
            line,
            f"is no CSV ({error}); expected each quote that is opened to be closed; correct it, or get the file again",
        ) from None


def _sound(delimiter: str) -> re.Pattern[str]:
    """A row whose quotes surround whole fields, or come in pairs inside a field that doesn't begin with one."""
    plain = f'[^"{delimiter}\r\n]*+'
    field = f'(?:"(?:[^"]|"")*+"|(?! *"){plain}(?:"{plain}"{plain})*+)'
    return re.compile(f"{field}(?:{delimiter}{field})*+[\r\n]*")


def _swallowed(fields: list[str], delimiter: str) -> str | None:
    """Whether a quoted field that runs over several lines looks as if other rows were in it."""
    for place, field in enumerate(fields):
        first, *inside = re.split(r"\r\n|\r|\n", field)
        others = [(each, own) for each, own in enumerate(fields) if each != place]
        rows = (text.split(delimiter) for text in inside)
        if len(inside) >= MOST_LINES or any(
            len(cells) >= len(fields) and (not others or any(_alike(cells[each], own) for each, own in others))
            for cells in rows
        ):
            return (
                f"a quoted text over {len(inside) + 1} lines, in which other rows seem to be (it begins "
                f"{first[:40]!r}); expected each quote that is opened to be closed; close it, or write the text on one "
                "line"
            )
    return None


def _alike(cell: str, own: str) -> bool:
    """Whether two values may be of one column: equal, or with the same ending or digits, and blanks or none."""

    def kind(text: str) -> tuple[str, bool, bool]:
        ending = re.search(r"\.\w{1,5}$", text)
        return ending[0].lower() if ending else "", any(map(str.isdigit, text)), " " in text

    return bool(cell) and (cell == own or (kind(cell) == kind(own) and kind(own)[:2] != ("", False)))
