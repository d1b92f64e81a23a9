"""Reads mutated files, many of them: python tests/fuzz/run.py --mutations 1000000 [--seed 1] [--result FILE]"""
import argparse
import json
import multiprocessing
import os
import pathlib
import random
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]
import mutations  # noqa: E402
import samples  # noqa: E402
from support import provenance  # noqa: E402


def work(job):
    """One share of the mutations; returns (number done, description of the first failure or None)."""
    seed, count, files = job
    choices = random.Random(seed)
    reader = mutations.Reader()
    for number in range(count):
        data = mutations.mutate(choices.choice(files), choices)
        try:
            reader.read(data)
        except Exception as error:  # whatever it is, it is what is sought
            path = pathlib.Path("mutation-%s-%d.bin" % (seed, number))
            path.write_bytes(data)
            return number + 1, "%s: %s: %s" % (path, type(error).__name__, error)
    reader.close()
    return count, None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--result", type=pathlib.Path)
    options = parser.parse_args()
    files = mutations.seeds(samples.provide()[0])
    processes = os.cpu_count()
    begun = time.monotonic()
    share = 10000
    jobs = [("%s-%d" % (options.seed, number), min(share, options.mutations - number * share), files) for number in range(-(-options.mutations // share))]
    with multiprocessing.Pool(processes) as pool:
        outcomes = pool.map(work, jobs, chunksize=1)
    failures = [failure for _count, failure in outcomes if failure]
    command = "python tests/fuzz/run.py --mutations %d --seed %s" % (options.mutations, options.seed)
    result = {"provenance": provenance.made("tests/fuzz/results/million.json", command=command),
              "mutations": sum(count for count, _failure in outcomes), "failures": failures, "seeds": len(files), "seconds": round(time.monotonic() - begun)}
    print(json.dumps(result, indent=1))
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
