"""Your own data: what a manifest may say, what it must not, and what is said of it when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import ODD_NAMES, write_picture

from harness.contract.dataset import Unavailable
from harness.contract.problems import SuiteError
from harness.data.datasets.manifest import Manifest, ManifestSettings


def manifest(folder: Path, text: str, name: str = "mine.csv", **arguments: Any) -> Manifest:
    (folder / name).write_text(text, newline="")
    return Manifest(ManifestSettings(path=folder / name, modality="image", **arguments))


def complaint(folder: Path, text: str, name: str = "mine.csv", **arguments: Any) -> str:
    with pytest.raises(SuiteError) as caught:
        manifest(folder, text, name, **arguments).split("test")
    return str(caught.value)


def test_rows_of_one_file_are_captions_of_one_item(tmp_path: Path) -> None:
    """Not consecutive, with CRLF, a byte-order mark, and no newline at the end."""
    rows = [
        "\ufeffpath,caption,split",
        'a.png,"one, two",test',
        "b.png,three,train",
        "a.png,four,test",
        "c.png,five,test",
    ]
    data = manifest(tmp_path, "\r\n".join(rows))
    test, train = data.split("test"), data.split("train")
    assert list(test.item_names) == ["a.png", "c.png"] and test.owner.tolist() == [0, 0, 1]
    assert list(test.captions) == ["one, two", "four", "five"]
    assert list(train.item_names) == ["b.png"] and not len(data.split("validation").items)


def test_odd_names_are_left_as_they_are(tmp_path: Path) -> None:
    names = [f"{stem}.png" for stem in ODD_NAMES]
    for number, name in enumerate(names):
        write_picture(tmp_path / name, number)
    lines = [json.dumps({"path": name, "caption": [f"thing {name}", "another"]}) for name in names]
    split = manifest(tmp_path, "\n".join(lines), "mine.jsonl").split("test")
    assert list(split.item_names) == names and len(split.captions) == 2 * len(names)
    assert [thing.shape for thing in split.items] == [(48, 64, 3)] * len(names)
    quoted = "\n".join('"{}",thing'.format(name.replace('"', '""')) for name in names)
    assert list(manifest(tmp_path, f"path,caption\n{quoted}\n").split("test").item_names) == names


def test_spaces_around_a_path_are_left_out_where_the_file_lies_without_them(tmp_path: Path) -> None:
    for name in ("a.png", " b.png", "b.png"):
        write_picture(tmp_path / name, 1)
    text = "path;caption\n  a.png ;one\n b.png;two\n c.png ;three\na.png;four\n"
    split = manifest(tmp_path, text).split("test")
    assert list(split.item_names) == ["a.png", " b.png", " c.png "]
    assert list(split.captions) == ["one", "four", "two", "three"] and split.owner.tolist() == [0, 0, 1, 2]
    (tmp_path / "inner").mkdir()
    for name in (" ../a.png", " " + 300 * "x"):
        assert list(manifest(tmp_path / "inner", f"path,caption\n{name},one\n").split("test").item_names) == [name]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_delimiters_and_other_words_for_columns(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (("audio_file", "text", "fold"), ("a.wav", "rain", "eval")))
    columns = {"path": "audio_file", "caption": "text", "split": "fold"}
    split = manifest(tmp_path, text, columns=columns).split("test")
    assert list(split.item_names) == ["a.wav"] and list(split.captions) == ["rain"]


def test_a_label_is_one_question_with_many_answers(tmp_path: Path) -> None:
    text = "path,label\na.png,dog\nb.png,cat\nc.png,dog\na.png,loud\nc.png,dog\n"
    split = manifest(tmp_path, text).split("test")
    asked = split.questions("text-image")
    assert list(asked.queries) == ["dog", "loud", "cat"]
    assert [asked.links.of(query).tolist() for query in range(3)] == [[0, 2], [0], [1]]
    mirrored = split.questions("image-text")
    assert list(mirrored.candidates) == ["dog", "loud", "cat"]
    assert [mirrored.links.of(query).tolist() for query in range(3)] == [[0, 1], [2], [0]]
    learned = split.pairs("text-image")  # a fact for each item that bears it
    assert list(learned.queries) == ["dog", "loud", "cat", "dog", "dog"]
    assert learned.links.targets.tolist() == [0, 0, 1, 2, 2]


def test_shares_are_drawn_by_item_and_do_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [f"{number}.png,thing {caption}" for number in range(50) for caption in range(2)]
    shares = {"test": 0.2, "validation": 0.1}
    one = manifest(tmp_path, "\n".join(["path,caption", *rows]), split=shares)
    drawn = {name: set(one.split(name).item_names) for name in ("train", "validation", "test")}
    assert [len(names) for names in drawn.values()] == [35, 5, 10] and len(set.union(*drawn.values())) == 50
    assert len(one.split("test").captions) == 20
    other = manifest(tmp_path, "\n".join(["path,caption", *reversed(rows)]), split=shares)
    assert {name: set(other.split(name).item_names) for name in drawn} == drawn
    seeded = manifest(tmp_path, "\n".join(["path,caption", *rows]), split={**shares, "seed": 1})
    assert set(seeded.split("test").item_names) != drawn["test"]


@pytest.mark.parametrize("count", [3, 7, 11])
def test_shares_that_both_round_up_take_no_more_than_there_is(tmp_path: Path, count: int) -> None:
    rows = "\n".join(["path,caption", *(f"{number}.png,thing" for number in range(count))])
    data = manifest(tmp_path, rows, split={"test": 0.5, "validation": 0.5})
    sizes = {name: len(data.split(name).items) for name in ("test", "validation", "train")}
    assert sizes == {"test": round(count / 2), "validation": count - round(count / 2), "train": 0}


def test_rows_of_vectors_in_place_of_files(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.zeros((4, 2), np.float32))
    data = manifest(tmp_path, "row,caption\n3,three\n1,one\n3,again\n", vectors=tmp_path / "vectors.npy")
    asked = data.split("test").pairs("text-image")
    assert asked.candidates.names == ["3", "1"] and asked.candidates.positions.tolist() == [3, 1]
    assert asked.links.targets.tolist() == [0, 0, 1] and list(asked.queries) == ["three", "again", "one"]
    with pytest.raises(AttributeError, match="no media files: use the encoder `precomputed`"):
        _ = asked.candidates[0].samples
    assert np.asarray(list(asked.candidates)[1]).tolist() == [1]  # all that a control needs
    for row in ("4", "-1", "1.0", "one", ""):
        told = complaint(tmp_path, f"row,caption\n{row},x\n", vectors=tmp_path / "vectors.npy")
        assert told.startswith(f"{tmp_path}/mine.csv:2: row is {row!r}; expected a row of") and "0 to 3" in told


OUTSIDE = [
    "../secret.png",
    "sub/../../secret.png",
    "/etc/hostname",
    "link.png",
    "linked/secret.png",
    "linked/../../x",
    "..",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leaves_the_folder_unless_it_is_allowed(tmp_path: Path, name: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    write_picture(outside / "secret.png", 1)
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "linked").symlink_to(outside, target_is_directory=True)
    text = f"path,caption\nfine.png,x\n{name},thing\n"
    told = complaint(inside, text)
    assert told.startswith(f"{inside}/mine.csv:3: path {name!r} ") and "`allow_outside: true`" in told
    assert list(manifest(inside, text, allow_outside=True).split("test").item_names) == ["fine.png", name]


def test_links_within_the_folder_are_fine(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    write_picture(tmp_path / "there" / "a.png", 1)
    (tmp_path / "here.png").symlink_to("there/a.png")
    (tmp_path / "also").symlink_to("there", target_is_directory=True)
    text = "path,caption\nhere.png,x\nalso/a.png,y\nthere/../here.png,z\n"
    assert len(list(manifest(tmp_path, text).split("test").items)) == 3


def test_the_media_may_lie_elsewhere_but_not_leave_that(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "media").mkdir()
    write_picture(tmp_path / "media" / "a.png", 1)
    assert manifest(tmp_path / "lists", "path,caption\na.png,x\n", media="../media").split("test").items[0].shape
    assert "leaves it" in complaint(tmp_path / "lists", "path,caption\n../lists/a.png,x\n", media="../media")


WRONG = {
    "path,caption\n,x\n": "2: path '' is empty",
    "path,caption\na.png,\n": "2: a caption or label is ''; expected some words",
    "path,caption\na.png,x\nb.png,y,z\n": "3: 3 fields; expected 2, as in the first line (path, caption)",
    "path,captoin\na.png,x\n": "expected caption or label (one of them)",
    "file,caption\na.png,x\n": "2: the columns are file, caption; expected path; name it so",
    "path,caption,label\na.png,x,y\n": "2: there are both a column 'caption' and a column 'label'; expected one of "
    "them; remove one, or say which it is in the suite: columns: {caption: caption}",
    "path,path\na.png,x\n": "1: the column 'path' twice",
    "path,caption,split\na.png,x,tset\n": "2: split is 'tset'; expected train, validation, test",
    "path,caption,id\na.png,x,1\nb.png,y,1\n": "3: the item '1' is at 'b.png', and was at 'a.png'",
    'path,caption\n"a\nb.png",x\nc.png,\n': "4: a caption or label is ''",
    'path,caption\na.png,"one\nb.png,two\nc.png,three\n': "2: is no CSV (unexpected end of data); expected each quote",
    'path,caption\na.png,"one\nb.png,"two"\n': "2: is no CSV (',' expected after '\"'); expected each quote",
    'path,caption\na.png,"one\nb.png,two"\nc.png,x\n': "2: a quoted text over 2 lines, in which other rows seem to be",
    'path,caption,split\nx,"one,test\ny,two,test\nz,three",test\n': "2: a quoted text over 3 lines",
    f'path,caption\na.png,"{chr(10) * 60}"\n': "2: a quoted text over 61 lines",
    'path,caption\na.png, "one two"\n': "2: a quote in the middle of a field; expected quotes around the whole field",
    'path,caption\na.png,a 5" nail\n': "2: a quote in the middle of a field",
    "path|caption\na.png|x\n": "2: the columns are path|caption; expected path; name it so",
    "path,caption\n": "no rows",
    "": "no rows",
    "path,caption\na\0.png,x\n": "2: a NUL character; expected text",
}


SOUND = {  # each with the caption of its first row
    'path,caption\na.png,"a dog barks\nthen, a cat meows"\n': "a dog barks\nthen, a cat meows",
    'path,caption\na.png,the "big" dog\n': 'the "big" dog',
    'path,caption\na.png,"a 5"" nail"\n': 'a 5" nail',
    '\ufeff"path","caption"\r\n"a.png","x"\r\n\r\n"b.png","y"': "x",
    "path, caption\na.png,x\n": "x",
    "path,caption,,\na.png,x,,\n": "x",
    "path,caption\ra.png,x\rb.png,y\r": "x",
}


@pytest.mark.parametrize("text", SOUND, ids=range(len(SOUND)))
def test_what_is_sound_is_read_as_it_is(tmp_path: Path, text: str) -> None:
    assert next(iter(manifest(tmp_path, text).split("test").captions)) == SOUND[text]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    told = complaint(tmp_path, text)
    assert told.startswith(f"{tmp_path}/mine.csv:") and WRONG[text] in told


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    told = complaint(tmp_path, "path,caption\na.png,\n../b.png,x\nc.png,fine\n/d.png,y\n").splitlines()
    assert [line.split(":")[1] for line in told] == ["2", "3", "5"]


WRONG_JSON = {
    '{"path": "a.png", "caption": "x"}\n{"path": \n': "2: no JSON",
    '["a.png", "x"]\n': "1: a JSON list; expected an object",
    '{"path": "a.png", "caption": "x", "caption": "y"}': "1: no JSON (a key twice in one object)",
    '{"path": 7, "caption": "x"}': "1: path is 7; expected text",
    '{"path": "a.png", "caption": []}': "1: no captions; expected one at least",
    '{"path": "a.png", "caption": ["x", null]}': "1: a caption or label is None",
    '{"path": "a.png", "caption": "\\ud800"}': "1: a caption or label is '\\ud800'",
    '{"path": "a.png"}': "expected caption or label",
}


@pytest.mark.parametrize("text", WRONG_JSON, ids=range(len(WRONG_JSON)))
def test_what_is_wrong_with_json_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    told = complaint(tmp_path, text, "mine.jsonl")
    assert told.startswith(f"{tmp_path}/mine.jsonl:") and WRONG_JSON[text] in told


def test_of_captions_and_labels_the_suite_may_say_which(tmp_path: Path) -> None:
    text = "path,caption,label\na.png,one,loud\n"
    captions = manifest(tmp_path, text, columns={"caption": "caption"})
    labels = manifest(tmp_path, text, columns={"label": "label"})
    for data, words, asks_labels in ((captions, "one", False), (labels, "loud", True)):
        split = data.split("test")
        assert list(split.captions) == [words] and split.labels == asks_labels
    assert captions.digest != labels.digest
    other = text.replace("label", "kind")
    assert list(manifest(tmp_path, other, columns={"label": "kind"}).split("test").captions) == ["loud"]
    both = complaint(tmp_path, text, columns={"caption": "caption", "label": "label"})
    assert "both a column 'caption' and a column 'label'" in both


@pytest.mark.parametrize(
    ("text", "found"), [('\n[{"path": "a.png", "caption": "x"}]', "a JSON list"), ('{"path": "a.png"}', "JSON")]
)
def test_json_that_is_no_table_is_told(tmp_path: Path, text: str, found: str) -> None:
    told = complaint(tmp_path, text, "mine.json")
    assert told == f"{tmp_path}/mine.json: {found}; expected a CSV, or one object a line (.jsonl); write it so"


def test_other_encodings_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes("path,caption\na.png,fine\nb.png,Geräusch\n".encode("latin-1"))
    with pytest.raises(SuiteError, match=r"mine\.csv:3: byte 0xe4 is not UTF-8"):
        Manifest(ManifestSettings(path=tmp_path / "mine.csv", modality="image")).split("test")


def test_arguments_are_checked(tmp_path: Path) -> None:
    path, text = tmp_path / "mine.csv", "path,caption,split\na.png,x,test\n"
    for wrong in ({"columns": {"file": "path"}}, {"split": {"tset": 0.5}}, {"split": {"test": 0.8, "train": 0.4}}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} (has|is) .*; expected"):
            ManifestSettings(path=path, modality="image", **wrong)
    assert "there is a column 'split'" in complaint(tmp_path, text, split={"test": 0.5})
    with pytest.raises(Unavailable, match="nothing at"):
        Manifest(ManifestSettings(path=tmp_path / "none.csv", modality="image"))


def test_the_digest_follows_the_file_and_the_settings(tmp_path: Path) -> None:
    text = "path,caption\na.png,x\n"
    one = manifest(tmp_path, text).digest
    assert manifest(tmp_path, text).digest == one
    assert manifest(tmp_path, text + "b.png,y\n").digest != one
    assert manifest(tmp_path, text, split={"test": 1.0}).digest != one
