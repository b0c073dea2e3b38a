"""Real words on stand-ins for media: Clotho's captions, and the vectors of a small pretrained text encoder.

    pip install wordllama
    python tests/studies/real_words.py CLOTHO OUT
    python -m harness run OUT/real-words.yaml

CLOTHO holds the three files of captions, `clotho_captions_{development,validation,evaluation}.csv`. No sound is heard:
the vector of a clip is the mean of its first two captions' vectors, with noise, so that the dual tower finds about a
quarter at first, as CLAP does. The other three captions are the queries. What a captioner would say of a clip are the
captions of the eight training clips nearest to it, none of which describes it. So the words and their ambiguity are
real, as are the vectors' crowding; that media and text share one space so well is not.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

SPLITS = {"train": "development", "validation": "validation", "test": "evaluation"}
SEEN = 2  # captions of a clip that its vector is made from
NOISE = 0.04  # in each of 256 directions, where vectors have length 1
NEIGHBOURS = 8

SUITE = """\
# Real captions, and the vectors of a pretrained encoder: tests/studies/real_words.py says what stands for what.
name: real-words
about: Dual tower and CART on real captions, with the vectors of a small pretrained text encoder
k: [1, 5, 10]
seeds: [0]
scenarios:
  offline: {rounds: 8, cap_s: 20}

datasets:
  words: {kind: manifest, path: clips.jsonl, modality: audio, vectors: media.npy}

encoders:
  heard:  {kind: precomputed, media: media.npy}
  theirs: {kind: sentence_transformers, checkpoint: wordllama, media: heard}

captioners:
  neighbours: {kind: file, path: captions.jsonl}  # what is said of similar clips
  told: {kind: prefix, encoder: theirs, trained_on: words, steps: 600, samples: 40}

tasks:
  - {dataset: words, encoder: theirs, captioner: neighbours}

retrievers:
  random:     {kind: random}
  oracle:     {kind: oracle}
  dual-exact: {kind: dual_tower}
  dual-pq:    {kind: dual_tower, index: "PQ32x*"}
  dual-rq:    {kind: dual_tower, index: "RQ8x8"}
  caption-match: {kind: caption_match, captioner: [neighbours, told]}
  lexical:       {kind: lexical, captioner: [neighbours, told]}
  likelihood:    {kind: likelihood, captioner: told, queries: 200}
  # Captions at their word, if that helps on validation.
  dual-tuned:
    {kind: dual_tuned, captioner: [neighbours, told], batch: 512, tune: {lr: [0.0001], steps: [0, 200]}}
  cart-captions:
    {kind: cart, captioner: told, text: vector, fusion: last-layer, loss: legal, consistency: 0,
     pca: 64, balanced: true, batch: 512, steps: 500}
  # The dual tower as it is judges texts: of the train split, generated captions, and what lies between two of them.
  # With codes as few as the paper's, with those that did best on validation, and with a token of its own for each clip.
  plain: {kind: dual_tuned, tune: {steps: [0]}}
  cart:
    {kind: cart, captioner: told, start: plain, text: vector, fusion: last-layer, loss: legal, consistency: 0,
     teacher: start, teacher_texts: 50000, temperature: 2, blend: 0.5, pca: 64, balanced: true, dropout: 0, batch: 512,
     steps: 1600}
  # Its twenty, decided by the dual tower's vectors, which have to be kept, too.
  cart-decided: {kind: rerank, captioner: told, first: cart, second: plain, n: 20}

ablation:
  cart:
    larger: {clusters: 512, codes: 64, books: 1}
    atomic: {identifiers: atomic}
"""


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    clips = {split: read(source / f"clotho_captions_{name}.csv") for split, name in SPLITS.items()}
    texts = sorted({text for each in clips.values() for captions in each.values() for text in captions})
    vectors = dict(zip(texts, encode(texts), strict=True))
    rng = np.random.default_rng(0)
    media = {
        split: np.stack([heard(captions, vectors, rng) for captions in each.values()]) for split, each in clips.items()
    }
    np.save(out / "media.npy", np.concatenate(list(media.values())))
    checkpoint(out / "wordllama")
    with (out / "clips.jsonl").open("w") as file:
        for row, (split, name) in enumerate((split, name) for split, each in clips.items() for name in each):
            said = clips[split][name][SEEN:]
            file.write(json.dumps({"id": f"{split} {name}", "row": row, "split": split, "caption": said}) + "\n")
    with (out / "captions.jsonl").open("w") as file:
        for split in ("validation", "test"):
            for name, near in zip(clips[split], nearest(media[split], media["train"]), strict=True):
                said = [text for place in near for text in list(clips["train"].values())[place][SEEN:]]
                file.write(json.dumps({"item": f"{split} {name}", "captions": said}) + "\n")
    (out / "real-words.yaml").write_text(SUITE)


def read(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file_name"]: [row[f"caption_{number}"] for number in range(1, 6)] for row in csv.DictReader(file)}


def encode(texts: list[str]) -> np.ndarray:
    """float32 [n, 256]: the mean of each text's tokens, as wordllama has it."""
    tokenizer, table = words()
    tokenizer.no_padding()
    rows = tokenizer.encode_batch(texts, add_special_tokens=False)
    return unit(np.stack([table[row.ids].astype(np.float32).mean(0) for row in rows]))


def checkpoint(folder: Path) -> None:
    """The same in the layout of sentence-transformers, for texts that nobody has written yet."""
    tokenizer, table = words()
    (folder / "table").mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "table" / "tokenizer.json"))
    save_file({"embedding.weight": table}, folder / "table" / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "path": "table", "type": "models.StaticEmbedding"}]))


def words() -> tuple[Tokenizer, np.ndarray]:
    """wordllama's tokenizer and its table of token vectors, from the files inside its package."""
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        sys.exit("wordllama isn't here: pip install wordllama")
    folder = Path(found.origin).parent
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    (table,) = load_file(folder / "weights" / "l2_supercat_256.safetensors").values()
    return tokenizer, table


def heard(captions: list[str], vectors: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The vector that stands for a clip."""
    mean = np.mean([vectors[text] for text in captions[:SEEN]], axis=0)
    return unit(mean + NOISE * rng.normal(size=mean.shape)).astype(np.float32)


def nearest(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.argsort(-some @ others.T, axis=1)[:, :NEIGHBOURS]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


if __name__ == "__main__":
    main()
