"""A single tower without training: the captioner's likelihood of the query for each candidate, log p(query | media)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from baselines.single_tower.scorer import SingleTower, batches
from harness.contract.dataset import Contents, Unavailable
from harness.contract.instruments import Captioner
from harness.contract.settings import Settings
from harness.machine import compute
from harness.machine.compute import stage


class Likelihood(SingleTower):
    def __init__(self, settings: Settings, captioner: Captioner) -> None:
        self.captioner = captioner
        self.parameters = captioner.parameters

    def prepare(self, media: Contents) -> dict[str, np.ndarray]:
        try:
            states = self.captioner.prepare(media)
        except NotImplementedError as reason:
            raise Unavailable(f"{reason}; use a captioner of kind small") from reason
        return {"states": torch.as_tensor(states).cpu().numpy()}

    def judge(self, texts: Sequence[str], pairs: np.ndarray) -> np.ndarray:
        scores = np.empty(len(pairs), np.float32)
        device = compute.current().device
        with stage("score"):
            for batch in batches(texts, pairs):
                states = torch.from_numpy(self.media["states"][batch.items]).to(device)
                scores[batch.rows] = self.captioner.likelihood(batch.texts, states, batch.pairs)
        return scores
