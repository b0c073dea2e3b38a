"""The page without a browser: the same bytes twice, nothing that others wrote becomes markup, nothing is fetched."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.report import page as page_room
from harness.report.page import render

ATTACK = "<img src=x onerror=alert(1)>"
PLOT = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="70pt" height="40pt" xmlns="http://www.w3.org/2000/svg">
<metadata><rdf about="https://matplotlib.org/"/></metadata><defs>
<style type="text/css">*{stroke-linejoin: round}</style>
<path id="mark" d="M 0 0"/><clipPath id="cut"/></defs>
<g id="axes" clip-path="url(#cut)"><use xlink:href="#mark"><title>dual</title></use></g></svg>"""


def small(**changes: Any) -> dict[str, Any]:
    """Two tasks of one explorer each; names and captions as bad as they come."""
    explorer = {
        "task": "sounds/test/text-audio",
        "query_modality": "text",
        "candidate_modality": "audio",
        "shown": 2,
        "all": 1_000,
        "queries": [
            {"id": 17, "text": f"{ATTACK}</script>", "medium": None, "right": [4]},
            {"id": 18, "text": "half a letter: \udc80", "medium": None, "right": [5]},
        ],
        "candidates": {"4": {"name": "sounds:4", "medium": None}, "5": {"name": ATTACK, "medium": None}},
        "media": [],
        "retrievers": [
            {
                "name": 'a "quoted" | piped',
                "paradigm": "dual-tower",
                "ids": [[4, 5], None],
                "scores": [[0.7, 0.1], None],
                "paths": None,
                "right_tokens": None,
            }
        ],
    }
    cells = [{"text": "40.1 [38.3, 41.9]", "value": 40.1, "mark": "best"}, {"text": ATTACK, "value": None, "mark": ""}]
    table = {
        "id": "main",
        "title": ATTACK,
        "note": f"{ATTACK} \u202e turned",
        "columns": [{"name": "hit@1 %", "words": False}, {"name": "note", "words": True}],
        "rows": [{"name": 'a "quoted" | piped', "paradigm": "dual-tower", "cells": cells}],
    }
    plot = {"id": "recall", "title": "Recall", "alt": '"> quoted', "svg": PLOT}
    section = {"title": ATTACK, "caption": ATTACK, "tables": [table, table], "plots": [plot, plot]}
    return {
        "title": ATTACK,
        "made": "2026-11-22T11:25:37Z",
        "commit": "a7bc705",
        "machine": ATTACK,
        "about": f"{ATTACK}\nsecond line",
        "generated": True,
        "verdict": [ATTACK],
        "sections": [
            {**section, "id": "one", "explorer": "one"},
            {**section, "id": "one", "explorer": "two words"},
            {**section, "id": "three", "explorer": None},
        ],
        "explorers": {"one": explorer, "two words": explorer},
        **changes,
    }


class Elements(HTMLParser):
    """All elements of a page with their attributes, and what their `script`s hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return render(small())


@pytest.fixture(scope="module")
def elements(text: str) -> Elements:
    return Elements(text)


def test_the_same_data_gives_the_same_bytes(text: str) -> None:
    assert render(small()).encode() == text.encode()


def test_nothing_that_others_wrote_becomes_markup(text: str, elements: Elements) -> None:
    assert not elements.of("img"), "all pictures of the page are made by its script"
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert 'aria-label="&#34;&gt; quoted"' in text
    assert "\u202e" not in text, "no name turns the direction of what follows"
    assert "second line" in text.splitlines()[text[: text.index("second line")].count("\n")], "lines stay lines"


def test_nothing_is_fetched(text: str, elements: Elements) -> None:
    without = re.sub(r'\bxmlns(:\w+)?="[^"]*"', "", text)
    assert "http://" not in without and "https://" not in without and "url(" not in without.replace("url(#", "")
    for tag, attributes in elements.found:
        assert not attributes.get("src"), tag
        assert (attributes.get("href") or "#").startswith("#") or attributes["href"] == "data:,", tag


def test_no_script_but_its_own_may_run(elements: Elements) -> None:
    policy = next(each["content"] for each in elements.of("meta") if "http-equiv" in each)
    assert policy and policy.startswith("default-src 'none';")
    allowed = policy.partition("script-src ")[2].partition(";")[0].split()
    run = [text for text, element in zip(elements.scripts, elements.of("script"), strict=True) if "type" not in element]
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in run]
    assert allowed == [f"'sha256-{each}'" for each in hashes]


def test_ids_occur_once_and_what_names_them_finds_them(elements: Elements) -> None:
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in elements.found:
        for name in ("aria-labelledby", "for", "data-payload"):
            assert attributes.get(name, ids[0]) in ids, (tag, name)
        for name in ("href", "xlink:href"):
            target = attributes.get(name) or ""
            assert not target.startswith("#") or target[1:] in ids, (tag, target)
        cut = re.fullmatch(r"url\(#(.*)\)", attributes.get("clip-path") or "")
        assert cut is None or cut[1] in ids


def test_a_plots_style_stays_its_own(text: str, elements: Elements) -> None:
    assert "<style" in text and not re.search(r"<style[^>]*>\s*\*", text[text.index("<svg") :])
    assert all("viewbox" in each and "width" not in each for each in elements.of("svg"))
    assert {each["style"] for each in elements.of("svg")} == {"--natural: 70pt"}
    assert "<metadata" not in text and "<?xml" not in text and text.count("<!DOCTYPE") == 0


def test_the_answers_come_out_as_they_went_in(elements: Elements) -> None:
    packed = [
        text for text, element in zip(elements.scripts, elements.of("script"), strict=True) if element.get("type")
    ]
    assert [json.loads(gzip.decompress(base64.b64decode(each))) for each in packed] == [*small()["explorers"].values()]


def test_what_a_table_says_is_there_without_script(text: str) -> None:
    assert re.search(
        r'data-value="40.1">\s*<b>40.1</b><span class="hidden"> \(best\)</span>\s*<small>\[38.3, 41.9\]', text
    )
    assert "Generated data" in text and "Generated data" not in render(small(generated=False))


def test_data_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="'one' shows explorer 'one', but there are \\[\\]"):
        render(small(explorers={}))
    table = {
        "id": "main",
        "title": "",
        "note": "",
        "columns": [],
        "rows": [{"name": "cart", "paradigm": "", "cells": [1]}],
    }
    section = {"id": "s", "title": "", "caption": "", "tables": [table], "plots": [], "explorer": None}
    with pytest.raises(ValueError, match="'main' of section 's' has 0 columns, but its row 'cart' has 1 cells"):
        render(small(sections=[section]))
    plot = {"id": "p", "title": "", "alt": "", "svg": "no drawing"}
    with pytest.raises(ValueError, match="has no <svg> element"):
        render(small(sections=[{**section, "tables": [], "plots": [plot]}]))


def test_its_files_are_packaged() -> None:
    import tomllib

    from runs import ROOT

    package = ROOT / "harness"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["harness"]
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    here = Path(page_room.__file__).parent
    assert {path for path in here.iterdir() if path.suffix in (".html", ".css", ".js")} <= packaged
