#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host, read once."""
from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Read what a host is made of
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads GPUs, processor, memory, mounts, kernel, routes, Docker networks and the versions of engine and container toolkit.
  - GPUs are read from C(nvidia-smi) where a driver answers and from the PCI bus where none does yet.
  - Sizes are bytes. What cannot be read is null.
options:
  paths:
    description: Paths whose file system is of interest. They need not exist yet.
    type: list
    elements: path
    default: []
  models:
    description: >-
      Models by name, each a list of paths of its files, those of its weights first, for their sizes, the memory that a token of context takes, and what the
      headers tell of its kind.
    type: dict
    default: {}
  sources:
    description: >-
      Files of models whose size nobody has said, by their path on the host, each with the http or https address or the path that they come from. Of one that is
      not there its size is asked, by headers alone.
    type: dict
    default: {}
  certificates:
    description: Text of a PEM file with the authorities to trust for O(sources). Empty for those of the system.
    type: str
    default: ""
  devices:
    description: Block devices whose size is of interest.
    type: list
    elements: path
    default: []
  networks_record:
    description: The role networks' record of the networks that were made here, a JSON list of names. Without it none was.
    type: path
    default: ""
  hardware_root:
    description:
      - Folder that holds the C(/sys/bus/pci), C(/sys/firmware/efi), C(/proc/driver/nvidia) and C(/proc/modules) to read.
      - Another one than V(/) is a capture of another machine or a stand-in for a card that is not there.
    type: path
    default: /
  bandwidth:
    description: Measure the memory bandwidth too. Takes a few seconds and keeps all cores busy.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read the host
  protocol_omni.bunker.host_info:
    paths: [/srv/models, /var/lib/docker]
  register: host
"""

RETURN = r"""
host:
  description: The host.
  returned: success
  type: dict
  contains:
    gpus:
      description:
        - Each NVIDIA card with C(pci) (address), C(pci_device) (id), C(family), C(capability) (such as V(12.0)), C(kernel_driver), and, where the
          driver answers, C(uuid), C(name), C(memory) and C(memory_free) (bytes) and C(driver) (version). C(unreadable) has what nvidia-smi prints in place
          of a figure, by the figure's name. C(mig) is whether the card is split into slices, null where it cannot be;
          C(recovery) what the driver says that it needs (V(None), V(Reset), …), null where it does not say.
      type: list
      elements: dict
    nvidia_smi:
      description: What nvidia-smi says of no card by its address, such as that it found none; an empty text where it says nothing else than of cards.
      type: str
    slices:
      description: >-
        Each MIG slice with C(uuid), C(card) (UUID), C(profile), C(memory) and C(memory_free) (bytes, null where nobody says) and C(room) (of slices that share
        their memory the same).
      type: list
      elements: dict
    fabric:
      description: >-
        What joins the cards of one board: C(switches) (PCI addresses of NVSwitches), C(states) (UUID to what the driver says of a card's fabric), C(manager)
        (version of the fabric manager, null where there is none) and C(active) (whether it runs).
      type: dict
    other_gpus:
      description: Each graphics card of another maker with C(vendor), C(pci) and C(pci_device).
      type: list
      elements: dict
    cpu:
      description: >-
        C(model), C(sockets), C(cores) (physical, of all sockets), C(threads), C(online) (a list of CPUs), C(allowed) (those that services may run on, a
        list), C(quota) (how many CPUs the host's control groups allow, null for no limit), C(hypervisor) (of a
        virtual machine, null without one), C(numa_nodes) (those that have CPUs), C(avx512).
      type: dict
    memory:
      description: C(total) and C(available), bytes; C(bandwidth), bytes read a second, or null where it was not measured.
      type: dict
    mounts:
      description: >-
        Each mount that a path can lead to with C(path), C(device), C(type), C(options), C(size), C(free) and C(root) (the folder of the file system that is
        mounted).
      type: list
      elements: dict
    places:
      description: For each of O(paths) the C(mount) that it lies on.
      type: dict
    devices:
      description: For each of O(devices) its size in bytes, null where it is missing.
      type: dict
    images:
      description: Names with tags of the engine's images.
      type: list
      elements: str
    kernel:
      description: >-
        C(release), C(secure_boot) (whether modules have to be signed), C(mok_certificates) (paths of the keys that are there to sign them with), C(nouveau),
        C(nova) (whether C(nova_core), nouveau's successor, is loaded),
        C(nvidia) (version of the loaded module), C(nvidia_open).
      type: dict
    routes:
      description: Each route to a network with C(destination), C(device) and C(table), null for the main one.
      type: list
      elements: dict
    docker_networks:
      description: >-
        Each subnet of the engine's networks with C(name), C(subnet), C(bridge) (its interface) and C(made_here) (whether O(networks_record) has it).
      type: list
      elements: dict
    engine:
      description: Version of the Docker engine, null where none answers.
      type: str
    engine_refuses:
      description: Versions of the API of an engine that refuses this host's client, C(client) and C(needed); null where it does not.
      type: dict
    engine_firewall:
      description: What the engine makes its rules of packets with, such as V(iptables) or V(nftables); null where it does not say.
      type: str
    forwarding:
      description: Whether the kernel passes packets on between networks (C(net.ipv4.ip_forward)), null where it does not say.
      type: bool
    engine_root:
      description: Folder of the engine's data, null where none answers.
      type: str
    engine_store:
      description: Whose store has the engine's images, V(containerd) or V(docker); null where none answers.
      type: str
    toolkit:
      description: Version of the NVIDIA container toolkit, null where there is none.
      type: str
    cdi:
      description: >-
        Each specification of devices for containers with C(path), C(kind), C(devices) (UUIDs), C(absent) (cards' device files that it names and the host has
        not) and C(drivers) (versions of libcuda).
      type: list
      elements: dict
    models:
      description: >-
        For each of O(models) whose files are there C(bytes), C(context_length) and C(kv_cache), which has C(window) (tokens) and C(layers) (a list for each:
        its number, values of a token's key and of its value, whether it keeps a window), null where its header does not say; C(facts) as
        M(protocol_omni.bunker.model_info) returns them; C(projector), the bytes of its projector, 0 without one.
      type: dict
    stored:
      description: Bytes of each file of O(models) that is there, by its path, and of the start of one that is being fetched (C(PATH.part)).
      type: dict
    sources:
      description: For each of O(sources) whose file is not there C(bytes), null where nobody says it, and C(said), why nobody does.
      type: dict
"""

import os  # noqa: E402
import re  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible.module_utils.common.validation import check_type_path  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import (  # noqa: E402
    cdi, commands, gguf, host_survey, memory_bandwidth, mig, network_survey, small_file)
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import host as cuda_host  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.sizes import PART  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds, kv_cache  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import fetch, sizes  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import inputs, reading, topology  # noqa: E402

PCI = "sys/bus/pci/devices"
ASKED_FOR = 10  # seconds that a server has for each step of its answer; one that does not answer is asked once
ASKED_IN_ALL = 30  # seconds for the whole of it: nothing but its head is read
LOOKS = 3  # at the memory's bandwidth
PROJECTOR = "clip"  # general.architecture of a projector's file
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHIM_STATE = "sys/firmware/efi/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
# Keys with which modules are signed that are compiled on the host: Ubuntu's (update-secureboot-policy), and DKMS's own (framework.conf, mok_certificate).
MOK_CERTIFICATES = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")


def pci_devices(root):
    """Every PCI device as sysfs describes it."""
    pci = os.path.join(root, PCI)
    for address in sorted(os.listdir(pci)) if os.path.isdir(pci) else []:
        folder = os.path.join(pci, address)
        driver = os.path.join(folder, "driver")
        yield {"address": address, "vendor": small_file.seen(folder + "/vendor"), "device": small_file.seen(folder + "/device"),
               "class": small_file.seen(folder + "/class"),
               "driver": os.path.basename(os.path.realpath(driver)) if os.path.islink(driver) else None}


def device_size(path):
    """Bytes of a block device, or None."""
    try:
        with open(path, "rb") as stream:
            return stream.seek(0, os.SEEK_END)
    except OSError:
        return None


def file_size(path):
    """Bytes of a file, None where there is none."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else None
    except OSError:
        return None


class World:
    """What a host is asked besides commands. The tests have another one, made of texts."""

    content = staticmethod(small_file.content)
    real = staticmethod(os.path.realpath)
    there = staticmethod(os.path.exists)
    pci = staticmethod(pci_devices)
    allowed = staticmethod(reading.affinity)
    device_size = staticmethod(device_size)
    file_size = staticmethod(file_size)

    @staticmethod
    def sizes(addresses, certificates):
        """What servers say of the sizes of files; arguments and answer as of origins.sizes.of()."""
        try:
            return sizes.of(fetch.Fetcher(timeout=ASKED_FOR, longest=ASKED_IN_ALL, certificates=certificates), addresses)
        except fetch.OriginError as error:
            return {name: {"bytes": None, "said": str(error)} for name in addresses}

    @staticmethod
    def names(folder):
        """Names in a folder, none of one that is not there."""
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    @staticmethod
    def release():
        """The release of the kernel that runs."""
        return os.uname().release

    @staticmethod
    def quota():
        """CPUs that the control groups allow, None for no limit."""
        return inputs.cpu_quota(1)

    @staticmethod
    def space(path):
        """(bytes, free bytes) of a file system; None each where it does not say."""
        try:
            found = os.statvfs(path)
        except OSError:
            return None, None
        return found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail


class Reader:
    """Reads through commands; a missing command reads as nothing."""

    def __init__(self, module, world=World):
        self.module, self.world, self.said, self.errors = module, world, "", ""
        self.silent = {}  # name of a command that did not answer, to words on it: it is asked no more

    def seen(self, path):
        """A file's text to look at."""
        return self.world.content(path).decode("utf-8", "replace")

    def command(self, *arguments):
        code, out = self.run(*arguments)
        return out if code == 0 else ""

    def run(self, *arguments):
        self.errors = ""
        program = self.module.get_bin_path(arguments[0])
        if program is None:
            return commands.ABSENT, ""
        if arguments[0] in self.silent:
            return commands.SILENT, ""
        bound = commands.Bound(arguments[0])
        code, out, self.errors = self.module.run_command(
            [program, *arguments[1:]], environ_update={"LC_ALL": "C"}, errors="replace", before_communicate_callback=bound)
        bound.over()
        if bound.passed:
            self.silent[arguments[0]] = bound.words
            code = commands.SILENT
        return code, out

    def gpus(self, devices):
        # One card that does not answer makes it fail, and it prints the others all the same.
        query = self.run("nvidia-smi", "--query-gpu=" + ",".join(host_survey.GPU_QUERY), "--format=csv,noheader,nounits")[1]
        self.said = host_survey.words_of_query(query) or self.silent.get("nvidia-smi", "")
        return host_survey.join_gpus(host_survey.gpus_of_pci(devices), host_survey.gpus_of_query(query))

    def slices(self, gpus):
        """MIG slices; says of each card whether it is split, and what it needs. A field that a driver does not know makes the whole query fail."""
        said = self.run("nvidia-smi", "--query-gpu=uuid,gpu_recovery_action", "--format=csv,noheader")[1] if gpus else ""
        recovery = dict([field.strip() for field in line.split(",")] for line in said.splitlines() if line.startswith("GPU-") and line.count(",") == 1)
        if gpus and not recovery:
            recovery = host_survey.recovery_of_xml(self.run("nvidia-smi", "-q", "-x")[1])
        modes = mig.modes(self.run("nvidia-smi", "--query-gpu=uuid,mig.mode.current", "--format=csv,noheader")[1]) if gpus else {}
        for gpu in gpus:
            gpu["mig"], gpu["recovery"] = modes.get(gpu["uuid"]), recovery.get(gpu["uuid"])
        if not any(modes.values()):
            return []
        return mig.slices(self.run("nvidia-smi", "-L")[1], self.run("nvidia-smi", "-q", "-x")[1])

    def fabric(self, devices, gpus):
        """What joins cards, and who manages it."""
        states = host_survey.fabric_of_query(self.run("nvidia-smi", "--query-gpu=uuid,fabric.state", "--format=csv,noheader")[1]) if gpus else {}
        return {"switches": host_survey.nvswitches_of_pci(devices), "states": states,
                "manager": host_survey.fabric_manager_version(self.command("nv-fabricmanager", "--version")) if gpus else None,
                "active": bool(gpus) and self.run("systemctl", "is-active", "--quiet", "nvidia-fabricmanager.service")[0] == 0}

    def cdi(self):
        """Specifications of devices for containers."""
        paths = ["%s/%s" % (folder, name) for folder in cdi.FOLDERS for name in self.world.names(folder) if name.endswith(cdi.SUFFIXES)]
        there = [name for name in self.world.names("/dev") if re.match(r"^nvidia[0-9]+$", name)] if paths else []
        found = [cdi.of_text(path, self.seen(path)) for path in paths]
        for one in found:
            one["absent"] = ["/dev/nvidia%d" % number for number in one.pop("nodes") if there and "nvidia%d" % number not in there]
        return found

    def mounts(self):
        mounts = host_survey.mounts_of_mountinfo(self.seen("/proc/self/mountinfo"))
        for mount in mounts:
            mount["size"], mount["free"] = self.world.space(mount["path"])
        return mounts

    def routes(self):
        return [route for family in ("-4", "-6") for route in host_survey.routes_of_ip(self.command("ip", "-json", family, "route", "show", "table", "all"))]

    def docker_networks(self, record):
        names = self.command("docker", "network", "ls", "--quiet").split()
        recorded = network_survey.recorded(self.seen(record)) if record else []
        return host_survey.networks_of_inspect(self.command("docker", "network", "inspect", *names), recorded) if names else []


def models_of(wanted):
    """Sizes of the models whose files are all there, and what their headers tell."""
    found = {}
    for name, paths in wanted.items():
        if paths and all(os.path.isfile(path) for path in paths):
            found[name] = {"bytes": sum(os.path.getsize(path) for path in paths), "kv_cache": None, "context_length": None, "facts": {}, "projector": 0}
            try:
                header = gguf.read_file(paths[0])
            except gguf.GGUFError:
                continue  # model_store refuses it by name
            metadata, tensors, projectors = header.metadata, dict(header.tensors), []
            for path in paths[1:]:
                try:
                    other = gguf.read_file(path)
                except gguf.GGUFError:
                    continue  # a chat template; or model_store refuses it by name
                if other.metadata.get("general.architecture") == PROJECTOR:
                    projectors.append((other.metadata, os.path.getsize(path)))
                else:
                    tensors.update(other.tensors)
            found[name].update(
                kv_cache=kv_cache.as_json(kv_cache.of(metadata)), context_length=gguf.whole(metadata, ".context_length"),
                facts=kinds.facts_of(metadata, tensors, projectors[0][0] if projectors else None), projector=sum(size for _header, size in projectors))
    return found


def stored(world, wanted):
    """Bytes of files of models as far as they are there, by path; of what is being fetched by the path of its part."""
    paths = [path + end for paths in wanted.values() for path in paths for end in ("", PART)]
    return {path: size for path, size in ((path, world.file_size(path)) for path in paths) if size is not None}


def sources(world, wanted, there, certificates):
    """What is said of the sizes of files that are not there.

    :param wanted: path to address, or to a path of the host.
    :param there: of :func:`stored`.
    """
    missing = {path: origin for path, origin in wanted.items() if not there.get(path)}
    # A path is read as source_file will (type: path); an address has a protocol before it.
    found = {path: {"bytes": world.file_size(check_type_path(origin)), "said": ""}
             for path, origin in missing.items() if "://" not in origin}
    addresses = {path: origin for path, origin in missing.items() if path not in found}
    for path, size in found.items():
        size["said"] = "" if size["bytes"] else "%s is not there, or empty." % missing[path]
    return dict(found, **(world.sizes(addresses, certificates) if addresses else {}))


def _bandwidth(threads):
    """The best of some short measurements: on a host that does something else meanwhile, one alone may say a hundredth."""
    return max(memory_bandwidth.measure(threads, 1.0 / LOOKS) for _look in range(LOOKS))


def survey(reader, asked):
    """The host.

    :param reader: a :class:`Reader`.
    :param asked: the module's options.
    """
    mounts, root, world = reader.mounts(), asked["hardware_root"], reader.world
    devices = list(world.pci(root))
    gpus = reader.gpus(devices)
    version = reader.seen(os.path.join(root, "proc/driver/nvidia/version"))
    loaded = host_survey.modules_of(reader.seen(os.path.join(root, "proc/modules")))
    memory = host_survey.memory_of_meminfo(reader.seen("/proc/meminfo"))
    cpu = host_survey.cpu_of_lscpu(reader.command("lscpu", "--json") or "{}")
    cpu.update(quota=world.quota(), allowed=topology.listed(world.allowed() or []) or None)
    memory["bandwidth"] = _bandwidth(cpu["threads"] or os.cpu_count()) if asked["bandwidth"] else None
    engine = reader.command("docker", "version", "--format", "{{.Server.Version}}").strip() or None
    refused = host_survey.refused_client("" if engine else reader.errors)
    engine_root, engine_store = host_survey.engine_of_info(
        reader.command("docker", "info", "--format", "{{.DockerRootDir}}\n{{.Driver}}\n{{json .DriverStatus}}"))
    there = stored(world, asked["models"])
    places = {path: (host_survey.mount_of(world.real(path), mounts) or {}).get("path") for path in asked["paths"]}
    return {
        "gpus": gpus, "nvidia_smi": reader.said, "slices": reader.slices(gpus), "fabric": reader.fabric(devices, gpus),
        "other_gpus": host_survey.other_gpus_of_pci(devices),
        "cpu": cpu, "memory": memory, "mounts": mounts, "places": places,
        "kernel": {
            "release": world.release(),
            "secure_boot": host_survey.secure_boot_of_variables(*(world.content(os.path.join(root, name)) for name in (SECURE_BOOT, SHIM_STATE))),
            "mok_certificates": [path for path in MOK_CERTIFICATES if world.there(path)],
            "nouveau": "nouveau" in loaded, "nova": "nova_core" in loaded,
            "nvidia": cuda_host.kernel_module_version(version),
            "nvidia_open": host_survey.kernel_module_is_open(version),
        },
        "routes": reader.routes(),
        "docker_networks": reader.docker_networks(asked["networks_record"]),
        "devices": {path: world.device_size(path) for path in asked["devices"]},
        "images": reader.command("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split(),
        "engine": engine, "engine_refuses": refused,
        "engine_firewall": host_survey.firewall_of_info(reader.command("docker", "info", "--format", "{{json .FirewallBackend}}")),
        "forwarding": {"0": False, "1": True}.get(reader.seen("/proc/sys/net/ipv4/ip_forward").strip()),
        "engine_root": engine_root, "engine_store": engine_store,
        "toolkit": host_survey.toolkit_version(reader.command("nvidia-ctk", "--version")),
        "cdi": reader.cdi(),
        "models": models_of(asked["models"]), "stored": there, "sources": sources(world, asked["sources"], there, asked["certificates"]),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "default": []},
            "models": {"type": "dict", "default": {}},
            "sources": {"type": "dict", "default": {}},
            "certificates": {"type": "str", "default": ""},
            "devices": {"type": "list", "elements": "path", "default": []},
            "networks_record": {"type": "path", "default": ""},
            "hardware_root": {"type": "path", "default": "/"},
            "bandwidth": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, host=survey(Reader(module), module.params))


if __name__ == "__main__":
    main()
