"""A realistic page's data, made up: sounds with spectrograms, captions, pictures, films, retrievers that are wrong at
times, a tree of tokens, and names and captions that others could have written in bad faith.

Called by the browser's tests; `python tests/page/fixture.py FILE.html` writes the page.
"""

from __future__ import annotations

import base64
import io
import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RATE = 8_000
QUOTED = 'a "quoted" | piped'
ATTACK = "<img src=x onerror=alert(1)>"
HOSTILE = {  # by query
    3: ATTACK,
    4: "a very long story about a bell, " * 312 + "the end.",  # 10,000 characters
    5: "كلب ينبح ثم يرن جرس بعيد",
    6: "a dog 🐕 barks, then thunder ⛈️ rolls",
    7: "</script><script>alert(2)</script>",
}
RETRIEVERS = (  # name, paradigm, how often its first answer is right
    ("random", "control", 0.01),
    ("dual-exact", "dual-tower", 0.51),
    ("dual-hnsw@efSearch=64", "dual-tower", 0.5),
    ("cart", "generative", 0.4),
    ("likelihood", "single-tower", 0.62),
    ("dual-likelihood", "hybrid", 0.6),
    (QUOTED, "dual-tower", 0.3),
)
THINGS = ("a bell", "a dog", "rain", "a siren", "a drum", "wind", "a cricket", "an engine", "a whistle", "footsteps")
DOINGS = ("far away", "twice", "softly", "getting louder", "high and short", "low and long", "in the background")
COLOURS = np.array([[20, 14, 42], [84, 28, 109], [190, 55, 84], [249, 142, 9], [252, 255, 164]], float)


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def sound(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, str]:
    """A few tones that come and go, as 8-bit WAV."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave_form = 0.05 * rng.standard_normal(len(time))
    for _ in range(3):
        start, pitch, slope = rng.uniform(0, seconds), rng.uniform(200, 3000), rng.uniform(-400, 400)
        envelope = np.exp(-(((time - start) / (0.15 * seconds)) ** 2))
        wave_form += envelope * np.sin(2 * np.pi * (pitch * time + slope * time**2 / 2))
    samples = np.clip(128 + 40 * wave_form, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, RATE, 0, "NONE", "none"))
        file.writeframes(samples.tobytes())
    return wave_form, data_uri("audio/wav", buffer.getvalue())


def picture(values: np.ndarray) -> str:
    """Numbers between 0 and 1, as a picture in colours."""
    place = np.clip(values, 0, 1)[..., None] * (len(COLOURS) - 1)
    low = np.minimum(place.astype(int), len(COLOURS) - 2)
    mixed = COLOURS[low[..., 0]] * (1 - (place - low)) + COLOURS[low[..., 0] + 1] * (place - low)
    return webp([Image.fromarray(mixed.astype(np.uint8))])


def webp(frames: list[Image.Image]) -> str:
    buffer = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 90, "loop": 0}
    frames[0].save(buffer, "webp", quality=60, **(more if len(frames) > 1 else {}))
    return data_uri("image/webp", buffer.getvalue())


def spectrogram(wave_form: np.ndarray) -> str:
    hop = max(1, (len(wave_form) - 256) // 160)
    windows = np.lib.stride_tricks.sliding_window_view(wave_form, 256)[::hop] * np.hanning(256)
    power = np.log1p(np.abs(np.fft.rfft(windows))).T[::-1]
    return picture(power[::2] / power.max())


def shape(rng: np.random.Generator, frames: int, scale: int = 1) -> str:
    """A square on a plain ground; with several frames it moves. `scale`: so many times as large."""
    ground, own = rng.integers(200, 255, 3), rng.integers(0, 180, 3)
    x, y, size = rng.integers(10, 80), rng.integers(10, 60), rng.integers(15, 35)
    drawn = []
    for frame in range(frames):
        pixels = np.broadcast_to(ground, (96, 128, 3)).astype(np.uint8).copy()
        pixels[y : y + size, (x + 3 * frame) % 100 : (x + 3 * frame) % 100 + size] = own
        drawn.append(Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)))
    return webp(drawn)


def caption(rng: np.random.Generator) -> str:
    first, second = rng.choice(THINGS, 2, replace=False)
    return f"{first} {rng.choice(DOINGS)}, then {second} {rng.choice(DOINGS)}"


def media(kind: str, count: int, rng: np.random.Generator, seconds: float) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        entry: dict[str, Any] = {"kind": kind, "alt": f"{kind} {number}"}
        if kind == "audio":
            wave_form, clip = sound(rng, seconds)
            entry |= {"thumb": spectrogram(wave_form), "clip": clip, "alt": f"spectrogram of {number}"}
        elif kind == "image":
            entry |= {"thumb": shape(np.random.default_rng(number), 1)}
            entry |= {"clip": shape(np.random.default_rng(number), 1, 4)}
        else:
            entry |= {"thumb": shape(rng, 1), "clip": shape(rng, 12)}
        found.append(entry)
    return found


def answers(rng: np.random.Generator, query: int, candidates: int, share: float) -> list[int]:
    """Ten different ones; the right one, which bears the query's number, is first as often as `share` says."""
    right = query % candidates
    others = [int(each) for each in rng.permutation(candidates)[:10] if each != right]
    place = 0 if rng.random() < share else int(rng.integers(1, 16))
    return [*others[:place], right, *others[place:]][:10]


def retriever(
    name: str, paradigm: str, share: float, queries: int, candidates: int, rng: np.random.Generator
) -> dict[str, Any]:
    ids: list[list[int] | None] = [answers(rng, query, candidates, share) for query in range(queries)]
    if paradigm == "hybrid":
        ids[queries // 2 :] = [None] * (queries - queries // 2)  # asked half of them only
    scores = [each and [round(0.95 - 0.06 * rank, 4) for rank in range(len(each))] for each in ids]
    found = {"name": name, "paradigm": paradigm, "ids": ids, "scores": scores, "paths": None, "right_tokens": None}
    if paradigm == "generative":
        tokens = rng.integers(0, 48, (candidates, 3))
        tokens[:, 0] %= 6
        found["paths"] = [
            each
            and [
                {"tokens": tokens[id].tolist(), "odds": [round(float(p), 3) for p in rng.uniform(0.05, 1, 3)]}
                for id in each
            ]
            for each in ids
        ]
        found["right_tokens"] = [tokens[query % candidates].tolist() for query in range(queries)]
    return found


def explorer(task: str, asked: str, found: str, queries: int, candidates: int, seconds: float) -> dict[str, Any]:
    """Queries of the modality `asked`, candidates of the modality `found`, in a task of this name."""
    rng = np.random.default_rng(len(task))
    kind = found if asked == "text" else asked
    own = media(kind, candidates if asked == "text" else queries, rng, seconds)
    texts = [HOSTILE.get(number) or caption(rng) for number in range(max(queries, candidates))]
    return {
        "task": task,
        "query_modality": asked,
        "candidate_modality": found,
        "shown": queries,
        "all": 5 * queries,
        "queries": [
            {
                "id": 10 + query,
                "text": texts[query] if asked == "text" else None,
                "medium": None if asked == "text" else query,
                "right": [query % candidates],
            }
            for query in range(queries)
        ],
        "candidates": {
            str(each): {"name": f"{task.split('/')[0]}:test:{each}"}
            | ({"medium": each} if asked == "text" else {"text": texts[each]})
            for each in range(candidates)
        },
        "media": own,
        "retrievers": [retriever(*each, queries, candidates, rng) for each in RETRIEVERS],
    }


def main_table(rng: np.random.Generator) -> dict[str, Any]:
    """As wide as real ones; twelve rows, some of other settings."""
    names = ["hit@1 %", "hit@5 %", "hit@10 %", "MRR@10 %", "queries/s", "search only/s", "p50 ms", "p95 ms", "fit s"]
    columns = [*({"name": name, "words": False} for name in names), {"name": "note", "words": True}]
    kinds = [*RETRIEVERS, *((f"dual-ivf@nprobe={n}", "dual-tower", 0.41 + n / 100) for n in (1, 2, 4, 8, 16))]
    rows = []
    for number, (name, paradigm, share) in enumerate(kinds):
        cells = []
        for place, column in enumerate(names):
            value = min(100.0, 100 * share * (1, 1.4, 1.6, 1.2)[place]) if place < 4 else 10 ** rng.uniform(0, 4)
            text = f"{value:.1f} [{0.96 * value:.1f}, {1.03 * value:.1f}]" if place < 4 else f"{value:,.4g}"
            if column == "search only/s" and paradigm == "control":
                value, text = None, "–"
            mark = {4: "best", 5: "near"}.get(number, "") if place < 4 else ""
            cells.append({"text": text, "value": value, "mark": mark})
        note = "INVALID: few rounds" if number == 6 else ""
        rows.append({"name": name, "paradigm": paradigm, "cells": [*cells, {"text": note, "value": None, "mark": ""}]})
    note = "Brackets: 95 % interval, clustered by item.\nqueries/s: query in, ids out, all queries at once."
    return {"id": "main", "title": "Main", "note": note, "columns": columns, "rows": rows}


def pairs_table() -> dict[str, Any]:
    columns = [{"name": "difference, points", "words": False}, {"name": "p", "words": False}]
    rows = [
        {
            "name": f"{one[0]} − {other[0]}",
            "paradigm": "",
            "cells": [
                {"text": f"{gap:+.1f} [{gap - 2:+.1f}, {gap + 2:+.1f}]", "value": gap, "mark": ""},
                {"text": "< 0.001" if abs(gap) > 2 else "0.21", "value": 0.001 if abs(gap) > 2 else 0.21, "mark": ""},
            ],
        }
        for place, one in enumerate(RETRIEVERS)
        for other in RETRIEVERS[:place]
        for gap in [100 * (one[2] - other[2])]
    ]
    return {"id": "paired", "title": "Any two compared", "note": "", "columns": columns, "rows": rows}


def plot() -> str:
    """As this repository draws: Matplotlib's SVG, whole."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "page"
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    panel = figure.subplots()
    for number, (name, _, share) in enumerate(RETRIEVERS[1:], 1):
        panel.errorbar(10**number, 100 * share, yerr=3, fmt="o", label=name, capsize=2)
    panel.set_xscale("log")
    panel.set_ylim(0, 100)
    panel.set_xlabel("queries per second")
    panel.set_ylabel("hit@1, %")
    panel.grid(alpha=0.25)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def page(queries: int = 200, candidates: int = 100, seconds: float = 1.0) -> Mapping[str, Any]:
    """The whole data. 15 MB of sounds: `seconds=12`."""
    tasks = (
        ("soundscapes/test/text-audio", "text", "audio", queries, candidates),
        ("soundscapes/test/audio-text", "audio", "text", 30, 40),
        ("shapes/test/text-image", "text", "image", 40, 40),
        ("motions/test/text-video", "text", "video", 40, 24),
    )
    drawn, rng = plot(), np.random.default_rng(0)
    plots = [{"id": "recall-rate", "title": "Recall against rate", "alt": "Who finds more is slower.", "svg": drawn}]
    sections = [
        {
            "id": task.replace("/", "-"),
            "title": task,
            "caption": f"generated data; {count:,} candidates, {5 * asked:,} queries, chance 0.1 % at hit@1",
            "tables": [main_table(rng), pairs_table()] if number == 0 else [main_table(rng)],
            "plots": plots if number < 2 else [],
            "explorer": task.replace("/", "-"),
        }
        for number, (task, _, _, asked, count) in enumerate(tasks)
    ]
    return {
        "title": "audio",
        "made": "2026-11-22T11:25:37Z",
        "commit": "a7bc705",
        "machine": "Intel Xeon, 2 cores, cpu, 2 threads",
        "about": "The lessons on soundscapes are short here, so that a first verdict takes minutes.",
        "generated": True,
        "verdict": [
            "likelihood finds most: 62.0 % of the queries at once, at 310 queries a second.",
            "dual-exact is sixteen times as fast, and 11 points [9, 13] below.",
            "cart finds 40.0 %, with an index a hundred times smaller than dual-exact's.",
        ],
        "sections": sections,
        "explorers": {each[0].replace("/", "-"): explorer(*each, seconds) for each in tasks},
    }


if __name__ == "__main__":
    from harness.report.page import render

    Path(sys.argv[1]).write_text(render(page()), encoding="utf-8")
