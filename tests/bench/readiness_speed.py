"""How fast device code is read, against cuobjdump -lelf on the same files in the same run.

    python tests/bench/readiness_speed.py FILE... [--result FILE]        # for instance the large libraries of tests/wheels/packages.txt

Warm: medians of 5, files in memory. Cold: each file dropped from the page cache, then read once plainly, dropped again, then read by us.
RssAnon is that of a fresh process after the largest file.
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


def plainly(path):
    with open(path, "rb", buffering=0) as stream:
        buffer = bytearray(1 << 20)
        while stream.readinto(buffer):
            pass


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
        plainly(path)
        row = {"file": path.name, "mb": round(path.stat().st_size / 1e6, 1)}
        row["ours_warm"] = statistics.median(seconds(ours, path) for _repeat in range(REPEATS))
        row["cuobjdump_warm"] = statistics.median(seconds(reference.run, program, "-lelf", path) for _repeat in range(REPEATS))
        row["ours_cold"] = statistics.median(cold(ours, path) for _repeat in range(REPEATS))
        row["read_cold"] = statistics.median(cold(plainly, path) for _repeat in range(REPEATS))
        row["times_faster_warm"] = round(row["cuobjdump_warm"] / row["ours_warm"], 1)
        row["cold_to_one_read"] = round(row["ours_cold"] / row["read_cold"], 2)
        rows.append({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
        print(rows[-1], flush=True)
    total = {name: sum(row[name] for row in rows) for name in ("ours_warm", "cuobjdump_warm", "ours_cold", "read_cold")}
    result = {"provenance": provenance.made("tests/bench/results/readiness_speed.json"), "repeats": REPEATS,
              "times_faster_warm": round(total["cuobjdump_warm"] / total["ours_warm"], 1),
              "cold_to_one_read": round(total["ours_cold"] / total["read_cold"], 2),
              "rss_anon_kb": anonymous_memory(max(options.files, key=lambda path: path.stat().st_size)), "files": rows}
    print(json.dumps({name: value for name, value in result.items() if name != "files"}, indent=1))
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
