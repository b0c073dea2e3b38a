"""Suites that no one should have to debug: the table behind test_suite_malformed and the CLI's exit code 2."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HEAD = "name: x\ntasks: [{dataset: soundscapes}]\nretrievers: {random: {kind: random}}\n"  # fine by itself: three lines
TASKLESS = "name: x\nretrievers: {random: {kind: random}}\n"
CONTESTLESS = "name: x\ntasks: [{dataset: soundscapes}]\n"
ENCODERS = "encoders:\n  small: {kind: small, trained_on: soundscapes}\n"


class Case(NamedTuple):
    id: str
    content: str | bytes | Callable[[Path], Path]  # what stands in the file, or what makes the path below a folder
    line: int | None
    words: tuple[str, ...]  # each must be in the message

    def write(self, folder: Path) -> Path:
        if callable(self.content):
            return self.content(folder)
        path = folder / "suite.yaml"
        path.write_bytes(self.content if isinstance(self.content, bytes) else self.content.encode())
        return path


def _directory(folder: Path) -> Path:
    (folder / "audio.yaml").touch()
    return folder


def _misspelt(folder: Path) -> Path:
    (folder / "audio.yaml").touch()
    return folder / "audoi.yaml"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.yaml")
    return folder / "pipe.yaml"


def _loop(folder: Path) -> Path:
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    return folder / "loop.yaml"


def _bomb(levels: int) -> str:
    lines = ["  a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    for level in range(1, levels):
        lines.append(f"  a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]")
    return HEAD + "datasets:\n" + "\n".join(lines) + "\n"


FILES = [
    Case("missing file", lambda folder: folder / "nowhere.yaml", None, ("no such file", "expected a suite")),
    Case("misspelt file", _misspelt, None, ("no such file", "did you mean", "audio.yaml")),
    Case("missing folder", lambda folder: folder / "no" / "audio.yaml", None, ("no such file",)),
    Case("directory", _directory, None, ("directory", "audio.yaml")),
    Case("file as folder", lambda folder: Path(__file__) / "audio.yaml", None, ("can't be read",)),
    Case("pipe", _pipe, None, ("a pipe, a socket or a device",)),
    Case("the kernel's", lambda folder: Path("/proc/self/mounts"), None, ("made up by the kernel",)),
    Case("link to itself", _loop, None, ("can't be read",)),
    Case("name with NUL", lambda folder: folder / "a\0b.yaml", None, ("can't be read",)),
    Case("name too long", lambda folder: folder / ("a" * 5000), None, ("can't be read",)),
    Case("empty", "", None, ("empty", "suites/smoke.yaml")),
    Case("only comments", "# nothing\n\n", None, ("empty",)),
    Case("only a mark", "---\n", None, ("empty",)),
    Case("binary", gzip.compress(HEAD.encode()), 1, ("0x8b at offset 1", "UTF-8")),
    Case("latin-1", HEAD.encode() + "about: café\n".encode("latin-1"), 4, ("0xe9", "UTF-8")),
    Case("utf-16", HEAD.encode("utf-16"), 1, ("UTF-8",)),
    Case("NUL", HEAD + "about: a\0b\n", 4, ("control character U+0000",)),
    Case("escape sequence", HEAD + "about: \x1b[31m\n", 4, ("control character U+001B",)),
    Case("escaped NUL", HEAD + 'about: "\\0"\n', 4, ("U+0000",)),
    Case("too large", HEAD + "#" * 2**20, None, ("1,048,576 bytes",)),
]

SYNTAX = [
    Case("tab", HEAD + "encoders:\n\tsmall: {kind: small}\n", 5, ("tab", "spaces")),
    Case("tab in a deeper line", HEAD + "encoders:\n  small:\n  \tkind: small\n", 6, ("tab", "spaces")),
    Case("second colon", HEAD + "about: a: b\n", 4, ("in quotes",)),
    Case("open bracket", HEAD + "k: [1, 5\n\n", 4, ("closing bracket",)),
    Case("open quote", HEAD + "about: 'a\n\n", 4, ("never closed",)),
    Case("bare at", HEAD + "about: @home\n", 4, ("in quotes",)),
    Case("bad indentation", HEAD + "encoders:\n    a: 1\n  b: 2\n", 6, ("indentation",)),
    Case("unknown escape", HEAD + 'about: "\\q"\n', 4, ("escape", "single quotes")),
    Case("no colon", HEAD + "seeds\n", 4, ("`key: value`",)),
    Case("second document", HEAD + "---\nname: y\n", 4, ("second document", "file of its own")),
    Case("list as root", "- name: x\n", 1, ("a list", "key: value")),
    Case("text as root", "hello\n", 1, ("'hello'", "key: value")),
    Case(
        "tag as root",
        "!!omap {name: x, tasks: [{dataset: coco}], retrievers: {r: {kind: random}}}\n",
        1,
        ("!!omap", "remove the tag"),
    ),
    Case("list as key", HEAD + "? [a, b]\n: c\n", 4, ("as a key", "a name")),
    Case("merge key", HEAD + "<<: {k: [1]}\n", 4, ("merge key", "write the keys out")),
    Case("key twice", HEAD + "k: [1]\nk: [5]\n", 5, ("key 'k' again", "line 4")),
    Case(
        "retriever twice", CONTESTLESS + "retrievers:\n  a: {kind: random}\n  a: {kind: null}\n", 5, ("'a'", "line 4")
    ),
    Case("endless key", HEAD + f'? "{"a" * 5000}"\n: 1\n', 4, ("5,000 characters",)),
    Case("own tag", HEAD + "about: !mine x\n", 4, ("'!mine'", "remove the tag")),
    Case(
        "python tag",
        HEAD + "about: !!python/object/apply:os.system ['touch sentinel']\n",
        4,
        ("!!python/object/apply:os.system", "remove the tag"),
    ),
    Case(
        "python tag by directive",
        "%TAG !p! tag:yaml.org,2002:python/\n---\n" + HEAD + "about: !p!object/apply:os.mkdir [sentinel]\n",
        6,
        ("python/object/apply:os.mkdir", "remove the tag"),
    ),
    Case("tag without directive", HEAD + "about: !p!x y\n", 4, ("tag", "remove the tag")),
    Case("unknown alias", HEAD + "about: &there x\nk: *their\n", 5, ("*their", "did you mean 'there'?")),
    Case("cyclic anchor", HEAD + "datasets: &a\n  b: *a\n", 5, ("*a", "cycle")),
    Case("cyclic list", HEAD + "k: &a [1, *a]\n", 4, ("*a", "cycle")),
    Case("anchor bomb", _bomb(9), 9, ("10,000 values", "aliases")),
    Case("wide anchor bomb", HEAD + "a: &a [" + "x, " * 900 + "]\nb: [" + "*a, " * 9000 + "]\n", 5, ("10,000 values",)),
    Case("deep lists", HEAD + "k: " + "[" * 5000 + "]" * 5000 + "\n", 4, ("50 levels",)),
    Case("deep, never closed", HEAD + "k: " + "[" * 10**6, 4, ("50 levels",)),
    Case("deep mappings", HEAD + "k: " + "{a: " * 5000 + "}" * 5000 + "\n", 4, ("50 levels",)),
    Case("deep blocks", HEAD + "k:\n " + "- " * 5000 + "x\n", 5, ("50 levels",)),
    Case("too many values", HEAD + "k: [" + "1, " * 10_001 + "]\n", 4, ("10,000 values",)),
]

NUMBERS = [
    Case("k of zero", HEAD + "k: [0]\n", 4, ("k[0] is 0", "from 1 to 10,000")),
    Case("k too large", HEAD + "k: [1, 1000000000]\n", 4, ("k[1] is 1000000000", "from 1 to 10,000")),
    Case("k of 401 digits", HEAD + f"k: [{10**400}]\n", 4, ("401 digits", "from 1 to 10,000")),
    Case("k of 5000 digits", HEAD + f"k: [{'9' * 5000}]\n", 4, ("5,000 digits", "smaller")),
    Case("k without end", HEAD + "k: [1e999]\n", 4, ("1e999", "no finite number")),
    Case("k not a number", HEAD + "k: [.nan]\n", 4, (".nan", "no finite number")),
    Case("k as text", HEAD + "k: ['5']\n", 4, ("k[0] is '5'", "remove the quotes")),
    Case("k true", HEAD + "k: [true]\n", 4, ("k[0] is true", "whole number")),
    Case("k a fraction", HEAD + "k:\n  - 1\n  - 2.0\n", 6, ("k[1] is 2.0", "whole number")),
    Case("k no list", HEAD + "k: 10\n", 4, ("k is 10", "a list", "k: [1, 5, 10]")),
    Case("k empty", HEAD + "k: []\n", 4, ("empty list",)),
    Case("k null", HEAD + "k:\n", 4, ("k is nothing", "a list")),
    Case("seed below zero", HEAD + "seeds: [-1]\n", 4, ("-1", "from 0 to 4,294,967,295")),
    Case("seed too large", HEAD + "seeds: [4294967296]\n", 4, ("4294967296", "from 0 to 4,294,967,295")),
    Case("seed twice", HEAD + "seeds: [1, 1]\n", 4, ("seeds has 1 twice",)),
    Case("seed in minutes", HEAD + "seeds: [1:30]\n", 4, ("'1:30'", "whole number")),
    Case(
        "steps as yes", HEAD + "encoders:\n  a: {kind: small, trained_on: shapes, steps: yes}\n", 5, ("'yes'", "whole")
    ),
    Case("lr of zero", HEAD + "encoders:\n  a: {kind: small, trained_on: shapes, lr: 0}\n", 5, ("lr is 0", "above 0")),
    Case(
        "lr huge",
        HEAD + f"encoders:\n  a: {{kind: small, trained_on: shapes, lr: {10**400}}}\n",
        5,
        ("lr is", "most 1"),
    ),
    Case("size huge", HEAD + f"datasets:\n  a: {{kind: shapes, train: {10**9}}}\n", 5, ("train", "to 50,000,000")),
    Case(
        "unbounded number huge",
        CONTESTLESS + ENCODERS + f"retrievers:\n  a: {{kind: dual_tower, encoder: small, search: {{x: {2**63}}}}}\n",
        6,
        ("search.x", "whole number"),
    ),
]

KEYS = [
    Case("unknown key", HEAD + "seds: [0]\n", 4, ("unknown key seds", "did you mean 'seeds'?")),
    Case("no name", HEAD.replace("name: x\n", ""), 1, ("name is missing",)),
    Case("name unsafe", HEAD.replace("x", "a/b", 1), 1, ("'a/b'", "letters, digits", "rename")),
    Case("name empty", HEAD.replace("x", "", 1), 1, ("name is nothing", "letters")),
    Case("name a list", HEAD.replace("x", "[x]", 1), 1, ("name is a list", "letters")),
    Case("about a list", HEAD + "about: [x]\n", 4, ("about is a list", "text")),
    Case("no tasks", TASKLESS, 1, ("tasks is missing", "dataset: soundscapes")),
    Case("tasks empty", TASKLESS + "tasks: []\n", 3, ("tasks is empty",)),
    Case("tasks a mapping", TASKLESS + "tasks: {dataset: shapes}\n", 3, ("tasks is a mapping", "a list")),
    Case("task a name", TASKLESS + "tasks:\n  - shapes\n", 4, ("tasks[0] is 'shapes'", "{dataset: ")),
    Case("task without dataset", TASKLESS + "tasks:\n  - {split: test}\n", 4, ("tasks[0].dataset is missing",)),
    Case("task with unknown key", TASKLESS + "tasks:\n  - dataset: shapes\n    spilt: test\n", 5, ("'split'?",)),
    Case("task twice", TASKLESS + "tasks:\n  - {dataset: shapes}\n  - {dataset: shapes}\n", 5, ("again", "line 4")),
    Case("unknown split", TASKLESS + "tasks: [{dataset: shapes, split: tset}]\n", 3, ("'tset'", "'test'?")),
    Case("unknown dataset", TASKLESS + "tasks: [{dataset: coc}]\n", 3, ("'coc'", "did you mean 'coco'?")),
    Case("dataset a number", TASKLESS + "tasks: [{dataset: 5}]\n", 3, ("'5'", "shapes")),
    Case("dataset a list", TASKLESS + "tasks: [{dataset: [coco]}]\n", 3, ("a list", "shapes")),
    Case("wrong direction", TASKLESS + "tasks: [{dataset: coco, direction: text-audio}]\n", 3, ("text-image",)),
    Case("direction a number", TASKLESS + "tasks: [{dataset: coco, direction: 1}]\n", 3, ("direction is 1", "text")),
    Case("no direction", TASKLESS + "tasks: [{dataset: coco, direction: []}]\n", 3, ("empty list", "text-image")),
    Case("no retrievers", CONTESTLESS, 1, ("retrievers is missing", "kind: random")),
    Case("retrievers empty", CONTESTLESS + "retrievers:\n", 3, ("retrievers is nothing",)),
    Case("retrievers a list", CONTESTLESS + "retrievers: [random]\n", 3, ("retrievers is a list", "mapping")),
    Case("retriever a name", CONTESTLESS + "retrievers:\n  random: random\n", 4, ("'random'", "mapping", "{kind: ")),
    Case("retriever unsafe", CONTESTLESS + "retrievers:\n  a/../b: {kind: random}\n", 4, ("'a/../b'", "rename")),
    Case("retriever too long", CONTESTLESS + f"retrievers:\n  {'a' * 99}: {{kind: random}}\n", 4, ("at most 60",)),
    Case("same but for case", CONTESTLESS + "retrievers:\n  a: {kind: random}\n  A: {kind: random}\n", 5, ("case",)),
    Case("no kind", CONTESTLESS + "retrievers:\n  a: {index: exact}\n", 4, ("kind is missing", "dual_tower")),
    Case("unknown kind", CONTESTLESS + "retrievers:\n  a: {kind: randon}\n", 4, ("'randon'", "'random'?")),
    Case("unknown argument", CONTESTLESS + "retrievers:\n  a: {kind: random, fast: 1}\n", 4, ("retrievers.a.fast",)),
    Case("missing argument", HEAD + "encoders:\n  a: {kind: small}\n", 5, ("trained_on is missing",)),
    Case("unknown scenario", HEAD + "scenarios: {offlin: {}}\n", 4, ("offlin", "'offline'?")),
    Case("no scenario", HEAD + "scenarios: {}\n", 4, ("scenarios is empty",)),
    Case("unknown margin", HEAD + "margin: {recal: 1}\n", 4, ("margin.recal", "'recall'?")),
    Case("margin as words", HEAD + "margin:\n  rate: 5 %\n", 5, ("margin.rate is '5 %'", "a number at least 0")),
    Case("margin below zero", HEAD + "margin: {rate: -1}\n", 4, ("margin.rate is -1", "a number at least 0")),
    Case("margin without a name", HEAD + "margin: 1\n", 4, ("margin is 1", "expected a mapping")),
    Case("no offline", HEAD + "scenarios:\n  single: {queries: 5}\n", 4, ("no offline", "offline: {}")),
    Case(
        "unknown setting", HEAD + "scenarios:\n  offline: {}\n  single: {query: 5}\n", 6, ("single.query", "'queries'?")
    ),
]

FIT = [
    Case("no encoder", CONTESTLESS + "retrievers: {a: {kind: dual_tower}}\n", 2, ("names no encoder", "a needs")),
    Case(
        "needless encoder",
        CONTESTLESS + ENCODERS + "retrievers:\n  a: {kind: random, encoder: small}\n",
        6,
        ("random needs none", "remove it"),
    ),
    Case(
        "encoder of another medium",
        TASKLESS + ENCODERS + "tasks:\n  - {dataset: coco, encoder: small}\n",
        6,
        ("'small'", "audio", "holds image"),
    ),
    Case(
        "retriever's encoder of another medium",
        "name: x\ntasks: [{dataset: coco}]\n" + ENCODERS + "retrievers:\n  a: {kind: dual_tower, encoder: small}\n",
        6,
        ("retrievers.a", "'small'", "holds image"),
    ),
    Case("unknown captioner", TASKLESS + "tasks: [{dataset: coco, captioner: smal}]\n", 3, ("'smal'", "captioners")),
    Case(
        "no variant", CONTESTLESS + "retrievers:\n  a: {kind: dual_tower, index: []}\n", 4, ("index is an empty list",)
    ),
    Case(
        "too many variants",
        CONTESTLESS + f"retrievers:\n  a: {{kind: dual_tower, search: {{x: {[*range(99)]}, y: {[*range(99)]}}}}}\n",
        4,
        ("9,801 variants", "at most 1,000"),
    ),
    Case(
        "too many cells",
        CONTESTLESS
        + f"seeds: {[*range(9000)]}\nretrievers: {{{', '.join(f'r{n}: {{kind: random}}' for n in range(20))}}}\n",
        None,
        ("180,000 cells", "at most 100,000"),
    ),
    Case(
        "target of no class",
        CONTESTLESS + "retrievers:\n  a: {kind: python, target: os, paradigm: control}\n",
        4,
        ("'os'",),
    ),
    Case("no paradigm", CONTESTLESS + "retrievers:\n  a: {kind: python, target: 'a:B'}\n", 4, ("paradigm is missing",)),
    Case(
        "unknown paradigm",
        CONTESTLESS + "retrievers:\n  a: {kind: python, target: 'a:B', paradigm: dual}\n",
        4,
        ("'dual'", "'dual-tower'"),
    ),
]

TOOLS = ENCODERS + (
    "  away: {kind: clap, checkpoint: some/clap}\n  rows: {kind: precomputed, media: m.npy, text: t.npy}\n"
    "captioners:\n  small: {kind: small, encoder: small}\n  file: {kind: file, path: c.jsonl}\n"
    "tasks: [{dataset: soundscapes, encoder: small, captioner: small}]\nname: x\nretrievers:\n"
)  # line 11 is the first retriever's
DUALS = "  plain: {kind: dual_tower}\n  tuned: {kind: dual_tuned}\n"
START = "start: tuned, text: vector, teacher: start"


def _cart(id: str, settings: str, *words: str) -> Case:
    return Case(id, TOOLS + DUALS + f"  a: {{kind: cart, {settings}}}\n", 13, words)


def _handed(id: str, retriever: str, *words: str) -> Case:
    return Case(id, TOOLS + f"  a: {{{retriever}}}\n", 11, words)


# Each value is fine by itself.
TOGETHER = [
    _cart("start from an untuned one", "start: plain", "a.start is 'plain'", "of kind dual_tower", "kind dual_tuned"),
    _cart("geometry of codes that are none", "geometry: codebook, identifiers: numeric", "cart or residual"),
    _cart("nothing is learnt from scratch", "text: scratch, frozen: true", "no word would ever be learnt"),
    _cart("teacher nowhere", "teacher: start", "expected `start`", "dual_tuned"),
    _cart("blend of words", f"{START}, blend: 0.5, text: tower".replace("text: vector, ", ""), "`text: vector`"),
    _cart("blend without a teacher", "start: tuned, text: vector, blend: 0.5", "teacher: none", "`teacher: start`"),
    _cart(
        "steps for what is added, taught by nobody", "start: tuned, add_steps: 9", "teacher: none", "`teacher: start`"
    ),
    _cart("width of no heads", "width: 50", "width is 50", "multiple of 4", "write 52"),
    _handed(
        "second can't judge", "kind: rerank, first: {kind: random}, second: {kind: random}", "a.second", "likelihood"
    ),
    _handed("match over other towers", "kind: match, encoder: away", "'away' of kind clap", "kind small"),
    _handed("likelihood of a file", "kind: likelihood, captioner: file", "'file' of kind file", "kind prefix or small"),
    _handed("teacher that is a file", "kind: dual_tuned, captioner: file, teacher: likelihood", "kind prefix or small"),
    _handed(
        "text side of a file",
        "kind: dual_tuned, captioner: file, text: captioner",
        "a text side",
        "kind prefix or small",
    ),
    _handed("words of rows", "kind: cart, encoder: rows", "its cart is 'rows'", "a text side", "clip"),
    _handed("inside another", "kind: rerank, first: {kind: random}, captioner: file", "its likelihood is 'file'"),
    Case("vectors of nothing", HEAD + "encoders:\n  a: {kind: precomputed}\n", 5, ("neither `media` nor `text`",)),
    Case(
        "encoder of another modality",
        HEAD + "encoders:\n  a: {kind: small, modality: video, trained_on: shapes}\n",
        5,
        ("a.modality is 'video'", "shapes holds image"),
    ),
    Case(
        "captioner over another encoder",
        HEAD + "encoders:\n  e: {kind: clip, checkpoint: a/b}\ncaptioners:\n  c: {kind: small, encoder: e}\n",
        7,
        ("c.encoder is 'e'", "kind small"),
    ),
    Case("more than there are", HEAD + "datasets:\n  a: {kind: shapes, train: 40000000}\n", 5, ("train is 40000000",)),
    Case(
        "more candidates than it can make",
        TASKLESS + "tasks:\n  - {dataset: shapes, gallery: 90000000}\n",
        4,
        ("gallery is 90,000,000", "shapes can make 1,000 to"),
    ),
    Case(
        "fewer candidates than the split",
        TASKLESS + "tasks:\n  - {dataset: shapes, gallery: [2000, 500]}\n",
        4,
        ("gallery is 500", "1,000 to"),
    ),
    Case(
        "more of what was recorded",
        TASKLESS + "tasks:\n  - {dataset: clotho, gallery: 5000}\n",
        4,
        ("clotho has the candidates that it has", "a generated dataset"),
    ),
    Case(
        "a crowd that asks",
        TASKLESS + "tasks:\n  - {dataset: shapes, gallery: 5000, direction: [text-image, image-text]}\n",
        4,
        ("has no captions", "text-image alone"),
    ),
    Case(
        "lessons for some, judged for all",
        CONTESTLESS + "retrievers:\n  a: {kind: cart, described: 10, teacher: dual}\n",
        4,
        ("described: 10", "`teacher: none`"),
    ),
    Case(
        "shares of more than all",
        HEAD + "datasets:\n  a: {kind: manifest, path: m.csv, modality: image,\n   split: {test: 0.9, train: 0.4}}\n",
        6,
        ("split is {'test': 0.9, 'train': 0.4}", "at most 1"),
    ),
]

CASES = [*FILES, *SYNTAX, *NUMBERS, *KEYS, *FIT, *TOGETHER]
