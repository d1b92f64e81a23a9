"""Small programs, each compiled for other targets, in every form that device code takes.

Built once and kept in the cache folder of ./bunker under a hash of these recipes and the compiler's pins.
"""
import concurrent.futures
import dataclasses
import os
import subprocess

import toolkit

KERNEL = """
#include <cstdio>
__global__ void answer(int *value) { *value = 42; }
int main() {
    int *device = nullptr, host = 0;
    if (cudaError_t error = cudaMalloc(&device, sizeof host)) { printf("malloc %d %s\\n", error, cudaGetErrorName(error)); return 2; }
    answer<<<1, 1>>>(device);
    if (cudaError_t error = cudaGetLastError()) { printf("launch %d %s\\n", error, cudaGetErrorName(error)); return 3; }
    if (cudaError_t error = cudaMemcpy(&host, device, sizeof host, cudaMemcpyDeviceToHost)) { printf("copy %d\\n", error); return 4; }
    printf("ok %d\\n", host);
    return host == 42 ? 0 : 5;
}
"""
SOURCES = {
    "kernel.cu": KERNEL,
    "second.cu": "__global__ void second(float *value) { *value *= 2; }\nvoid launch_second(float *value) { second<<<1, 1>>>(value); }\n",
    "device_only.cu": "__device__ int helper(int value) { return value + 1; }\n",
    "empty.cu": "int nothing_for_the_device() { return 0; }\n",
    # The kernel exists for sm_80 alone: compiled for another target the module comes out without it.
    "only_80.cu": KERNEL.replace("__global__ void answer(int *value) { *value = 42; }",
                                 "#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 800\n__global__ void answer(int *value) { *value = 42; }\n#endif")
                        .replace("answer<<<1, 1>>>(device);", "\n#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 800\nanswer<<<1, 1>>>(device);\n#endif\n"),
}
PLAIN = ["75", "80", "86", "87", "88", "89", "90", "100", "103", "110", "120", "121"]
ACCELERATED = ["90a", "100a", "103a", "110a", "120a", "121a"]
FAMILY = ["100f", "103f", "110f", "120f", "121f"]
COMPRESSION = ["default", "size", "speed", "balance", "none"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """One build: its file name, its source files and nvcc's arguments."""

    name: str
    sources: tuple
    arguments: tuple


def code(*targets):
    """-gencode arguments; sm_120a is machine code, compute_120a PTX, lto_90 LTO-IR."""
    return tuple("-gencode=arch=compute_%s,code=%s" % (target.split("_")[1], target) for target in targets)


def one(name, *arguments, source="kernel.cu"):
    return Sample(name, (source,), arguments)


def recipes():
    """All samples, in a fixed order."""
    result = [one("sass_%s.o" % target, "-c", *code("sm_" + target)) for target in PLAIN + ACCELERATED + FAMILY]
    result += [one("ptx_%s.o" % target, "-c", *code("compute_" + target)) for target in PLAIN + ACCELERATED + FAMILY]
    mixed = code("sm_75", "sm_90", "sm_120a", "compute_120")
    result += [one("compress_%s.so" % mode, "-shared", "-Xcompiler=-fPIC", "-compress-mode=" + mode, *mixed) for mode in COMPRESSION]
    result += [
        one("no_compress.o", "-c", "-no-compress", *mixed),
        one("compress_all.o", "-c", "-Xfatbin=-compress-all", *mixed),
        one("family_and_accelerated.o", "-c", *code("sm_100f", "sm_120f", "sm_120a", "compute_120f")),
        one("ten_targets.o", "-c", *code("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120", "sm_121", "compute_121")),
        one("debug.o", "-c", "-G", *code("sm_90", "compute_90")),
        one("program", *code("sm_90", "compute_90")),
        one("relocatable.o", "-dc", *code("sm_90", "compute_90")),
        one("relocatable", "-rdc=true", *code("sm_75", "sm_90", "compute_90")),
        one("relocatable_size", "-rdc=true", "-Xfatbin=-compress-all", "-compress-mode=size", *code("sm_90", "sm_120f")),
        one("relocatable_ptx", "-rdc=true", *code("compute_80")),
        one("lto.o", "-dc", *code("lto_90")),
        one("lto_and_ptx.o", "-dc", *code("lto_120", "compute_120", "sm_75")),
        one("static.a", "-lib", *mixed),
        one("static_relocatable.a", "-lib", "-rdc=true", *mixed),
        Sample("static_two.a", ("kernel.cu", "second.cu"), ("-lib",) + code("sm_90a", "sm_120f")),
        Sample("two.so", ("second.cu", "device_only.cu"), ("-shared", "-Xcompiler=-fPIC") + code("sm_89", "compute_89")),
        one("sm_75.cubin", "-cubin", "-arch=sm_75"), one("sm_90.cubin", "-cubin", "-arch=sm_90"), one("sm_90a.cubin", "-cubin", "-arch=sm_90a"),
        one("sm_120a.cubin", "-cubin", "-arch=sm_120a"), one("sm_100f.cubin", "-cubin", "-arch=sm_100f"),
        one("sm_120f.cubin", "-cubin", "-G", "-arch=sm_120f"), one("sm_120.cubin", "-cubin", "-arch=sm_120"),
        one("sm_120a.fatbin", "-fatbin", "-arch=sm_120a"), one("mixed.fatbin", "-fatbin", *mixed),
        one("empty.so", "-shared", "-Xcompiler=-fPIC", *code("sm_120", "compute_120"), source="empty.cu"),
        one("empty_size.so", "-shared", "-Xcompiler=-fPIC", "-compress-mode=size", *code("sm_120f", "compute_120f"), source="empty.cu"),
        one("device_only.o", "-c", *code("sm_90", "compute_90"), source="device_only.cu"),
        one("only_80", *code("sm_90", "sm_80"), source="only_80.cu"),
        one("compute_90.ptx", "-ptx", "-arch=compute_90"),
    ]
    return result


def build(sample, nvcc, folder):
    """Compiles one sample; returns its path."""
    target = folder / sample.name
    if not target.exists():
        sources = [str(folder / "src" / source) for source in sample.sources]
        part = folder / "part" / sample.name
        done = subprocess.run([str(nvcc), *sample.arguments, *sources, "-o", str(part)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        assert done.returncode == 0, "%s: %s" % (sample.name, done.stdout)
        part.rename(target)
    return target


def write_sources(folder):
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "part").mkdir(exist_ok=True)
    for name, text in SOURCES.items():
        (folder / "src" / name).write_text(text, encoding="utf-8")


def provide():
    """(folder, list of Sample): all of them built."""
    nvcc = toolkit.provide() / "bin" / "nvcc"
    folder = toolkit.CACHE / ("cuda-samples-" + toolkit.digest(toolkit.requirements(), repr(recipes()), repr(SOURCES)))
    write_sources(folder)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda sample: build(sample, nvcc, folder), recipes()))
    return folder, recipes()
