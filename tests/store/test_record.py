"""Records: what was written comes back, what was altered is refused, and old ones load forever."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, is_typeddict

import pytest

from harness.machine import files
from harness.store import record
from harness.store.record import REQUIRED, SCHEMA_VERSION, Record, RecordError

FIRST = Path(__file__).parents[1] / "fixtures" / "record-v1.json"  # of a real run: never to be edited or made again


@pytest.fixture
def one() -> dict[str, Any]:
    return dict(record.load(FIRST))


def write(path: Path, value: Any, seal: bool = True) -> Path:
    path.write_text(json.dumps(files.sealed(value) if seal else value))
    return path


def test_the_first_version_loads_forever():
    loaded = record.load(FIRST)
    assert loaded["schema_version"] == SCHEMA_VERSION
    assert loaded["retriever"] == "dual"
    assert loaded["metrics"]["hit@5"] == {"value": 0.2, "low": 0.0652303066793663, "high": 0.4336008017557651}
    assert loaded["metrics"]["median_rank"]["value"] is None
    assert loaded["data"]["items"] == 24
    assert loaded["speed"]["offline"]["round_queries"] == 40
    assert loaded["cost"]["artifacts"]["encoder ears"]["phase"] == "fit"


DATA = ("added", "contents", "present", "expected", "layout", "positives", "leaks")
LATER = {  # keys that came after the first version
    *(
        "record.details",
        "record.changed",
        "record.sources",
        "record.family",
        "record.cost.constant_bytes",
        "record.cost.add_s",
    ),
    *(f"record.speed.{key}" for key in ("batch", "server", "memory")),
    *(f"record.speed.offline.{key}" for key in ("counted", "first", "cpu", "processes", "processes_agree")),
    *(f"record.speed.single.{key}" for key in ("agree", "compared", "cpu", "repeat", "processes")),
    *(f"record.data.{key}" for key in DATA),
}


def differences(value: Any, kind: Any, where: str = "record") -> Iterator[str]:
    """Where a value has keys that the schema lacks, or lacks keys that the schema has."""
    if is_typeddict(kind):
        hints = typing.get_type_hints(kind)  # without NotRequired: this record has all that there could be
        yield from (f"{where}.{key} is not in the schema" for key in value.keys() - hints.keys())
        yield from (f"{where}.{key} is missing" for key in hints.keys() - value.keys())
        for key in value.keys() & hints.keys():
            yield from differences(value[key], hints[key], f"{where}.{key}")
        return
    members = typing.get_args(kind)
    if typing.get_origin(kind) is dict and isinstance(value, dict):
        for key, member in value.items():
            yield from differences(member, members[1], f"{where}.{key}")
    for member in members:
        if is_typeddict(member) and isinstance(value, dict) and typing.get_origin(kind) is not dict:
            yield from differences(value, member, where)


def test_the_schema_tells_every_key_of_a_record():
    assert set(differences(record.load(FIRST), Record)) == {f"{key} is missing" for key in LATER}


def test_what_was_written_comes_back(tmp_path, one):
    one |= {"reason": "“½”\n\udc80 half a character, as file names may hold", "counts": {"steps": 2**53 + 1}}
    one["metrics"]["hit@1"] = {"value": 0.1 + 0.2, "low": float("nan"), "high": float("inf")}
    record.save(tmp_path / "deep" / "r.json", one)  # type: ignore[arg-type]
    loaded = dict(record.load(tmp_path / "deep" / "r.json"))
    one["metrics"]["hit@1"] = {"value": 0.1 + 0.2, "low": None, "high": None}  # JSON has no other word for them
    assert {**loaded, "seal": None} == {**one, "seal": None}


@pytest.mark.parametrize(
    "harm",
    [
        lambda one: one["metrics"]["hit@1"].update(value=0.99),
        lambda one: one.update(more=1),
        lambda one: one.pop("seed"),
        lambda one: one.pop("seal"),
        lambda one: one.update(seal="0" * 64),
    ],
)
def test_an_altered_record_is_refused(tmp_path, one, harm):
    harm(one)
    path = write(tmp_path / "r.json", one, seal=False)
    with pytest.raises(RecordError, match="altered since it was written") as caught:
        record.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no readable JSON"),
        (b'{"schema_version": 1', "no readable JSON"),
        (b"\xff\xfe\x00", "no readable JSON"),
        (b"[]", "schema_version is missing"),
        (b"{}", "schema_version is missing"),
        (b'{"schema_version": "1"}', "schema_version is missing"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, data, words):
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=words) as caught:
        record.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecordError, match=r"none\.json"):
        record.load(tmp_path / "none.json")


def test_a_newer_version_is_refused_with_what_to_do(tmp_path, one):
    path = write(tmp_path / "r.json", {**one, "schema_version": SCHEMA_VERSION + 1})
    with pytest.raises(RecordError, match="update the harness"):
        record.load(path)


def test_a_version_that_there_has_never_been_is_refused(tmp_path, one):
    path = write(tmp_path / "r.json", {**one, "schema_version": -3})
    with pytest.raises(RecordError, match="-3"):
        record.load(path)


@pytest.mark.parametrize("key", sorted(REQUIRED - {"schema_version"}))
def test_a_missing_key_is_named(tmp_path, one, key):
    del one[key]
    with pytest.raises(RecordError, match=f"keys missing: {key}"):
        record.load(write(tmp_path / "r.json", one))


def test_keys_that_may_be_missing_are_told_apart():
    assert not {"seal", "details", "changed"} & REQUIRED
    assert {"status", "metrics", "key"} <= REQUIRED


def test_an_unknown_status_is_refused(tmp_path, one):
    with pytest.raises(RecordError, match="'fine'"):
        record.load(write(tmp_path / "r.json", {**one, "status": "fine"}))


def test_an_older_version_goes_through_the_migrations(tmp_path, one, monkeypatch):
    """As if version 0 had said `scores` where we say `metrics`, and version -1 had known no seeds."""
    older = {"schema_version": -1, **{key: one[key] for key in one if key not in ("metrics", "seed", "schema_version")}}
    older["scores"] = one["metrics"]

    def rename(raw: dict[str, Any]) -> dict[str, Any]:
        return {"metrics": raw["scores"], **{key: raw[key] for key in raw if key != "scores"}}

    monkeypatch.setitem(record.MIGRATIONS, -1, lambda raw: {**raw, "seed": 0})
    monkeypatch.setitem(record.MIGRATIONS, 0, rename)
    path = write(tmp_path / "r.json", older)
    assert {**record.load(path), "seal": None} == {**one, "seal": None}
    path.write_text(path.read_text().replace("text-audio", "audio-text"))
    with pytest.raises(RecordError, match="altered"):  # its seal is that of its own version
        record.load(path)
