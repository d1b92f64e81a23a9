"""What a build of the golden image took, file by file: python tools/compile_times.py LOG [--record NAME]

    python tools/compile_times.py golden-image-build.log                     # of /var/log/protocol_omni on the host of the build
    python tools/compile_times.py golden-image-build.log --record NAME       # into tests/results/compile_times.json too

The recipe prints a line COMPILED for each file: when it was compiled (ninja's own log), what that took of the processor, and whether the compiler cache
had it. Where BuildKit had the whole step in its own cache nothing was compiled, and there are none. Told besides: how much of the cores had nothing to do,
which is the most that several threads in one compiler could gain, and what the same files would take with more cores, by their processor time alone.
"""
import argparse
import fnmatch
import heapq
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import provenance  # noqa: E402

RECORD = "tests/results/compile_times.json"
# As BuildKit prints what a step says. It prints the step's own text too, with the same words in it, and no seconds before them.
LINE = re.compile(r"^#\d+ [0-9.]+ COMPILED (at|cpu|by) (.+)$", re.MULTILINE)
CPU = re.compile(r"(\d+)m([\d.]+)s (\d+)m([\d.]+)s \./(.+)\.times")
CUDA = "ggml/src/ggml-cuda/*"
# Name of a group: globs of its files' outputs; the first that fits counts.
GROUPS = {"flash attention": [CUDA + "fattn*"], "matrix kernels": [CUDA + "/" + name + "*" for name in ("mmq", "mmf", "mmvq", "mmvf", "mmid")],
          "other kernels": [CUDA], "CPU variants": ["ggml/src/CMakeFiles/ggml-cpu*"], "architectures of models": ["src/CMakeFiles/llama.dir/*"],
          "server": ["tools/server/*"], "linking": ["bin/*", "*.a"], "the rest": ["*"]}
ALL = "all"


def compiled(text):
    """The files of a build.

    :param text: str, its log.
    :returns: dict of an output to ``begin`` and ``seconds`` (of the clock), and where the log has them ``cpu`` (seconds) and ``by``
        (cache_miss, direct_cache_hit, preprocessed_cache_hit).
    :raises ValueError: a line COMPILED is not as the recipe writes it, or there is none.
    """
    found, steps, others = {}, set(), []
    for kind, words in LINE.findall(text):
        if kind == "at":
            parts = words.split("\t")
            if len(parts) != 5 or not all(part.isdigit() for part in parts[:2]):
                raise ValueError("the line 'COMPILED at %s' is no line of ninja's log, of five parts" % words)
            step = parts[0], parts[1], parts[4]
            if step not in steps:  # a step with two outputs, a library and its link, has a line for each
                steps.add(step)
                begin, end = int(parts[0]) / 1000, int(parts[1]) / 1000
                found[parts[3]] = {"begin": begin, "seconds": round(end - begin, 3)}
        else:
            others.append((kind, words))
    if not found:
        raise ValueError("it holds no line COMPILED: the recipe was an older one, or BuildKit had the whole step in its cache and nothing was compiled")
    for kind, words in others:
        output, name, value = _of_processor(words) if kind == "cpu" else _of_cache(words)
        if output not in found:
            raise ValueError("the line 'COMPILED %s %s' is of a file that ninja's log does not name" % (kind, words))
        found[output][name] = value
    return found


def _of_processor(words):
    match = CPU.fullmatch(words)
    if not match:
        raise ValueError("the line 'COMPILED cpu %s' is not what the shell's times prints" % words)
    minutes, seconds, system_minutes, system_seconds, output = match.groups()
    return output, "cpu", round(60 * (int(minutes) + int(system_minutes)) + float(seconds) + float(system_seconds), 2)


def _of_cache(words):
    result, _space, path = words.partition(" ")
    return path.removeprefix("./").removesuffix(".ccache"), "by", result


def group_of(output):
    """The group that a file belongs to."""
    return next(name for name, patterns in GROUPS.items() if any(fnmatch.fnmatch(output, pattern) for pattern in patterns))


def grouped(files):
    """Rows of the table.

    :param files: as :func:`compiled` gives it.
    :returns: dict of a group, the last one ALL, to ``files``, ``cpu`` and ``seconds``, and ``misses``, of how many the cache had nothing.
    """
    rows = {name: {"files": 0, "cpu": 0.0, "seconds": 0.0, "misses": 0} for name in (*GROUPS, ALL)}
    for output, one in files.items():
        for row in rows[group_of(output)], rows[ALL]:
            row["files"] += 1
            row["cpu"] = round(row["cpu"] + one.get("cpu", 0), 2)
            row["seconds"] = round(row["seconds"] + one["seconds"], 2)
            row["misses"] += one.get("by") == "cache_miss"
    return {name: row for name, row in rows.items() if row["files"]}


def used(files):
    """How the cores were used: ``seconds`` from the first file to the last, ``jobs`` at a time at most, and ``idle``, seconds that one had nothing."""
    changes = sorted([(one["begin"], 1) for one in files.values()] + [(round(one["begin"] + one["seconds"], 3), -1) for one in files.values()])
    running = jobs = 0
    for _at, change in changes:
        running += change
        jobs = max(jobs, running)
    whole = changes[-1][0] - changes[0][0]
    return {"seconds": round(whole, 1), "jobs": jobs, "idle": round(jobs * whole - sum(one["seconds"] for one in files.values()), 1)}


def with_cores(files, cores):
    """Seconds that the same files take, in the same order, where each of so many cores does one at a time: a calculation, by their processor time."""
    free = [0.0] * cores
    for one in sorted(files.values(), key=lambda one: one["begin"]):
        heapq.heapreplace(free, free[0] + one.get("cpu", one["seconds"]))
    return round(max(free), 1)


def table(rows):
    """The rows as lines of text."""
    lines = ["%-26s%8s%12s%12s%12s" % ("", "files", "CPU s", "clock s", "not cached")]
    return lines + ["%-26s%8d%12.1f%12.1f%12d" % (name, row["files"], row["cpu"], row["seconds"], row["misses"]) for name, row in rows.items()]


def written(record):
    """The record as text: a line a file, or it would have thousands."""
    builds = []
    for name, build in record["builds"].items():
        head = json.dumps({key: value for key, value in build.items() if key != "files"}, indent=1)
        rows = ",\n".join("  %s: %s" % (json.dumps(output), json.dumps(one)) for output, one in build["files"].items())
        builds.append('%s: %s,\n "files": {\n%s\n }}' % (json.dumps(name), head.removesuffix("\n}"), rows))
    return '{"builds": {\n' + ",\n".join(builds) + "\n}}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--record", metavar="NAME", help="writes the table, file by file, to %s under a name" % RECORD)
    options = parser.parse_args()
    try:
        files = compiled(options.log.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        sys.exit("compile_times: %s is not read: %s. Give a build's log, /var/log/protocol_omni/golden-image-build.log of its host." % (options.log, error))
    files = dict(sorted(files.items(), key=lambda item: -item[1].get("cpu", item[1]["seconds"])))
    rows, cores = grouped(files), used(files)
    print("\n".join(table(rows)))
    print("%d files in %.0f s with %d at a time; %.0f s of that one of them had nothing to do" % (len(files), cores["seconds"], cores["jobs"], cores["idle"]))
    calculated = {str(count): with_cores(files, count) for count in (2, 4, 8, 16)}
    print("by their processor time alone, on 2, 4, 8 and 16 cores: %s s" % ", ".join("%.0f" % seconds for seconds in calculated.values()))
    if options.record:
        path = ROOT / RECORD
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"builds": {}}
        command = "python tools/compile_times.py golden-image-build.log --record '%s'" % options.record
        record["builds"][options.record] = {"provenance": provenance.made(RECORD, options.record, command), **cores, "calculated": calculated,
                                            "groups": rows, "files": files}
        path.write_text(written(record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
