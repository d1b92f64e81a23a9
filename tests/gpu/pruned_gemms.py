# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether cuBLAS computes the same, bit for bit, once roles/golden_image/files/prune-device-code has emptied what this machine's card cannot run.

    python3 tests/gpu/pruned_gemms.py tests/gpu/results/pruned_gemms.json [FOLDER_WITH_CUBLAS]

Matrix products of several types and sizes, plain and batched, as llama.cpp asks for them (cublasGemmEx, cublasGemmStridedBatchedEx), by processes that load the
whole and the pruned libraries in turns. Needs a card, CUDA's libcublas, libcublasLt and libcudart, and numpy. Ends with 1 where a product differs.
"""
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from common import ROOT
from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code
from support import provenance

PRUNE = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"
LIBRARIES = ("libcublas.so.13", "libcublasLt.so.13")
# type: (cudaDataType of A and B, bytes, cudaDataType of C, bytes, cublasComputeType)
TYPES = {"f32": (0, 4, 0, 4, 68), "tf32": (0, 4, 0, 4, 77), "f16": (2, 2, 2, 2, 68), "f16 in f16": (2, 2, 2, 2, 64), "bf16": (14, 2, 14, 2, 68),
         "f16 to f32": (2, 2, 0, 4, 68), "i8": (3, 1, 10, 4, 72)}
SIZES = ((64, 64, 64), (128, 512, 128), (576, 33, 576), (1000, 1000, 1000), (1536, 512, 576), (4096, 1, 4096), (4096, 512, 4096), (4096, 4096, 4096))
BATCHES = 4
UNSUPPORTED = 15  # CUBLAS_STATUS_NOT_SUPPORTED, of that type and shape
TURNS = 3


def checked(status, what):
    if status:
        raise SystemExit("%s gives %d" % (what, status))


def products(folder):
    """name to [SHA-256 of the product, best milliseconds], with the libraries of a folder."""
    import numpy  # pylint: disable=import-outside-toplevel  # only where it computes
    runtime = ctypes.CDLL(str(folder / "libcudart.so.13"))
    ctypes.CDLL(str(folder / LIBRARIES[1]), mode=ctypes.RTLD_GLOBAL)
    cublas = ctypes.CDLL(str(folder / LIBRARIES[0]))
    handle, found, chance = ctypes.c_void_p(), {}, numpy.random.default_rng(1)
    checked(cublas.cublasCreate_v2(ctypes.byref(handle)), "cublasCreate")

    def on_card(data):
        pointer = ctypes.c_void_p()
        checked(runtime.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(data.nbytes)), "cudaMalloc")
        checked(runtime.cudaMemcpy(pointer, data.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(data.nbytes), 1), "cudaMemcpy")
        return pointer

    def values(kind, count):
        if kind == 3:
            return chance.integers(-100, 100, count, dtype=numpy.int8)
        drawn = chance.standard_normal(count).astype(numpy.float32)
        return drawn if kind == 0 else drawn.astype(numpy.float16) if kind == 2 else (drawn.view(numpy.uint32) >> 16).astype(numpy.uint16)
    for name, (kind, _width, result, result_width, compute) in TYPES.items():
        scale = ctypes.c_int32 if compute == 72 else ctypes.c_uint16 if compute == 64 else ctypes.c_float
        one, zero = (scale(0x3c00), scale(0)) if compute == 64 else (scale(1), scale(0))
        for rows, columns, inner in SIZES:
            if kind == 3 and (rows % 4 or columns % 4 or inner % 4):
                continue  # cuBLAS wants multiples of four of them
            for batches in (1, BATCHES) if rows * inner <= 1 << 22 else (1,):
                a, b = on_card(values(kind, rows * inner * batches)), on_card(values(kind, inner * columns * batches))
                c = on_card(numpy.zeros(rows * columns * batches * result_width, dtype=numpy.uint8))
                # A transposed, as ggml keeps its matrices.
                words = [handle, 1, 0, rows, columns, inner, ctypes.byref(one), a, kind, inner]
                if batches == 1:
                    call = cublas.cublasGemmEx
                    words += [b, kind, inner, ctypes.byref(zero), c, result, rows, compute, -1]
                else:
                    call = cublas.cublasGemmStridedBatchedEx
                    words += [ctypes.c_longlong(rows * inner), b, kind, inner, ctypes.c_longlong(inner * columns), ctypes.byref(zero), c, result, rows,
                              ctypes.c_longlong(rows * columns), BATCHES, compute, -1]
                best, called = float("inf"), "%s %dx%dx%d%s" % (name, rows, columns, inner, " batched" if batches > 1 else "")
                status = call(*words)
                for _number in range(0 if status else 5):
                    begun = time.perf_counter()
                    checked(call(*words), called)
                    checked(runtime.cudaDeviceSynchronize(), "cudaDeviceSynchronize")
                    best = min(best, time.perf_counter() - begun)
                product = numpy.empty(rows * columns * batches * result_width, dtype=numpy.uint8)
                checked(runtime.cudaMemcpy(product.ctypes.data_as(ctypes.c_void_p), c, ctypes.c_size_t(product.nbytes), 2), "cudaMemcpy")
                if status != UNSUPPORTED:
                    checked(status, called)
                    found[called] = [hashlib.sha256(product.tobytes()).hexdigest(), round(best * 1e3, 4)]
                for pointer in (a, b, c):
                    runtime.cudaFree(pointer)
    return found


def main():
    if sys.argv[1] == "products":
        print(json.dumps(products(pathlib.Path(sys.argv[2]))))
        return
    source = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "/usr/local/cuda/lib64")
    shown = subprocess.run([shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi", "--query-gpu=compute_cap,name,driver_version",
                            "--format=csv,noheader"], capture_output=True, text=True, check=True).stdout.splitlines()[0].split(", ")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: pathlib.Path(scratch) / name for name in ("whole", "pruned")}
        for folder in folders.values():
            folder.mkdir()
            for name in (*LIBRARIES, "libcudart.so.13"):
                shutil.copyfile(source / name, folder / name)
        command = [sys.executable, str(PRUNE), ",".join(removable_device_code.names([shown[0]])), *(str(folders["pruned"] / name) for name in LIBRARIES)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seen = {name: [] for name in folders}
        for turn in range(TURNS):
            for name in sorted(folders, reverse=turn % 2 == 1):
                environment = dict(os.environ, LD_LIBRARY_PATH="%s:%s" % (folders[name], os.environ.get("LD_LIBRARY_PATH", "")))
                seen[name].append(json.loads(subprocess.run([sys.executable, __file__, "products", str(folders[name])], capture_output=True, text=True,
                                                            env=environment, check=True).stdout))
    rows = {product: {"equal": len({run[product][0] for runs in seen.values() for run in runs}) == 1,
                      "ms": {name: min(run[product][1] for run in runs) for name, runs in seen.items()}} for product in seen["whole"][0]}
    ratios = [row["ms"]["whole"] / row["ms"]["pruned"] for row in rows.values()]
    record = {"provenance": provenance.made("tests/gpu/results/pruned_gemms.json"), "card": shown[1], "driver": shown[2],
              "capability": shown[0], "pruned": [json.loads(line) for line in said.splitlines()], "products": len(rows),
              "equal": sum(row["equal"] for row in rows.values()), "speed_of_pruned_to_whole": round(statistics.median(ratios), 3), "rows": rows}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: record[key] for key in ("pruned", "products", "equal", "speed_of_pruned_to_whole")}))
    sys.exit(record["equal"] != record["products"])


if __name__ == "__main__":
    main()
