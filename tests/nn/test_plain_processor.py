"""On a processor without bfloat16 nothing that is trained here falls to a slow reference path.

Such a processor multiplies bfloat16 one number at a time, twenty times slower than float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from runs import ROOT

HELPERS = ROOT / "tests" / "helpers"
PLAIN = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
# What training is made of. Anything else that takes a larger share than this is something that fell off its fast path.
EXPECTED = (
    "mm",
    "addmm",
    "bmm",
    "linear",
    "convolution",
    "attention",
    "norm",
    "gelu",
    "relu",
    "softmax",
    "adam",
    "fft",
)
LARGEST = 0.1


def test_training_on_a_plain_processor() -> None:
    paths = os.pathsep.join([str(ROOT), str(HELPERS), str(HELPERS.parent)])
    done = subprocess.run(
        [sys.executable, str(HELPERS / "plain_processor.py")],
        env={**os.environ, **PLAIN, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["dtype"] == "torch.float32"
    assert found["halves"] == [], "products of bfloat16"
    odd = {
        name: round(share, 3)
        for name, share in found["shares"].items()
        if share > LARGEST and not any(word in name.lower() for word in EXPECTED)
    }
    assert not odd, "operators that take more than their share"
