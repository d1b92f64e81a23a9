"""What tools and files of a host say, damaged at random: every reader ends with facts or with its own error, soon, and the judge reads what comes of it.

BUNKER_TEST_MUTATIONS=20000 tries so many of each text.
"""
import copy
import functools
import json
import os
import pathlib
import random
import sys
import time

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import (
    daemon_config, engine_data, host_survey, kernel_headers, mig, small_file, volume_survey)
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import sentence
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.judge import judge
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import inputs, reading, rule, topology
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import xid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "host_rules"), str(HERE / "throughput")]
import hosts  # noqa: E402
import processors  # noqa: E402
import test_host_survey  # noqa: E402
import test_mig  # noqa: E402

COUNT = int(os.environ.get("BUNKER_TEST_MUTATIONS", 150))
LONGEST = 2.0  # seconds for one text
FIXTURES = HERE.parents[2] / "fixtures"
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


READERS = {
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
    "fabric manager": ("Fabric Manager version is : 580.95.05\n", host_survey.fabric_manager_version),
}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_text_is_read_or_refused(name):
    text, read = READERS[name]
    choices = random.Random(name)
    read(text)
    for _number in range(COUNT):
        given = damaged(text, choices)
        began = time.monotonic()
        try:
            read(given)
        except Exception as error:
            pytest.fail("%s: %r of %r" % (name, error, given[:2000]))
        assert time.monotonic() - began < LONGEST, given[:2000]


def test_a_judge_of_what_was_read_of_damaged_texts_only_finds():
    """All of a host at once: whatever a reader makes of a damaged text, the rules find something or nothing, and say it in sentences."""
    choices = random.Random("judge")
    said, inventories = 0, [hosts.BOTH, hosts.CPU_ONLY, hosts.changed(hosts.BOTH, oracle__gpus=["MIG-1111-a"], executor__threads="8", executor__cpuset="0-3")]
    for _number in range(COUNT):
        host = copy.deepcopy(hosts.OMNI_PRIME)
        query, listing, xml = (damaged(text, choices) for text in (test_host_survey.TROUBLE.replace("GPU-a", "GPU-96"), test_mig.LISTING, test_mig.XML))
        cards = host_survey.join_gpus(host_survey.gpus_of_pci(test_host_survey.BUS), host_survey.gpus_of_query(query))
        host["gpus"] = [dict(card, mig=choices.choice((True, False, None)), recovery=choices.choice((None, damaged("Reset", choices)))) for card in cards]
        host["slices"] = mig.slices(listing, xml)
        host["fabric"] = {"switches": choices.choice(([], ["0000:07:00.0"])), "states": host_survey.fabric_of_query(damaged("GPU-96, Completed\n", choices)),
                          "manager": host_survey.fabric_manager_version(damaged("Fabric Manager version is : 580.95.05", choices)), "active": True}
        host["cpu"] = dict(host_survey.cpu_of_lscpu(damaged(SUMMARY, choices)), quota=choices.choice((None, 0.2, 2.5)),
                           allowed=choices.choice((None, "0-3", "x")))
        host["routes"] = host_survey.routes_of_ip(damaged(ROUTES, choices))
        host["docker_networks"] = host_survey.networks_of_inspect(damaged(NETWORKS, choices))
        host["kernel"]["nvidia"] = choices.choice((None, "580.95.05", "unknown", ""))
        for inventory in inventories:
            try:
                found = [sentence(finding) for finding in judge(inventory, host)]
            except Exception as error:
                pytest.fail("%r of %r" % (error, host))
            assert all("; needed " in line for line in found)
            said += len(found)
    assert said >= COUNT  # most of them have something wrong


def test_damaged_control_groups_allow_something_or_nothing(tmp_path):
    choices, limits = random.Random("cgroups"), []
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/1").mkdir()
    (tmp_path / "cgroup").mkdir()
    mountinfo = "30 25 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n" % (tmp_path / "cgroup")
    for _number in range(COUNT):
        for path, text in (("proc/self/mountinfo", mountinfo), ("proc/1/cgroup", "0::/\n"), ("cgroup/cpu.max", "250000 100000\n")):
            (tmp_path / path).write_bytes((damaged(text, choices) if choices.random() < 0.4 else text).encode("utf-8", "surrogatepass"))
        found = inputs.cpu_quota(1, str(tmp_path / "proc"))
        limits.append(found)
    assert all(found is None or found > 0 for found in limits) and len(set(limits)) > 1


def read_noting(data, asked, offset, length):
    """Bytes of a device, and what was asked is noted."""
    asked.append((offset, length))
    return bytes(data[offset:offset + length])


def test_damaged_superblocks_are_no_whole_file_systems_and_no_traceback():
    superblocks = json.loads((FIXTURES / "volumes" / "superblocks.json").read_text(encoding="utf-8"))
    choices, sizes = random.Random("superblocks"), []
    for kind, captured in ((kind, captured) for kind, captured in superblocks.items() if isinstance(captured, dict)):
        held = bytearray(1 << 20)
        for offset, content in captured["bytes"].items():
            if int(offset) < len(held):
                held[int(offset):int(offset) + len(content) // 2] = bytes.fromhex(content)
        for _number in range(COUNT):
            data = bytearray(held[:choices.choice((100, 600, 1500, 4096, len(held)))])
            for _byte in range(choices.choice((1, 4, 100))):
                data[choices.randrange(min(len(data), 2048))] = choices.choice((0, 0xff, choices.randrange(256)))
            asked = []
            found = volume_survey.file_system(kind.split("-")[0], functools.partial(read_noting, data, asked))
            assert all(0 <= offset < 1 << 63 and length <= 1 << 20 for offset, length in asked) and set(found) == {"type", "size", "complete"}
            sizes.append(found["size"])
    assert len(sizes) == 2 * COUNT and len(set(sizes)) > 2


def test_bytes_that_are_no_text_are_seen(tmp_path):
    (tmp_path / "mountinfo").write_bytes(b"22 1 8:2 / /mnt/K\xfcche rw - ext4 /dev/sda2 rw\n")
    assert host_survey.mounts_of_mountinfo(small_file.seen(str(tmp_path / "mountinfo")))[0]["path"] == "/mnt/K\ufffdche"
