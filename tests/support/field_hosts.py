"""Hosts as data: the texts that their tools and files say (tests/fixtures/hosts), read by the collection's own code and judged by all that judges a host before
anything changes.

A host is the reference host of reference.yml but for what its own entry says. What its entry has besides texts: ``without`` (services that its inventory has
not), ``inventory`` (variables, and SERVICE__field), ``packages`` (installed ones, for the headers of kernels), ``headers`` (those that follow), ``disks`` (what
is on the devices of its volumes), ``cdi`` (specifications of devices, by path), ``nodes`` (names in /dev), ``errors`` (standard error of commands), ``keys``
(files that are there), ``stored`` (files of models that are there, by path, in bytes), ``sizes_said`` (what servers say of a file's size, by its address:
bytes, or why they say none), and ``findings``: the whole list, each "severity rule: a part of its sentence".
"""
import copy
import json
import pathlib
import re

import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names, daemon_config, kernel_headers, volume_rules, volume_survey
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import judge, room
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import sentence
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import topology
from ansible_collections.protocol_omni.bunker.plugins.modules import host_info, volume_info

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "hosts"
GIB = 1 << 30
# By how a command line begins, the text that it prints.
COMMANDS = {
    "nvidia-smi --query-gpu=uuid,name,": "smi", "nvidia-smi --query-gpu=uuid,mig.mode": "mig", "nvidia-smi --query-gpu=uuid,gpu_recovery": "recovery",
    "nvidia-smi --query-gpu=uuid,fabric": "fabric", "nvidia-smi -L": "listing", "nvidia-smi -q -x": "xml", "nv-fabricmanager": "manager",
    "systemctl is-active": "manager_state", "lscpu": "lscpu", "ip -json -4": "routes", "ip -json -6": "routes6", "docker network inspect": "networks",
    "docker network ls": "networks", "docker version": "engine", "docker info --format {{json .FirewallBackend}}": "firewall",
    "docker info": "engine_info", "docker image ls": "images", "nvidia-ctk": "toolkit"}
TEXTS_OF = {line.split()[0]: [text for other, text in COMMANDS.items() if other.split()[0] == line.split()[0]] for line in COMMANDS}
FILES = {"/proc/self/mountinfo": "mountinfo", "/proc/meminfo": "meminfo", "/proc/driver/nvidia/version": "version", "/proc/modules": "modules",
         "/etc/fstab": "fstab", "/proc/sys/net/ipv4/ip_forward": "forwarding"}
KINDS = ("unreachable", "blackhole", "prohibit", "throw", "local", "broadcast", "multicast", "anycast")


def _lscpu(text):
    """lscpu's table as its --json nests it since util-linux 2.38."""
    found, open_ones = [], [(-1, None)]
    for line in filter(str.strip, text.splitlines()):
        indent = len(line) - len(line.lstrip())
        name, _colon, value = line.strip().partition(":")
        entry = {"field": name + ":", "data": value.strip() or None}
        while open_ones[-1][0] >= indent:
            open_ones.pop()
        parent = open_ones[-1][1]
        (found if parent is None else parent.setdefault("children", [])).append(entry)
        open_ones.append((indent, entry))
    return json.dumps({"lscpu": found}) if found else ""


def _routes(text):
    """Lines of ``ip route show table all`` as its -json has them."""
    found = []
    for words in filter(None, map(str.split, text.splitlines())):
        route = {"type": words.pop(0)} if words[0] in KINDS else {}
        route["dst"] = words.pop(0)
        for key, name in (("dev", "dev"), ("table", "table"), ("via", "gateway"), ("proto", "protocol"), ("metric", "metric")):
            if key in words[:-1]:
                route[name] = words[words.index(key) + 1]
        found.append(dict(route, flags=[word for word in words if word in ("linkdown", "onlink", "dead")]))
    return json.dumps(found)


def _networks(text):
    """Lines of names and subnets as ``docker network inspect`` has them."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return json.dumps([{"Name": row[0], "IPAM": {"Driver": "default", "Config": [{"Subnet": one} for one in row[1:]] or None}} for row in rows])


CONVERTED = {"lscpu": _lscpu, "routes": _routes, "routes6": _routes, "networks": _networks}


def of_text(text):
    """Name to host of one file's text, each completed by the reference host."""
    reference = yaml.safe_load((FOLDER / "reference.yml").read_text(encoding="utf-8"))
    found = {}
    # A byte that is no UTF-8, as Python hands it on; YAML itself cannot say it.
    text = re.sub("<([89A-F][0-9A-F])>", lambda byte: r"\udc" + byte.group(1).lower(), text)
    for name, entry in yaml.safe_load(text).items():
        host = dict(copy.deepcopy(reference), **entry)
        host["inventory"] = changed(reference["inventory"], entry.get("inventory", {}), entry.get("without", ()))
        for key in ("space", "sizes"):
            host[key] = dict(reference[key], **entry.get(key, {}))
        for key, convert in CONVERTED.items():
            host[key] = convert(host[key] or "")
        found[name] = host
    return found


def hosts():
    """Name to host, of all files."""
    return {"%s: %s" % (path.stem, name): host for path in sorted(FOLDER.glob("*.yml")) if path.stem != "reference"
            for name, host in of_text(path.read_text(encoding="utf-8")).items()}


def changed(inventory, changes, without=()):
    """An inventory with some variables replaced; SERVICE__field is one of a service."""
    inventory = copy.deepcopy(inventory)
    inventory["bunker_services"] = [service for service in inventory["bunker_services"] if service["name"] not in without]
    for key, value in changes.items():
        service, _between, field = key.partition("__")
        if field:
            next(entry for entry in inventory["bunker_services"] if entry["name"] == service)[field] = value
        else:
            inventory[key] = value
    return inventory


class World:
    """What host_info asks besides commands."""

    def __init__(self, host):
        self.host = host
        self.release, self.quota = (lambda: host["release"]), (lambda: host["quota"])

    def content(self, path):
        """Bytes of a file."""
        for name, key in (("SecureBoot-", "secure_boot"), ("MokSBStateRT-", "shim")):
            if name in path:
                return bytes(self.host.get(key, []))
        if path in self.host.get("cdi", {}):
            return self.host["cdi"][path].encode("utf-8", "surrogateescape")
        return (self.host[FILES[path]] or "").encode("utf-8", "surrogateescape") if path in FILES else b""

    def pci(self, _root):
        """PCI devices."""
        rows = [line.split() for line in self.host["pci"].splitlines() if line.strip()]
        return [{"address": row[0], "vendor": "0x%s\n" % row[1], "device": "0x%s\n" % row[2], "class": "0x%s\n" % row[3],
                 "driver": row[4] if len(row) > 4 else None} for row in rows]

    def allowed(self):
        """Numbers of CPUs."""
        return set(topology.expanded(self.host["allowed"])) if self.host["allowed"] else None

    def real(self, path):
        """Where a path leads to, by the longest link that is given."""
        link = max((link for link in self.host["links"] if path == link or path.startswith(link + "/")), key=len, default="")
        return self.host["links"][link] + path[len(link):] if link else path

    def space(self, path):
        """Bytes of a mount, and of it free."""
        return tuple(int(one * GIB) for one in self.host["space"][path]) if path in self.host["space"] else (None, None)

    def names(self, folder):
        """Names in a folder: specifications of devices, by path, and device files."""
        if folder == "/dev":
            return self.host.get("nodes", [])
        return [path.rpartition("/")[2] for path in self.host.get("cdi", {}) if path.rpartition("/")[0] == folder]

    def there(self, path):
        """Whether there is a file, of those that are only looked for."""
        return path in self.host.get("keys", [])

    def file_size(self, path):
        """Bytes of a file, None where there is none."""
        return self.host.get("stored", {}).get(path)

    def sizes(self, addresses, _certificates):
        """What servers say of sizes; one that the host does not have may not be asked."""
        said = {name: self.host["sizes_said"][address] for name, address in addresses.items()}
        return {name: {"bytes": one, "said": ""} if isinstance(one, int) else {"bytes": None, "said": one} for name, one in said.items()}

    def device_size(self, path):
        """Bytes of a device."""
        return self.host["sizes"].get(path) and self.host["sizes"][path] * GIB


class Module:
    """Of Ansible, as far as readers ask it."""

    def __init__(self, host):
        self.host = host

    def get_bin_path(self, name, required=False):
        """A program that is there where it says something."""
        there = required or any(self.host[text] for text in TEXTS_OF.get(name, ()))
        return "/usr/bin/" + name if there else None

    def run_command(self, words, **_more):
        """Exit status and output: a text that is not there is a program that fails."""
        line = " ".join([words[0].rpartition("/")[2], *words[1:]])
        text = next((self.host[name] for start, name in COMMANDS.items() if line.startswith(start)), "")
        return (0 if text else 6), text or "", self.host["errors"].get(line.split(" --", maxsplit=1)[0], "")


class Volumes(volume_info.Survey):
    """The volumes of a host, from its texts and what ``disks`` says: real, number, size (GiB), wipefs, holders, partitions, blank."""

    def __init__(self, host):
        self.world, self.disks = World(host), host["disks"]
        super().__init__(Module(host), lambda path: self.world.content(path).decode("utf-8", "replace"))

    def real(self, path):
        return self.disks.get(path, {}).get("real") or self.world.real(path)

    def place(self, mount):
        return "folder", []

    def look(self, found):
        disk = self.disks.get(found["device"])
        if disk:
            found.update({"kind": "block", "number": disk["number"], "size": disk.get("size", 3700) * GIB, "holders": disk.get("holders", []),
                          "partitions": disk.get("partitions", []), "signatures": volume_survey.signatures(disk.get("wipefs", "")),
                          "blank": disk.get("blank", False), "mounted_at": [one["path"] for one in self.every_mount if one["number"] == disk["number"]],
                          "file_system": disk.get("file_system")})


def survey(host):
    """What host_info returns of a host."""
    return host_info.survey(host_info.Reader(Module(host), World(host)), dict(
        room.questions(host["inventory"]), hardware_root="/", networks_record="", bandwidth=False, certificates=""))


def found(host):
    """All that is found before anything changes, in its order: (severity and rule, sentence) each. A domain's own refusal is "refused" and what of."""
    read = survey(host)
    inventory = dict(host["inventory"], bunker_services=card_names.resolved_services(host["inventory"]["bunker_services"], read["gpus"]))
    told = [("%s %s" % (finding.severity, finding.rule), sentence(finding)) for finding in judge.judge(inventory, read)]
    if host.get("disks"):
        told += [("refused volumes", problem) for problem in _volumes(host)]
    if host["daemon"]:
        try:
            daemon_config.options_of(host["daemon"].encode("utf-8", "surrogateescape"))
        except daemon_config.Refused as refused:
            told.append(("refused engine", str(refused)))
    if host.get("packages"):
        try:
            headers(host)
        except kernel_headers.Refused as refused:
            told.append(("refused headers", str(refused)))
    return told


def _volumes(host):
    wanted = [dict({"filesystem": "xfs", "fill_limit": 80}, **volume) for volume in host["inventory"]["disk_layout_volumes"]]
    volumes = Volumes(host)
    try:
        return ["%s: %s. %s" % problem for problem in volume_rules.judge(wanted, [volumes.volume(volume["device"], volume["mount"]) for volume in wanted])[1]]
    except volume_survey.Unreadable as unreadable:
        return [str(unreadable)]


def headers(host):
    """Packages with headers of the host's kernels.

    :raises kernel_headers.Refused: as it says.
    """
    installed = re.split(r"\s+", host["packages"].strip())
    otherwise = "linux-headers-amd64" if host.get("debian") else "linux-headers-generic"
    return kernel_headers.packages(host["release"], installed, otherwise, host.get("own_kernel", True), host.get("has_headers", False))


def expected(host):
    """(severity and rule, part of the sentence) of each finding that a host's file names."""
    return [next(iter(finding.items())) for finding in host["findings"]]
