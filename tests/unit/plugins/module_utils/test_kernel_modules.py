"""Kernels that may boot next, what modinfo says of the driver's module for each, and why a reboot waits."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import kernel_headers, kernel_modules

OPEN = ["filename:       /lib/modules/6.8.0-50-generic/updates/dkms/nvidia.ko.zst", "version:        580.95.05", "supported:      external",
        "license:        Dual MIT/GPL", "firmware:       nvidia/580.95.05/gsp_tu10x.bin", "srcversion:     6F1A2B3C4D5E6F708192A3B",
        "alias:          pci:v000010DEd*sv*sd*bc06sc80i00*", "depends:        ", "name:           nvidia",
        "vermagic:       6.8.0-50-generic SMP preempt mod_unload modversions"]
SIGNED = ["sig_id:         PKCS#7", "signer:         rack7 Secure Boot Module Signature key", "sig_key:        5A:1B", "sig_hashalgo:   sha512"]
BY_DKMS = ["signer:         DKMS module signing key"]
BY_CANONICAL = ["signer:         Canonical Ltd. Kernel Module Signing"]
CLOSED = [line.replace("Dual MIT/GPL", "NVIDIA") for line in OPEN]
OLD = [line.replace("580.95.05", "570.133.20") for line in OPEN]
NONE = ["modinfo: ERROR: Module nvidia not found."]


def seen(*kernels, keys=()):
    """What the role's look prints."""
    return [line for release, said in kernels for line in ["kernel %s" % release, *said]] + ["key %s %s" % key for key in keys]


def refusal(lines, **wanted):
    return kernel_modules.refusal(lines, **dict({"version": "580.95.05", "needs_open": True, "secure_boot": False}, **wanted))


@pytest.mark.parametrize("running, installed, releases", [
    ("6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-generic"], ["6.8.0-45-generic"]),
    ("6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-50-generic", "linux-image-6.8.0-9-generic"], ["6.8.0-50-generic"]),
    ("6.8.0-45-generic", ["linux-image-6.8.0-45-generic", "linux-image-6.8.0-50-generic", "linux-image-6.14.0-24-oem"], ["6.8.0-50-generic", "6.14.0-24-oem"]),
    ("6.18.0-mine", ["linux-image-6.12.57+deb13-amd64"], ["6.18.0-mine"]),
    ("6.8.0-41-generic", ["linux-image-6.8.0-50-generic"], ["6.8.0-50-generic"]),
    ("6.8.12-9-pve", ["proxmox-kernel-6.8.12-9-pve-signed", "proxmox-kernel-6.11.11-2-pve-signed"], ["6.11.11-2-pve"]),
])
def test_the_kernels_that_may_boot_next(running, installed, releases):
    assert kernel_headers.boots(running, installed, own_kernel=running != "6.8.0-41-generic") == releases


@pytest.mark.parametrize("said, found", [(NONE, "no module nvidia is built"), (OLD, "the module nvidia is 570.133.20")])
def test_where_there_is_no_dkms_nobody_is_sent_to_it(said, found):
    """Ubuntu's modules come compiled, in a package for each kernel; another host's may have been put there by NVIDIA's installer."""
    text = refusal([*seen(("6.8.0-50-generic", said)), "dkms absent"])
    assert found in text and "dkms status" not in text and "dkms autoinstall" not in text and "make.log" not in text
    assert "linux-modules-nvidia-580-open-6.8.0-50-generic" in text and "6.8.0-50-generic" in text
    assert refusal([*seen(("6.8.0-50-generic", OPEN)), "dkms absent"]) == ""
    closed = refusal([*seen(("6.8.0-50-generic", CLOSED)), "dkms absent"])
    assert "which Blackwell needs" in closed and "dkms status" not in closed


def test_a_container_boots_none():
    assert kernel_headers.boots("6.1.0-28-amd64", ["libc6"], own_kernel=False) == []


@pytest.mark.parametrize("lines, wanted", [
    (seen(("6.8.0-50-generic", OPEN)), {}),
    (seen(("6.8.0-50-generic", OPEN), ("6.14.0-24-oem", OPEN)), {}),
    (seen(("6.8.0-50-generic", CLOSED)), {"needs_open": False}),
    (seen(("6.8.0-50-generic", OPEN + SIGNED), keys=[("/var/lib/shim-signed/mok/MOK.der", "enrolled")]), {"secure_boot": True}),
    (seen(("6.8.0-50-generic", OPEN + BY_DKMS), keys=[("/var/lib/dkms/mok.pub", "enrolled")]), {"secure_boot": True}),
    (seen(("6.8.0-50-generic", OPEN + SIGNED), keys=[("/var/lib/shim-signed/mok/MOK.der", "enrolled"), ("/var/lib/dkms/mok.pub", "absent")]),
     {"secure_boot": True}),
    (seen(("6.8.0-50-generic", OPEN + BY_CANONICAL), keys=[("/var/lib/shim-signed/mok/MOK.der", "absent")]), {"secure_boot": True}),
    (seen(("6.8.0-50-generic", OPEN + BY_DKMS)), {"secure_boot": True}),  # its key is nowhere to be asked for: the inventory's word counts
    ([], {}),
])
def test_what_is_built_may_boot(lines, wanted):
    assert refusal(lines, **wanted) == ""


@pytest.mark.parametrize("lines, refused", [
    (["pin 6.14.11-4-pve", *seen(("6.17.2-1-pve", NONE), ("6.14.11-4-pve", OPEN))], ""),  # as people do where a newer kernel is too new for the driver
    (["pin 6.14.11-4-pve", *seen(("6.17.2-1-pve", OPEN), ("6.14.11-4-pve", NONE))], "for the kernel 6.14.11-4-pve,"),
    (["pin 6.8.0-45-generic", *seen(("6.8.0-50-generic", NONE), ("6.8.0-45-generic", OLD))], "the module nvidia is 570.133.20"),
    (["pin", *seen(("6.8.0-50-generic", NONE))], "for the kernel 6.8.0-50-generic,"),
])
def test_a_kernel_that_somebody_pinned_boots_and_no_other(lines, refused):
    assert refused in refusal(lines) and bool(refusal(lines)) is bool(refused)


@pytest.mark.parametrize("lines, wanted, parts", [
    (seen(("6.8.0-50-generic", NONE)), {}, ["for the kernel 6.8.0-50-generic, which may boot next, no module nvidia is built; needed 580.95.05",
                                            "apt-get install linux-headers-6.8.0-50-generic; dkms autoinstall -k 6.8.0-50-generic; dkms status"]),
    (seen(("6.8.0-50-generic", [])), {}, ["for the kernel 6.8.0-50-generic, which may boot next, no module nvidia is built"]),
    (seen(("6.8.0-50-generic", OPEN), ("6.14.0-24-oem", NONE)), {}, ["for the kernel 6.14.0-24-oem,"]),
    (seen(("6.11.11-2-pve", NONE)), {}, ["apt-get install proxmox-headers-6.11.11-2-pve;"]),
    (seen(("6.8.0-50-generic", OLD)), {}, ["the module nvidia is 570.133.20; needed 580.95.05, as the libraries are"]),
    (seen(("6.8.0-50-generic", CLOSED)), {}, [
        "the module nvidia is the proprietary one (license NVIDIA); needed the open one (Dual MIT/GPL), which Blackwell needs"]),
    (seen(("6.8.0-50-generic", OPEN)), {"secure_boot": True}, [
        "the module nvidia is not signed; needed a signature by an enrolled key, since Secure Boot is on"]),
    (seen(("6.8.0-50-generic", OPEN + SIGNED), keys=[("/var/lib/shim-signed/mok/MOK.der", "absent")]), {"secure_boot": True},
     ["is signed by rack7 Secure Boot Module Signature key, whose certificate is not enrolled", "mokutil --import /var/lib/shim-signed/mok/MOK.der"]),
    (seen(("6.8.0-50-generic", OPEN + BY_DKMS), keys=[("/var/lib/shim-signed/mok/MOK.der", "enrolled"), ("/var/lib/dkms/mok.pub", "absent")]),
     {"secure_boot": True}, ["is signed by DKMS module signing key, whose certificate is not enrolled", "mokutil --import /var/lib/dkms/mok.pub"]),
])
def test_a_reboot_that_would_end_without_the_driver_is_refused(lines, wanted, parts):
    said = refusal(lines, **wanted)
    assert [part for part in parts if part not in said] == [], said
