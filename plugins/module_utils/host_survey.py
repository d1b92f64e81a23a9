# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is made of, from the texts that its kernel and tools print. Pure functions: text in, facts out.

Sizes are bytes. What could not be read is None, never a guess. modules/host_info.py collects the texts.
"""
from __future__ import annotations

import ipaddress
import json
import re
from xml.etree import ElementTree

from . import network_survey

NVIDIA = "10de"
OTHER_VENDORS = {"1002": "AMD", "8086": "Intel"}  # whose graphics cards people compute with; what a board manages itself by is none of them
# 3D controller and processing accelerator: what is there to compute with, whoever made it.
COMPUTING_CLASSES = ("0302", "1200")
WINDOWS = "1414"  # what Windows lends its Linux (WSL) of a card has Microsoft's number, whoever made the card
# PCI class codes of a graphics card: VGA controller, 3D controller.
GRAPHICS_CLASSES = ("0300", "0302")
BRIDGE_CLASS = "0680"
# NVSwitches of the boards of V100, A100 and H100 (the PCI ID Repository: GV100, GA100 and GH100 [NVSwitch]).
SWITCHES = ("1ac0", "1ac1", "1ac2", "1af1", "22a3")
DISPLAY_CLASSES = ("0380", "1200")  # other display controller, processing accelerator: where other makers put cards for computing
# First and last PCI device id of a chip family, and the compute capability of its chips. What is not listed is unknown, never guessed.
# Sources: the PCI ID Repository (pci.ids of 2025-06-09) for the ids, NVIDIA's "CUDA GPU Compute Capability" for the capabilities.
PCI_CHIPS = [
    (0x1001, 0x102C, "Kepler", "3.5"), (0x102D, 0x102D, "Kepler", "3.7"), (0x102E, 0x103F, "Kepler", "3.5"), (0x1340, 0x13BF, "Maxwell", "5.0"),
    (0x13C0, 0x143F, "Maxwell", "5.2"), (0x17C0, 0x17FF, "Maxwell", "5.2"), (0x15F0, 0x15FF, "Pascal", "6.0"), (0x1B00, 0x1D7F, "Pascal", "6.1"),
    (0x1D81, 0x1DFF, "Volta", "7.0"), (0x1E00, 0x1FFF, "Turing", "7.5"), (0x2180, 0x21FF, "Turing", "7.5"),
    (0x2080, 0x20FF, "Ampere", "8.0"), (0x2200, 0x223F, "Ampere", "8.6"), (0x2414, 0x25FF, "Ampere", "8.6"),
    (0x2680, 0x28FF, "Ada Lovelace", "8.9"), (0x2302, 0x237F, "Hopper", "9.0"),
    (0x2900, 0x297F, "Blackwell", "10.0"), (0x3180, 0x31FF, "Blackwell", "10.3"), (0x2B80, 0x2DFF, "Blackwell", "12.0"), (0x2F00, 0x2F7F, "Blackwell", "12.0"),
]
GPU_QUERY = ["uuid", "name", "compute_cap", "driver_version", "memory.total", "memory.free", "pci.bus_id"]
PCI_ADDRESS = re.compile(r"\b([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2}\.[0-7])\b", re.IGNORECASE)
# What each field looks like where nvidia-smi can read it; in its place stand words such as [N/A], [Unknown Error], [GPU requires reset].
READABLE = {"uuid": re.compile(r"^GPU-"), "name": re.compile(r"^[^\[]"), "compute_cap": re.compile(r"^([3-9]|[1-9]\d)\.\d$"),
            "driver_version": re.compile(r"^\d+\.\d+"), "memory.total": re.compile(r"^[1-9][0-9]*$"), "memory.free": re.compile(r"^[0-9]+$"),
            "pci.bus_id": re.compile("^%s$" % PCI_ADDRESS.pattern, re.IGNORECASE)}


def chip_of(device):
    """(family, compute capability) of a PCI device id such as "2bb1"; (None, None) where it is not known."""
    if not re.match(r"^[0-9a-f]{1,4}$", device):
        return None, None
    number = int(device, 16)
    for first, last, family, capability in PCI_CHIPS:
        if first <= number <= last:
            return family, capability
    return None, None


def pci_address(text):
    """"0000:01:00.0" of nvidia-smi's "00000000:01:00.0" or sysfs's own form, lower case; the first one in a longer text, None without one."""
    found = PCI_ADDRESS.search(text)
    return "%04x:%s:%s" % (int(found.group(1), 16), found.group(2).lower(), found.group(3).lower()) if found else None


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


def other_gpus_of_pci(devices):
    """Cards of other makers on the bus that people compute with: list of dict of vendor (its name, or its PCI number), pci and pci_device.

    Graphics cards of AMD and Intel, and whatever is a 3D controller or an accelerator. Arguments as of :func:`gpus_of_pci`.
    """
    found = []
    for device in devices:
        vendor, kind = _hex(device["vendor"]), _hex(device["class"])[:4]
        if vendor not in (NVIDIA, WINDOWS) and (kind in COMPUTING_CLASSES or (vendor in OTHER_VENDORS and kind in GRAPHICS_CLASSES + DISPLAY_CLASSES)):
            found.append({"vendor": OTHER_VENDORS.get(vendor, "PCI vendor %s" % vendor), "pci": pci_address(device["address"]),
                          "pci_device": _hex(device["device"])})
    return found


def nvswitches_of_pci(devices):
    """PCI addresses of NVSwitches, which join the cards of one board. Arguments as of :func:`gpus_of_pci`.

    Their class is "other bridge", as is that of network chips of old NVIDIA chipsets: so the device has to be one of SWITCHES. On boards of B200 and later the
    switches are behind network cards of another maker; there the cards' names tell (host_rules/gpu.py).
    """
    return [pci_address(device["address"]) for device in devices
            if _hex(device["vendor"]) == NVIDIA and _hex(device["class"])[:4] == BRIDGE_CLASS and _hex(device["device"]) in SWITCHES]


def fabric_of_query(text):
    """UUID to the state of a card's fabric, of ``nvidia-smi --query-gpu=uuid,fabric.state --format=csv,noheader``; cards that have none are left out."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[0].startswith("GPU-") and re.match(r"^[A-Z][A-Za-z ]{2,30}$", row[1])}


def recovery_of_xml(xml):
    """UUID to the recovery action of each card, of ``nvidia-smi -q -x``: drivers show it there that do not know it as a field to ask for."""
    try:
        root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", xml))
    except (ElementTree.ParseError, ValueError):
        return {}
    pairs = [[(card.findtext(tag) or "").strip() for tag in ("uuid", "gpu_recovery_action")] for card in root.iter("gpu")]
    return {uuid: words for uuid, words in pairs if uuid.startswith("GPU-") and words}


def fabric_manager_version(text):
    """"580.95.05" of ``nv-fabricmanager --version``; None where it does not say."""
    match = re.search(r"Fabric Manager version is *: *(\d+\.\d+(?:\.\d+)?)", text)
    return match.group(1) if match else None


def _row(line):
    """The fields of a row of nvidia-smi by their names, {} of a line that is none. Of all fields a name alone can have a comma."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) > len(GPU_QUERY) and READABLE["uuid"].match(fields[0]):
        behind = len(fields) - len(GPU_QUERY) + 2
        fields = [fields[0], ", ".join(fields[1:behind]), *fields[behind:]]
    return dict(zip(GPU_QUERY, fields)) if len(fields) == len(GPU_QUERY) else {}


def _address_in(line):
    return pci_address(line.replace("GPU", " "))


def words_of_query(text):
    """What nvidia-smi says of no card by its address, such as "No devices were found", or the words of a row that has no figure at all; "" where it says
    nothing else than of cards."""
    for line in filter(str.strip, text.splitlines()):
        row = _row(line)
        if not row and not _address_in(line):
            return line.strip()[:200]
        if row and not any(READABLE[key].match(row[key]) for key in ("uuid", "pci.bus_id")):
            return ", ".join(dict.fromkeys(row.values()))[:200]
    return ""


def gpus_of_query(text):
    """GPUs from ``nvidia-smi --query-gpu=GPU_QUERY --format=csv,noheader,nounits``, whatever its exit status.

    A field in whose place words stand is None; ``unreadable`` has the words, by the field's name. A line that is no row but names a card, such as
    "Unable to determine the device handle for GPU0000:41:00.0: Unknown Error", is that card's, with the line as the words of "nvidia-smi"; so is a warning of
    a card that has a row ("WARNING: infoROM is corrupted at gpu 0000:41:00.0").
    """
    found = []
    for said in filter(None, map(_row, text.splitlines())):
        values = {key: said[key] if READABLE[key].match(said[key]) else None for key in GPU_QUERY}
        address = pci_address(values["pci.bus_id"] or "")
        if values["uuid"] or address:
            found.append({"uuid": values["uuid"], "name": values["name"], "capability": values["compute_cap"],
                          "memory": _mebibytes(values["memory.total"]), "memory_free": _mebibytes(values["memory.free"]),
                          "pci": address, "driver": values["driver_version"],
                          "unreadable": {key: word for key, word in said.items() if values[key] is None}})
    nothing = dict.fromkeys(("uuid", "name", "capability", "memory", "memory_free", "driver"))
    for line in text.splitlines():
        address = None if _row(line) else _address_in(line)
        if address:
            there = next((gpu for gpu in found if gpu["pci"] == address), None)
            if there is None:
                there = dict(nothing, pci=address, unreadable={})
                found.append(there)
            there["unreadable"].setdefault("nvidia-smi", line.strip())
    return found


def join_gpus(of_pci, of_query):
    """One list of GPUs: what the driver says over what the bus says, by PCI address.

    A card that only the bus knows keeps uuid None: the driver does not drive it. What the driver cannot read stays as the bus has it. A row without an address
    is that of the only card without a row.
    """
    left, bare = [gpu for gpu in of_pci if gpu["pci"] not in [row["pci"] for row in of_query]], [gpu for gpu in of_query if not gpu["pci"]]
    if len(left) == 1 and len(bare) == 1:
        of_query = [dict(gpu, pci=gpu["pci"] or left[0]["pci"]) for gpu in of_query]
    queried = {gpu["pci"]: gpu for gpu in of_query if gpu["pci"]}
    bare = {"family": None, "pci_device": None, "kernel_driver": None}
    joined = []
    for gpu in of_pci:
        said = queried.pop(gpu["pci"], {})
        joined.append(dict(dict(gpu, driver=None, unreadable={}), **{key: value for key, value in said.items() if value is not None}))
    joined += [dict(bare, **gpu) for gpu in of_query if gpu["pci"] in queried or not gpu["pci"]]
    return sorted(joined, key=lambda gpu: (gpu["pci"] or "", gpu["uuid"] or ""))


def cpu_of_lscpu(text):
    """CPU facts from ``lscpu --json``: model, sockets, cores (physical), threads, online (a list such as "0-95"), hypervisor (None without one), numa_nodes
    (those with CPUs), avx512."""
    fields, kinds, clusters = {}, [], []

    def collect(entries):
        own = {}
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                name, data = str(entry.get("field")).rstrip(":"), entry["data"] if isinstance(entry.get("data"), str) else None
                fields[name] = own[name] = data
                collect(entry.get("children"))
        kinds.append((_number(own.get("Socket(s)")), _number(own.get("Core(s) per socket"))))
        clusters.append((_number(own.get("Cluster(s)")), _number(own.get("Core(s) per cluster"))))
    collect(_json(text, dict).get("lscpu"))
    # Of a processor with cores of two makes lscpu tells one after the other, each with its sockets and its cores in them.
    told = [(sockets, cores) for sockets, cores in kinds if sockets and cores]
    # ARM servers without the firmware's table of processors tell clusters in place of sockets.
    counted = told or [(number, cores) for number, cores in clusters if number and cores]
    return {"model": fields.get("Model name"), "sockets": max((sockets for sockets, _cores in told), default=_number(fields.get("Socket(s)"))),
            "cores": sum(number * cores for number, cores in counted) or None, "threads": _number(fields.get("CPU(s)")),
            "online": fields.get("On-line CPU(s) list"), "hypervisor": fields.get("Hypervisor vendor"),
            # A kernel without NUMA names no nodes: it is one.
            "numa_nodes": _nodes_with_cpus(fields) or _number(fields.get("NUMA node(s)")) or (1 if fields else None),
            "avx512": "avx512f" in fields["Flags"].split() if fields.get("Flags") else None}


def _nodes_with_cpus(fields):
    """How many NUMA nodes have CPUs: the others are memory alone, as a Grace Hopper's card, HBM and CXL are. 0 where lscpu does not list them."""
    return sum(bool(data) for name, data in fields.items() if re.match(r"^NUMA node\d+ CPU\(s\)$", name))


def _json(text, kind):
    """The JSON value of a kind (list, dict) that a tool printed, an empty one where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return found if isinstance(found, kind) else kind()


def _network(text):
    """Whether a text names an IP network."""
    try:
        return isinstance(text, str) and bool(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


def _device_of(route):
    """The device of a route, or those of its several ways."""
    ways = route.get("nexthops") if isinstance(route.get("nexthops"), list) else []
    return route.get("dev") or ", ".join(way["dev"] for way in ways if isinstance(way, dict) and isinstance(way.get("dev"), str)) or None


def routes_of_ip(text):
    """Routes to networks from ``ip -json route show table all``: list of destination, device and table (None for the main one). Default routes and those that
    lead nowhere are left out."""
    return [{"destination": route["dst"], "device": _device_of(route), "table": str(route["table"]) if route.get("table") else None}
            for route in _json(text, list) if isinstance(route, dict) and route.get("type", "unicast") == "unicast" and _network(route.get("dst"))
            and isinstance(route.get("dev"), (str, type(None)))]


def networks_of_inspect(text, recorded=()):
    """Subnets of the engine's networks from ``docker network inspect``: list of name, subnet, bridge and whether it was made here.

    :param recorded: names of the networks that were made here.
    """
    found = []
    for network in _json(text, list):
        config = (network.get("IPAM") or {}).get("Config") if isinstance(network, dict) and isinstance(network.get("IPAM") or {}, dict) else None
        for entry in config if isinstance(config, list) else []:
            if isinstance(entry, dict) and _network(entry.get("Subnet")):
                found.append({"name": str(network.get("Name")), "subnet": entry["Subnet"], "bridge": network_survey.bridge(network),
                              "made_here": network.get("Name") in recorded})
    return found


def memory_of_meminfo(text):
    """{"total", "available"} in bytes from /proc/meminfo."""
    values = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+([0-9]{1,15}) kB$", text, re.MULTILINE)}
    return {"total": values.get("MemTotal"), "available": values.get("MemAvailable")}


def every_mount(text):
    """Mounts from /proc/self/mountinfo (proc(5)), those that others hide too: list of dict of path, device, type, number, root (of the file system, what is
    mounted: not "/" for a folder that is bound and a subvolume) and options (with "ro" where the file system itself is read-only), and with ids.

    The kernel escapes blanks, tabs and line feeds; any other space is a part of a name.
    """
    found = []
    for line in text.split("\n"):
        left, _dash, right = line.partition(" - ")
        fields, behind = left.split(" "), right.split(" ")
        if len(fields) >= 6 and len(behind) >= 2 and fields[4].startswith("/"):
            options = fields[5].split(",")
            lost = ["ro"] if "ro" in (behind[2].split(",") if len(behind) > 2 else ()) and "ro" not in options else []
            found.append({"path": _unescape(fields[4]), "device": _unescape(behind[1]), "type": behind[0], "number": fields[2], "root": _unescape(fields[3]),
                          "options": lost + options, "id": fields[0], "parent": fields[1]})
    return found


def mounts_of_mountinfo(text):
    """The mounts that a path can lead to, as :func:`every_mount` without ids: a mount over a folder hides those that lay in it, and on it, before."""
    every = every_mount(text)
    ids = {mount["id"] for mount in every}
    root = next((mount for mount in every if mount["path"] == "/" and (mount["parent"] not in ids or mount["parent"] == mount["id"])), None)
    children = {}
    for mount in every:
        known = mount["parent"] in ids and mount["parent"] != mount["id"]
        if mount is not root:
            children.setdefault(mount["parent"] if known else root and root["id"], []).append(mount)
    return [{key: value for key, value in mount.items() if key not in ("id", "parent")} for mount in every if _at(mount["path"], root, children) is mount]


def _at(path, root, children):
    """The mount on which a path ends, as the kernel walks it: from each mount into the first of its own that lies on the way, the last one of equals."""
    at, passed = root, []
    while True:
        passed.append(at)
        inner = [mount for mount in children.get(at and at["id"], ()) if inside(path, mount["path"]) and not any(mount is one for one in passed)]
        if not inner:
            return at
        shortest = min(len(mount["path"]) for mount in inner)
        at = [mount for mount in inner if len(mount["path"]) == shortest][-1]


def inside(path, folder):
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def mount_of(path, mounts):
    """The mount that a path lies on, or None."""
    holding = [mount for mount in mounts if inside(path, mount["path"])]
    return max(holding, key=lambda mount: len(mount["path"])) if holding else None


def secure_boot_of_variables(content, shim=b""):
    """Whether the kernel checks what it loads; None without EFI.

    :param content: bytes of the EFI variable SecureBoot (four bytes of attributes, then 0 or 1).
    :param shim: those of MokSBStateRT: ``mokutil --disable-validation`` makes it 1, and the kernel takes Secure Boot for off then, unless the variable is one
        that could be written from outside (non-volatile, attribute 1; drivers/firmware/efi/libstub/secureboot.c).
    """
    if not content or len(content) < 5:
        return None
    switched_off = len(shim) >= 5 and shim[4] == 1 and not shim[0] & 1
    return bool(content[4]) and not switched_off


def engine_of_info(text):
    """(folder of the engine's data, "containerd" or "docker": whose store has its images) of ``docker info`` with its root, driver and driver status, a line
    each; None for what it does not say. A new engine of version 29 has containerd's store, one that was upgraded keeps its own (its release notes)."""
    lines = [line.strip() for line in text.split("\n")] + ["", ""]
    store = "containerd" if "io.containerd.snapshotter" in " ".join(lines[2:]) else "docker" if lines[1] else None
    return lines[0] or None, store


def refused_client(text):
    """{"client", "needed"}: versions of the API, of an engine's refusal of docker's client, on standard error; None of any other text."""
    found = re.search(r"client version (\d+\.\d+) is too (?:old|new)\. M(?:in|ax)imum supported API version is (\d+\.\d+)", text)
    return dict(zip(("client", "needed"), found.groups())) if found else None


def firewall_of_info(text):
    """"nftables" of the engine's ``FirewallBackend`` as JSON, which it tells since version 28.1; None where it does not."""
    driver = _json(text, dict).get("Driver")
    return driver if isinstance(driver, str) and driver else None


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
    return int(text) << 20 if text and re.match(r"^[0-9]{1,12}$", text) else None


def _number(text):
    return int(text) if text and re.match(r"^[0-9]{1,12}$", str(text)) else None


def _unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def toolkit_version(text):
    """"1.17.8" from ``nvidia-ctk --version``, or None."""
    match = re.search(r"version\s+v?(\d+\.\d+\.\d+)", text)
    return match.group(1) if match else None
