"""A running kernel and the packages that are installed, and the headers that follow. Names as the archives of Debian, Ubuntu and Proxmox have them."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import kernel_headers

UBUNTU, DEBIAN = "linux-headers-generic", "linux-headers-amd64"
CASES = {
    "Ubuntu, one kernel and its meta package": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-generic", "linux-modules-6.8.0-45-generic"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-generic"]),
    "Ubuntu, a newer kernel waits for the reboot": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-50-generic", "linux-image-6.8.0-9-generic", "linux-image-generic"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-50-generic", "linux-headers-generic"]),
    "Ubuntu, two newer ones: the newest boots": (
        "6.8.0-45-generic", ["linux-image-6.8.0-%d-generic" % number for number in (45, 48, 50)], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-50-generic"]),
    "Ubuntu, booted into an older one": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-41-generic", "linux-image-generic"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-generic"]),
    "Ubuntu HWE": (
        "6.17.0-35-generic", ["linux-image-6.17.0-35-generic", "linux-image-generic-hwe-24.04"], UBUNTU,
        ["linux-headers-6.17.0-35-generic", "linux-headers-generic-hwe-24.04"]),
    "Ubuntu, HWE was installed and the old one runs": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.17.0-35-generic", "linux-image-generic", "linux-image-generic-hwe-24.04"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-6.17.0-35-generic", "linux-headers-generic", "linux-headers-generic-hwe-24.04"]),
    "Ubuntu, an unsigned kernel": (
        "6.8.0-45-generic", ["linux-image-unsigned-6.8.0-45-generic", "linux-image-generic"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-generic"]),
    "Ubuntu in a virtual machine": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-virtual"], UBUNTU, ["linux-headers-6.8.0-45-generic", "linux-headers-generic"]),
    "Ubuntu of a cloud": (
        "6.8.0-1021-aws", ["linux-image-6.8.0-1021-aws", "linux-image-aws"], UBUNTU, ["linux-headers-6.8.0-1021-aws", "linux-headers-aws"]),
    "Ubuntu, another flavour is newer and may boot": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-50-lowlatency", "linux-image-generic", "linux-image-lowlatency"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-50-lowlatency", "linux-headers-generic", "linux-headers-lowlatency"]),
    "Ubuntu, another flavour of the very number, which GRUB takes for newer": (
        "6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-45-lowlatency", "linux-image-generic", "linux-image-lowlatency"], UBUNTU,
        ["linux-headers-6.8.0-45-generic", "linux-headers-6.8.0-45-lowlatency", "linux-headers-generic", "linux-headers-lowlatency"]),
    "Ubuntu, a flavour of the very number, which GRUB takes for older": (
        "6.8.0-45-lowlatency", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-45-lowlatency"], UBUNTU, ["linux-headers-6.8.0-45-lowlatency"]),
    "Ubuntu's mainline builds, a candidate and what became of it": (
        "6.17.0-061700rc3-generic", ["linux-image-unsigned-6.17.0-061700%s-generic" % candidate for candidate in ("", "rc3", "rc1")], UBUNTU,
        ["linux-headers-6.17.0-061700rc3-generic", "linux-headers-6.17.0-061700-generic"]),
    "Debian 13, a real-time kernel was installed beside the one that runs": (
        "6.12.57+deb13-amd64", ["linux-image-6.12.57+deb13-amd64", "linux-image-6.12.57+deb13-rt-amd64", "linux-image-rt-amd64"], DEBIAN,
        ["linux-headers-6.12.57+deb13-amd64", "linux-headers-6.12.57+deb13-rt-amd64", "linux-headers-rt-amd64"]),
    "NVIDIA's kernel of Ubuntu": (
        "6.8.0-1020-nvidia", ["linux-image-6.8.0-1020-nvidia", "linux-image-nvidia"], UBUNTU, ["linux-headers-6.8.0-1020-nvidia", "linux-headers-nvidia"]),
    "Debian 12": (
        "6.1.0-28-amd64", ["linux-image-6.1.0-28-amd64", "linux-image-amd64", "linux-image-6.1.0-28-amd64-dbg"], DEBIAN,
        ["linux-headers-6.1.0-28-amd64", "linux-headers-amd64"]),
    "Debian 12, a newer one waits": (
        "6.1.0-28-amd64", ["linux-image-6.1.0-28-amd64", "linux-image-6.1.0-31-amd64", "linux-image-amd64"], DEBIAN,
        ["linux-headers-6.1.0-28-amd64", "linux-headers-6.1.0-31-amd64", "linux-headers-amd64"]),
    "Debian 13, whose releases have a plus": (
        "6.12.57+deb13-amd64", ["linux-image-6.12.57+deb13-amd64", "linux-image-6.12.63+deb13-amd64", "linux-image-amd64"], DEBIAN,
        ["linux-headers-6.12.57+deb13-amd64", "linux-headers-6.12.63+deb13-amd64", "linux-headers-amd64"]),
    "Debian of a cloud": (
        "6.1.0-28-cloud-amd64", ["linux-image-6.1.0-28-cloud-amd64", "linux-image-cloud-amd64"], DEBIAN,
        ["linux-headers-6.1.0-28-cloud-amd64", "linux-headers-cloud-amd64"]),
    "Debian, an unsigned kernel of the backports": (
        "6.12.9+bpo-amd64", ["linux-image-6.12.9+bpo-amd64-unsigned"], DEBIAN, ["linux-headers-6.12.9+bpo-amd64"]),
    "Proxmox 8": (
        "6.8.12-4-pve", ["proxmox-kernel-6.8.12-4-pve-signed", "proxmox-kernel-6.8", "proxmox-default-kernel", "proxmox-ve"], DEBIAN,
        ["proxmox-headers-6.8.12-4-pve", "proxmox-default-headers", "proxmox-headers-6.8"]),
    "Proxmox 8, a newer one waits": (
        "6.8.12-4-pve", ["proxmox-kernel-6.8.12-4-pve-signed", "proxmox-kernel-6.8.12-11-pve-signed", "proxmox-kernel-6.8"], DEBIAN,
        ["proxmox-headers-6.8.12-4-pve", "proxmox-headers-6.8.12-11-pve", "proxmox-headers-6.8"]),
    "Proxmox before 2023": ("5.15.131-1-pve", ["pve-kernel-5.15.131-1-pve", "pve-kernel-5.15"], DEBIAN, ["pve-headers-5.15.131-1-pve", "pve-headers-5.15"]),
    "another archive's kernel": ("6.12.9-x64v3-xanmod1", ["linux-image-6.12.9-x64v3-xanmod1"], DEBIAN, ["linux-headers-6.12.9-x64v3-xanmod1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_headers_of_the_running_kernel_and_of_the_next(name):
    running, installed, otherwise, expected = CASES[name]
    assert kernel_headers.packages(running, installed, otherwise) == expected
    assert kernel_headers.packages(running, list(reversed(installed)), otherwise) == expected  # dpkg's order says nothing


def test_a_container_has_the_systems_own():
    assert kernel_headers.packages("6.1.0-28-amd64", [], DEBIAN, own_kernel=False) == [DEBIAN]
    assert kernel_headers.packages("6.1.0-28-amd64", ["linux-image-cloud-amd64"], DEBIAN, own_kernel=False) == ["linux-headers-cloud-amd64"]


def test_a_kernel_of_ones_own_with_headers_is_enough_and_the_next_one_counts():
    assert kernel_headers.packages("6.10.0-mine", [], DEBIAN, has_headers=True) == []
    assert kernel_headers.packages("6.10.0-mine", ["linux-image-6.12.1+deb13-amd64", "linux-image-amd64"], DEBIAN, has_headers=True) == [
        "linux-headers-6.12.1+deb13-amd64", DEBIAN]


@pytest.mark.parametrize("running, installed, parts", [
    ("6.10.0-mine", [], ["the kernel that runs is 6.10.0-mine", "/lib/modules/6.10.0-mine/build is not there; needed its headers",
                         "apt-get install linux-image-amd64, then reboot"]),
    ("6.1.0-20-amd64", ["linux-image-6.1.0-31-amd64", "linux-image-amd64"], ["installed are 6.1.0-31-amd64", "Reboot where it was replaced meanwhile"]),
    ("6.10.0-061000-generic", ["linux-modules-6.10.0-061000-generic"], ["6.10.0-061000-generic, of no package"]),
    ("5.15.153.1-microsoft-standard-WSL2", [], ["of WSL", "Use a host that runs Linux itself"]),
    ("6.6.31+rpt-rpi-v8", ["linux-image-rpi-v8"], ["6.6.31+rpt-rpi-v8, of no package"]),
    ("", [], ["the kernel that runs is , of no package"]),
])
def test_a_kernel_of_no_package_is_refused_with_a_remedy(running, installed, parts):
    with pytest.raises(kernel_headers.Refused) as refused:
        kernel_headers.packages(running, installed, DEBIAN)
    assert [part for part in parts if part not in str(refused.value)] == []


@pytest.mark.parametrize("names", [["linux-image"], ["linux-image-"], ["linux-headers-6.1.0-1-amd64"], ["linux-image-x-dbg"],
                                   ["pve-kernel-helper", "proxmox-kernel-helper"]])
def test_names_that_are_no_kernel(names):
    assert kernel_headers.packages("6.1.0", names, DEBIAN, own_kernel=False) == [DEBIAN]
