"""Texts as kernels and tools print them: captured ones where such a machine was at hand, else after the tool's documented form."""
import json
import pathlib

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_survey

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures"


@pytest.mark.parametrize("device, chip", [
    ("2bb1", ("Blackwell", "12.0")),  # RTX PRO 6000
    ("2b85", ("Blackwell", "12.0")),  # RTX 5090
    ("2d04", ("Blackwell", "12.0")),  # RTX 5060 Ti
    ("2f04", ("Blackwell", "12.0")),  # RTX 5070
    ("2901", ("Blackwell", "10.0")),  # B200
    ("3182", ("Blackwell", "10.3")),  # B300
    ("2684", ("Ada Lovelace", "8.9")),  # RTX 4090
    ("2330", ("Hopper", "9.0")),  # H100 SXM
    ("2335", ("Hopper", "9.0")),  # H200
    ("20b0", ("Ampere", "8.0")),  # A100
    ("2204", ("Ampere", "8.6")),  # RTX 3090
    ("1e07", ("Turing", "7.5")),  # RTX 2080 Ti
    ("1db6", ("Volta", "7.0")),  # V100
    ("3f00", (None, None)),
    ("2e2a", (None, None)),  # a chip whose capability no source names
])
def test_the_chip_of_a_pci_id(device, chip):
    assert host_survey.chip_of(device) == chip


BUS = [
    {"address": "0000:41:00.0", "vendor": "0x10de\n", "device": "0x2b85\n", "class": "0x030000\n", "driver": "nouveau"},
    {"address": "0000:41:00.1", "vendor": "0x10de\n", "device": "0x22e8\n", "class": "0x040300\n", "driver": None},  # its audio function
    {"address": "0000:01:00.0", "vendor": "0x10de\n", "device": "0x2bb1\n", "class": "0x030200\n", "driver": None},
    {"address": "0000:02:00.0", "vendor": "0x1002\n", "device": "0x744c\n", "class": "0x030000\n", "driver": "amdgpu"},
]


def test_the_bus_shows_nvidias_graphics_cards_and_nothing_else():
    cards = host_survey.gpus_of_pci(BUS)
    assert [(card["pci"], card["family"], card["capability"], card["kernel_driver"], card["uuid"]) for card in cards] == [
        ("0000:01:00.0", "Blackwell", "12.0", None, None), ("0000:41:00.0", "Blackwell", "12.0", "nouveau", None)]


QUERY = """GPU-a, NVIDIA RTX PRO 6000 Blackwell Workstation Edition, 12.0, 580.95.05, 97887, 97250, 00000000:01:00.0
GPU-c, NVIDIA H200, 9.0, 580.159.04, [N/A], [N/A], 00010000:00:06.0
"""


def test_what_the_driver_says_stands_over_what_the_bus_says():
    cards = host_survey.join_gpus(host_survey.gpus_of_pci(BUS), host_survey.gpus_of_query(QUERY))
    assert [(card["pci"], card["uuid"], card["driver"]) for card in cards] == [
        ("0000:01:00.0", "GPU-a", "580.95.05"), ("0000:41:00.0", None, None), ("10000:00:06.0", "GPU-c", "580.159.04")]
    assert cards[0]["memory"] == 97887 * 1024 * 1024
    assert cards[0]["pci_device"] == "2bb1"
    assert cards[2]["memory"] is None and cards[2]["pci_device"] is None


# One card fell off the bus, one has to be reset, one tells nothing but its name; the last one is sound. As seen with drivers 550 to 580.
TROUBLE = """GPU-a, NVIDIA RTX PRO 6000 Blackwell Workstation Edition, [N/A], 580.95.05, [GPU requires reset], [GPU requires reset], 00000000:01:00.0
Unable to determine the device handle for GPU0000:41:00.0: Unknown Error
GPU-d, NVIDIA H200, [Unknown Error], [N/A], 143771, 143000, [N/A]
[Unknown Error], NVIDIA H200, 9.0, 580.95.05, 143771, 143000, 00000000:05:00.0
GPU-c, NVIDIA H200, 9.0, 580.95.05, 143771, 143000, 00000000:06:00.0
"""


def test_words_in_place_of_figures_are_said_and_hide_no_other_card():
    cards = host_survey.join_gpus(host_survey.gpus_of_pci(BUS), host_survey.gpus_of_query(TROUBLE))
    assert [(card["pci"], card["uuid"], card["capability"], sorted(card["unreadable"])) for card in cards] == [
        (None, "GPU-d", None, ["compute_cap", "driver_version", "pci.bus_id"]),
        ("0000:01:00.0", "GPU-a", "12.0", ["compute_cap", "memory.free", "memory.total"]),  # the bus knows what the driver does not tell
        ("0000:05:00.0", None, "9.0", ["uuid"]),
        ("0000:06:00.0", "GPU-c", "9.0", []),
        ("0000:41:00.0", None, "12.0", ["nvidia-smi"])]
    assert cards[1]["memory"] is None and cards[1]["unreadable"]["memory.total"] == "[GPU requires reset]"
    assert cards[4]["unreadable"]["nvidia-smi"].startswith("Unable to determine")


@pytest.mark.parametrize("device", ["", "0x", "zz", "2b85\n2b85"])
def test_an_id_that_is_none_is_no_known_chip(device):
    assert host_survey.chip_of(device) == (None, None)


def test_cards_of_other_makers_are_told():
    managed = {"address": "0000:03:00.0", "vendor": "0x1a03\n", "device": "0x2000\n", "class": "0x030000\n", "driver": "ast"}
    accelerator = {"address": "0000:04:00.0", "vendor": "0x1002\n", "device": "0x74a1\n", "class": "0x120000\n", "driver": "amdgpu"}
    assert host_survey.other_gpus_of_pci([*BUS, managed, accelerator]) == [
        {"vendor": "AMD", "pci": "0000:02:00.0", "pci_device": "744c"}, {"vendor": "AMD", "pci": "0000:04:00.0", "pci_device": "74a1"}]


def test_routes_to_networks():
    text = json.dumps([{"dst": "default", "dev": "eno1"}, {"dst": "10.0.0.0/8", "dev": "wg0", "table": "52"}, {"dst": "192.0.2.7", "dev": "eno1"},
                       {"dst": "fe80::/64", "dev": "eno1"}, {"type": "unreachable", "dst": "10.9.0.0/16"}, {"dst": "10.1.0.0/40", "dev": "x"},
                       {"dst": None}, 7])
    assert host_survey.routes_of_ip(text) == [
        {"destination": "10.0.0.0/8", "device": "wg0", "table": "52"}, {"destination": "192.0.2.7", "device": "eno1", "table": None},
        {"destination": "fe80::/64", "device": "eno1", "table": None}]
    assert host_survey.routes_of_ip("") == host_survey.routes_of_ip("RTNETLINK answers: x") == []


def test_networks_of_the_engine():
    text = json.dumps([{"Name": "bridge", "Id": "0123456789abcdef", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": ""}]}},
                       {"Name": "host", "IPAM": {"Config": None}}, {"Name": "odd", "IPAM": None},
                       {"Name": "six", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}, "Options": {"com.docker.network.bridge.name": "br-six"}}])
    assert host_survey.networks_of_inspect(text, ["six"]) == [
        {"name": "bridge", "subnet": "172.17.0.0/16", "bridge": "br-0123456789ab", "made_here": False},
        {"name": "six", "subnet": "fd00::/64", "bridge": "br-six", "made_here": True}]


def test_switches_are_told_from_network_chips_of_old_boards():
    def device(address, vendor, number, kind):
        return {"address": address, "vendor": vendor + "\n", "device": number + "\n", "class": kind + "\n", "driver": None}
    assert host_survey.nvswitches_of_pci([
        device("0000:07:00.0", "0x10de", "0x22a3", "0x068000"), device("0000:08:00.0", "0x10de", "0x1af1", "0x068000"),
        device("0000:00:14.0", "0x10de", "0x0269", "0x068000"), device("0000:09:00.0", "0x15b3", "0x22a3", "0x068000"),
        *BUS]) == ["0000:07:00.0", "0000:08:00.0"]


def test_the_state_of_the_fabric():
    assert host_survey.fabric_of_query("GPU-a, Completed\nGPU-b, In Progress\nGPU-c, N/A\nGPU-d, [N/A]\nField \"fabric.state\" is not a valid field\n") == {
        "GPU-a": "Completed", "GPU-b": "In Progress"}


@pytest.mark.parametrize("text, version", [("\n\n\tFabric Manager version is : 535.161.08\n\n", "535.161.08"), ("Fabric Manager version is: 590.48", "590.48"),
                                           ("", None), ("unknown option", None)])
def test_the_version_of_the_fabric_manager(text, version):
    assert host_survey.fabric_manager_version(text) == version


@pytest.mark.parametrize("text", ["", "No devices were found\n", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"])
def test_a_driver_that_does_not_answer(text):
    assert host_survey.gpus_of_query(text) == []


def lscpu(**fields):
    """As util-linux 2.38 and newer print it: fields nest in sections."""
    rows = [{"field": name + ":", "data": value} for name, value in fields.items()]
    return json.dumps({"lscpu": [rows[0], dict(rows[1], children=rows[2:])]})


def test_a_processor():
    text = lscpu(Architecture="x86_64", **{"CPU(s)": "192", "Model name": "AMD Ryzen Threadripper PRO 9995WX 96-Cores", "Socket(s)": "1",
                                           "Core(s) per socket": "96", "NUMA node(s)": "4", "Flags": "sse2 avx2 avx512f"})
    assert host_survey.cpu_of_lscpu(text) == {"model": "AMD Ryzen Threadripper PRO 9995WX 96-Cores", "sockets": 1, "cores": 96, "threads": 192,
                                              "online": None, "hypervisor": None, "numa_nodes": 4, "avx512": True}


@pytest.mark.parametrize("device, chip", [
    ("102d", ("Kepler", "3.7")), ("1004", ("Kepler", "3.5")), ("102e", ("Kepler", "3.5")), ("1380", ("Maxwell", "5.0")), ("13c2", ("Maxwell", "5.2")),
    ("17fd", ("Maxwell", "5.2")), ("15f8", ("Pascal", "6.0")), ("1b38", ("Pascal", "6.1")), ("1db6", ("Volta", "7.0")), ("1eb8", ("Turing", "7.5")),
    ("0fff", (None, None))])
def test_chips_that_are_left_behind_have_their_names(device, chip):
    """Of the PCI ID Repository: Tesla K80, GTX 780, Tesla K40d, GTX 750, GTX 970, Tesla M40, Tesla P100, Tesla P40, Tesla V100, Tesla T4, Quadro K600."""
    assert host_survey.chip_of(device) == chip


def test_a_route_over_several_ways_has_their_devices():
    text = json.dumps([{"dst": "172.30.0.0/16", "nexthops": [{"gateway": "10.0.0.1", "dev": "eth0"}, {"gateway": "10.1.0.1", "dev": "eth1"}, "x", {"dev": 1}]},
                       {"dst": "10.0.0.0/8", "nexthops": None}])
    assert host_survey.routes_of_ip(text) == [{"destination": "172.30.0.0/16", "device": "eth0, eth1", "table": None},
                                              {"destination": "10.0.0.0/8", "device": None, "table": None}]


def test_the_cpus_that_are_online():
    text = lscpu(Architecture="x86_64", **{"CPU(s)": "192", "On-line CPU(s) list": "0-95", "Off-line CPU(s) list": "96-191"})
    assert host_survey.cpu_of_lscpu(text)["online"] == "0-95"


def test_nothing_is_guessed_without_lscpu():
    assert set(host_survey.cpu_of_lscpu("{}").values()) == {None}


def test_a_kernel_without_numa_is_one_node():
    assert host_survey.cpu_of_lscpu(lscpu(Architecture="x86_64", **{"CPU(s)": "2"}))["numa_nodes"] == 1


def test_memory():
    assert host_survey.memory_of_meminfo("MemTotal:       1024 kB\nMemFree:  1 kB\nMemAvailable:    512 kB\nHugePages_Total:       0\n") == {
        "total": 1024 * 1024, "available": 512 * 1024}


MOUNTS = r"""22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
30 22 259:1 / /nvme rw,noatime shared:9 - xfs /dev/nvme0n1 rw,attr2
31 30 259:2 / /nvme/models rw - xfs /dev/nvme1n1 rw
32 22 0:40 / /mnt/a\040folder ro - tmpfs tmpfs ro
33 22 8:3 / /mnt/twice rw - ext4 /dev/sda3 rw
34 22 8:4 / /mnt/twice rw - xfs /dev/sda4 rw
"""


@pytest.mark.parametrize("path, mount", [
    ("/nvme/models/big", "/nvme/models"), ("/nvme/modelsuffix", "/nvme"), ("/nvme", "/nvme"), ("/var/lib/docker", "/"), ("/mnt/a folder/x", "/mnt/a folder")])
def test_the_mount_that_a_path_lies_on(path, mount):
    assert host_survey.mount_of(path, host_survey.mounts_of_mountinfo(MOUNTS))["path"] == mount


def test_the_last_mount_on_a_path_hides_the_earlier():
    (twice,) = [mount for mount in host_survey.mounts_of_mountinfo(MOUNTS) if mount["path"] == "/mnt/twice"]
    assert (twice["device"], twice["type"]) == ("/dev/sda4", "xfs")


@pytest.mark.parametrize("content, shim, on", [
    (b"\x06\0\0\0\x01", b"", True), (b"\x06\0\0\0\0", b"", False), (b"", b"\x06\0\0\0\x01", None), (b"\x06\0\0", b"", None),
    (b"\x06\0\0\0\x01", b"\x06\0\0\0\x01", False), (b"\x06\0\0\0\x01", b"\x06\0\0\0\0", True), (b"\x06\0\0\0\x01", b"\x06\0\0\0", True),
    (b"\x06\0\0\0\x01", b"\x07\0\0\0\x01", True)])  # the last one could have been written by anybody
def test_secure_boot(content, shim, on):
    assert host_survey.secure_boot_of_variables(content, shim) is on


def test_a_mount_hides_what_lay_below_it_and_not_what_lies_in_it():
    text = "22 28 0:21 / /proc rw - proc proc rw\n28 1 8:2 / / rw - ext4 /dev/sda2 rw\n30 28 8:3 / /a/b rw - ext4 /dev/sda3 rw\n" \
        "31 28 8:4 / /a rw - ext4 /dev/sda4 rw\n32 31 8:5 / /a/c rw - ext4 /dev/sda5 rw\n40 99 8:6 / /elsewhere rw - ext4 /dev/sda6 rw\n"
    assert [mount["path"] for mount in host_survey.mounts_of_mountinfo(text)] == ["/proc", "/", "/a", "/a/c", "/elsewhere"]
    assert len(host_survey.every_mount(text)) == 6


@pytest.mark.parametrize("text, found", [
    ("/var/lib/docker\noverlay2\n[[\"Backing Filesystem\",\"extfs\"]]\n", ("/var/lib/docker", "docker")),
    ("/var/lib/docker\noverlayfs\n[[\"driver-type\",\"io.containerd.snapshotter.v1\"]]\n", ("/var/lib/docker", "containerd")),
    ("/var/lib/docker\n", ("/var/lib/docker", None)), ("", (None, None))])
def test_whose_store_has_the_images(text, found):
    assert host_survey.engine_of_info(text) == found


@pytest.mark.parametrize("text, is_open", [
    ((FIXTURES / "proc-driver-nvidia-version").read_text(encoding="utf-8"), True),  # captured
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n", False),
    ("", None)])
def test_open_and_proprietary_modules(text, is_open):
    assert host_survey.kernel_module_is_open(text) is is_open


def test_loaded_modules():
    assert host_survey.modules_of("nouveau 2912256 1 - Live 0x0\nnvidia_uvm 1 0 - Live 0x0\n\n") == ["nouveau", "nvidia_uvm"]


@pytest.mark.parametrize("text, version", [
    ("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d\n", "1.17.8"), ("", None)])
def test_the_version_of_the_container_toolkit(text, version):
    assert host_survey.toolkit_version(text) == version
