"""Plants the faults of faults.yml, one at a time, each in a copy of the tree of its own, and says which the tests catch.

    python tests/planted_faults/run.py                             all faults, each against the tests of its caught_by
    python tests/planted_faults/run.py --only ID --only ID         these faults alone
    python tests/planted_faults/run.py --tier unit                 of caught_by the paths of one tier alone: lint, unit, isolated, site or destructive
    python tests/planted_faults/run.py --tests tests/unit          these tests instead of caught_by
    python tests/planted_faults/run.py --record FILE -- -k door    writes FILE; what follows -- goes to pytest

The copy has what git tracks, and what is new and not ignored. The tests run there before a fault is planted too: what fails without one catches
nothing, and is an error here; --known-good leaves that out. FILE holds what came of each fault, as JSON, written after each; faults that were not
run keep what is known of them. Exit status 0: every fault that was planted was caught.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402
from support.copied_tree import copy, git  # noqa: E402

TIERS = {"lint": "tests/lint", "unit": "tests/unit", **{name: "tests/integration/" + name for name in ("isolated", "site", "destructive")}}


def faults():
    return yaml.safe_load((HERE / "faults.yml").read_text(encoding="utf-8"))


def plant(fault, tree):
    path = tree / fault["file"]
    text = path.read_text(encoding="utf-8")
    if text.count(fault["find"]) != 1:
        raise SystemExit("%s: what it looks for is not once in %s" % (fault["id"], fault["file"]))
    path.write_text(text.replace(fault["find"], fault["replace"]), encoding="utf-8")


def run_tests(tree, paths, further):
    """(exit status, seconds, end of what it printed) of pytest in a tree."""
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist"):
        words += ["-n0"]
    began = time.monotonic()
    done = subprocess.run([*words, *paths, *further], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, "PATH": "%s:%s" % (os.path.dirname(sys.executable), os.environ["PATH"]), "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, round(time.monotonic() - began, 1), done.stdout[-3000:]


def passes(tree, paths, further):
    """Nothing, where the tests pass without a fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy(tree, pathlib.Path(folder))
        status, _seconds, printed = run_tests(folder, paths, further)
    if status:
        raise SystemExit("Without a fault %s ends with %d:\n%s" % (" ".join(paths), status, printed))


def try_out(fault, tree, paths, further):
    """What came of one fault: dict of outcome, tests, seconds and by (the first test that failed, or why it was not tried)."""
    with tempfile.TemporaryDirectory() as folder:
        copy(tree, pathlib.Path(folder))
        plant(fault, pathlib.Path(folder))
        status, seconds, printed = run_tests(folder, paths, further)
    if status not in (0, 1):
        raise SystemExit("%s: pytest ended with %d:\n%s" % (fault["id"], status, printed))
    by = next((line.split(" - ")[0].split(" ", 1)[1] for line in printed.splitlines() if line.startswith(("FAILED ", "ERROR "))), "")
    return {"outcome": "caught" if status else "survived", "by": by, "tests": paths, "seconds": seconds}


def record(path, tree, tests):
    known = json.loads(path.read_text(encoding="utf-8"))["tests"] if path.exists() else {}
    commit = git(tree, "rev-parse", "HEAD").strip() + (" and changes" if git(tree, "status", "--porcelain") else "")
    origin = dict(provenance.made("tests/planted_faults/results.json", command="python tests/planted_faults/run.py " + shlex.join(sys.argv[1:])), commit=commit)
    found = {name: dict(result, provenance=origin) for name, result in tests.items()}
    path.write_text(json.dumps({"tests": {**known, **found}}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="ID", help="a fault; may be given several times")
    parser.add_argument("--tier", choices=sorted(TIERS), help="of caught_by the paths of this tier")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="tests to run instead of caught_by")
    parser.add_argument("--record", type=pathlib.Path, metavar="FILE", help="where to write what came of it")
    parser.add_argument("--tree", type=pathlib.Path, default=ROOT, help="another working tree of this repository, for example of an earlier commit")
    parser.add_argument("--known-good", action="store_true", help="do not run the tests without a fault first")
    words, further = sys.argv[1:], []
    if "--" in words:
        words, further = words[:words.index("--")], words[words.index("--") + 1:]
    given = parser.parse_args(words)
    chosen = [fault for fault in faults() if not given.only or fault["id"] in given.only]
    unknown = set(given.only or []) - {fault["id"] for fault in chosen}
    if unknown:
        parser.error("faults.yml has no %s" % ", ".join(sorted(unknown)))
    results, passed = {}, set()

    def note(fault, result):
        results[fault["id"]] = result
        print("%-9s %s, %.1f s  %s" % (result["outcome"], fault["id"], result["seconds"], result["by"]), flush=True)
        if given.record:
            record(given.record, given.tree, results)

    for fault in chosen:
        paths = given.tests or [path for path in fault["caught_by"] if not given.tier or path.startswith(TIERS[given.tier])]
        if paths:
            if not given.known_good and tuple(paths) not in passed:
                passes(given.tree, paths, further)
                passed.add(tuple(paths))
            note(fault, try_out(fault, given.tree, paths, further))
        elif not fault["caught_by"] and not given.tier:
            note(fault, {"outcome": "survived", "by": "nothing is known to catch it", "tests": [], "seconds": 0})
    caught = sum(result["outcome"] == "caught" for result in results.values())
    print("%d of %d caught" % (caught, len(results)))
    return 0 if caught == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
