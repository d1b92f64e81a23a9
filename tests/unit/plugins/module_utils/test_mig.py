"""MIG slices as nvidia-smi lists them. The UUIDs are made up; the profiles and their sizes are NVIDIA's (nvidia-smi mig -lgip)."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import mig

GIB, MIB = 2 ** 30, 2 ** 20
LISTING = """GPU 0: NVIDIA RTX PRO 6000 Blackwell Server Edition (UUID: GPU-aa-1)
  MIG 1g.24gb     Device  0: (UUID: MIG-1111-a)
  MIG 2g.48gb+gfx Device  1: (UUID: MIG-2222-b)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bb-2)
  MIG 1c.3g.40gb  Device  0: (UUID: MIG-3333-c)
  MIG 2c.3g.40gb  Device  1: (UUID: MIG-4444-d)
GPU 2: NVIDIA GeForce RTX 5090 (UUID: GPU-cc-3)
"""
PART = """<mig_device><index>%s</index><gpu_instance_id>%s</gpu_instance_id><compute_instance_id>0</compute_instance_id>
<fb_memory_usage><total>%s</total><reserved>0 MiB</reserved><used>1 MiB</used><free>%s</free></fb_memory_usage></mig_device>"""
XML = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log><gpu id="00000000:01:00.0"><uuid>GPU-aa-1</uuid><mig_devices>%s%s</mig_devices></gpu>
<gpu id="00000000:41:00.0"><uuid>GPU-bb-2</uuid><mig_devices>%s%s</mig_devices></gpu>
<gpu id="00000000:42:00.0"><uuid>GPU-cc-3</uuid><mig_devices>None</mig_devices></gpu></nvidia_smi_log>""" % (
    PART % (0, 3, "23680 MiB", "23000 MiB"), PART % (1, 5, "N/A", "[Unknown Error]"), PART % (0, 1, "40448 MiB", "40000 MiB"),
    PART % (1, 1, "40448 MiB", "40000 MiB"))


def test_slices_with_their_memory():
    assert mig.slices(LISTING, XML) == [
        {"uuid": "MIG-1111-a", "card": "GPU-aa-1", "profile": "1g.24gb", "memory": 23680 * MIB, "memory_free": 23000 * MIB, "room": "GPU-aa-1/3"},
        {"uuid": "MIG-2222-b", "card": "GPU-aa-1", "profile": "2g.48gb+gfx", "memory": 45_600_000_000, "memory_free": None, "room": "GPU-aa-1/5"},
        {"uuid": "MIG-3333-c", "card": "GPU-bb-2", "profile": "1c.3g.40gb", "memory": 40448 * MIB, "memory_free": 40000 * MIB, "room": "GPU-bb-2/1"},
        {"uuid": "MIG-4444-d", "card": "GPU-bb-2", "profile": "2c.3g.40gb", "memory": 40448 * MIB, "memory_free": 40000 * MIB, "room": "GPU-bb-2/1"}]


@pytest.mark.parametrize("xml", ["", "<nvidia_smi_log>", "NVIDIA-SMI has failed", "<a/>", "\0", XML.replace("GPU-aa-1", "GPU-x").replace("GPU-bb-2", "")])
def test_without_details_the_profile_says_it_unless_it_is_shared(xml):
    assert [(part["uuid"], part["memory"], part["room"]) for part in mig.slices(LISTING, xml)] == [
        ("MIG-1111-a", 22_800_000_000, "MIG-1111-a"), ("MIG-2222-b", 45_600_000_000, "MIG-2222-b"), ("MIG-3333-c", None, "MIG-3333-c"),
        ("MIG-4444-d", None, "MIG-4444-d")]


@pytest.mark.parametrize("profile, gib", [("1g.5gb", 4.75), ("1g.10gb", 9.5), ("1g.12gb", 10.62), ("1g.24gb", 21.5), ("2g.24gb", 21.5),
                                          ("3g.20gb", 19.5), ("3g.40gb", 39.25),
                                          ("7g.80gb", 78.75), ("1g.24gb+gfx", 23.12), ("2g.48gb-me", 46.5), ("4g.96gb+gfx", 93.38), ("1g.10gb+me", 9.5)])
def test_a_profiles_name_never_promises_more_than_nvidia_gives(profile, gib):
    assert 0.85 * gib * GIB < mig.memory_of_profile(profile) <= gib * GIB


@pytest.mark.parametrize("profile", ["", "1g", "1g.xgb", "unknown", "1c.2g.10gb", "1g.10gb; rm", "1g.99999gb"])
def test_a_profile_that_does_not_say_is_not_guessed(profile):
    assert mig.memory_of_profile(profile) is None


@pytest.mark.parametrize("listing", ["", "No devices found.\n", "  MIG 1g.10gb     Device  0: (UUID: MIG-of-no-card)\n", "GPU 0: x (UUID: MIG-a)\n"])
def test_no_slices(listing):
    assert mig.slices(listing, XML) == []


def test_which_cards_are_split():
    assert mig.modes("GPU-a, Enabled\nGPU-b, Disabled\nGPU-c, [N/A]\nField \"x\" is not valid\nGPU-d, Enabled, x\n") == {"GPU-a": True, "GPU-b": False}
