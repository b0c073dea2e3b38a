"""`data get`: fetches what a licence allows to be copied, through the hub's own client, which resumes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.contract.dataset import Unavailable
from harness.data.datasets.sources import Copy
from harness.machine import files


def fetch(copy: Copy, folder: Path) -> Path:
    """Into `folder`, ready for the loader; what was fetched before isn't fetched again."""
    if importlib.util.find_spec("pyarrow") is None:
        raise Unavailable(f"{copy.repository} comes as Parquet, which takes the package pyarrow: pip install pyarrow")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        got = snapshot_download(
            copy.repository, repo_type="dataset", allow_patterns=copy.files, local_dir=folder / ".hub"
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError, TimeoutError) as error:
        raise Unavailable(
            f"the hub can't be reached ({type(error).__name__}; HF_HUB_OFFLINE keeps from trying); what was fetched is "
            "kept: run this again with a network"
        ) from error
    import pandas

    found = sorted(Path(got).glob(copy.files))
    if not found:
        raise Unavailable(f"{copy.repository} has no {copy.files} any more: get the dataset from where it comes from")
    rows = (row for path in found for row in pandas.read_parquet(path).to_dict("records"))
    target = folder / "dataset_coco.json"
    files.write(target, json.dumps(karpathy(rows)).encode())
    return target


def karpathy(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of the hub's copy, one an image, in the form in which Karpathy published them."""
    images = []
    for row in rows:
        captions = [text if isinstance(text, str) else text["raw"] for text in row["sentences"]]
        ids = [int(each) for each in row["sentids"]]
        if len(ids) != len(captions):
            raise ValueError(f"image {row['cocoid']}: {len(captions)} captions with {len(ids)} ids")
        image = {"cocoid": int(row["cocoid"]), "imgid": int(row["imgid"]), "sentids": ids}
        image |= {key: str(row[key]) for key in ("filename", "filepath", "split")}
        pairs = zip(captions, ids, strict=True)
        image["sentences"] = [{"raw": text, "sentid": number, "imgid": image["imgid"]} for text, number in pairs]
        images.append(image)
    return {"dataset": "coco", "images": sorted(images, key=lambda image: image["imgid"])}
