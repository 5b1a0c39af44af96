"""Frame rates of movies against those that published models were trained on."""

from __future__ import annotations

from collections.abc import Mapping

# Frames per second: AVA's movies have 24 to 30.
USUAL_RATES = (20.0, 35.0)


def describe_rates(rates: Mapping[str, float], frames: int = 64) -> str:
    """A note about movies with other rates; "" where all are usual or unknown.

    Args:
        rates: movie -> frames per second, 0: unknown.
        frames: of a window.
    """
    low, high = USUAL_RATES
    unusual = {movie: rate for movie, rate in rates.items() if rate and not low <= rate <= high}
    if not unusual:
        return ""
    shown = ", ".join(f"{movie} {rate:.4g}" for movie, rate in list(unusual.items())[:5])
    rate = next(iter(unusual.values()))
    return (
        f"{len(unusual)} of {len(rates)} movies have fewer than {low:g} or more than {high:g} frames per second "
        f"({shown}{', ...' if len(unusual) > 5 else ''}); {frames} frames then last {frames / rate:.2f} s, and "
        f"{frames / 30:.2f} s at 30 per second: set INPUT.FPS 30, or cut the movies with alphaction process-videos "
        "--fps 30"
    )
