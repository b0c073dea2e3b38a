"""CART (arXiv 2406.17507): retrieval by generating the identifier of what a query asks for.

    embed → identify → caption → train → decode

The candidates' embeddings become identifiers (K-Means, RQ-VAE, a counter), a captioner's descriptions of them become
training queries, a small decoder over a text encoder learns to generate a description's identifier, and a beam search
restricted to identifiers that exist answers real queries. The cost of a search doesn't depend on their number.

The paper's own way is the default wherever it says something. `text` is the text encoder: a dual tower's text side
(`tower`), its pooled `vector` alone, a transformer from `scratch`, or a checkpoint.

Ours, and switched on by a suite:

    start          a fine-tuned dual tower's vectors and text side replace the plain encoder's
    teacher        scores candidates for other texts, which are learnt from like captions
    blend          the teacher is asked about vectors up to that far from one text to another, too
    loss: legal    probabilities are shared among the children that the tree has, not among a level's vocabulary
    geometry       vectors of codes or nodes help to score them
    text: vector, fusion: last-layer, consistency: 0      a smaller model, and one pass a step
    pca, balanced  vectors are quantised in their main directions, in clusters of about equal size
    described      captions of some candidates alone, where only the cost of a search is asked

Ours where the paper, as far as it is known to us, is silent:

    the forms of gates, norms, heads and embedding tables        model.py
    how the RQ-VAE is initialised, and kept from collapsing      identifiers/fine.py
    the optimiser, which all that is trained here shares         harness/nn/learning.py
    sizes, steps, rates and beams                                settings.py
    encoder and captioner                                        those of the suite, where the paper has ImageBind
    R-Drop: passes differ by the dropout of the decoder, and of the text side where that has one of its own or
        `text_dropout` gives it some; else its states are computed once for both, which comes to the same
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cart import batches, decoding, geometry, identifiers, odds, trie
from cart.batches import Draw, VectorScorer
from cart.identifiers import Identifiers, Scheme
from cart.model import CART, State
from cart.settings import CART as ENTRY
from cart.settings import HEADS, CartSettings
from cart.text import Pretrained, Scratch, Text, Tower, Vector
from cart.training import Plan, train
from cart.trie import Trie
from harness.contract.dataset import Contents, Pairs, texts
from harness.contract.instruments import Captioner, Encoder, TextTower
from harness.contract.problems import BadInput
from harness.contract.retriever import Footprint, Ranking, Retriever, Unsupported, in_blocks, padded
from harness.contract.store import Store
from harness.machine import compute, files
from harness.machine.compute import stage
from harness.nn import choosing, distillation
from harness.nn.batching import trim
from harness.nn.distillation import TextScorer
from harness.nn.layers import once, parameter_count
from harness.nn.text_side import Vectors, parameters, text_side
from harness.nn.words import Vocabulary

QUERIES_AT_ONCE = 128
TRAIN_TEXTS = "train_texts.json.gz"  # kept for the lessons of `add_steps`
CHECKED = 512  # candidates whose captions are searched after training, to see whether the first token is right


class Tuned(TextScorer, VectorScorer, Protocol):
    """A retriever that has learnt vectors for the gallery, and a text side that matches them."""

    vectors: np.ndarray  # float32 [N, dim]
    about: Mapping[str, Any]  # its settings

    def text_tower(self) -> TextTower: ...

    def place(self, contents: Contents) -> np.ndarray: ...

    def elsewhere(self, gallery: Contents, train_texts: Contents | None) -> Tuned: ...

    def with_added(self, contents: Contents) -> Tuned: ...


class Begun:
    """A model that has its queries already."""

    def __init__(self, model: CART, state: State, queries: int) -> None:
        self.begun = state, queries
        self.level, self.affinity = model.level, model.affinity

    def begin(self, queries: Any) -> tuple[State, int]:
        return self.begun


class CartRetriever(Retriever):
    def __init__(
        self,
        settings: CartSettings,
        encoder: Encoder,
        captioner: Captioner,
        seed: int,
        start: Tuned | None = None,
        store: Store | None = None,
        scratch: Path | None = None,
    ) -> None:
        self.encoder, self.captioner, self.start = encoder, captioner, start
        self.text, self.frozen = settings.text, settings.frozen or settings.text == "vector"
        self.words: list[str] = []  # the vocabulary of `text: scratch`
        self.kind = settings.identifiers
        self.codebooks = {"clusters": settings.clusters, "books": settings.books, "codes": settings.codes}
        self.quantised: dict[str, Any] = {"pca": settings.pca or None, "seed": seed}
        self.balanced = settings.balanced
        self.fusion, self.geometry, self.normalise = settings.fusion, settings.geometry, settings.loss
        self.decoder: dict[str, Any] = settings.model_dump(include={"width", "layers", "dropout", "text_dropout"})
        self.plan = Plan(settings.steps, settings.batch, settings.lr, settings.loss, settings.consistency, seed)
        self.described, self.add_steps = settings.described, settings.add_steps
        self.beams, self.store, self.scratch, self.seed = settings.beams, store, scratch, seed
        self.teacher, self.teacher_texts, self.blend = settings.teacher, settings.teacher_texts, settings.blend
        self.temperature = settings.temperature
        self.tries, self.tried, self.about = settings.tune, list[dict[str, float]](), settings.model_dump(mode="json")
        self.train_texts: Contents | None = None  # for a teacher: they describe other items than the gallery's
        self.first_token: float | None = None
        self.reset_counts()

    # -- the story --------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.train_texts = train.queries
        if self.tries:
            known = choosing.known(self.about, ENTRY.version, self.seed, train, self.encoder, self.captioner)
            known |= {"start": self.start.about} if self.start is not None else {}
            self._take(choosing.choose(self.tries, validation, partial(self._sibling, validation), self.store, known))

    def index(self, gallery: Contents) -> None:
        embeddings = self._embed(gallery)
        self.scheme, self.named = self._identify(embeddings)
        self.tree = trie.build(self.named.tokens, self.named.sizes)
        captions = self.captioner.captions(gallery[: self.described] if self.described else gallery)
        if self.text == "scratch":
            learnt = Vocabulary.learn((text for each in captions for text in each), starts=False)
            self.words = list(learnt.words)
        self.model = self._model(embeddings)
        self._train(captions, self._batches(gallery, captions))
        self._ready()

    def search(self, queries: Contents, k: int) -> Ranking:
        return in_blocks(lambda block: self._search(block, k), queries, QUERIES_AT_ONCE, k)

    # -- what it chooses --------------------------------------------------------------------------------------------

    def _take(self, tried: list[dict[str, float]]) -> None:
        """The best of the settings that were tried."""
        self.tried = tried
        self._set(tried[0])

    def _set(self, values: choosing.Values) -> None:
        lr, steps = values.get("lr", self.plan.lr), int(values.get("steps", self.plan.steps))
        self.plan = replace(self.plan, lr=lr, steps=steps)
        self.temperature = values.get("temperature", self.temperature)

    def _sibling(self, validation: Pairs, values: choosing.Values) -> CartRetriever:
        """The same with other settings, for the validation gallery."""
        other = copy.copy(self)
        other._set(values)
        other.scratch = None
        if self.start is not None:
            other.start = self.start.elsewhere(validation.candidates, self.train_texts)
        return other

    # -- its steps --------------------------------------------------------------------------------------------------

    def _embed(self, contents: Contents) -> np.ndarray:
        """float32 [N, dim]: the encoder's vectors, or those of a fine-tuned dual tower."""
        if not len(contents):
            raise ValueError("CART learns the identifiers of its gallery, and this gallery is empty")
        return np.array(self._vectors(contents), np.float32)

    def _vectors(self, gallery: Contents) -> np.ndarray:
        """The same where they are stored."""
        return self.start.vectors if self.start is not None else self.encoder.embed(gallery)

    def _identify(self, embeddings: np.ndarray) -> tuple[Scheme, Identifiers]:
        scheme = identifiers.make(self.kind, self._settings())
        return scheme, scheme.fit(embeddings)

    def _settings(self) -> dict[str, Any]:
        """The settings of this kind's scheme, from the sizes that all of them share."""
        clusters, books, codes = (self.codebooks[name] for name in ("clusters", "books", "codes"))
        network = "linear" if self.geometry == "codebook" else "mlp"
        fine = {"books": books, "codes": codes, "network": network}
        known: dict[str, dict[str, Any]] = {
            "cart": {"clusters": clusters, "fine": fine, "balanced": self.balanced} | self.quantised,
            "residual": {"fine": {**fine, "books": books + 1}} | self.quantised,
            "structured": {"clusters": clusters, "depth": books + 1} | self.quantised,
            "random": {"clusters": clusters, "books": books, "codes_each": codes, "seed": self.seed},
        }
        return known.get(self.kind, {})

    def _model(self, embeddings: np.ndarray) -> CART:
        torch.manual_seed(self.seed)
        text = self._text()
        shape = geometry.make(self.geometry, text.width, self.tree, embeddings, self.scheme.codewords())
        model = CART(text, self.named.sizes, heads=HEADS, fusion=self.fusion, geometry=shape, **self.decoder)
        return model.to(compute.current().device)

    def _text(self) -> Text:
        if self.text == "scratch":
            return Scratch(self.words, self.decoder["width"], self.decoder["dropout"])
        if self.text not in ("tower", "vector"):
            return Pretrained(Path(self.text), self.frozen)
        tower: Any = self.start.text_tower() if self.start is not None else text_side(self.encoder)
        if self.text == "vector":
            return Vector(tower)
        if isinstance(tower, Vectors):
            raise BadInput(
                f"text: tower needs the encoder's states for each word, and {type(self.encoder).__name__} offers no "
                "text side; write `text: vector`, which needs its vectors alone"
            )
        return Tower(tower, self.frozen)

    def _batches(self, gallery: Contents, captions: list[list[str]]) -> Draw:
        """Of captions alone, or of texts with a teacher's scores."""
        counts = [len(each) for each in captions]
        if not all(counts):
            raise ValueError(f"candidate {counts.index(0)} has no caption: CART would never learn its identifier")
        if self.teacher == "start":
            if self.start is None:
                raise ValueError("teacher: start needs a fine-tuned dual tower to start from: name one with `start:`")
            chosen, _ = distillation.training_texts(self.teacher, self.train_texts, captions, self.teacher_texts)
            return self._judged(chosen, self.start)
        if self.teacher != "none":
            instruments = (self.encoder, self.captioner, self.teacher_texts, self.store)
            posterior = distillation.posterior(self.teacher, self.train_texts, gallery, *instruments)
            return batches.from_posterior(self._tokens(list(posterior.texts)), posterior.softened(self.temperature))
        return batches.from_captions(self._tokens([text for each in captions for text in each]), counts)

    def _train(self, captions: list[list[str]], draw: Draw) -> None:
        subject = "\n".join(text for each in captions for text in each[:1]) + str(self.named.tokens[:64].tolist())
        subject += f"{self.teacher} {self.teacher_texts} {self.blend} {self.temperature}"
        earlier = train(self.model, self.tree, draw, self.plan, self.scratch, subject)
        if self.store is not None:
            self.store.carry(earlier)
        self.first_token = self._first_token(self._tokens([each[0] for each in captions[:CHECKED]]))

    def _first_token(self, captions: Tensor) -> float:
        """The share of captions (n, L) of the first candidates whose first token is right: if not, the rest is useless.

        These are captions it was trained on: this shows whether the model has learnt, not how well it generalises.
        """
        device = compute.current().device
        found = decoding.search(self.model, captions.to(device), self.tree.on(device), 1, 1, self.normalise).rows
        tokens = self.named.tokens[:, 0]
        return float((tokens[found[:, 0].cpu().numpy()] == tokens[: len(captions)]).mean())

    def _tokens(self, texts: list[str]) -> Tensor:
        return self.model.encoder.tokens(texts)  # type: ignore[attr-defined]

    def _ready(self) -> None:
        """Make a copy with fast kernels to search with, and put the tree on the device."""
        self.searching: Any = compute.ready(copy.deepcopy(self.model), self.encoder.precision)
        self.leaves: Trie = self.tree.on(compute.current().device)

    @torch.inference_mode()
    def _search(self, queries: Contents, k: int) -> Ranking:
        with compute.amp(self.encoder.precision), stage("encode"):
            tokens = trim(self.searching.encoder.tokens(list(queries))).to(compute.current().device)
            encoded = self.searching.encoder(tokens)
        with compute.amp(self.encoder.precision), stage("decode"):
            begun = Begun(self.searching, self.searching.prepare(encoded), len(tokens))
            answers = decoding.search(begun, tokens, self.leaves, max(self.beams, k), k, self.normalise, self.work)
        return padded(answers.rows.cpu().numpy(), answers.scores.cpu().numpy(), len(queries), k)

    # -- what it tells of its answers ---------------------------------------------------------------------------------

    def identifiers(self) -> np.ndarray:
        return self.named.tokens

    def vectors_of(self, gallery: Contents, positions: np.ndarray) -> np.ndarray:
        return np.array(self._vectors(gallery)[positions], np.float32)

    def odds(self, queries: Contents, answers: np.ndarray) -> np.ndarray:
        device = compute.current().device
        paths = torch.from_numpy(self.tree.paths()[answers]).long().to(device)  # (Q, k, levels)
        found = []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            rows = slice(start, start + QUERIES_AT_ONCE)
            tokens = trim(self.model.encoder.tokens(list(queries[rows]))).to(device)  # type: ignore[attr-defined]
            found.append(odds.odds(self.searching, tokens, self.leaves, paths[rows], self.normalise).float().cpu())
        return torch.cat(found).numpy()

    # -- later candidates ---------------------------------------------------------------------------------------------

    def add(self, contents: Contents) -> None:
        """Identifiers from the codebooks as they are, and a larger tree; then `add_steps` of training, if any. The dual
        tower that it starts from grows along, in a copy: others share it.
        """
        if self.geometry not in ("none", "codebook"):
            raise Unsupported(f"geometry {self.geometry} holds vectors of the old candidates: index the gallery again")
        if not len(contents):
            return
        if self.add_steps:
            self._refuse_half_a_lesson()
        if self.start is not None:
            self.start = self.start.with_added(contents)
            vectors = self.start.vectors[-len(contents) :]
        else:
            vectors = self.encoder.embed(contents)
        self.named = self.scheme.extend(self.named, np.array(vectors, np.float32))
        self.tree = trie.build(self.named.tokens, self.named.sizes)
        self.model.grow(self.named.sizes)
        if self.add_steps:
            self._learn_added(contents)
        self._ready()

    def _refuse_half_a_lesson(self) -> None:
        assert self.start is not None  # `add_steps` goes with `teacher: start`
        if self.train_texts is None:
            raise Unsupported(
                "add_steps learns from texts of the train split too, and this index was saved without them: index the "
                "gallery again"
            )
        judged, known = len(self.start.vectors), len(self.named)
        if judged != known:
            raise Unsupported(
                f"add_steps: the dual tower that judges texts has {judged:,} candidates and CART {known:,}, as after "
                "loading an index that was added to: index the whole gallery again"
            )

    def _learn_added(self, contents: Contents) -> None:
        """From the added candidates' captions, and as many texts of the train split, lest the others be forgotten."""
        assert self.start is not None and self.train_texts is not None
        chosen = [text for each in self.captioner.captions(contents) for text in each]
        rows = np.random.default_rng(self.seed).permutation(len(self.train_texts))[: len(chosen)]
        chosen += self.train_texts[rows]
        train(self.model, self.tree, self._judged(chosen, self.start), replace(self.plan, steps=self.add_steps))

    def _judged(self, chosen: Sequence[str], judge: Tuned) -> Draw:
        """Texts with the scores of a tuned dual tower; with `blend`, what lies between two of them."""
        rows, likeliest = self._tokens(list(chosen)), min(distillation.LIKELIEST, len(judge.vectors))
        if self.blend:
            return batches.between(rows, judge, self.blend, likeliest, self.temperature)
        posterior = distillation.asked(judge, chosen, likeliest)
        return batches.from_posterior(rows, posterior.softened(self.temperature))

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        identifiers.save(folder, self.scheme, self.named)
        own = {name: tensor.cpu().contiguous() for name, tensor in self._own().items()}
        save_file(own, folder / "model.safetensors")
        learnt = {"first_token": self.first_token, "words": self.words, "tried": self.tried}
        (folder / "learnt.json").write_text(json.dumps(learnt))
        if self.add_steps and self.train_texts is not None:
            (folder / TRAIN_TEXTS).write_bytes(files.pack_json(list(self.train_texts)))

    def load(self, folder: Path) -> None:
        self.scheme, self.named = identifiers.load(folder)
        self.tree = trie.build(self.named.tokens, self.named.sizes)
        dim = self.start.vectors.shape[1] if self.start is not None else self.encoder.dim
        path = folder / "learnt.json"  # artifacts of the first version have none
        learnt = json.loads(path.read_text()) if path.exists() else {}
        self.first_token, self.words = learnt.get("first_token"), learnt.get("words", [])
        self.tried = learnt.get("tried", [])
        if self.tries and self.tried:
            self._take(self.tried)
        path = folder / TRAIN_TEXTS
        self.train_texts = texts(files.unpack_json(path.read_bytes())) if path.exists() else None
        self.model = self._model(np.zeros((len(self.named), dim), np.float32))
        known, own = self.model.state_dict(), self._own()
        others = {name: tensor for name, tensor in known.items() if name not in own}
        self.model.load_state_dict({**others, **load_file(folder / "model.safetensors")})
        self._ready()

    def _own(self) -> dict[str, Tensor]:
        """Its weights; those of a frozen text side belong to another artifact, and are not copied."""
        kept = self.model.state_dict().items()
        return once(dict(each for each in kept if not (self.frozen and each[0].startswith("encoder.source."))))

    def footprint(self) -> Footprint:
        """The tree, the counter's head and a geometry's tables of nodes grow with the gallery; its codewords don't."""
        growing: list[nn.Module] = [] if self.kind == "numeric" else [self.model.heads[-1]]
        if self.geometry in ("centroid", "learned", "lse") and self.model.geometry is not None:
            growing.append(self.model.geometry)
        tables = sum(parameter_count(module) for module in growing)
        geometry = self.model.geometry
        held = 0 if geometry is None else sum(buffer.nbytes for buffer in geometry.buffers())
        codewords = held if self.geometry == "codebook" else 0
        growing_bytes = self.tree.nbytes + 4 * tables + held - codewords
        return Footprint(growing_bytes, parameters(self.model) - tables, codewords)

    def counts(self) -> Mapping[str, int]:
        """Beams that asked the decoder, and nodes of the tree that they chose among."""
        return {"decoder_positions": int(self.work.positions), "trie_nodes": int(self.work.nodes)}

    def reset_counts(self) -> None:
        self.work = decoding.Work()

    def details(self) -> Mapping[str, Any]:
        """How well the identifiers tell candidates apart, and how often a caption's first token comes out right."""
        learnt: dict[str, Any] = {} if self.first_token is None else {"first_token_accuracy": self.first_token}
        learnt |= {"tried": self.tried} if self.tried else {}
        which = hashlib.sha256(np.ascontiguousarray(self.named.tokens, "<i8").tobytes()).hexdigest()[:16]
        return {"identifiers": {**self.named.statistics, "digest": which}, **learnt}
