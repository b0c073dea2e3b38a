"""A joint transformer over words and patches, trained here: the single tower of the two-tower recipe.

It learns what the dual tower's cosine misses: the score is the cosine plus a score from the words' attention to the
patches. Two losses, as in Li et al. (2021): matching, of one right candidate against a few hard negatives from the
dual tower; and masked words, predicted from the item, which teach where to attend much sooner than matching alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from baselines.encoders import features
from baselines.encoders.positives import Positives, reciprocal_ranks, right_ones
from baselines.encoders.sampling import GROUP, in_groups
from baselines.encoders.small import SmallEncoder
from baselines.single_tower.joint import Joint
from baselines.single_tower.scorer import SingleTower, batches
from baselines.single_tower.settings import MatchSettings
from harness.contract.dataset import Contents, Pairs, Unavailable
from harness.contract.dataset import texts as text_contents
from harness.machine import compute
from harness.machine.compute import stage
from harness.machine.progress import track
from harness.nn.batching import trim
from harness.nn.layers import parameter_count
from harness.nn.learning import Learner
from harness.nn.words import PAD, START, UNKNOWN

ITEMS_AT_ONCE = 128
CAPTIONS = 4  # of each item in a batch whose masked words are predicted
MASKED = 0.5  # the share of words that are masked; like CAPTIONS ours, not chosen by validation
LEAST_BETWEEN = 50  # steps from one validation to the next
TRIED, AMONG = 200, 32  # validation queries, and how many of the dual tower's candidates are scored for each


class Match(SingleTower):
    keeps_fit = True

    def __init__(self, settings: MatchSettings, encoder: SmallEncoder, seed: int) -> None:
        if not isinstance(encoder, SmallEncoder):
            raise Unavailable("match starts from the towers of an encoder of kind small: name one as its encoder")
        self.encoder, self.seed = encoder, seed
        self.steps, self.items, self.negatives = settings.steps, settings.items, settings.negatives
        self.lr, self.layers = settings.lr, settings.layers

    # -- training ---------------------------------------------------------------------------------------------------

    def fit(self, train: Pairs, validation: Pairs) -> None:
        torch.manual_seed(self.seed)
        self.joint = self._fresh()
        if self.steps and len(train.queries):
            _Training(self, train, validation).run()
        self._finish()

    def _fresh(self) -> Joint:
        joint = Joint(self.encoder.text_tower(), self.encoder.trainable_media(), self.layers)
        return joint.to(compute.current().device)

    def _finish(self) -> None:
        self._trained = self.joint.state_dict()
        self.parameters = parameter_count(self.joint) + self.encoder.parameters
        self.searching = copy.deepcopy(self.joint)
        compute.ready(self.searching)

    # -- use --------------------------------------------------------------------------------------------------------

    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        patches = [np.empty((0, self.layers, *_doubled(self.searching.media.places)), np.float32)]
        with torch.inference_mode():
            for batch in features.batches(self.encoder.planes(media), compute.at_once(ITEMS_AT_ONCE)):
                patches.append(self.searching.patches(batch).cpu().numpy())
        return {"patches": np.concatenate(patches), "vectors": np.asarray(self.encoder.embed(media))}

    @torch.inference_mode()
    def judge(self, texts: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        device = compute.current().device
        scores = np.empty(len(pairs), np.float32)
        with stage("encode"):
            vectors = self.encoder.encode(text_contents(texts))
        for batch in batches(texts, pairs):
            with stage("encode"):
                words = self.searching.words(self.searching.text.tokens(batch.texts).to(device))
            with stage("score"):
                cosine = np.einsum(
                    "bd,bd->b", vectors[pairs[batch.rows, 0]], self.media["vectors"][pairs[batch.rows, 1]]
                )
                query, item = torch.from_numpy(batch.pairs).to(device).T
                patches = torch.from_numpy(self.media["patches"][batch.items]).to(device)
                found = self.searching(words.take(query), patches[item], torch.from_numpy(cosine).to(device))
                scores[batch.rows] = found.cpu().numpy()
        return scores

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.save_fit(folder)

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.load_fit(folder)

    def save_fit(self, folder: Path) -> None:
        save_file({name: each.cpu().contiguous() for name, each in self._trained.items()}, folder / "match.safetensors")

    def load_fit(self, folder: Path) -> None:
        self.joint = self._fresh()
        self.joint.load_state_dict(load_file(folder / "match.safetensors"))
        self._finish()


class _Training:
    """What is needed for training alone."""

    def __init__(self, match: Match, train: Pairs, validation: Pairs) -> None:
        self.match, self.joint = match, match.joint
        encoder = match.encoder
        self.rng = np.random.default_rng(match.seed)
        self.rows = encoder.text_tower().tokens(list(train.queries))
        self.planes = encoder.planes(train.candidates)
        self.positives = Positives(train)
        self.captions = self.positives.captions
        self.texts = torch.from_numpy(np.array(encoder.embed(train.queries)))
        self.vectors = torch.from_numpy(np.array(encoder.embed(train.candidates)))
        self.checks = _Validation(match, validation)

    def run(self) -> None:
        steps = self.match.steps
        learner = Learner("match", [self.joint], self.match.lr, steps, heads=[self.joint.guess, self.joint.head[2]])
        self.checks.look()
        for step in track(range(steps), "training match", note=self.checks.words):
            with compute.half_precision():
                matching, masked = self.losses()
            self.checks.losses = (matching.item(), masked.item())
            learner.learn(step, matching + masked)
            if step + 1 == steps or (step + 1) % max(LEAST_BETWEEN, steps // 6) == 0:
                self.checks.look()
        self.checks.keep_best()

    def losses(self) -> tuple[Tensor, Tensor]:
        """Of matching, and of masked words."""
        joint, device = self.joint, compute.current().device
        items = self._alike()
        patches = joint.patches(self.planes[items].to(device, torch.float32))
        return self._matching(items, patches), self._masked_words(
            np.repeat(items, CAPTIONS), patches.repeat_interleave(CAPTIONS, 0)
        )

    def _matching(self, items: np.ndarray, patches: Tensor) -> Tensor:
        joint, device = self.joint, patches.device
        captions = self._captions(items)
        words = joint.words(trim(self.rows[captions]).to(device))
        cosines = (self.texts[captions] @ self.vectors[items].T).to(device)  # (B, B): the right one is on the diagonal
        right = self.positives.among(captions, items)
        similar = cosines * joint.scale.exp().detach()
        chosen = drawn(similar, self.match.negatives, self.rng, right)  # (B, 1 + negatives)
        text = torch.arange(len(items), device=device)[:, None].expand_as(chosen).reshape(-1)
        item = chosen.reshape(-1)
        scores = joint(words.take(text), patches[item], cosines[text, item]).float().view(chosen.shape)
        if right is not None:  # drawn where there are too few wrong ones
            also = right.to(device).gather(1, chosen)
            also[:, 0] = False
            scores = scores.masked_fill(also, -torch.inf)
        return F.cross_entropy(scores, torch.zeros_like(chosen[:, 0]))

    def _masked_words(self, items: np.ndarray, patches: Tensor) -> Tensor:
        tokens = trim(self.rows[self._captions(items)]).to(patches.device)
        random = torch.from_numpy(self.rng.random(tuple(tokens.shape))).to(patches.device)
        masked = (random < MASKED) & (tokens != PAD) & (tokens != START)
        if not masked.any():
            return patches.new_zeros(())
        found = self.joint.attended(self.joint.words(tokens.masked_fill(masked, UNKNOWN)), patches)
        return F.cross_entropy(self.joint.guess(found[masked]).float(), tokens[masked])

    def _captions(self, items: np.ndarray) -> np.ndarray:
        """One of each item's, drawn evenly."""
        drawn_at = (self.rng.random(len(items)) * self.captions.counts[items]).astype(np.int64)
        return self.captions.targets[self.captions.starts[items] + drawn_at]

    def _alike(self) -> np.ndarray:
        """Different items with captions, in groups of neighbours, so that a batch holds its own hard negatives."""
        count, order = self.match.items, self.rng.permutation(len(self.vectors))
        members = in_groups(self.vectors, order, -(-count // GROUP), self.rng)
        return members[self.captions.counts[members] > 0][:count]


class _Validation:
    """Keeps the weights that ranked best among the dual tower's first candidates of some validation queries."""

    def __init__(self, match: Match, pairs: Pairs) -> None:
        self.joint, self.losses, self.note = match.joint, (0.0, 0.0), ""
        self.best, self.kept = -1.0, match.joint.state_dict()
        self.pairs = pairs if len(pairs.queries) else None
        if self.pairs is None:
            return
        encoder = match.encoder
        chosen = np.sort(np.random.default_rng(0).permutation(len(pairs.queries))[:TRIED])
        self.tokens = encoder.text_tower().tokens(list(pairs.queries[chosen]))
        self.planes = encoder.planes(pairs.candidates)
        texts = torch.from_numpy(encoder.encode(pairs.queries[chosen]))
        self.cosines, self.ids = torch.topk(
            texts @ torch.from_numpy(np.array(encoder.embed(pairs.candidates))).T, min(AMONG, len(pairs.candidates))
        )
        self.right = right_ones(pairs.links.take(chosen), len(pairs.candidates)).gather(1, self.ids)

    def words(self) -> str:
        return f"loss {self.losses[0]:.2f} + {self.losses[1]:.2f}{self.note}"

    def look(self) -> None:
        if self.pairs is None:
            return
        self.joint.eval()
        reciprocal = self._reciprocal()
        self.joint.train()
        self.note = f", validation MRR {reciprocal:.3f}"
        if reciprocal >= self.best:  # of equals the last, which was trained longest
            self.best, self.kept = reciprocal, copy.deepcopy(self.joint.state_dict())

    @torch.inference_mode()
    def _reciprocal(self) -> float:
        """The mean reciprocal rank of the best right candidate; one that the dual tower didn't propose is a miss."""
        joint, device = self.joint, compute.current().device
        parts = [joint.patches(part.to(device, torch.float32)) for part in self.planes.split(ITEMS_AT_ONCE)]
        patches, scores = torch.cat(parts), []
        for tokens, ids, cosines in zip(
            *(each.split(8) for each in (self.tokens, self.ids, self.cosines)), strict=True
        ):
            words = joint.words(trim(tokens).to(device))
            text = torch.arange(len(ids)).repeat_interleave(ids.shape[1]).to(device)
            found = joint(words.take(text), patches[ids.reshape(-1).to(device)], cosines.reshape(-1).to(device))
            scores.append(found.view(ids.shape).cpu())
        return reciprocal_ranks(torch.cat(scores), self.right).mean().item()

    def keep_best(self) -> None:
        self.joint.load_state_dict(self.kept if self.best >= 0 else self.joint.state_dict())


def drawn(similar: Tensor, negatives: int, rng: np.random.Generator, right: Tensor | None = None) -> Tensor:
    """Columns for each row of similarities [B, B]: its own, then others drawn by their softmax: [B, 1 + negatives].

    Others that are `right` too (bool [B, B]) come last.
    """
    noise = torch.from_numpy(rng.gumbel(size=tuple(similar.shape)).astype(np.float32)).to(similar.device)
    keys = similar + noise
    if right is not None:
        keys = keys.masked_fill(right.to(keys.device), -torch.inf)
    keys.fill_diagonal_(torch.inf)
    return torch.topk(keys, min(1 + negatives, similar.shape[1])).indices


def _doubled(places: Tensor) -> tuple[int, int]:
    return places.shape[0], 2 * places.shape[1]  # keys and values
