"""torchvision where its compiled part doesn't load: beside a torch of another build, say a CPU's beside CUDA's.

To be imported before anything that imports torchvision. Two operators that it describes when it is imported get their
schemas here; nothing in these tests calls them.
"""

from __future__ import annotations

import importlib.util

import torch

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # it lasts as long as this name does

if importlib.util.find_spec("torchvision"):
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
