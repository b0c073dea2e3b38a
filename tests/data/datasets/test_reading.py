"""Annotation files are read as they are, and what is wrong with one is said with its line."""

from __future__ import annotations

import csv
import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
from disk import write
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.reading import text_files

FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


@given(
    st.lists(st.tuples(FIELDS, FIELDS).filter(any), max_size=6), st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;")
)
def test_what_was_written_is_read(tmp_path_factory, rows, newline, delimiter):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=newline, delimiter=delimiter)
    writer.writerows([("name", "text"), *rows])
    path = write(tmp_path_factory.mktemp("csv") / "rows.csv", stream.getvalue())
    found = text_files.table(path, ("text", "name"))
    assert [line.values for line in found] == [(text, name) for name, text in rows]


def test_rows_know_the_line_that_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,"over\ntwo lines"\n\n2,x')
    assert [(line.number, line.values) for line in text_files.table(path, ("a",))] == [(2, ("1",)), (5, ("2",))]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"a,b\n1,2\n1,2,3\n", 3, "3 fields; expected 2, as in the first line (a, b)"),
        (b"a,b\n1,2\n1", 3, "1 fields; expected 2"),
        (b"a;c\n1;2\n", 1, "the columns are a, c; expected a, b"),
        (b"", 1, "the columns are none"),
        (b"a,b\n1,2\n1,caf\xe9\n", 3, "byte 0xe9 is not UTF-8"),
        (b'a,b\n1,"2\n3,4\n5,6"\n', 2, "in which other rows seem to be"),
        (b'a,b\n1,a 5" nail\n', 2, "a quote in the middle of a field"),
        (b"a,b\n1,\0\n", 2, "a NUL character"),
        (b'a,b\n1,2\n1,"never closed\n\n', 3, "is no CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(
    tmp_path: Path, content: bytes, line: int, words: str
) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(SuiteError) as caught:
        text_files.table(path, ("a", "b"))
    assert f"{path}:{line}: " in str(caught.value) and words in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n1\n1,2\n1,2,3\n")
    with pytest.raises(SuiteError) as caught:
        text_files.table(path, ("a", "b"))
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_a_mark_of_byte_order_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"\xef\xbb\xbfa,b\r\n1,2")
    assert text_files.table(path, ("a",))[0].values == ("1",)
    assert text_files.listed(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\n\r\n two ")) == ["one", "two"]


@dataclass
class Row:
    name: str
    number: int


@dataclass
class Rows:
    rows: list[Row]


def test_a_document_is_typed_and_what_it_has_besides_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"rows": [{"name": "a", "number": 1, "tokens": ["x"]}], "more": {}}')
    assert text_files.document(path, Rows) == Rows([Row("a", 1)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"rows": [\n{"name": "a",', ":2: invalid json"),
        ("", ":1: invalid json"),
        ('{"rows": [{"name": "a", "number": 1}, {"name": "b", "number": "2"}]}', ": rows[1].number is '2'"),
        ('{"rows": [{"name": "a"}]}', ": rows[0].number is"),
        ("[]", ": the whole is []"),
    ],
)
def test_what_is_wrong_with_a_document_is_said_with_its_key(tmp_path: Path, content: str, words: str) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(SuiteError) as caught:
        text_files.document(path, Rows)
    assert f"{path}{words}".lower() in str(caught.value).lower() and "again" in str(caught.value)


def test_a_pickle_of_plain_values_is_read_and_no_other(tmp_path: Path) -> None:
    plain = {"-4wsuPCjDBc_5_15": [["a", "squirrel"], ["1", "nut"]], "n": 3}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert text_files.plain_pickle(write(tmp_path / "a.pkl", pickle.dumps(plain, protocol))) == plain


class Runs:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, protocol: int) -> None:
    harmful = pickle.dumps({"a": Runs(f"touch {tmp_path}/done")}, protocol)
    with pytest.raises(SuiteError, match="no pickle of plain values"):
        text_files.plain_pickle(write(tmp_path / "a.pkl", harmful))
    assert not (tmp_path / "done").exists()
    with pytest.raises(SuiteError, match="no pickle of plain values"):
        text_files.plain_pickle(write(tmp_path / "cut.pkl", pickle.dumps([1, 2, 3], protocol)[:-2]))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can't be read"):
        text_files.text(tmp_path)
