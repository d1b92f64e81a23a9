"""How fast device code is read: against cat and cuobjdump -lelf on the same files, in turns.

    python tests/bench/readiness_speed.py FILE... [--result FILE]        # for instance the large libraries of tests/wheels/packages.txt

Warm: medians of 5, files in memory. Cold: each file dropped from the page cache before each of the two reads. GB/s count the whole file, of which not
every byte has to be looked at. RssAnon is that of a fresh process after the largest file.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda"), str(ROOT / "tests")]

import cuobjdump as reference  # noqa: E402
import toolkit  # noqa: E402
from support import provenance  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import ByteSource  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code  # noqa: E402

REPEATS = 5


def ours(path):
    with open(path, "rb") as stream:
        return read_device_code(ByteSource.of_file(stream.fileno()), str(path))


def cat(path):
    subprocess.run(["cat", str(path)], stdout=subprocess.DEVNULL, check=True)


def forget(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def seconds(function, *arguments):
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def cold(function, path):
    forget(path)
    return seconds(function, path)


def compared(row):
    """GB/s of cat and of us, and how many times as fast as each other reader we are."""
    rates = {name + "_gb_s": round(row["mb"] / 1e3 / row[name], 2) for name in ("ours_warm", "cat_warm", "ours_cold", "cat_cold")}
    return dict(rates, to_cat_warm=round(row["cat_warm"] / row["ours_warm"], 2), to_cat_cold=round(row["cat_cold"] / row["ours_cold"], 2),
                to_cuobjdump_warm=round(row["cuobjdump_warm"] / row["ours_warm"], 1))


def anonymous_memory(path):
    """kB of RssAnon after a fresh process read one file."""
    program = ("import sys; sys.path[:0] = %r; import readiness_speed; readiness_speed.ours(sys.argv[1]); "
               "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')][0])" % [str(ROOT / "tests" / "bench")])
    return int(subprocess.run([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--result", type=pathlib.Path)
    options = parser.parse_args()
    program = toolkit.provide() / "bin" / "cuobjdump"
    rows = []
    for path in options.files:
        cat(path)
        took = {name: [] for name in ("ours_warm", "cat_warm", "cuobjdump_warm", "ours_cold", "cat_cold")}
        for _repeat in range(REPEATS):
            took["ours_warm"].append(seconds(ours, path))
            took["cat_warm"].append(seconds(cat, path))
            took["cuobjdump_warm"].append(seconds(reference.run, program, "-lelf", path))
            took["ours_cold"].append(cold(ours, path))
            took["cat_cold"].append(cold(cat, path))
        row = {"file": path.name, "mb": round(path.stat().st_size / 1e6, 1), **{name: round(statistics.median(times), 4) for name, times in took.items()}}
        rows.append({**row, **compared(row)})
        print(rows[-1], flush=True)
    total = {name: sum(row[name] for row in rows) for name in ("mb", "ours_warm", "cat_warm", "cuobjdump_warm", "ours_cold", "cat_cold")}
    result = {"provenance": provenance.made("tests/bench/results/readiness_speed.json"), "repeats": REPEATS,
              "all": {**{name: round(value, 3) for name, value in total.items()}, **compared(total)},
              "rss_anon_kb": anonymous_memory(max(options.files, key=lambda path: path.stat().st_size)), "files": rows}
    print(json.dumps({name: value for name, value in result.items() if name != "files"}, indent=1))
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
