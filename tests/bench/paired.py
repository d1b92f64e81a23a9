"""Ratios of paired figures: the median and how sure it is."""
import statistics


def interval_of_median(values):
    """The order statistics that hold the median with 95 % probability (binomial, by its normal approximation)."""
    values, half = sorted(values), 0.98 * len(values) ** 0.5
    return [round(values[max(round(len(values) / 2 - half) - 1, 0)], 4), round(values[min(round(len(values) / 2 + half), len(values) - 1)], 4)]


def ratio(pairs):
    """{"median", "interval", "pairs"} of first / second.

    :param pairs: list of (first, second) of the same round.
    """
    ratios = [first / second for first, second in pairs]
    return {"median": round(statistics.median(ratios), 4), "interval": interval_of_median(ratios), "pairs": len(ratios)}
