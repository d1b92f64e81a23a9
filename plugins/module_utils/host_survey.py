# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is made of, from the texts that its kernel and tools print. Pure functions: text in, facts out.

Sizes are bytes. What could not be read is None, never a guess. modules/host_info.py collects the texts.
"""
from __future__ import annotations

import json
import re

NVIDIA = "10de"
# PCI class codes of a graphics card: VGA controller, 3D controller.
GRAPHICS_CLASSES = ("0300", "0302")
# First and last PCI device id of a chip family, and the compute capability of its chips. What is not listed is unknown, never guessed.
# Sources: the PCI ID Repository (pci.ids of 2025-06-09) for the ids, NVIDIA's "CUDA GPU Compute Capability" for the capabilities.
PCI_CHIPS = [
    (0x1D81, 0x1DFF, "Volta", "7.0"), (0x1E00, 0x1FFF, "Turing", "7.5"), (0x2180, 0x21FF, "Turing", "7.5"),
    (0x2080, 0x20FF, "Ampere", "8.0"), (0x2200, 0x223F, "Ampere", "8.6"), (0x2414, 0x25FF, "Ampere", "8.6"),
    (0x2680, 0x28FF, "Ada Lovelace", "8.9"), (0x2302, 0x237F, "Hopper", "9.0"),
    (0x2900, 0x297F, "Blackwell", "10.0"), (0x2B80, 0x2DFF, "Blackwell", "12.0"), (0x2F00, 0x2F7F, "Blackwell", "12.0"),
]
GPU_QUERY = ["uuid", "name", "compute_cap", "driver_version", "memory.total", "memory.free", "pci.bus_id"]


def chip_of(device):
    """(family, compute capability) of a PCI device id such as "2bb1"; (None, None) where it is not known."""
    number = int(device, 16)
    for first, last, family, capability in PCI_CHIPS:
        if first <= number <= last:
            return family, capability
    return None, None


def pci_address(text):
    """"0000:01:00.0" of nvidia-smi's "00000000:01:00.0" or sysfs's own form, lower case."""
    domain, bus, rest = text.strip().lower().split(":")
    return "%04x:%s:%s" % (int(domain, 16), bus, rest)


def gpus_of_pci(devices):
    """NVIDIA's graphics cards on the bus.

    :param devices: iterable of dict of address, vendor, device, class (hexadecimal, as sysfs writes them) and driver.
    """
    found = []
    for device in devices:
        if _hex(device["vendor"]) == NVIDIA and _hex(device["class"])[:4] in GRAPHICS_CLASSES:
            family, capability = chip_of(_hex(device["device"]))
            found.append({"uuid": None, "name": None, "family": family, "capability": capability, "memory": None, "memory_free": None,
                          "pci": pci_address(device["address"]), "pci_device": _hex(device["device"]), "kernel_driver": device["driver"]})
    return sorted(found, key=lambda gpu: gpu["pci"])


def gpus_of_query(text):
    """GPUs from ``nvidia-smi --query-gpu=GPU_QUERY --format=csv,noheader,nounits``."""
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == len(GPU_QUERY) and fields[0].startswith("GPU-"):
            values = dict(zip(GPU_QUERY, fields))
            found.append({"uuid": values["uuid"], "name": values["name"], "capability": values["compute_cap"],
                          "memory": _mebibytes(values["memory.total"]), "memory_free": _mebibytes(values["memory.free"]),
                          "pci": pci_address(values["pci.bus_id"]), "driver": values["driver_version"]})
    return found


def join_gpus(of_pci, of_query):
    """One list of GPUs: what the driver says over what the bus says, by PCI address.

    A card that only the bus knows keeps uuid None: the driver does not drive it.
    """
    queried = {gpu["pci"]: gpu for gpu in of_query}
    joined = [dict(dict(gpu, driver=None), **queried.pop(gpu["pci"], {})) for gpu in of_pci]
    joined += [dict({"family": None, "pci_device": None, "kernel_driver": None}, **gpu) for gpu in queried.values()]
    return sorted(joined, key=lambda gpu: gpu["pci"])


def cpu_of_lscpu(text):
    """CPU facts from ``lscpu --json``: model, sockets, cores (physical), threads, numa_nodes, avx512."""
    fields = {}

    def collect(entries):
        for entry in entries:
            fields[entry["field"].rstrip(":")] = entry.get("data")
            collect(entry.get("children") or [])
    collect(json.loads(text).get("lscpu") or [])
    sockets, cores = _number(fields.get("Socket(s)")), _number(fields.get("Core(s) per socket"))
    return {"model": fields.get("Model name"), "sockets": sockets, "cores": sockets and cores and sockets * cores, "threads": _number(fields.get("CPU(s)")),
            # A kernel without NUMA names no nodes: it is one.
            "numa_nodes": _number(fields.get("NUMA node(s)")) or (1 if fields else None),
            "avx512": "avx512f" in fields["Flags"].split() if fields.get("Flags") else None}


def memory_of_meminfo(text):
    """{"total", "available"} in bytes from /proc/meminfo."""
    values = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return {"total": values.get("MemTotal"), "available": values.get("MemAvailable")}


def mounts_of_mountinfo(text):
    """Mounts from /proc/self/mountinfo: list of path, device, type, options; the last mount on a path hides earlier ones."""
    mounts = {}
    for line in text.splitlines():
        left, _dash, right = line.partition(" - ")
        fields, behind = left.split(), right.split()
        if len(fields) >= 6 and len(behind) >= 2:
            mounts.pop(_unescape(fields[4]), None)
            mounts[_unescape(fields[4])] = {"path": _unescape(fields[4]), "device": _unescape(behind[1]), "type": behind[0],
                                            "number": fields[2], "options": fields[5].split(",")}
    return list(mounts.values())


def inside(path, folder):
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def mount_of(path, mounts):
    """The mount that a path lies on, or None."""
    holding = [mount for mount in mounts if inside(path, mount["path"])]
    return max(holding, key=lambda mount: len(mount["path"])) if holding else None


def secure_boot_of_variable(content):
    """True, False, or None from the bytes of the EFI variable SecureBoot (four bytes of attributes, then 0 or 1)."""
    return bool(content[4]) if content and len(content) >= 5 else None


def modules_of(text):
    """Names of the loaded kernel modules from /proc/modules."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def kernel_module_is_open(text):
    """Whether /proc/driver/nvidia/version tells of NVIDIA's open modules; None without one."""
    match = re.search(r"^NVRM version:(.*)$", text, re.MULTILINE)
    return None if not match else "open kernel module" in match.group(1).lower()


def _hex(text):
    return text.strip().lower().replace("0x", "", 1)


def _mebibytes(text):
    return int(text) << 20 if text.isdigit() else None


def _number(text):
    return int(text) if text and str(text).isdigit() else None


def _unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def toolkit_version(text):
    """"1.17.8" from ``nvidia-ctk --version``, or None."""
    match = re.search(r"version\s+v?(\d+\.\d+\.\d+)", text)
    return match.group(1) if match else None
