# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges an inventory against the host that it is for. Pure functions over two documents.

The inventory is what validate_inventory returns, the host what host_info returns. Each rule is a function that
yields findings; RULES names them, and the inventory lowers one by that name (preflight_lowered).
"""
from __future__ import annotations

import collections
import ipaddress
import re

from . import host_survey

ERROR, WARNING = "error", "warning"
Finding = collections.namedtuple("Finding", ["rule", "severity", "what", "found", "needed", "remedy", "lowered"], defaults=[False])

# Blackwell runs with NVIDIA's open kernel modules from branch 570 on (NVIDIA driver release notes).
BLACKWELL = (10, 0)
BLACKWELL_BRANCH = 570
# First driver branch for each major version of CUDA (CUDA Toolkit release notes, table of minor version compatibility).
BRANCH_OF_CUDA = {11: 450, 12: 525, 13: 580}
# The legacy hook's container escape was closed here (CVE-2025-23266).
TOOLKIT_MINIMUM = (1, 17, 8)
# Bytes. Sources: docs/disk-use.md measures them with the demo's build.
IMAGE_BYTES = 2 << 30
BUILD_BYTES = 12 << 30
GIB = float(1 << 30)


def _version(text):
    return tuple(int(number) for number in re.findall(r"\d+", text or "")[:3])


def _gpu_services(inventory):
    return [service for service in inventory["bunker_services"] if service["device"] == "gpu"]


def _used_gpus(inventory, host):
    """The host's cards that a service names; every card where none is known by UUID yet."""
    wanted = {uuid for service in _gpu_services(inventory) for uuid in service["gpus"]}
    known = [gpu for gpu in host["gpus"] if gpu["uuid"] in wanted]
    return known or (host["gpus"] if wanted else [])


def gpu_exists(inventory, host):
    """Every UUID that a service names is a card of the host."""
    services = _gpu_services(inventory)
    if not services:
        return
    if not host["gpus"]:
        yield Finding("gpu_exists", ERROR, "GPU services %s" % ", ".join(service["name"] for service in services), "no NVIDIA card on the PCI bus",
                      "a card", "Seat the card, or set device: cpu for these services.")
        return
    known = {gpu["uuid"]: gpu for gpu in host["gpus"] if gpu["uuid"]}
    if not known:
        yield Finding("gpu_exists", WARNING, "UUIDs of the GPUs", "no driver answers, so no UUID can be read", "UUIDs of nvidia-smi -L",
                      "host_driver installs the driver; the UUIDs are judged after it.")
        return
    for service in services:
        for uuid in service["gpus"]:
            if uuid not in known and not uuid.startswith("MIG-"):
                yield Finding("gpu_exists", ERROR, "service %s" % service["name"], uuid, "one of %s" % ", ".join(
                    "%s (%s)" % (gpu["uuid"], gpu["name"]) for gpu in known.values()), "Copy the UUID from: nvidia-smi -L")


def gpu_family(inventory, host):
    """The image holds machine code for every card that a service uses."""
    if not inventory["golden_image_cuda"]:
        return
    built = inventory["golden_image_cuda_architectures"]
    for gpu in _used_gpus(inventory, host):
        capability = gpu["capability"]
        if capability is None:
            yield Finding("gpu_family", WARNING, "compute capability of the card at %s" % gpu["pci"], "PCI id %s is not in this collection's table" % gpu["pci_device"],
                          "a known card", "The build proves its machine code against the card once the driver answers.")
        elif not any(_covers(architecture, capability) for architecture in built):
            yield Finding("gpu_family", ERROR, "golden_image_cuda_architectures", ", ".join(built),
                          "machine code for compute capability %s (%s)" % (capability, gpu["name"] or gpu["pci"]),
                          "Add \"%s\"." % capability.replace(".", ""))


def _covers(architecture, capability):
    """Machine code runs on its own major version, from its own minor on; a: that capability alone; f: the family (CUDA programming guide)."""
    match = re.match(r"^(\d+)(\d)([af]?)(-real|-virtual)?$", architecture)
    if match.group(4) == "-virtual":
        return False
    major, minor = (int(number) for number in capability.split("."))
    return int(match.group(1)) == major and (int(match.group(2)) == minor if match.group(3) == "a" else int(match.group(2)) <= minor)


def driver_branch(inventory, host):
    """The driver that is installed, or that host_driver will install, can run the card and the image."""
    gpus = _used_gpus(inventory, host)
    if not gpus:
        return
    installed = host["kernel"]["nvidia"]
    version = installed or str(inventory["host_driver_branch"])
    branch = _version(version)[0]
    found = "driver %s%s" % (version, "" if installed else " (host_driver_branch)")
    needs = [(BRANCH_OF_CUDA[inventory["golden_image_cuda_major"]], "%d or newer for CUDA %d" % (
        BRANCH_OF_CUDA[inventory["golden_image_cuda_major"]], inventory["golden_image_cuda_major"]))] if inventory["golden_image_cuda"] else []
    for gpu in gpus:
        if gpu["capability"] and tuple(map(int, gpu["capability"].split("."))) >= BLACKWELL:
            needs.append((BLACKWELL_BRANCH, "%d or newer for Blackwell (%s)" % (BLACKWELL_BRANCH, gpu["name"] or gpu["pci"])))
    unmet = sorted({need for need in needs if branch < need[0]}, reverse=True)
    if unmet:
        yield Finding("driver_branch", ERROR, "NVIDIA driver", found, unmet[0][1],
                      "Set host_driver_branch: %d and host_driver_upgrade: true." % unmet[0][0] if installed else "Set host_driver_branch: %d." % unmet[0][0])


def driver_open(inventory, host):
    """Blackwell is driven by the open kernel modules only."""
    for gpu in _used_gpus(inventory, host):
        if host["kernel"]["nvidia_open"] is False and gpu["capability"] and tuple(map(int, gpu["capability"].split("."))) >= BLACKWELL:
            yield Finding("driver_open", ERROR, "NVIDIA kernel modules", "the proprietary ones", "the open ones for Blackwell (%s)" % (gpu["name"] or gpu["pci"]),
                          "Set host_driver_upgrade: true, which installs the open modules.")
            return


def secure_boot(inventory, host):
    """Under Secure Boot the kernel loads signed modules only."""
    if _used_gpus(inventory, host) and host["kernel"]["secure_boot"] and not host["kernel"]["nvidia"] and not inventory["host_driver_secure_boot_signed"]:
        yield Finding("secure_boot", ERROR, "Secure Boot", "on, and no NVIDIA module is loaded", "a signed module, or Secure Boot off",
                      "Enrol the key that signs it (mokutil --import) and set host_driver_secure_boot_signed: true, or switch Secure Boot off in the firmware.")


def nouveau(inventory, host):
    """nouveau and NVIDIA's modules cannot both have a card."""
    if _used_gpus(inventory, host) and host["kernel"]["nouveau"]:
        yield Finding("nouveau", WARNING, "kernel module nouveau", "loaded", "not loaded", "host_driver switches it off; a reboot is needed then.")


def numa(_inventory, host):
    """One NUMA node a socket: a split of the memory halves what one reader gets of it."""
    if host["cpu"]["numa_nodes"] > host["cpu"]["sockets"]:
        yield Finding("numa", WARNING, "NUMA nodes", "%d on %d socket(s)" % (host["cpu"]["numa_nodes"], host["cpu"]["sockets"]), "one a socket (NPS1)",
                      "Set NPS1 in the firmware: the reference host lost half of its throughput with NPS4.")


def threads(inventory, host):
    """Threads of a service against the host's cores."""
    for service in inventory["bunker_services"]:
        if service["threads"] != "auto" and int(service["threads"]) > host["cpu"]["cores"]:
            number = int(service["threads"])
            over = number > host["cpu"]["threads"]
            yield Finding("threads", ERROR if over else WARNING, "service %s: threads" % service["name"], str(number),
                          "at most the %d physical cores" % host["cpu"]["cores"], "Set threads: auto.")


def overlap(inventory, host):
    """A subnet of networks_definitions is nobody else's."""
    own = {network["bridge"] for network in inventory["networks_definitions"]}
    for network in inventory["networks_definitions"]:
        subnet = ipaddress.ip_network(network["subnet"])
        others = [("route %s dev %s" % (route["destination"], route["device"]), route["destination"]) for route in host["routes"] if route["device"] not in own]
        others += [("Docker network %s %s" % (other["name"], other["subnet"]), other["subnet"]) for other in host["docker_networks"]
                   if other["name"] != network["name"]]
        for name, text in others:
            other = ipaddress.ip_network(text, strict=False)
            if other.version == subnet.version and other.prefixlen and other.overlaps(subnet):
                yield Finding("overlap", ERROR, "network %s %s" % (network["name"], subnet), name, "a subnet of its own",
                              "Choose another subnet in networks_definitions, and other service addresses.")
                break


def model_fits(inventory, host):
    """Weights and KV cache fit into memory: a CPU service's into RAM, a GPU service's into its cards and RAM."""
    ram = host["memory"]["total"]
    for service in inventory["bunker_services"]:
        model = host["models"].get(service["model"]) or {}
        weights = model.get("bytes")
        if not weights:
            continue
        kv = (model.get("kv_bytes_per_token") or 0) * service["context"]
        vram = sum(gpu["memory"] or 0 for gpu in host["gpus"] if gpu["uuid"] in service["gpus"])
        if weights + kv > ram + vram:
            yield Finding("model_fits", ERROR, "service %s: model %s" % (service["name"], service["model"]),
                          "%.1f GiB of weights and %.1f GiB of KV cache for %d tokens" % (weights / GIB, kv / GIB, service["context"]),
                          "at most %.1f GiB: %.1f of RAM and %.1f of its cards" % ((ram + vram) / GIB, ram / GIB, vram / GIB),
                          "Choose a smaller quantization or a smaller context.")
    together = sum((host["models"].get(service["model"]) or {}).get("bytes") or 0 for service in inventory["bunker_services"])
    everything = ram + sum(gpu["memory"] or 0 for gpu in _used_gpus(inventory, host))
    if together > everything and len(inventory["bunker_services"]) > 1:
        yield Finding("model_fits", ERROR, "all services together", "%.1f GiB of weights" % (together / GIB), "at most %.1f GiB" % (everything / GIB),
                      "Run fewer services or smaller models.")


def room(inventory, host):
    """Each file system has room for what will land on it."""
    lands = collections.defaultdict(list)
    for need in host["needs"]:
        lands[need["mount"]].append(need)
    free = {mount["path"]: mount["free"] for mount in host["mounts"]}
    for mount, landing in sorted((key, value) for key, value in lands.items() if key):
        needed = sum(need["bytes"] for need in landing)
        if free.get(mount) is not None and free[mount] < needed:
            yield Finding("room", ERROR, "file system %s" % mount, "%.1f GiB free" % (free[mount] / GIB),
                          "%.1f GiB: %s" % (needed / GIB, ", ".join("%.1f for %s (%s)" % (need["bytes"] / GIB, need["what"], need["path"]) for need in landing)),
                          "Free some, or move one of them: disk_layout_volumes, model_store_path, bunker_cache_path.")


def toolkit(inventory, host):
    """The container toolkit is not one with a known escape."""
    if _used_gpus(inventory, host) and host["toolkit"] and _version(host["toolkit"]) < TOOLKIT_MINIMUM:
        yield Finding("toolkit", ERROR, "NVIDIA container toolkit", host["toolkit"], "%d.%d.%d or newer (CVE-2025-23266)" % TOOLKIT_MINIMUM,
                      "Upgrade nvidia-container-toolkit.")


RULES = collections.OrderedDict((rule.__name__, rule) for rule in (
    gpu_exists, gpu_family, driver_branch, driver_open, secure_boot, nouveau, numa, threads, overlap, model_fits, room, toolkit))


def judge(inventory, host, needs=(), lowered=()):
    """All findings, errors first, in the order of the rules.

    :param needs: dicts of what, path and bytes: what the roles will write, and where.
    :param lowered: names of rules whose errors the inventory makes warnings.
    :returns: list of Finding.
    """
    host = dict(host, needs=[dict(need, mount=host["places"].get(need["path"])) for need in needs])
    findings = []
    for name, rule in RULES.items():
        for finding in rule(inventory, host):
            lower = finding.severity == ERROR and name in lowered
            findings.append(finding._replace(severity=WARNING, lowered=True) if lower else finding)
    return sorted(findings, key=lambda finding: finding.severity != ERROR)


def sentence(finding):
    """A finding as a line for people."""
    return "%s (%s%s): %s: found %s; needed %s. %s" % (finding.severity, finding.rule, ", lowered by preflight_lowered" if finding.lowered else "",
                                                        finding.what, finding.found, finding.needed, finding.remedy)
