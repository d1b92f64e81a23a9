"""What tools and files of a host say, damaged: every reader ends with facts or with its own error, soon; and whole hosts of tests/fixtures/hosts with some of
their texts damaged, judged by all that judges a host before anything changes. Mutations are of texts: tests/fuzz/mutations.py damages bytes."""
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit" / "plugins" / "module_utils"
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests"), str(UNIT), str(UNIT / "host_rules"), str(UNIT / "throughput")]

import processors  # noqa: E402
import test_host_survey  # noqa: E402
import test_mig  # noqa: E402
from support import field_hosts  # noqa: E402

from ansible_collections.protocol_omni.bunker.plugins.module_utils import (  # noqa: E402
    cdi, daemon_config, engine_data, host_survey, kernel_headers, kernel_modules, mig, volume_survey)
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import reading, rule, topology  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import xid  # noqa: E402

LONGEST = 2.0  # seconds for one text
FIXTURES = ROOT / "tests" / "fixtures"
# What tools print in place of what was asked, and what breaks readers of numbers, lists, JSON, XML and addresses.
WORDS = ["[N/A]", "N/A", "[Unknown Error]", "[GPU requires reset]", "-", "", "null", "true", "\"", "{", "}", "[", "]", ",", ":", "=", "<", ">", "&", "#", "/",
         "\\040", "\\777", "\t", "\n", "\r\n", "\0", "²", "٣", "\U0001f600", "\ufffd", "0x", "-1", "0", "1e999", "NaN", "Infinity", "9" * 30, "9" * 5000,
         "0-9999999999", "18446744073709551616", "[" * 3000, "{\"a\":" * 3000, "default", "0.0.0.0/0", "::/0", "10.0.0.0/99", "GPU-", "MIG-"]


def damaged(text, choices):
    """A text with some of what can go wrong done to it."""
    for _time in range(choices.choice((1, 1, 2, 4, 12))):
        place, end = sorted(choices.randrange(len(text) + 1) for _end in range(2))
        end = min(end, place + choices.choice((1, 4, 40, 400)))
        kind = choices.randrange(7)
        if kind == 0:
            text = text[:place] + choices.choice(WORDS) + text[end:]
        elif kind == 1:
            text = text[:place] + choices.choice(WORDS) + text[place:]
        elif kind == 2:
            text = text[:place]
        elif kind == 3:
            text = text[:place] + text[end:]
        elif kind == 4:
            text = text[:end] + text[place:]
        elif kind == 5:
            lines = text.split("\n")
            choices.shuffle(lines)
            text = "\n".join(lines)
        else:  # a number, or a word of JSON, becomes another
            parts = text.split(choices.choice((" ", ",", "\n", ":")))
            parts[choices.randrange(len(parts))] = choices.choice(WORDS)
            text = choices.choice((" ", ",", "\n", ":")).join(parts) if choices.random() < 0.2 else ",".join(parts)
    return text[:200000]


SUMMARY = test_host_survey.lscpu(Architecture="x86_64", **{
    "CPU(s)": "192", "On-line CPU(s) list": "0-191", "Model name": "AMD Ryzen Threadripper PRO 9995WX 96-Cores", "Socket(s)": "1", "Core(s) per socket": "96",
    "NUMA node(s)": "4", "Flags": "sse2 avx2 avx512f"})
ROUTES = json.dumps([
    {"dst": "default", "gateway": "192.168.1.1", "dev": "eno1", "protocol": "dhcp", "metric": 100, "flags": []}, {"dst": "0.0.0.0/1", "dev": "tun0"},
    {"dst": "128.0.0.0/1", "dev": "tun0"}, {"dst": "192.168.1.0/24", "dev": "eno1", "protocol": "kernel", "scope": "link", "prefsrc": "192.168.1.9"},
    {"type": "local", "dst": "127.0.0.1", "dev": "lo", "table": "local"}, {"dst": "fe80::/64", "dev": "eno1"}, {"type": "unreachable", "dst": "10.9.0.0/16"}])
NETWORKS = json.dumps([{"Name": "bridge", "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.17.0.0/16"}, {"Gateway": "x"}]}},
                       {"Name": "host", "IPAM": {"Config": None}}])
FSTAB = """# <file system> <mount point> <type> <options> <dump> <pass>
UUID=0a3407de-014b-458b-b5c1-848e92a327a3 / ext4 errors=remount-ro 0 1
PARTUUID=6d1c9a3e-02 /boot ext4 defaults 0 2
LABEL="a\\040b" /nvme xfs noatime,nofail
/dev/disk/by-id/nvme-1 /nvme/models xfs defaults
/swap.img none swap sw 0 0
"""
DAEMON = '{\n  "data-root": "/nvme/docker",\n  "features": {"cdi": true},\n  "log-driver": "local",\n  "registry-mirrors": ["https://mirror.example"]\n}\n'
CONTAINERD = 'version = 2\nroot = "/nvme/containerd"\n[plugins]\n  root = "/other"\n'
KMSG = "\n".join("NVRM: Xid (PCI:0000:%02x:00): %d, pid=%d, name=x, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)" % (
    number, number, number) for number in range(60, 160))
PACKAGES = "linux-image-6.8.0-45-generic\nlinux-image-generic\nproxmox-kernel-6.8.12-4-pve-signed\npve-kernel-5.15\nlinux-image-unsigned-6.8.0-50-generic\n"


def of_daemon(text):
    try:
        options = daemon_config.options_of(text.encode("utf-8", "surrogatepass"))
    except daemon_config.Refused as refused:
        assert "needed" in str(refused) and "\n" not in str(refused)
        return None
    assert isinstance(engine_data.root_of_daemon(text), str)
    return options


def of_processor(text):
    cpus = topology.usable(topology.parse(text, 4), range(4), 2.5, [0, 1])
    found = rule.settings(cpus, ["oracle", "executor"], "executor")
    assert found["threads"] >= 1 and topology.ccds(cpus) and topology.nodes(cpus) is not None
    topology.spread(cpus, 3)
    topology.packed(cpus, 3)
    return found


def of_headers(text):
    try:
        return kernel_headers.packages("6.8.0-45-generic", text.split("\n"), "linux-headers-generic")
    except kernel_headers.Refused as refused:
        return str(refused)


def of_kernel(text):
    found = [one for one in map(xid.of_line, text.split("\n")) if one]
    for one in found:
        kind, words = xid.changed_to(one.text)
        assert kind is None or kind in xid.KINDS
        fault = xid.fault_of_number(one.number) or xid.fault_of_recovery(kind, words)
        assert not fault or one.pci and xid.sentence("GPU-1", one.pci, fault, ["a"])
    return len(found)


def of_fstab(text):
    for entry in volume_survey.fstab(text):
        volume_survey.fstab_names_device(entry, {"signatures": [{"uuid": None, "label": "a b"}, {"uuid": "0A34", "label": None}], "real": "/dev/x"}, str)
        volume_survey.unit_name(entry["mount"])


def of_wipefs(text):
    try:
        return volume_survey.signatures(text)
    except volume_survey.Unreadable:
        return None  # never "no signature": an empty device is formatted


MODINFO = """kernel 6.8.0-50-generic
filename:       /lib/modules/6.8.0-50-generic/updates/dkms/nvidia.ko.zst
version:        580.95.05
license:        Dual MIT/GPL
signer:         DKMS module signing key
kernel 6.14.0-24-oem
modinfo: ERROR: Module nvidia not found.
key /var/lib/dkms/mok.pub enrolled
key /var/lib/shim-signed/mok/MOK.der absent
"""


def of_modules(text):
    said = kernel_modules.refusal(text.split("\n"), "580.95.05", True, True)
    assert isinstance(said, str) and (not said or "needed" in said)
    return said


def of_boots(text):
    found = kernel_headers.boots("6.8.0-45-generic", text.split("\n"))
    assert 1 <= len(found) <= 2
    return found


READERS = {
    "modinfo": (MODINFO, of_modules),
    "names of packages, for the next boot": (PACKAGES, of_boots),
    "nvidia-smi -q -x, recovery": (
        test_mig.XML.replace("<uuid>GPU", "<gpu_recovery_action>Reset</gpu_recovery_action><uuid>GPU"), host_survey.recovery_of_xml),
    "docker version, refused": (
        "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44", host_survey.refused_client),
    "docker info, firewall": ('{"Driver": "nftables+firewalld", "Info": [["ReloadedAt", "x"]]}', host_survey.firewall_of_info),
    "nvidia-smi --query-gpu": (test_host_survey.TROUBLE + test_host_survey.QUERY, host_survey.gpus_of_query),
    "nvidia-smi -L": (test_mig.LISTING, lambda text: mig.slices(text, test_mig.XML)),
    "nvidia-smi -q -x": (test_mig.XML, lambda text: mig.slices(test_mig.LISTING, text)),
    "nvidia-smi, MIG modes": ("GPU-a, Enabled\nGPU-b, [N/A]\n", mig.modes),
    "nvidia-smi, fabric": ("GPU-a, Completed\nGPU-b, In Progress\n", host_survey.fabric_of_query),
    "lscpu --json": (SUMMARY, host_survey.cpu_of_lscpu),
    "lscpu --extended of an i9": (processors.TEXTS["i9-14900K"], of_processor),
    "lscpu --extended as a table": (
        "CPU CORE SOCKET NODE L1d:L1i:L2:L3 ONLINE\n  0    0      0    0 0:0:0:0       yes\n  1    1      0    0 1:1:1:0 yes\n", of_processor),
    "lscpu --caches": ('{"caches": [{"name": "L3", "one-size": "33554432", "all-size": "402653184", "level": 3}]}', topology.last_level_cache),
    "mountinfo": (test_host_survey.MOUNTS, lambda text: host_survey.mount_of("/nvme/models/x", host_survey.mounts_of_mountinfo(text))),
    "meminfo": ("MemTotal:       1024 kB\nMemAvailable:    512 kB\n", host_survey.memory_of_meminfo),
    "modules": ("nouveau 2912256 1 - Live 0x0\nnvidia_uvm 1 0 - Live 0x0\n", host_survey.modules_of),
    "fstab": (FSTAB, of_fstab),
    "wipefs": ((FIXTURES / "volumes" / "wipefs-gpt.json").read_text(encoding="utf-8"), of_wipefs),
    "ip -json route": (ROUTES, host_survey.routes_of_ip),
    "docker network inspect": (NETWORKS, host_survey.networks_of_inspect),
    "daemon.json": (DAEMON, of_daemon),
    "containerd's configuration": (CONTAINERD, lambda text: engine_data.root_of_containerd(engine_data.with_containerd_root(text, "/x"))),
    "names of packages": (PACKAGES, of_headers),
    "the kernel's log": (KMSG, of_kernel),
    "dmidecode": ("\tConfigured Memory Speed: 6400 MT/s\n", reading.memory_speed),
    "CDI": ((FIXTURES / "hosts" / "cdi.yml").read_text(encoding="utf-8"), lambda text: cdi.of_text("/etc/cdi/nvidia.yaml", text)),
    "fabric manager": ("Fabric Manager version is : 580.95.05\n", host_survey.fabric_manager_version),
}


# Texts of a host that are damaged; those of files may have bytes that are no UTF-8, which commands' output has not: it is replaced there.
TEXTS = sorted({*field_hosts.COMMANDS.values(), *field_hosts.FILES.values(), "daemon", "packages", "release"})
IN_FILES = {*field_hosts.FILES.values(), "daemon"}


def seeds(_folder=None):
    """What is damaged: (kind, name, text or host), about as many of either."""
    hosts = [("host", name, host) for name, host in field_hosts.hosts().items()]
    readers = [("reader", name, text) for name, (text, _read) in READERS.items()]
    return hosts + readers * max(1, len(hosts) // len(readers))


def mutate(seed, choices):
    """A seed, damaged: a text, or some of a host's.

    :param choices: random.Random
    """
    kind, name, held = seed
    if kind == "reader":
        return kind, name, damaged(held, choices)
    held = dict(held)
    if held.get("cdi") and choices.random() < 0.5:
        held["cdi"] = {path: damaged(text, choices) for path, text in held["cdi"].items()}
    for text in choices.sample([text for text in TEXTS if held.get(text)], choices.choice((1, 1, 2, 5))):
        held[text] = damaged(held[text], choices)
        if text in IN_FILES and choices.random() < 0.2:
            place = choices.randrange(len(held[text]) + 1)
            held[text] = held[text][:place] + choices.choice(("\udcfc", "\udcff\udcfe", "\udce4 ")) + held[text][place:]
    return kind, name, held


def written(mutation):
    """A mutation as bytes, to be kept where it was the wrong one."""
    return ascii(mutation).encode()


class Reader:
    """Reads what is damaged."""

    def read(self, mutation):
        """Fails with any exception but a domain's own, which is told as a finding, or where it takes too long."""
        kind, name, held = mutation
        begun = time.process_time()
        if kind == "reader":
            READERS[name][1](held)
        else:
            told = field_hosts.found(held)
            assert all("; needed " in text for rule_name, text in told if not rule_name.startswith("refused volumes")), told
        took = time.process_time() - begun
        assert took < LONGEST, "%.2f s" % took

    def close(self):
        """There is nothing to close."""
