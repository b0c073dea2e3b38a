"""torchvision where its compiled part doesn't load: beside a torch of another build, say a CPU's beside CUDA's.

To be imported before anything that imports torchvision. Two operators that it describes when it is imported get their
schemas here; nothing in these tests calls them.
"""

from __future__ import annotations

import sys

import torch

LIBRARY: torch.library.Library | None = None  # it lasts as long as this name does

try:
    import torchvision
except ImportError:
    pass
except RuntimeError:  # operator torchvision::nms does not exist
    for half_imported in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[half_imported]
    LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
