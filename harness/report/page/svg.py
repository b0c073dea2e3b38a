"""A plot's SVG made fit to stand in a page beside others: its ids, its styles and its size stay its own.

Called by `render` for every plot. The SVG is trusted: this repository drew it.
"""

from __future__ import annotations

import re


def inlined(text: str, prefix: str) -> str:
    """The `<svg>` alone, without what is for files: no prologue, no metadata, no fixed size; its ids begin with
    `prefix`."""
    start = text.find("<svg")
    if start < 0:
        raise ValueError(f"plot {prefix!r} has no <svg> element; it begins with {text[:60]!r}")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[start:], flags=re.DOTALL)
    head, body = text.split(">", 1)
    if "viewBox" not in head:
        size = [re.search(rf'\b{side}="([\d.]+)', head) for side in ("width", "height")]
        if all(size):
            head += ' viewBox="0 0 {} {}"'.format(*(found[1] for found in size if found))
    head = re.sub(r'\s(?:width|height|id|style)="[^"]*"', "", head) + f' id="{prefix}-drawing"'
    if wide := re.search(r'viewBox="[-\d.]+\s+[-\d.]+\s+([\d.]+)', head):
        head += f' style="--natural: {wide[1]}pt"'  # letters in all plots come out about as large
    body = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}--\1"', body)
    body = re.sub(r"url\(#", f"url(#{prefix}--", body)
    body = re.sub(r'href="#', f'href="#{prefix}--', body)
    body = re.sub(r"(<style[^>]*>)\s*\*\s*\{", rf"\1#{prefix}-drawing * {{", body)  # Matplotlib's: it would reach all
    return f"{head}>{body}"
