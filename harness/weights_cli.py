"""`python -m harness weights list|get|check`: the checkpoints that suites name, and how to get them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from harness.data_cli import ABSENT, FINE, Say, told


def add_options(verb: argparse.ArgumentParser) -> None:
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every checkpoint that suites name: licence, size, whether it is here")
    listing.add_argument(
        "suites", nargs="*", type=Path, metavar="SUITE", help="YAML files (default: those of the folder suites/)"
    )
    get = actions.add_parser("get", help="fetch one from the hub into its cache: weights in one form, configuration")
    check = actions.add_parser("check", help="is it whole? Large files are held against their digests")
    for action in (get, check):
        action.add_argument("name", metavar="NAME", help="org/name, or org/name@revision")


def call(options: argparse.Namespace, say: Say, complain: Say) -> int:
    from harness.contract.dataset import Unavailable
    from harness.data import weights

    try:
        if options.action == "list":
            return _list(_named(options.suites or sorted(Path("suites").glob("*.yaml"))), say)
        if options.action == "get":
            say(str(weights.get(options.name)))
            return FINE
        return told(weights.check(options.name), say)
    except Unavailable as reason:
        complain(str(reason))
        return ABSENT


def _named(paths: list[Path]) -> Mapping[str, list[str]]:
    """Hub ids, each with the suites that name it."""
    from harness.contest.missing import checkpoints
    from harness.suite import load

    found: dict[str, dict[str, None]] = {}
    for path in paths:
        suite = load(path)
        for cell in suite.cells():
            for part in cell.parts():
                for name in checkpoints(part).values():
                    found.setdefault(name, {})[suite.name] = None
    return {name: list(suites) for name, suites in found.items()}


def _list(named: Mapping[str, list[str]], say: Say) -> int:
    from harness.data import weights

    for name in dict.fromkeys([*weights.SOURCES, *named]):
        source = weights.SOURCES.get(name)
        problem = weights.lacking(name)
        say(f"{name}: {'absent' if problem else 'present'}{f' ({source.what})' if source else ''}")
        say(f"  size:    {source.size if source else 'see the hub'}")
        say(f"  licence: {source.licence if source else 'see the hub'}")
        say(f"  from:    huggingface.co/{name}")
        if name in named:
            say(f"  used by: {', '.join(named[name])}")
    return FINE
