"""The result of one cell: every key with its meaning. Written whole or not at all, sealed, read by report and gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, get_origin, get_type_hints

from harness.machine import files

SCHEMA_VERSION = 1
STATUSES = ("ok", "failed", "unavailable")


class Data(TypedDict):
    """What was really measured."""

    modality: str  # of the media: image, audio, video
    generated: bool  # made by a program; never to be mixed with recorded data
    items: int  # candidates in the gallery
    added: NotRequired[int]  # so many of them were added once the others had been indexed
    queries: int  # queries of the task
    positives: NotRequired[float]  # candidates that are right for a query, on average; absent: exactly one
    # Of the split that is asked: `items` that the splits to learn from have too (the same bytes, or the same name);
    # `captions` whose words stand in those splits; `ambiguous` captions, which several of its own items have.
    # `learned`: all its items, where train itself is asked.
    leaks: NotRequired[dict[str, int]]
    dropped: int  # items that should be here and are not
    present: NotRequired[int]  # items of the split that are here
    expected: NotRequired[int]  # items that the literature has in it
    layout: NotRequired[str]  # the files that its items and captions were read from
    digest: str  # of the ids of queries and candidates, of those that are texts, and of who matches whom
    # Digest of queries and candidates, media included, and of all that is annotated in the datasets of the cell
    contents: NotRequired[str]
    ceiling: float | None  # hit@1 of a listener who picks uniformly among the candidates that fit; embedded datasets
    chance: dict[str, float]  # hit@k of a random order
    sampled_queries: int | None  # how many queries were asked, where a slow contestant was not asked all


class Metric(TypedDict):
    """A mean over queries and its 95 % interval, clustered by item, for these models."""

    value: float | None  # null: not defined, e.g. a median rank beyond the depth of the ranking
    low: float | None
    high: float | None


class Rate(TypedDict):
    median: float
    q25: float
    q75: float
    rounds: list[float]  # queries per second of every round


class Cpu(TypedDict):
    """Of the timed spans: more cores than threads are allowed, and the retriever started some of its own."""

    cores: float  # CPU seconds a second, of all threads of the process, where they were most
    threads: int  # that were settled for the scenario
    seconds: float  # that the spans lasted


class First(TypedDict):
    """The very first answer of the contest, to one query, and the next."""

    ms: float
    usual_ms: float


class Repeat(TypedDict):
    """Queries asked again, one by one."""

    agree: NotRequired[float]  # share of equal answers
    unseen: NotRequired[float]  # ms of the fastest query never asked before, over their median: above 1, a cache
    speedup: NotRequired[float]  # where there was none such: the same, with the first time that these were asked


class Offline(TypedDict):
    """All queries at once, in disjoint slices, contestants taking turns in random order."""

    qps: Rate
    stages: dict[str, float]  # seconds a query in each named span; what is missing to the whole is in no span
    round_queries: int  # queries in one round
    counted: NotRequired[int]  # queries that the record's `counts` are of: those of one process
    repeat: dict[str, float]  # a slice run again: `agree` (share of equal answers), `speedup` (jumps: something cached)
    first: NotRequired[First]
    cpu: NotRequired[Cpu]
    processes: NotRequired[list[float]]  # the median of each process; `qps` is over the rounds of all
    processes_agree: NotRequired[float]  # share of the first one's answers that the others gave as well, at least
    warm_up: str  # what the untimed queries before were: validation, train, or own (none other were there)


class Single(TypedDict):
    """One query at a time, the next when the last is answered."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    queries: int
    agree: NotRequired[float]  # share of these queries with the same answer as in `offline`, up to near-ties
    compared: NotRequired[int]  # queries that both asked
    cpu: NotRequired[Cpu]
    repeat: NotRequired[Repeat]
    processes: NotRequired[list[float]]  # the p50 of each process; the latencies above are over all of them


class Batch(TypedDict):
    """Batches of one size."""

    qps: Rate
    p50_ms: float  # of a whole batch
    p95_ms: float
    cpu: NotRequired[Cpu]
    processes: NotRequired[list[float]]  # the median of each process; `qps` is over all of them, latencies of the first
    queries: int


class Calls(TypedDict):
    p95_ms: float
    longest_ms: float  # far above the others: the retriever stalled, and all that were due meanwhile waited


class Load(TypedDict):
    """Queries that arrive by chance, so many a second; latency counts from the moment at which each was due."""

    rate: float
    share: NotRequired[float]  # of the contestant's own offline rate, where the suite asked for that
    sought: NotRequired[bool]  # tried in search of the bound
    p50_ms: float
    p95_ms: float
    p99_ms: float
    queries: int
    overloaded: bool  # they came faster than they were answered: latency grew as long as it lasted
    calls: NotRequired[Calls]
    cpu: NotRequired[Cpu]


class Server(TypedDict):
    rates: list[Load]
    bound_ms: NotRequired[float]
    within_bound: NotRequired[float | None]  # the highest rate tried at which p99 stayed below the bound
    repeat: NotRequired[Repeat]


class Memory(TypedDict):
    """Of a fresh process with nothing but this retriever: MB, the peak where the system tells it."""

    host_before_mb: NotRequired[float]  # without the retriever
    host_loaded_mb: NotRequired[float]
    host_peak_mb: NotRequired[float]  # while it searched, one by one and all queries at once
    device_before_mb: NotRequired[float]
    device_loaded_mb: NotRequired[float]
    device_peak_mb: NotRequired[float]
    first_ms: float  # its first answer
    queries: int


class Speed(TypedDict):
    session: str  # rates compare within one session only
    offline: NotRequired[Offline]
    single: NotRequired[Single]
    batch: NotRequired[dict[str, Batch]]  # by size
    server: NotRequired[Server]
    memory: NotRequired[Memory]
    noise: dict[str, Any]  # `others`: share of the machine that other processes took meanwhile; `noisy`: too much


class ArtifactCost(TypedDict):
    s: float  # seconds, without the artifacts that it is made from
    peak_mb: float | None  # how far memory rose
    phase: str  # fit, index or add
    digest: str  # its name in the store


class Cost(TypedDict):
    fit_s: float  # sum over the artifacts below, whether made now or found
    index_s: float
    add_s: NotRequired[float]  # what came with candidates that were added later
    artifacts: dict[str, ArtifactCost]
    index_bytes: int  # all that grows with the gallery
    constant_bytes: NotRequired[int]  # of the index, but doesn't grow: codebooks, centroids. Older: in `index_bytes`
    parameters: int  # of models: they don't grow either


class Record(TypedDict):
    schema_version: int
    suite: str
    task: str
    dataset: str
    retriever: str
    paradigm: str  # single-tower, dual-tower, generative, hybrid, control
    seed: int
    status: Literal["ok", "failed", "unavailable"]
    reason: str | None  # failed: the traceback; unavailable: what to do
    data: Data | None
    metrics: dict[str, Metric]
    speed: Speed | None
    cost: Cost | None
    counts: dict[str, int]  # operations in the offline scenario: they don't flicker
    # What the retriever says of its own inside, e.g. how its identifiers came out; `encoder` and `captioner`: of theirs
    details: NotRequired[dict[str, Any]]
    changed: NotRequired[list[str]]  # settings that all contestants share, which it changed; they were put back
    config: dict[str, Any]  # retriever and instruments as configured, defaults filled in
    environment: dict[str, Any]  # machine, threads, versions, commit, dirty
    key: str  # digest of all that was configured: an equal key means that this cell is done
    family: NotRequired[str]  # the same without seed, depth and scenarios: of one family, seeds are one row
    rankings: str | None  # SHA-256 of the rankings file
    made: str  # when (UTC)
    sources: NotRequired[dict[str, str]]  # files of classes that no registry knows → SHA-256
    seal: NotRequired[str]  # digest of all the above


# `Record.__required_keys__` takes all for required: where annotations are strings, TypedDict doesn't see NotRequired.
REQUIRED = {
    key for key, hint in get_type_hints(Record, include_extras=True).items() if get_origin(hint) is not NotRequired
}


class RecordError(Exception):
    """A file isn't a record, or was altered."""


# From each older schema version to the next. There is none yet; `load` runs whatever stands here in turn.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def save(path: Path, record: Record) -> None:
    files.write_json(path, files.sealed(record))


def load(path: Path) -> Record:
    """A record of this or any older version."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: no readable JSON ({error}); remove it and run the suite again") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("schema_version"), int):
        raise RecordError(f"{path}: no record: key schema_version is missing")
    if raw["schema_version"] > SCHEMA_VERSION:
        raise RecordError(
            f"{path}: schema_version {raw['schema_version']}, this version of the harness reads up to "
            f"{SCHEMA_VERSION}: update the harness"
        )
    if not files.unbroken(raw):
        raise RecordError(f"{path}: altered since it was written (its seal doesn't fit); run the suite again")
    while raw["schema_version"] < SCHEMA_VERSION:
        if raw["schema_version"] not in MIGRATIONS:
            raise RecordError(f"{path}: schema_version {raw['schema_version']}, which there has never been")
        raw = {**MIGRATIONS[raw["schema_version"]](raw), "schema_version": raw["schema_version"] + 1}
    missing = REQUIRED - raw.keys()
    if missing or raw["status"] not in STATUSES:
        wrong = f"keys missing: {', '.join(sorted(missing))}" if missing else f"status {raw['status']!r}"
        raise RecordError(f"{path}: not a whole record ({wrong}); run the suite again")
    return raw  # type: ignore[return-value]
