"""What a well-formed suite means: tasks, variants, cells, digests."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from runs import ROOT

from harness.contest.scenarios import SCENARIOS as FUNCTIONS
from harness.contract.problems import SuiteError
from harness.contract.settings import EncoderName, RetrieverName, Settings
from harness.suite import Suite, load, registry, yaml_source
from harness.suite.registry import Entry
from harness.suite.scenarios import SCENARIOS

SUITES = ROOT / "suites"
SMALL = """
name: small
datasets:
  tiny: {kind: soundscapes, train: 64, validation: 16, test: 16}
encoders:
  one: {kind: small, trained_on: tiny, steps: 5}
  two: {kind: small, trained_on: tiny, steps: 6}
tasks:
  - {dataset: tiny, encoder: one, direction: [text-audio, audio-text]}
  - {dataset: soundscapes, encoder: one, split: validation}
seeds: [3, 1]
k: [10, 1, 10]
retrievers:
  random: {kind: random}
  dual: {kind: dual_tower}
  hnsw: {kind: dual_tower, index: "HNSW32,Flat", encoder: two, search: {efSearch: [16, 64]}}
"""


@pytest.fixture
def suite_of(tmp_path):
    def build(text: str) -> Suite:
        path = tmp_path / "suite.yaml"
        path.write_text(text)
        return load(path)

    return build


class Stages(Settings):
    first: RetrieverName
    second: RetrieverName
    depth: list[int] = [100]


class Looks(Settings):
    encoder: EncoderName
    lengths: tuple[int, ...] = (8, 16)


@pytest.fixture
def rerank(monkeypatch):
    """A retriever made of two others, and a captioner that looks through an encoder."""
    rerank = Entry("somewhere:Rerank", Stages, paradigm="hybrid")
    reads = Entry("somewhere:Reads", needs=("captioner",), paradigm="dual-tower")
    for name, entry in {"rerank": rerank, "reads": reads}.items():
        monkeypatch.setitem(registry.kinds("retrievers").entries, name, replace(entry, kind=name))
    monkeypatch.setitem(registry.kinds("captioners").entries, "looks", Entry("somewhere:Looks", Looks, kind="looks"))


def cell(suite: Suite, name: str):
    return next(each for each in suite.cells() if each.name == name)


def test_tasks_variants_and_the_order_of_cells(suite_of):
    suite = suite_of(SMALL)
    assert (suite.name, suite.k, suite.seeds) == ("small", (1, 10), (3, 1))
    names = ["tiny/test/text-audio", "tiny/test/audio-text", "soundscapes/validation/text-audio"]
    assert [task.name for task in suite.tasks] == names
    variants = ["random", "dual", "hnsw@efSearch=16", "hnsw@efSearch=64"]
    assert [spec.name for spec in suite.retrievers] == variants
    assert [spec.base for spec in suite.retrievers] == ["random", "dual", "hnsw", "hnsw"]
    assert [each.name for each in suite.cells()] == [
        f"{task}.{variant}.{seed}" for task in names for seed in (3, 1) for variant in variants
    ]
    assert suite.cells()[3].file == "tiny_test_text-audio.hnsw@efSearch=64.3"


def test_defaults(suite_of):
    suite = suite_of("name: x\ntasks: [{dataset: coco}]\nretrievers: {null: {kind: null}}")
    assert (suite.k, suite.seeds) == ((1, 5, 10), (0,))
    assert set(suite.scenarios) == {"offline", "single"}
    assert suite.scenarios["offline"] == {"rounds": 5, "cap_s": 60.0, "processes": 1}
    assert suite.tasks[0].name == "coco/test/text-image"
    assert suite.retrievers[0].name == "null", "names are read as they are written"
    assert suite.tasks[0].dataset.arguments == {"protocol": "5k", "captions": "five", "broken": 0.01}


def test_only_the_scenarios_that_are_named(suite_of):
    suite = suite_of(SMALL + "scenarios: {offline: {rounds: 7, cap_s: 2}}")
    assert suite.scenarios == {"offline": {"rounds": 7, "cap_s": 2.0, "processes": 1}}


def test_who_gets_which_encoder(suite_of):
    suite = suite_of(SMALL)
    task = "tiny/test/text-audio"
    assert cell(suite, f"{task}.random.3").encoder is None
    assert cell(suite, f"{task}.dual.3").encoder.name == "one"
    assert cell(suite, f"{task}.hnsw@efSearch=16.3").encoder.name == "two"
    assert cell(suite, f"{task}.dual.3").captioner is None


def test_config_is_plain_and_complete(suite_of):
    suite = suite_of(SMALL)
    encoder = suite.tasks[0].encoder
    assert json.loads(json.dumps(encoder.config)) == {
        "kind": "small",
        "trained_on": {"kind": "soundscapes", "train": 64, "validation": 16, "test": 16, "seed": 0},
        "modality": None,
        "patience": 3,
        "steps": 5,
        "batch": 256,
        "dim": 256,
        "lr": 1e-3,
    }
    assert suite.retrievers[2].component.config == {
        "kind": "dual_tower",
        "index": "HNSW32,Flat",
        "search": {"efSearch": 16},
        "tune": {},
    }


def test_a_config_makes_the_same_component_again(suite_of):
    encoder = suite_of(SMALL).tasks[0].encoder
    again = suite_of(f"""
name: x
tasks: [{{dataset: soundscapes, encoder: {json.dumps(encoder.config)}}}]
retrievers: {{random: {{kind: random}}}}
""")
    assert again.tasks[0].encoder.digest == encoder.digest


def test_names_and_written_out_defaults_change_no_key(suite_of):
    first = cell(suite_of(SMALL), "tiny/test/text-audio.dual.3").key(10)
    renamed = SMALL.replace("tiny", "wee").replace("one", "uno").replace("dual:", "towers:")
    spelt = renamed.replace("steps: 5", "steps: 5, batch: 256, lr: 0.001").replace(
        "dual_tower}", "dual_tower, search: {}}"
    )
    assert cell(suite_of(spelt), "wee/test/text-audio.towers.3").key(10) == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps: 5", "steps: 7"),
        ("train: 64", "train: 65"),
        ("[text-audio, audio-text]", "audio-text"),
        ("seeds: [3, 1]", "seeds: [4]"),
        ("dual: {kind: dual_tower}", "dual: {kind: dual_tower, index: Flat}"),
        ("dual: {kind: dual_tower}", "dual: {kind: dual_tower, encoder: two}"),
        ("one, direction", "one, split: validation, direction"),
    ],
)
def test_what_shapes_the_result_changes_the_key(suite_of, old, new):
    first, other = (
        next(each.key(10) for each in suite_of(text).cells() if each.retriever.base == "dual")
        for text in (SMALL, SMALL.replace(old, new))
    )
    assert first != other


def test_what_a_cell_does_not_use_leaves_its_key(suite_of):
    """Another encoder of the task is nothing to the random order, nor is another retriever's setting."""
    key = cell(suite_of(SMALL), "tiny/test/text-audio.random.3").key(10)
    assert cell(suite_of(SMALL.replace("steps: 5", "steps: 9")), "tiny/test/text-audio.random.3").key(10) == key
    assert cell(suite_of(SMALL), "tiny/test/text-audio.random.3").key(20) != key
    assert cell(suite_of(SMALL), "tiny/test/text-audio.random.3").key(10, data="…") != key


def test_keys_of_one_suite_differ(suite_of):
    cells = suite_of(SMALL).cells()
    assert len({each.key(10) for each in cells}) == len({each.file for each in cells}) == len(cells) == 24


def test_an_entry_s_version_is_part_of_the_digest(suite_of, monkeypatch):
    first = suite_of(SMALL).tasks[0].encoder.digest
    small = registry.kinds("encoders")["small"]
    newer = replace(small, version=small.version + 1)
    monkeypatch.setitem(registry.kinds("encoders").entries, "small", newer)
    assert first != suite_of(SMALL).tasks[0].encoder.digest


def test_variants_of_several_lists_are_a_product_with_safe_unique_names(suite_of):
    suite = suite_of("""
name: x
encoders: {e: {kind: small, trained_on: coco}, f: {kind: small, trained_on: coco, steps: 1}}
tasks: [{dataset: coco}]
retrievers:
  a: {kind: dual_tower, encoder: [e, f], index: ["A/B", "A:B", "a b"], search: {x: 1, y: [2]}}
""")
    names = [spec.name for spec in suite.retrievers]
    assert names[:3] == ["a@encoder=e@index=A-B@y=2", "a@encoder=e@index=A-B@y=2-2", "a@encoder=e@index=a-b@y=2-3"]
    assert len({name.casefold() for name in names}) == 6
    assert [spec.encoder.name for spec in suite.retrievers] == ["e"] * 3 + ["f"] * 3
    assert [spec.component.arguments["index"] for spec in suite.retrievers] == ["A/B", "A:B", "a b"] * 2
    assert all(spec.component.arguments["search"] == {"x": 1, "y": 2} for spec in suite.retrievers)


def test_names_of_variants_fit_into_file_names(suite_of):
    suite = suite_of(f"""
name: x
datasets: {{{"d" * 60}: {{kind: coco}}}}
encoders: {{e: {{kind: small, trained_on: coco}}}}
tasks: [{{dataset: {"d" * 60}, encoder: e, split: validation}}]
retrievers: {{{"r" * 60}: {{kind: dual_tower, index: [{"i" * 200}, {"i" * 201}], search: {{{"s" * 99}: [1, 2]}}}}}}
seeds: [4294967295]
""")
    files = {each.file for each in suite.cells()}
    assert len(files) == 4
    assert max(map(len, files)) < 230


def test_references_may_look_forward_and_stand_in_place(suite_of, rerank):
    suite = suite_of("""
name: x
retrievers:
  both: {kind: rerank, first: exact, second: {kind: rerank, first: flat@index=Flat, second: random, depth: [5, 6]}}
  exact: {kind: dual_tower}
  flat: {kind: dual_tower, index: [Flat, "HNSW32,Flat"], encoder: own}
  random: {kind: random}
tasks: [{dataset: shapes, encoder: seen}]
encoders: {seen: {kind: small, trained_on: shapes}, own: {kind: small, trained_on: shapes, steps: 1}}
""")
    both = suite.retrievers[0]
    second = both.component.arguments["second"]
    assert both.component.wants == {"encoder"}, "for the first stage"
    assert suite.cells()[0].encoder.name == "seen"
    assert second.arguments["depth"] == [5, 6], "a list is no list of variants where a list is wanted"
    assert second.arguments["first"].instruments["encoder"].name == "own"
    assert second.wants == frozenset(), "the one inside brings its own"
    assert second.arguments["first"].config["encoder"]["steps"] == 1


def test_a_captioner_brings_what_it_looks_through(suite_of, rerank):
    suite = suite_of("""
name: x
encoders: {e: {kind: small, trained_on: shapes}}
captioners: {c: {kind: looks, encoder: e}}
tasks: [{dataset: shapes, captioner: c}]
retrievers: {reads: {kind: reads}, own: {kind: reads, captioner: {kind: looks, encoder: e, lengths: [4]}}}
""")
    reads, own = suite.cells()
    assert reads.captioner.arguments["encoder"].name == "e"
    assert reads.captioner.modality == "image"
    assert own.captioner.arguments["lengths"] == (4,)
    assert reads.key(1) != own.key(1)


@pytest.mark.parametrize(
    ("retrievers", "words"),
    [
        ("a: {kind: rerank, first: b, second: r}\n  b: {kind: rerank, first: r, second: a}", "cycle"),
        ("a: {kind: rerank, first: a, second: r}", "cycle"),
        ("a: {kind: rerank, first: d, second: r}\n  d: {kind: dual_tower, index: [Flat, exact]}", "d@index=exact"),
        ("a: {kind: rerank, first: r, second: r, depth: 5}", "a list, each member a whole number"),
    ],
)
def test_references_that_can_not_be(suite_of, rerank, retrievers, words):
    text = f"name: x\ntasks: [{{dataset: coco}}]\nretrievers:\n  r: {{kind: random}}\n  {retrievers}\n"
    with pytest.raises(SuiteError, match=words):
        suite_of(text)


@pytest.mark.parametrize("backwards", [False, True])
def test_references_that_multiply_are_stopped(suite_of, rerank, backwards):
    chain = [f"  r{n}: {{kind: rerank, first: r{n + 1}, second: r{n + 1}}}\n" for n in range(500)]
    chain.append("  r500: {kind: random}\n")
    with pytest.raises(SuiteError, match=r"made of 63 components|chain of more than 60"):
        suite_of("name: x\ntasks: [{dataset: coco}]\nretrievers:\n" + "".join(reversed(chain) if backwards else chain))


def test_outside_classes_are_not_imported(suite_of):
    suite = suite_of("""
name: x
datasets: {mine: {kind: python, target: "nowhere.at_all:Mine", modality: video, arguments: {size: 5}}}
tasks: [{dataset: mine, encoder: {kind: python, target: "nowhere:E"}}]
retrievers:
  a: {kind: python, target: "nowhere.at_all:A", paradigm: generative, needs: [encoder], arguments: {b: [1, {c: 2}]}}
""")
    (only,) = suite.cells()
    assert only.name == "mine/test/text-video.a.0"
    assert only.retriever.component.entry.paradigm == "generative"
    assert only.retriever.component.arguments == {"b": [1, {"c": 2}]}
    assert only.encoder.entry.target == "nowhere:E"
    assert only.retriever.component.config == {
        "kind": "python",
        "target": "nowhere.at_all:A",
        "arguments": {"b": [1, {"c": 2}]},
    }


def test_a_broken_package_breaks_no_plan(suite_of, monkeypatch):
    point = importlib.metadata.EntryPoint("theirs", "nowhere.at_all:ENTRY", "harness.retrievers")
    monkeypatch.setitem(registry.kinds("retrievers").points, "theirs", point)
    suite = suite_of("name: x\ntasks: [{dataset: coco}]\nretrievers: {theirs: {kind: theirs}}")
    monkeypatch.delitem(registry.kinds("retrievers").entries, "theirs")
    assert suite.cells()[0].retriever.component.entry.target == ""


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("dual", 6), ("hnsw", 12), ("hnsw@*=16", 6), ("tiny/*", 16), ("*.random.1", 3), ("random, dual", 12), ("*", 24)],
)
def test_select(suite_of, pattern, count):
    suite = suite_of(SMALL)
    chosen = suite.select(pattern)
    assert len(chosen.cells()) == count
    assert set(chosen.cells()) <= set(suite.cells())
    assert {each.task for each in chosen.cells()} == set(chosen.tasks)
    assert {each.retriever for each in chosen.cells()} == set(chosen.retrievers)
    assert chosen.select("*").cells() == chosen.cells()


def test_select_nothing(suite_of):
    with pytest.raises(SuiteError) as caught:
        suite_of(SMALL).select("random,dul,zzz")
    first, second = caught.value.problems
    assert "'dul' names no cell" in first.message
    assert "did you mean 'dual'?" in first.message
    assert "hnsw, tiny/test/text-audio" in second.message


def test_plain_words_and_numbers(tmp_path):
    """YAML 1.2: what looks like a switch, a time or a date to older readers is text."""
    written = {
        "yes": "yes", "on": "on", "1:30": "1:30", "2024-01-01": "2024-01-01", "1_000": "1_000", "0777": 777, "0o17": 15,
        "0x1F": 31, "1e3": 1000.0, ".5": 0.5, "-1": -1, "true": True, "~": None, "'5'": "5", "1.": 1.0, "": None,
    }  # fmt: skip
    path = tmp_path / "values.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(f"k{n}: {text}" for n, text in enumerate(written)).encode())
    for loader in yaml_source.LOADERS:
        _, root, _ = yaml_source.read(path, loader)
        assert list(root.plain.values()) == list(written.values())
        assert [type(value) for value in root.plain.values()] == [type(value) for value in written.values()]
        assert [node.line for node in root.value.values()] == list(range(1, len(written) + 1))


def test_anchors_are_welcome(suite_of):
    suite = suite_of("""
name: x
tasks: [&a {dataset: coco}]
retrievers: {a: {kind: random}}
datasets: {b: &b {kind: shapes, test: 50}, c: *b}
""")
    assert len(suite.cells()) == 1


@pytest.mark.parametrize("name", ["smoke", "audio", "image", "video"])
def test_our_own_suites(name):
    suite = load(SUITES / f"{name}.yaml")
    assert suite.name == name
    assert suite.text == (SUITES / f"{name}.yaml").read_text()
    assert {"null", "random", "constant", "oracle", "dual-exact"} <= {spec.name for spec in suite.retrievers}
    assert pickle.loads(pickle.dumps(suite)) == suite
    assert len({each.key(10) for each in suite.cells()}) == len(suite.cells())


def test_what_a_suite_promises_of_longer_lessons_was_measured():
    """The audio suite tells what CART reaches in confirm.yaml: the page of results must say so."""
    about = load(SUITES / "audio.yaml").about
    told = re.findall(r"(\d\.\d+) times", about)
    page = (SUITES.parent / "results/README.md").read_text()
    confirmed = page[page.index("`run suites/confirm.yaml") :].splitlines()
    rows = [next(line for line in confirmed if line.startswith(f"| {name} |")) for name in ("cart", "dual-distilled")]
    assert [row.split("|")[-2].strip() for row in rows] == told and len(told) == 2
    assert "suites/confirm.yaml" in about and "results/README.md" in about


def test_planning_imports_settings_alone():
    code = f"import sys; from harness.suite import load; load({str(SUITES / 'smoke.yaml')!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SUITES.parent)
    loaded = set(done.stdout.split())
    assert not {module.partition(".")[0] for module in loaded} & {"torch", "scipy", "pandas", "faiss", "transformers"}
    assert "baselines.settings" in loaded and "baselines.dual_tower" not in loaded


def test_every_scenario_can_be_measured():
    """Its function is called with a suite's settings by name."""
    assert set(SCENARIOS) == set(FUNCTIONS)
    for name, settings in SCENARIOS.items():
        assert list(inspect.signature(FUNCTIONS[name]).parameters)[3:] == list(settings.model_fields)


def test_errors_survive_the_way_between_processes(suite_of):
    with pytest.raises(SuiteError) as caught:
        suite_of("name: x")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_a_retriever_may_be_for_some_tasks_only(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: some\ntasks:\n  - {dataset: soundscapes, direction: [text-audio, audio-text]}\nretrievers:\n"
        "  random: {kind: random}\n  constant: {kind: constant, tasks: '*/text-audio'}\n"
    )
    names = [cell.name for cell in load(path).cells()]
    assert names == [
        "soundscapes/test/text-audio.random.0",
        "soundscapes/test/text-audio.constant.0",
        "soundscapes/test/audio-text.random.0",
    ]
    digests = [spec.component.digest for spec in load(path).retrievers]
    path.write_text(path.read_text().replace(", tasks: '*/text-audio'", ""))
    assert digests == [spec.component.digest for spec in load(path).retrievers]
    path.write_text(path.read_text().replace("{kind: random}", "{kind: random, tasks: ['*/text-adio']}"))
    with pytest.raises(SuiteError, match=r"suite.yaml:5: .*names no task"):
        load(path)


def test_a_retriever_may_be_asked_fewer_queries(suite_of):
    """What it prepares is the same; what it answers, and so its cell, isn't."""
    numbers = {"few": "200", "some": "[5, 9]", "all": "null"}
    retrievers = "".join(f"  {name}: {{kind: dual_tower, queries: {count}}}\n" for name, count in numbers.items())
    suite = suite_of(SMALL.partition("  random:")[0] + retrievers)
    components = {spec.name: spec.component for spec in suite.retrievers}
    assert [each.queries for each in components.values()] == [200, 5, 9, None]
    assert len({each.digest for each in components.values()}) == 1
    assert len({suite.key(cell) for cell in suite.cells()}) == len(suite.cells()), "each is asked otherwise"


@pytest.mark.parametrize("queries", ["0", "-3", "half", "2.5"])
def test_a_number_of_queries_that_can_not_be(suite_of, queries):
    with pytest.raises(SuiteError, match="queries"):
        suite_of(SMALL + f"  few: {{kind: dual_tower, queries: {queries}}}")
