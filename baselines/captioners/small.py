"""The `small` captioner: generates captions word by word from the media tower of a small encoder.

The tower is trained on, since describing items takes more than distinguishing them.
"""

from __future__ import annotations

from torch import Tensor

from baselines.captioners.settings import SmallCaptionerSettings
from baselines.captioners.teller import Teller
from baselines.encoders.small import SmallEncoder
from baselines.encoders.towers import MediaTower
from harness.contract.dataset import Contents, Pairs
from harness.nn.words import Vocabulary


class SmallCaptioner(Teller):
    def __init__(self, settings: SmallCaptionerSettings, encoder: SmallEncoder, seed: int) -> None:
        super().__init__(settings, seed)
        self.encoder = encoder

    def _words(self, train: Pairs) -> Vocabulary:
        return self.encoder.vocabulary

    def _fresh_media(self) -> MediaTower:
        return self.encoder.trainable_media()

    def _inputs(self, contents: Contents) -> Tensor:
        return self.encoder.planes(contents)
