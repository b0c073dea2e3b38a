"""By hand: manifests of so many media files, in real formats, a tenth of them broken, run to a verdict.

PYTHONPATH=.:tests/helpers:tests/data python tests/bench/own_media.py 500
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from test_own_media import verdict

if __name__ == "__main__":
    for modality in ("audio", "image"):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            verdict(Path(folder), modality, int(sys.argv[1]), int(sys.argv[1]) // 10, timeout=600)
        sys.stdout.write(f"{modality}: {sys.argv[1]} files, as they should; {time.monotonic() - begun:.0f} s\n")
