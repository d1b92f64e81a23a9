# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role golden_image, judged. Pure functions.

Their sentences stand in roles/golden_image/vars/claims.yml; the modules golden_image_info and cuda_readiness look.
"""
from __future__ import annotations

import re

from .. import pruned_code
from .rows import row

MEGABYTE = 1000000
LARGEST = 900 * MEGABYTE
LIBRARY_PATH = "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu"
HASH_LABEL = "protocol_omni.bunker.input-hash"
VARIANTS = ("x64", "skylakex", "icelake", "sapphirerapids", "zen4")
BUILD_HOSTS = "libggml-cpu.so"  # the one that GGML_NATIVE makes
OPTIMISED = ("-O3", "-DNDEBUG")
REDUCED = {"does_not_apply": "a reduced image without CUDA, as golden_image_cuda says"}
SINGLE = {"does_not_apply": "an image with one CPU backend, as GGML_CPU_ALL_VARIANTS of golden_image_cmake_options says"}
WHOLE = {"does_not_apply": "cuBLAS is as NVIDIA gives it: golden_image_prune is off"}
MOST_NAMED = 6  # of what is missing


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``hash`` (of all inputs), ``pinned`` (lines of inputs.lock that the inventory pins), ``lock`` (golden_image_lock, "" for
        none), ``locked`` (its lines), ``architectures`` (golden_image_cuda_architectures), ``capabilities`` (of the inventory's cards), ``cuda`` and
        ``pruned`` (bool), and ``variants`` (bool, whether CPU backends of every generation are asked for).
    :param seen: what golden_image_info returned, and as ``readiness`` what cuda_readiness did; of no account without CUDA.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    image, inside = seen["image"], seen["inside"]
    found = dict(
        inputs=_inputs(wanted["hash"], seen), lock=_lock(wanted, inside), size=row(
            "under %d MB" % (LARGEST / MEGABYTE), "%d MB" % round(image.get("size", 0) / MEGABYTE), 0 < image.get("size", 0) < LARGEST),
        cmake_options=_cmake_options(wanted, inside) if wanted["cuda"] else REDUCED, kernels=_kernels(seen) if wanted["cuda"] else REDUCED,
        pruned=(_pruned(wanted["capabilities"], seen) if wanted["pruned"] else WHOLE) if wanted["cuda"] else REDUCED,
        vmm=_vmm(seen) if wanted["cuda"] else REDUCED, **_of_files(seen, inside))
    if not wanted["variants"]:
        found["cpu_variants"] = SINGLE
    environment = [variable for variable in image.get("environment", []) if variable.startswith("LD_LIBRARY_PATH=")]
    found["library_path"] = row(LIBRARY_PATH, ", ".join(environment) or "not set", environment == [LIBRARY_PATH])
    found["user"] = row("a number other than 0", image.get("user") or "root", re.fullmatch(r"[1-9][0-9]*(:[1-9][0-9]*)?", image.get("user", "")))
    return {"image." + name: row for name, row in found.items()}


def _inputs(wanted, seen):
    label, alias = seen["image"].get("labels", {}).get(HASH_LABEL, ""), seen["alias_id"]
    return row("%s, alias on the same image" % wanted[:16], "%s, alias on %s" % (label[:16] or "nothing", alias[7:19] or "nothing"),
               label == wanted and alias and alias == seen["image"].get("id"))


def _package(line):
    """NAME_VERSION of a line of inputs.lock that names a package, as the package database writes it."""
    return "_".join(line.rpartition("/")[2].split("_")[:2]).replace("%3a", ":")


def _lock(wanted, inside):
    named, locked = inside["input"], wanted["locked"]
    absent = [line for line in wanted["pinned"] if line not in named]
    if wanted["lock"]:
        absent += [line for line in named if line not in locked] + [line for line in locked if line not in named]
    absent += sorted({_package(line) for line in named if "  runtime/" in line} - set(inside["package"]))
    packages = [line for line in named if re.search(r"  (toolchain|runtime)/", line)]
    return row(
        "%d inputs of the inventory, and the packages %s" % (len(wanted["pinned"]), "of golden_image_lock" if wanted["lock"] else "that came from the mirror"),
        "%d inputs, of which packages %d; %s" % (len(named), len(packages), "not as expected: " + ", ".join(absent) if absent else "as expected"),
        not absent and any("  toolchain/" in line for line in named))


def _flags(configured, start, suffix):
    """The flags of one compiled file, as the build wrote them; "none" where it did not."""
    lines = [line for line in configured if line.startswith("flags of " + start)]
    return lines[0].partition(suffix + ": ")[2] or "none" if lines else "none"


def _cmake_options(wanted, inside):
    # What the build wrote of itself: CMake's cache, and the flags of one file of libggml-cuda and of one that g++ compiled.
    cache = dict(line.split("=", 1) for line in inside["configured"] if "=" in line and not line.startswith("flags"))
    options = {"CMAKE_BUILD_TYPE": "Release", "CMAKE_CUDA_ARCHITECTURES": ";".join(wanted["architectures"]), "GGML_CUDA": "ON"}
    nvcc, gcc = _flags(inside["configured"], "ggml-cuda/", ".cu"), _flags(inside["configured"], "llama.cpp", ".cpp")
    compiled = re.findall(r"(?:sm|compute)_([0-9]+)", nvcc)
    return row(
        "%s, compiled with %s" % (_told(options, options), " ".join(OPTIMISED)),
        "%s; nvcc with %s; g++ with %s" % (_told(options, cache), nvcc, gcc),
        all(cache.get(name) == value for name, value in options.items())
        and all(re.match("[0-9]*", architecture).group(0) in compiled for architecture in wanted["architectures"])
        and all(flag in flags.split() for flag in OPTIMISED for flags in (nvcc, gcc)))


def _told(names, values):
    return ", ".join("%s=%s" % (name, values.get(name, "nothing")) for name in names)


def _kernels(seen):
    verdicts = seen["readiness"]["verdicts"]
    return row("native for %s" % (", ".join(verdicts) or "what the inventory names"),
               " ".join(verdict["reason"] for verdict in verdicts.values()) or "neither inventory nor host names a GPU that could be looked for",
               verdicts and all(verdict["verdict"] == "native" for verdict in verdicts.values()))


def _pruned(capabilities, seen):
    # cuda_readiness gave a verdict for each card of the inventory and of the host, so its verdicts name them all.
    cards, found = sorted({*capabilities, *seen["readiness"]["verdicts"]}, key=float), seen["pruned"]
    missing = pruned_code.missing(found, cards) if found else []
    gone = ["%s: %d of %d entries without code" % (library["file"], sum(library["emptied"].values()), sum(library["emptied"].values()) + sum(
        there[0] for there in library["there"].values())) for library in found.get("libraries", [])]
    unseen = "not looked at: %s" % (found.get("said") or seen["said"]) if not found or found.get("said") else ""
    named = missing[:MOST_NAMED] + (["and %d more" % (len(missing) - MOST_NAMED)] if len(missing) > MOST_NAMED else [])
    return row("all that %s can run as it was before, machine code and PTX" % (", ".join(cards) or "a card that somebody names"),
               unseen or "; ".join(named) or "; ".join(gone), cards and found and not unseen and not missing)


def _vmm(seen):
    backend = (seen["readiness"]["files"] or [{}])[0]
    asked = "asked for" if backend.get("imports_vmm") else "not asked for"
    return row("libggml-cuda.so needs libcuda.so.1 and asks it for cuMemCreate",
               "libcuda.so.1 %s, cuMemCreate %s" % (backend.get("libcuda") or "not asked for", asked),
               backend.get("libcuda") == "needed" and backend.get("imports_vmm"))


def _of_files(seen, inside):
    """What was searched for. That nothing was found proves something where the search came to its end, and not otherwise."""
    variants = [match.group(1) for match in (re.search(r"cpu-([a-z0-9]+)[.]so", name) for name in inside["variant"]) if match]
    also = ", and one of the build host" if BUILD_HOSTS in inside["variant"] else ""
    unsearched = "not looked for: %s" % (seen["said"] or "the search ended early")
    libcuda, tools = inside["libcuda"], inside["tool"]
    return {
        "no_libcuda": row("no file libcuda.so*", " ".join(libcuda) or ("none" if inside["searched"] else unsearched), inside["searched"] and not libcuda),
        "nothing_else": row("none of them", " ".join(tools) or ("none of them" if inside["end"] else unsearched), inside["end"] and not tools),
        "cpu_variants": row("x64 (any CPU) and skylakex, icelake, sapphirerapids, zen4 (AVX-512)", (", ".join(variants) or "none") + also,
                            not also and set(VARIANTS) <= set(variants))}
