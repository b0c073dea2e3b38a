"""Numbers as words: shares in per cent, quantities, bytes. Used by every table."""

from __future__ import annotations

from harness.store.record import Metric


def percent(metric: Metric | None) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    value = 100 * metric["value"]
    if metric["low"] is None or metric["high"] is None:
        return f"{value:.1f}"
    return f"{value:.1f} [{100 * metric['low']:.1f}, {100 * metric['high']:.1f}]"


def quantity(value: float | None) -> str:
    """Three significant digits or whole numbers, thousands grouped."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(count: float | None) -> str:
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}"
        count /= 1000
    return ""
