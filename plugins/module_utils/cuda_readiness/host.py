# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's GPUs and driver, read without changing anything."""
from __future__ import annotations

import re
import subprocess
from xml.etree import ElementTree

# Drivers of a branch know this CUDA version and older ones. Source: NVIDIA's "CUDA Toolkit and Corresponding Driver Versions".
CUDA_OF_BRANCH = [(590, (13, 1)), (580, (13, 0)), (575, (12, 9)), (570, (12, 8)), (565, (12, 7)), (560, (12, 6)), (555, (12, 5)), (550, (12, 4)),
                  (545, (12, 3)), (535, (12, 2)), (530, (12, 1)), (525, (12, 0)), (520, (11, 8)), (515, (11, 7)), (510, (11, 6))]


def kernel_module_version(text):
    """The version of the loaded kernel module from the text of /proc/driver/nvidia/version, or None."""
    match = re.search(r"^NVRM version:.*?Kernel Module(?: for \S+)?\s+(\d+\.\d+(?:\.\d+)?)", text, re.MULTILINE)
    return match.group(1) if match else None


def cuda_of_driver(version):
    """(13, 0) for "580.95.05"; None for a branch that is not known."""
    branch = int(version.split(".")[0])
    for first, cuda in CUDA_OF_BRANCH:
        if branch >= first:
            return cuda if branch < 600 else None
    return None


def parse_query(text):
    """GPUs from nvidia-smi --query-gpu=uuid,name,compute_cap --format=csv,noheader: list of dict of uuid, name, capability."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and re.match(r"^\d+\.\d$", fields[2]):
            gpus.append({"uuid": fields[0], "name": fields[1], "capability": fields[2]})
    return gpus


def parse_cuda_version(xml):
    """The driver's CUDA version from nvidia-smi -q -x: (13, 0), or None."""
    try:
        root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", xml))
        text = root.findtext("cuda_version") or root.findtext("cuda_umd_version") or ""  # the second from driver 610 on
    except ElementTree.ParseError:
        return None
    match = re.match(r"^(\d+)\.(\d+)$", text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def run(*command):
    """What a command prints, or "" where it is missing or fails."""
    try:
        return subprocess.run(  # pylint: disable=ansible-bad-function
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True, universal_newlines=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def read(path):
    """The text of a small file, or ""."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def read_host():
    """dict of gpus (list), kernel_module (str or None), driver_cuda ((major, minor) or None)."""
    kernel_module = kernel_module_version(read("/proc/driver/nvidia/version"))
    gpus = parse_query(run("nvidia-smi", "--query-gpu=uuid,name,compute_cap", "--format=csv,noheader"))
    cuda = parse_cuda_version(run("nvidia-smi", "-q", "-x")) if gpus else None
    return {"gpus": gpus, "kernel_module": kernel_module, "driver_cuda": cuda or (cuda_of_driver(kernel_module) if kernel_module else None)}
