#!/usr/bin/env bash
# Builds llama.cpp from nothing, with the launcher and the flags of the golden image's recipe, and compares every file with the builds before it, byte by byte.
# For machines with a CUDA toolkit and many cores but no container engine, where ./bunker reproduce cannot run. Run it twice, with another number of jobs:
#
#     tests/gpu/reproduce.sh SOURCE.tar RESULT.json 16; tests/gpu/reproduce.sh SOURCE.tar RESULT.json 23
set -euo pipefail
source_archive=$(realpath "$1") result=$(realpath "$2") jobs=${3:-$(nproc)}
tests=$(realpath "$(dirname "$0")/..") recipe=$(realpath "$(dirname "$0")/../../roles/golden_image/files")
work=/tmp/reproduce # the same in each build, as in a container; the path is mapped away, but not from nvcc's own names
mkdir "$work"
trap 'rm -rf "$work"' EXIT
mkdir "$work/programs" "$work/source"
# The recipe's launcher, with a compiler cache that remembers nothing.
printf '#!/bin/sh\nexec "$@"\n' > "$work/programs/ccache"
cp "$recipe/compile-reproducibly" "$work/programs/"
chmod +x "$work"/programs/*
export PATH=$work/programs:$PATH
tar -C "$work/source" -xf "$source_archive"
map=-ffile-prefix-map=$work/source/=
SOURCE_DATE_EPOCH=$(find "$work/source" -type f -printf '%Ts\n' | sort -n | tail -n 1)
export SOURCE_DATE_EPOCH CFLAGS=$map CXXFLAGS=$map CUDAFLAGS=-Xcompiler=$map LDFLAGS=-Wl,--no-as-needed
for language in C CXX CUDA; do export "CMAKE_${language}_COMPILER_LAUNCHER=compile-reproducibly"; done
started=$(date +%s)
cmake -G Ninja -S "$work/source" -B "$work/build" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON '-DCMAKE_INSTALL_RPATH=$ORIGIN' -DCMAKE_BUILD_TYPE=Release \
    -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_NATIVE=OFF -DGGML_CPU_ALL_VARIANTS=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
    -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DGGML_CUDA=ON -DGGML_CUDA_NO_VMM=OFF -DGGML_CUDA_NCCL=OFF \
    -DCMAKE_CUDA_ARCHITECTURES="${ARCHITECTURES:-120}" > "$work/configure.log" 2>&1 || { tail -n 20 "$work/configure.log"; exit 1; }
cmake --build "$work/build" --parallel "$jobs" --target llama-server llama-bench llama-fit-params > "$work/build.log" 2>&1 ||
    { grep -E -A5 'error|FAILED' "$work/build.log" | head -n 20; exit 1; }
(cd "$work/build" && find . -name '*.o' | sort | xargs sha256sum) > "$work/objects"
(cd "$work/build/bin" && strip --strip-unneeded llama-* lib*.so && sha256sum llama-server llama-bench llama-fit-params lib*.so) > "$work/files"
grep -l -a -e "$work" "$work"/build/bin/* > "$work/paths" || true
PYTHONPATH=$tests python3 - "$work" "$result" "$jobs" "$(( $(date +%s) - started ))" <<'END'
import hashlib
import json
import pathlib
import subprocess
import sys

from support import provenance

work, result, jobs, seconds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def read(name):
    return dict(reversed(line.split("  ")) for line in (work / name).read_text().splitlines())


def version(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]


objects = read("objects")
found = json.loads(result.read_text() or "{}") if result.exists() else {}
found["provenance"] = provenance.made("tests/gpu/results/reproduce.json")
found.setdefault("builds", []).append({
    "date": found["provenance"]["date"], "jobs": jobs, "seconds": seconds, "nvcc": version("nvcc", "--version"), "gcc": version("gcc", "-dumpfullversion"),
    "files": read("files"), "holding_the_build_path": (work / "paths").read_text().split(),
    "objects": len(objects), "objects_sha256": hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()})
first, last = found["builds"][0], found["builds"][-1]
found["different"] = sorted(name for name in first["files"] if last["files"].get(name) != first["files"][name])
found["objects_differ"] = first["objects_sha256"] != last["objects_sha256"]
result.write_text(json.dumps(found, indent=1) + "\n")
print("build %d: %d files and %d objects in %d s; files that differ from the first build: %s; objects: %s" % (
    len(found["builds"]), len(last["files"]), len(objects), seconds, found["different"] or "none", "differ" if found["objects_differ"] else "the same"))
sys.exit(1 if found["different"] else 0)
END
