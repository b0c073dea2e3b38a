"""Who may import whom: the README's table, held against every import statement, also those inside functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from runs import ROOT

TOPS = ("harness", "baselines", "cart")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in TOPS
    for path in (ROOT / top).rglob("*.py")
}
ROWS = re.findall(r"^\| `([a-z.]+)` \| .+ \|([a-z, ]*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
ALLOWED = {room: {f"harness.{name}" for name in re.findall(r"\w+", names)} for room, names in ROWS}
ALLOWED["harness"] = {name for name in ALLOWED if name.startswith("harness.")}  # "all of the above"


def imported(module: str) -> Iterator[str]:
    """The modules of this repository that a module names; a package only where it asks the package itself."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in TOPS:
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in wanted)


GRAPH = {module: set(imported(module)) - {module} for module in FILES}


def room(module: str) -> str:
    parts = module.split(".")
    inside = ".".join(parts[:2])
    return inside if parts[0] == "harness" and (ROOT / Path(*parts[:2])).is_dir() else parts[0]


def test_every_room_is_in_the_table() -> None:
    assert {room(module) for module in FILES} == ALLOWED.keys()


def test_each_room_imports_what_the_table_allows() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in others
        if room(other) != room(module) and room(other) not in ALLOWED[room(module)]
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_no_room_is_above_itself() -> None:
    """What the table allows is an order of floors."""
    list(TopologicalSorter(ALLOWED).static_order())


def test_there_are_no_circles() -> None:
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_each_room_says_what_it_is_for() -> None:
    for name in ALLOWED:
        said = ast.get_docstring(ast.parse(FILES[name].read_text()))
        assert said and len(said) > 30, f"{name} has no sentence at its door"


def test_the_hall_stays_empty() -> None:
    assert len(list((ROOT / "harness").glob("*.py"))) <= 6
