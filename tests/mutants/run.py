"""Draws mutants of the collection's Python, or of its roles' texts, by a seed, runs the unit tests of each one's module, and says which survive.

    nice -n 19 python tests/mutants/run.py --mutants 150 --seed 1 --result tests/mutants/results/sample.json
    python tests/mutants/run.py --only plugins/module_utils/mig.py --mutants 20 --seed 2

A mutant is one small change (mutations.py) of one file below plugins, in a copy of the tree. First the tests run that import or name the module, then, for
what survives, those that reach it through others (tests_of.py); both within --bound seconds of the processor, and %d times that by the clock. One that
takes longer is out of time, and not counted as killed: it may never end. A test kills only if it passes without the mutant: those that killed run once more
at the end, on the copy as it was; what fails there too is told as "unproven". tests/cuda and tests/integration are not among the tests.

--of texts draws of Lua, templates and tasks of roles (texts.py); their tests name the file, or its role. Lua has none here: a host runs it.

The file is written after each mutant, and a run goes on where an earlier one of the same draw and the same code ended; --for ends it after so many seconds.
Exit status 0 when what was judged is proven, survivors or not: a survivor is for a reader, not for CI.
"""
import argparse
import importlib
import itertools
import json
import os
import pathlib
import random
import resource
import signal
import sys
import tempfile
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

import mutations  # noqa: E402
import tests_of  # noqa: E402
import texts  # noqa: E402
from support import provenance  # noqa: E402
from support.copied_tree import copy  # noqa: E402

RECORDS = {"python": "tests/mutants/results/sample.json", "texts": "tests/mutants/results/texts.json"}
# What most tests import, once for all: nothing of the collection, which each test imports anew.
SHARED = ("_hypothesis_pytestplugin", "ansible.cli", "ansible.plugins.loader", "ansible.template", "docker", "hypothesis", "jinja2", "requests", "xdist.plugin",
          "yaml")
CLOCK = 10  # seconds by the clock for one of the processor: other work may have it
FOLDERS = ("action", "callback", "filter", "lookup", "module_utils", "modules", "plugin_utils")


def population(root, only=()):
    """Every mutation of the plugins, in the order of files and lines.

    :returns: list of (path relative to the root as str, mutations.Mutation)
    """
    files = [path for folder in FOLDERS for path in sorted((root / "plugins" / folder).rglob("*.py"))]
    names = [str(path.relative_to(root)) for path in files]
    unknown = set(only) - set(names)
    if unknown:
        raise SystemExit("no such file below plugins: %s; give paths from the checkout's root" % ", ".join(sorted(unknown)))
    return [(name, one) for name, path in zip(names, files) if not only or name in only for one in mutations.mutations(path.read_text(encoding="utf-8"))]


def drawn_from(of, tree, only):
    """(every mutation of a tree as of :func:`population`, the function that finds the tests of a file)"""
    if of == "python":
        known = tests_of.distances(tree)
        return population(tree, only), lambda path: tests_of.rounds(path, known)
    paths = [path for path in texts.files(tree) if not only or str(path.relative_to(tree)) in only]
    return ([(str(path.relative_to(tree)), one) for path in paths for one in texts.mutations(path.read_text(encoding="utf-8"), path.suffix)],
            lambda path: texts.rounds(path, tree))


def drawn(everything, count, seed):
    """``count`` of them by a seed, the same for the same tree."""
    return random.Random(seed).sample(everything, min(count, len(everything)))


def child(tree, tests, output):
    """Ends this process as pytest does on these tests of a tree; what was imported here of the checkout itself is forgotten first."""
    os.setsid()
    os.chdir(tree)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    os.environ["PATH"] = "%s:%s" % (os.path.dirname(sys.executable), os.environ["PATH"])
    sys.path[:] = [path for path in sys.path if path not in (str(HERE), str(ROOT / "tests"))]
    for name in [name for name in sys.modules if name.split(".")[0] in ("support", "mutations", "tests_of", "texts")]:
        del sys.modules[name]
    status = 3
    try:
        status = pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", "--rootdir", str(tree), *tests])
    finally:
        sys.stdout.flush()
        os._exit(int(status))


def of_processor(process):
    """Seconds of the processor that a child and what it waited for have had so far."""
    fields = pathlib.Path("/proc/%d/stat" % process).read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def of_children():
    """The same of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outcome(tree, tests, seconds):
    """(outcome, who) of the tests of a tree: "passed", "failed" with the first test that failed, or "time" where they want more seconds of the processor.

    In a fork of this process, which has imported pytest and Ansible but nothing of the collection: that is most of a short test's time.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = os.fork()
        if not process:
            child(tree, tests, output)
        until = time.monotonic() + seconds * CLOCK
        while not (ended := os.waitpid(process, os.WNOHANG))[0]:
            if time.monotonic() > until or of_processor(process) > seconds:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return "time", ""
            time.sleep(.05)
        output.seek(0)
        printed = output.read()
    if ended[1] == 0:
        return "passed", ""
    return "failed", next((line.split(" - ")[0].split(" ", 1)[1] for line in printed.splitlines() if line.startswith(("FAILED ", "ERROR "))),
                          "pytest ended with %d: %s" % (os.waitstatus_to_exitcode(ended[1]), printed[-300:]))


def put(path, text, moment=itertools.count(1_600_000_000)):
    """Writes a file with a time of its own: bytecode is known by its source's second and size, and two mutants may share both."""
    path.write_text(text, encoding="utf-8")
    second = next(moment)
    os.utime(path, (second, second))


def judge(tree, name, mutation, rounds, bound):
    """What came of one mutant: dict of its place, its change, outcome (killed, out of time, survived, no test), by, rounds that passed, and seconds."""
    path, began, used = tree / name, time.monotonic(), of_children()
    as_it_was = path.read_text(encoding="utf-8")
    came, who, passed = ("survived" if rounds else "no test"), "", 0
    put(path, mutation.of(as_it_was))
    try:
        for tests in rounds:
            found, who = outcome(tree, [str(test) for test in tests], max(bound - (of_children() - used), 1))
            if found != "passed":
                came = "killed" if found == "failed" else "out of time"
                break
            passed += 1
    finally:
        put(path, as_it_was)
    return {"place": "%s:%d" % (name, mutation.line), "kind": mutation.kind, "before": mutation.before(as_it_was), "after": mutation.after(), "outcome": came,
            "by": who, "rounds_passed": passed, "seconds": round(time.monotonic() - began, 1)}


def unproven(tree, results, bound):
    """Marks what was killed by a test that fails without a mutant too."""
    killers = sorted({one["by"] for one in results if one["outcome"] == "killed"})
    while killers:
        _outcome, failed = outcome(tree, [name.split("[", maxsplit=1)[0] for name in killers if "::" in name or name.endswith(".py")], bound)
        if not failed:
            return
        for one in results:
            if one["by"] == failed:
                one["outcome"] = "unproven"
        if failed not in killers:
            raise SystemExit("without a mutant %s fails, which killed none: the tree is broken" % failed)
        killers.remove(failed)


def summary(results):
    """How many came to which outcome: dict of str to int, and of all that were not killed their place, change and kind."""
    outcomes = [one["outcome"] for one in results]
    counted = {name: outcomes.count(name) for name in ("killed", "survived", "out of time", "no test", "unproven")}
    return {"counted": counted, "survivors": [{key: one[key] for key in ("place", "kind", "before", "after", "outcome")} for one in results
                                              if one["outcome"] != "killed"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__ % CLOCK, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=sorted(RECORDS), default="python")
    parser.add_argument("--mutants", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bound", type=float, default=120, help="seconds of the processor for one mutant")
    parser.add_argument("--for", type=float, default=float("inf"), dest="seconds", metavar="SECONDS", help="begin no mutant after that")
    parser.add_argument("--only", action="append", default=[], metavar="PATH", help="mutants of this file alone; may be given several times")
    parser.add_argument("--result", type=pathlib.Path, metavar="FILE", help="where to write what came of them")
    given = parser.parse_args()
    for name in SHARED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # it only would have been faster
    record, of = RECORDS[given.of], "" if given.of == "python" else "--of %s " % given.of
    origin = provenance.made(record, command="python tests/mutants/run.py %s--mutants %d --seed %d --bound %g --result %s" % (
        of, given.mutants, given.seed, given.bound, record)) if given.result else {}
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        copy(ROOT, tree)
        everything, rounds_of, began = *drawn_from(given.of, tree, given.only), time.monotonic()
        results = earlier(given, origin)
        judged = len(results)
        for name, mutation in drawn(everything, given.mutants, given.seed)[judged:]:
            if time.monotonic() - began > given.seconds:
                break
            tests = [[test.relative_to(tree) for test in one] for one in rounds_of(tree / name)]
            results.append(judge(tree, name, mutation, tests, given.bound))
            print("%(outcome)-14s %(place)s  %(kind)s: %(before)s -> %(after)s  %(seconds).1f s  %(by)s" % results[-1], flush=True)
            write(given, origin, len(everything), results)
        unproven(tree, results[judged:], given.bound)
        write(given, origin, len(everything), results)
    print(json.dumps(summary(results)["counted"]))
    return 0 if not summary(results)["counted"]["unproven"] else 1


def earlier(given, origin):
    """What an earlier run of the same draw on the same code has judged: list of dict, as of judge()."""
    if not given.result or not given.result.exists():
        return []
    kept = json.loads(given.result.read_text(encoding="utf-8")).get("seed %d" % given.seed, {"drawn": 0, "provenance": {"code_sha256": ""}})
    same = (kept["drawn"], kept["provenance"]["code_sha256"]) == (given.mutants, origin["code_sha256"])
    return kept["mutants"] if same and not given.only else []


def write(given, origin, of, results):
    """The draw's entry of the record; those of other seeds stay."""
    if given.result:
        known = json.loads(given.result.read_text(encoding="utf-8")) if given.result.exists() else {}
        known["seed %d" % given.seed] = {"provenance": origin, "drawn": given.mutants, "judged": len(results), "of": of, **summary(results), "mutants": results}
        given.result.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
