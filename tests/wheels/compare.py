"""Holds our reading of public wheels against cuobjdump's, and says what of them runs on compute capability 12.0.

    python tests/wheels/compare.py --wheels FOLDER docs/cuda-wheels.md

Downloads what is missing in FOLDER (6 GB) with pip, unpacks one wheel after the other into a scratch folder, and writes the table.
"""
import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "cuda"), str(ROOT / "tests")]

import cuobjdump as reference  # noqa: E402
import toolkit  # noqa: E402
from support import provenance  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import ByteSource  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.verdict import judge_file  # noqa: E402

PLATFORMS = ["manylinux_2_%d_x86_64" % minor for minor in (5, 17, 24, 27, 28, 31, 34, 35)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
LOOKED_INTO_BY_CUOBJDUMP = (".nv_fatbin", "__nv_relfatbin", "")
MOST_SECONDS = 900
Row = collections.namedtuple("Row", "package file size cubins ptx theirs_cubins theirs_ptx outside verdict ours_seconds theirs_seconds note")


def download(folder):
    platforms = [argument for platform in PLATFORMS for argument in ("--platform", platform)]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--implementation", "cp",
                    "--python-version", "3.12", *platforms, "--require-hashes", "--requirement",
                    str(ROOT / "tests" / "wheels" / "packages.txt"), "--dest", str(folder)], check=True)


def wanted():
    lines = (ROOT / "tests" / "wheels" / "packages.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(" ")[0].split("==") for line in lines if not line.startswith("#")]


def read(path):
    with open(path, "rb") as stream:
        return read_device_code(ByteSource.of_file(stream.fileno()), str(path))


def timed(function, *arguments):
    begun = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begun, result


def look(package, root, path, program):
    """One row of the table, or None for a file without device code."""
    code = read(path)  # also brings the file into memory, so that both are timed warm
    if code is None or not (code.found or code.rocm):
        return None
    ours = statistics.median(timed(read, path)[0] for _repeat in range(3))
    theirs, (cubins, ptx) = timed(reference.listed, program, path, MOST_SECONDS)
    inside, outside = [], collections.Counter()
    for found in code.found:
        if found.section not in LOOKED_INTO_BY_CUOBJDUMP:
            outside[found.section] += len(found.module.entries)
        elif found.module.form != "ptx":
            inside += found.module.entries
    our_cubins = ["sm_%d%s" % (entry.sm, entry.suffix.rstrip("f")) for entry in inside if entry.kind == "cubin"]
    our_ptx = ["sm_%d%s" % (entry.sm, entry.suffix) for entry in inside if entry.kind == "ptx"]
    if code.rocm:
        note = "AMD GPUs (ROCm); no CUDA"
    elif (our_cubins, our_ptx) == (cubins, ptx):
        note = "equal"
    elif collections.Counter(our_cubins) == collections.Counter(cubins) and collections.Counter(our_ptx) == collections.Counter(ptx):
        note = "equal, in another order"
    elif reference.complaint(program, path):
        note = "cuobjdump gives up: %s" % reference.complaint(program, path)
    else:
        note = "**differs**: %s" % (collections.Counter(our_cubins + our_ptx) - collections.Counter(cubins + ptx) or
                                    collections.Counter(cubins + ptx) - collections.Counter(our_cubins + our_ptx))
    if outside:
        note += "; %s cuobjdump does not see" % ", ".join("%d in %s" % (count, section) for section, count in sorted(outside.items()))
    kinds = collections.Counter(entry.kind for found in code.found for entry in found.module.entries)
    return Row(package, path.relative_to(root), path.stat().st_size, kinds["cubin"], kinds["ptx"], len(cubins), len(ptx), sum(outside.values()),
               judge_file(code, 120, (13, 0)), ours, theirs, note)


def render(rows, version):
    lines = [
        "# Public wheels", "", "<!-- provenance: %s -->" % json.dumps(provenance.made("docs/cuda-wheels.md")), "",
        "Made by `python tests/wheels/compare.py --wheels FOLDER docs/cuda-wheels.md`; the wheels and their hashes: `tests/wheels/packages.txt`. The",
        "reference is %s, `-all -lelf` and `-all -lptx`, compared entry by entry in the file's order. Times are of one run on a shared machine," % version,
        "files in memory: ours the median of 3 in one process, cuobjdump's both lists once.", "",
        ("%d files of %d packages, %.1f GB: %d cubins and %d PTX. cuobjdump lists %d and %d; %d entries lie where it does not look; "
         "on %d files it gives up. %d files differ otherwise.") % (
            len(rows), len({row.package for row in rows}), sum(row.size for row in rows) / 1e9, sum(row.cubins for row in rows), sum(row.ptx for row in rows),
            sum(row.theirs_cubins for row in rows), sum(row.theirs_ptx for row in rows), sum(row.outside for row in rows),
            sum("gives up" in row.note for row in rows), sum("differs" in row.note for row in rows)),
        "All files together: ours %.1f s, cuobjdump %.0f s." % (sum(row.ours_seconds for row in rows), sum(row.theirs_seconds for row in rows)), "",
        "| package | file | MB | cubins, PTX | cuobjdump | | s | cuobjdump s |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append("| %s | %s | %.1f | %d, %d | %d, %d | %s | %.3f | %.1f |" % (
            row.package, row.file.name, row.size / 1e6, row.cubins, row.ptx, row.theirs_cubins, row.theirs_ptx, row.note, row.ours_seconds, row.theirs_seconds))
    lines += ["", "## On compute capability 12.0 with a driver of CUDA 13.0", "",
              "A file is as good as its worst module. Some libraries carry modules for one architecture alone and choose among them at run time",
              "(cuBLASLt, FlashAttention): there \"none\" means that some of it cannot be used, not that all of it dies.", "",
              "The engines that the doctrine gave up, in these public wheels, not the images of January 2026: the attention kernels of SGLang (sgl-kernel,",
              "sglang-kernel) and KTransformers (kt-kernel) were compiled for other cards alone, so a call of them would die. By the doctrine vLLM refused the",
              "model itself, before any launch. Of the files below that say \"none\" for all modules, every call would die. "
              "No Blackwell card has seen any of it.", "",
              "| package | file | verdict | why |", "|---|---|---|---|"]
    for row in rows:
        if row.verdict["verdict"] is not None:
            lines.append("| %s | %s | %s | %s |" % (row.package, row.file.name, row.verdict["verdict"], row.verdict["reason"]))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=pathlib.Path, required=True)
    parser.add_argument("page", type=pathlib.Path)
    options = parser.parse_args()
    program = toolkit.provide() / "bin" / "cuobjdump"
    version = reference.run(program, "--version").splitlines()[-2].replace("Cuda compilation tools, release", "cuobjdump").split(",")[0]
    options.wheels.mkdir(parents=True, exist_ok=True)
    if any(not list(options.wheels.glob("%s-%s-*.whl" % (name.replace("-", "_"), pin))) for name, pin in wanted()):
        download(options.wheels)
    rows = []
    for name, pin in wanted():
        wheel = next(options.wheels.glob("%s-%s-*.whl" % (name.replace("-", "_"), pin)))
        with tempfile.TemporaryDirectory(dir=options.wheels) as scratch:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(scratch)
            for path in sorted(pathlib.Path(scratch).rglob("*")):
                row = look("%s %s" % (name, pin), pathlib.Path(scratch), path, program) if path.is_file() and path.stat().st_size else None
                if row:
                    rows.append(row)
                    print("%-28s %-50s %6.1f MB  %.3f s  %.1f s  %s" % (
                        row.package, row.file.name, row.size / 1e6, row.ours_seconds, row.theirs_seconds, row.note), flush=True)
    options.page.write_text(render(rows, version), encoding="utf-8")


if __name__ == "__main__":
    main()
