"""Reads mutated input, much of it: python tests/fuzz/run.py --of device_code --mutations 1000000 [--seed 1] [--result FILE]

--of says whose input: device_code (cuda_readiness), gguf_headers (the store, preflight, watcher, bench), watched_cards (what the watcher reads and decides),
host_answers (what tools and files of a host say, and what judges it by that) or pruned_libraries (what prune-device-code empties).
"""
import argparse
import collections
import functools
import importlib
import json
import multiprocessing
import os
import pathlib
import random
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]
import mutations  # noqa: E402
from support import provenance  # noqa: E402

OF = {"device_code": "mutations", "gguf_headers": "gguf_headers", "watched_cards": "watched_cards", "host_answers": "host_answers",
      "pruned_libraries": "pruned_libraries"}
RECORDS = {"device_code": "million.json", "gguf_headers": "million_gguf_headers.json", "watched_cards": "million_watched_cards.json",
           "host_answers": "host_answers.json", "pruned_libraries": "pruned_libraries.json"}
COMPILED = ("device_code", "pruned_libraries")  # their seeds are the samples of tests/cuda


def work(job, module):
    """One share of the mutations; returns (number done, description of the first failure or None, what the reader counted)."""
    seed, count, files = job
    choices = random.Random(seed)
    of = importlib.import_module(module)
    reader, mutate, written = of.Reader(), getattr(of, "mutate", mutations.mutate), getattr(of, "written", bytes)
    counts = getattr(reader, "counts", dict)
    for number in range(count):
        data = mutate(choices.choice(files), choices)
        try:
            reader.read(data)
        except Exception as error:  # whatever it is, it is what is sought
            path = pathlib.Path("mutation-%s-%d.bin" % (seed, number))
            path.write_bytes(written(data))
            return number + 1, "%s: %s: %s" % (path, type(error).__name__, error), counts()
    reader.close()
    return count, None, counts()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=sorted(OF), default="device_code")
    parser.add_argument("--mutations", type=int, default=1000000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="by default as many as there are cores; what is read does not depend on it")
    parser.add_argument("--result", type=pathlib.Path)
    options = parser.parse_args()
    folder = None
    if options.of in COMPILED:
        folder = importlib.import_module("samples").provide()[0]
    files = importlib.import_module(OF[options.of]).seeds(folder)
    begun = time.monotonic()
    share = 10000
    jobs = [("%s-%d" % (options.seed, number), min(share, options.mutations - number * share), files) for number in range(-(-options.mutations // share))]
    with multiprocessing.Pool(options.processes) as pool:
        outcomes = pool.map(functools.partial(work, module=OF[options.of]), jobs, chunksize=1)
    failures = [failure for _count, failure, _counted in outcomes if failure]
    command = "python tests/fuzz/run.py --of %s --mutations %d --seed %s" % (options.of, options.mutations, options.seed)
    result = {"provenance": provenance.made("tests/fuzz/results/" + RECORDS[options.of], command=command),
              "mutations": sum(outcome[0] for outcome in outcomes), "failures": failures, "seeds": len(files), "seconds": round(time.monotonic() - begun)}
    result.update(sum((collections.Counter(outcome[2]) for outcome in outcomes), collections.Counter()))
    print(json.dumps(result, indent=1))
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
