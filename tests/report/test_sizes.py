"""Bytes: fixed ones count, and where two contestants hold as many."""

from __future__ import annotations

from pathlib import Path

from folders import add, write_page

from harness.report import sizes
from harness.results import rows as results
from harness.store.run_folder import RunFolder


def cost(growing: int, constant: int, parameters: int) -> dict[str, object]:
    held = {"index_bytes": growing, "constant_bytes": constant, "parameters": parameters}
    return {"fit_s": 1.0, "index_s": 1.0, "artifacts": {}, **held}


def test_the_size_at_which_both_hold_as_many_bytes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    costs = {  # of four candidates
        "exact": cost(4 * 1000, 0, 500),
        "generated": cost(4 * 10, 0, 5_450),  # 19,800 more bytes of models, 990 fewer an item
        "codes": cost(4 * 100, 50, 400),
        "both": cost(4 * 1000, 0, 600),
        "wide": cost(4 * 2000, 0, 250),
    }
    for name, each in costs.items():
        add(folder, retriever=name, cost=each, paradigm="generative" if name == "generated" else "dual-tower")
    found = {each.row.retriever: each for each in map(sizes.held, results.rows(folder, folder.records())) if each}
    assert (found["generated"].item, found["generated"].total) == (10, 40 + 4 * 5_450)
    assert found["generated"].smaller_from(found["exact"]) == "20"
    assert found["codes"].smaller_from(found["exact"]) == "any size"
    assert found["both"].smaller_from(found["exact"]) == "–"
    assert found["exact"].smaller_from(found["both"]) == "any size", "as many an item, and fewer fixed ones"
    assert found["wide"].smaller_from(found["exact"]) == "up to 1"
    text = sizes.markdown(results.rows(folder, folder.records()))
    assert "smaller than both from" in text, "the first dual tower"
    assert "| generated | generative | 10 B | 0 B | 21.8 kB | 21.8 kB | 19.6 |" in text


def test_without_a_dual_tower_there_is_no_table(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_page(folder)
    for name in ("one", "other"):
        add(folder, retriever=name, cost=cost(4, 0, 1), paradigm="generative")
    assert sizes.markdown(results.rows(folder, folder.records())) == ""
