# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what was measured against the roofline: plot.py RESULTS.json PLOT.png, on the controller. Exits with 4 and says why where matplotlib is missing.

Left: tokens per second over bytes a token, below the line that the memory bandwidth draws. Right: tokens per second over threads.
"""
import json
import sys

MISSING = 4


def points(results):
    """What is drawn: per service the (bytes a token, speed alone, speed together or None), and its (threads, speed, deviation) in order."""
    places, threads = {}, {}
    for name, one in results["result"]["services"].items():
        if one["per_token"]:
            places[name] = (one["per_token"], one["alone"]["mean"], one["together"]["mean"] if one["together"] else None)
        measured = [found for found in results["results"] if found["stage"] == "threads" and found["service"] == name and found["generation"]]
        threads[name] = sorted((found["settings"]["threads"], found["generation"]["mean"], found["generation"]["deviation"]) for found in measured)
    return places, threads


def draw(results, path, pyplot):
    """Writes the plot."""
    places, threads = points(results)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    bandwidth, result = results["result"]["bandwidth"], results["result"]
    ends = [bytes_ for bytes_, _alone, _together in places.values()] or [1e9]
    line = [min(ends) / 3, max(ends) * 3]
    left.plot([one / 1e6 for one in line], [bandwidth / one for one in line], color="black", label="%.1f GB/s, measured" % (bandwidth / 1e9))
    for number, (name, (bytes_, alone, together)) in enumerate(sorted(places.items())):
        percent = result["services"][name]["roofline"]["percent"]
        left.plot(bytes_ / 1e6, alone, "o", color="C%d" % number, label=name + (" alone, %.0f %%" % percent if percent else " alone, partly from the caches"))
        if together:
            left.plot(bytes_ / 1e6, together, "o", color="C%d" % number, fillstyle="none", label=name + " while all generate")
    left.set(xscale="log", yscale="log", xlabel="MB of weights read for a token", ylabel="generation, tok/s", title="Against the memory bandwidth")
    left.legend()
    for number, (name, measured) in enumerate(sorted(threads.items())):
        if measured:
            count, speed, deviation = zip(*measured)
            right.errorbar(count, speed, yerr=deviation, marker="o", capsize=3, color="C%d" % number, label=name)
    right.axvline(result["host"]["cores"], color="grey", linestyle="dotted", label="physical cores")
    right.set(xlabel="threads", ylabel="generation, tok/s", title="Alone, by number of threads", ylim=(0, None))
    right.xaxis.get_major_locator().set_params(integer=True)
    right.legend()
    figure.suptitle("%s: %s, %s" % (results["machine"], result["host"]["cpu"], result["date"]))
    figure.savefig(path, dpi=120)


def main(results_path, path):
    try:
        import matplotlib
        matplotlib.use("agg")
        from matplotlib import pyplot
    except ImportError as error:
        print("%s has no matplotlib (%s): pip install --require-hashes -r requirements/bench.txt" % (sys.executable, error))
        return MISSING
    with open(results_path, encoding="utf-8") as stream:
        draw(json.load(stream), path, pyplot)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
