"""The page that people open after a run: one HTML file with all of its text, code, pictures and sounds inside.

`render` is given plain data and returns the file's text; called by whatever writes a run's report. Tables, sentences
and plots are HTML that reads without JavaScript. What an explorer shows (thousands of questions with their answers)
lies packed in the page, and the browser unpacks it when the explorer is first opened.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.machine.escaping import line
from harness.report.page import svg
from harness.report.page.layout import laid_out

HERE = Path(__file__).parent
EARLY = ("theme.js",)  # before anything is painted
LATE = ("page.js", "larger.js", "answers.js", "list.js", "filters.js", "explorer.js", "open.js")
STYLES = ("page.css", "explorer.css")


def render(data: Mapping[str, Any]) -> str:
    """The whole page. The same data gives the same text."""
    early, late = _joined(EARLY), _joined(LATE)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = lambda text, prefix: Markup(svg.inlined(text, prefix))
    environment.filters["packed"] = lambda explorer: Markup(packed(explorer))
    return environment.get_template("template.html").render(
        page=laid_out(data),
        style=Markup(_joined(STYLES)),
        early=Markup(early),
        late=Markup(late),
        policy=Markup(policy(early, late)),
    )


def packed(explorer: Mapping[str, Any]) -> str:
    """JSON, gzip, base64: nothing in it can end the element that holds it, and the same data gives the same text."""
    text = json.dumps(explorer, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def policy(*scripts: str) -> str:
    """What the page may load: what is in it, and media from its own folder. No script but these runs."""
    digests = [hashlib.sha256(each.encode()).digest() for each in scripts]
    known = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)
    beside = "data: 'self' file:"  # a page opened from a disk has no origin that 'self' could mean everywhere
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; img-src {beside}; media-src {beside}; "
        "base-uri 'none'; form-action 'none'"
    )


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


def _visible(value: Any) -> Any:
    """No control character, no turned direction reaches the page from a name; lines stay lines."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(line, value.split("\n")))
    return value
