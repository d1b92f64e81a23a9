"""Each claim of the role host_driver holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import host_driver
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

WANTED = {"not_applicable": "", "branch": 580, "uuids": ["GPU-1", "GPU-2"], "slices": [], "toolkit": "1.17.8"}
SEEN = {
    "host": {"kernel": {"nvidia": "580.95.05", "nvidia_open": True, "nouveau": False}, "toolkit": "1.18.0",
             "gpus": [{"uuid": "GPU-1", "capability": "12.0"}, {"uuid": "GPU-2", "capability": "12.0"}]},
    "library": "580.95.05", "dpkg": "", "held": ["libcuda1", "nvidia-smi"], "unheld": [], "modules_listed": True, "persistence": "active",
    "cdi": ["580.95.05", "GPU-1", "GPU-2"], "next_boot": ["kernel 6.8.0-50-generic", "version:        580.95.05", "license:        Dual MIT/GPL"]}
CATALOGUE = collection_roles.claim_catalogue("host_driver")


def rows(change=lambda seen: None, **wanted):
    """Claim id to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name: claims.judge(name, CATALOGUE[name], result) for name, result in host_driver.results(dict(WANTED, **wanted), seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def kernel(**changes):
    return lambda seen: seen["host"]["kernel"].update(changes)


def of(**changes):
    return lambda seen: seen.update(changes)


def cards(*capabilities):
    """The cards' capabilities, beside whatever else was changed."""
    return lambda seen: [gpu.update(capability=capability) for gpu, capability in zip(seen["host"]["gpus"], capabilities)]


def built(version):
    """Lines of one kernel for which a module of that version is built."""
    return [line.replace("580.95.05", version) for line in SEEN["next_boot"]]


def both(*changes):
    return lambda seen: [change(seen) for change in changes]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert list(found) == list(CATALOGUE)
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    assert {name: (row["expected"], row["observed"]) for name, row in rows().items()} == {
        "driver.branch": ("580 or newer", "580.95.05"), "driver.open": ("open", "open"), "driver.match": ("580.95.05", "580.95.05"),
        "driver.gpus": ("GPU-1, GPU-2", "GPU-1, GPU-2"), "driver.held": ("2 packages held", "2 packages held"),
        "driver.nouveau": ("not loaded", "not loaded"), "driver.persistence": ("active", "active"),
        "driver.next_boot": ("the module 580.95.05 for each kernel that may boot next", "built for 6.8.0-50-generic"),
        "toolkit.version": ("1.17.8 or newer", "1.18.0"), "toolkit.cdi": ("GPU-1, GPU-2, 580.95.05", "580.95.05, GPU-1, GPU-2")}


@pytest.mark.parametrize("claim, change, observed", [
    ("driver.open", kernel(nvidia_open=False), "proprietary"),
    ("driver.open", both(kernel(nvidia_open=False), cards(None, "10.0")), "proprietary"),
    ("driver.match", both(of(library="580.105.08", next_boot=built("580.105.08")), lambda seen: seen["cdi"].append("580.105.08")), "580.95.05"),
    ("driver.gpus", both(lambda seen: seen["host"]["gpus"].pop(0)), "GPU-2"),
    ("driver.held", of(held=["libcuda1"], unheld=["nvidia-smi", "nvidia-persistenced"]), "1 packages held, not held: nvidia-smi, nvidia-persistenced"),
    ("driver.held", of(held=[], unheld=["libcuda1"]), "0 packages held, not held: libcuda1"),
    ("driver.held", of(held=[], dpkg="dpkg-query: no such file"), "not observed: dpkg-query: no such file"),
    ("driver.nouveau", kernel(nouveau=True), "loaded"),
    ("driver.next_boot", of(next_boot=["kernel 6.8.0-50-generic", "modinfo: ERROR: Module nvidia not found."]),
     "for the kernel 6.8.0-50-generic, which may boot next, no module nvidia is built; needed 580.95.05. apt-get install linux-headers-6.8.0-50-generic; dkms "
     "autoinstall -k 6.8.0-50-generic; dkms status. Why it failed: /var/lib/dkms/nvidia*/580.95.05/build/make.log"),
    ("driver.next_boot", of(next_boot=[*SEEN["next_boot"], "kernel 6.8.0-51-generic", "version: 570.1"]),
     "for the kernel 6.8.0-51-generic, which may boot next, the module nvidia is 570.1; needed 580.95.05, as the libraries are. dkms autoinstall -k "
     "6.8.0-51-generic; dkms status"),
    ("driver.next_boot", kernel(secure_boot=True), "for the kernel 6.8.0-50-generic, which may boot next, the module nvidia is not signed; needed a signature "
     "by an enrolled key, since Secure Boot is on. Let dkms sign it: mok_signing_key and mok_certificate in /etc/dkms/framework.conf; then build it again: "
     "dkms status"),
    ("driver.nouveau", of(modules_listed=False), "not observed: the kernel lists no modules (/proc/modules)"),
    ("driver.persistence", of(persistence="inactive"), "inactive"), ("driver.persistence", of(persistence=""), "unknown"),
    ("toolkit.version", lambda seen: seen["host"].update(toolkit="1.17.7"), "1.17.7"),
    ("toolkit.version", lambda seen: seen["host"].update(toolkit="1.9.10"), "1.9.10"),
    ("toolkit.version", lambda seen: seen["host"].update(toolkit=None), "none"),
    ("toolkit.cdi", of(cdi=[]), "no specification"), ("toolkit.cdi", of(cdi=["580.95.05", "GPU-2"]), "580.95.05, GPU-2"),
    ("toolkit.cdi", of(cdi=["570.1.1", "GPU-1", "GPU-2"]), None), ("toolkit.cdi", of(cdi=["GPU-1", "GPU-2"]), None)],
    ids=lambda value: None if callable(value) else value)
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim]
    assert observed is None or found[claim]["observed"] == observed


def test_an_older_branch_fails_though_all_of_it_goes_together():
    installed = of(library="570.172.08", cdi=["570.172.08", "GPU-1", "GPU-2"], next_boot=built("570.172.08"))
    found = rows(both(kernel(nvidia="570.172.08"), installed))
    assert named(found, "fails") == ["driver.branch"] and found["driver.branch"]["observed"] == "570.172.08"


def test_a_proprietary_module_drives_what_is_no_blackwell():
    found = rows(both(kernel(nvidia_open=False), cards("8.9", None)))
    assert named(found, "fails") == [] and found["driver.open"]["expected"] == "open or proprietary: there is no Blackwell card"
    assert rows(both(kernel(nvidia_open=None, nvidia=None), cards("8.9", "8.9")))["driver.open"]["status"] == "fails"


def test_a_card_that_nobody_knows_and_the_proprietary_module_does_not_drive_may_be_a_blackwell():
    """As a card newer than the table of PCI ids is, until the open modules drive it: nvidia-smi says nothing of it."""
    def unknown(seen):
        seen["host"]["gpus"].append({"uuid": None, "capability": None, "kernel_driver": None, "pci": "0000:41:00.0"})
    found = rows(both(kernel(nvidia_open=False), cards("8.9", "8.9"), unknown))
    assert named(found, "fails") == ["driver.open"]
    assert found["driver.open"]["observed"] == "proprietary; not observed: what the card at 0000:41:00.0 is, which the driver does not drive"
    assert rows(both(cards("8.9", "8.9"), unknown))["driver.open"]["status"] == "holds"  # the open ones drive every card that the claim is of
    given_away = both(kernel(nvidia_open=False), cards("8.9", "8.9"), unknown, lambda seen: seen["host"]["gpus"][2].update(kernel_driver="vfio-pci"))
    assert named(rows(given_away), "fails") == []


def test_a_host_on_which_nothing_can_be_seen_holds_nothing():
    found = rows(lambda seen: seen.update(
        host={"kernel": {"nvidia": None, "nvidia_open": None, "nouveau": False}, "toolkit": None, "gpus": []}, library="", dpkg="dpkg-query: absent",
        held=[], unheld=[], modules_listed=False, persistence="", cdi=[]))
    assert named(found, "fails") == list(CATALOGUE)
    assert [found[name]["observed"] for name in ("driver.branch", "driver.open", "driver.match", "driver.gpus")] == [
        "no NVIDIA kernel module is loaded"] * 3 + ["none answers"]
    assert found["toolkit.cdi"]["expected"] == "libraries"


def test_cards_that_the_driver_does_not_drive_prove_no_specification():
    found = rows(lambda seen: [gpu.update(uuid=None) for gpu in seen["host"]["gpus"]], uuids=[])
    assert named(found, "fails") == ["toolkit.cdi"] and found["toolkit.cdi"]["expected"] == "580.95.05"
    assert found["driver.gpus"]["reason"] == "no service of the inventory wants a GPU"


def test_a_slice_that_was_made_later_is_in_no_specification():
    found = rows(slices=["MIG-7"])
    assert named(found, "fails") == ["toolkit.cdi"] and found["toolkit.cdi"]["expected"] == "GPU-1, GPU-2, MIG-7, 580.95.05"
    assert named(rows(lambda seen: seen["cdi"].append("MIG-7"), slices=["MIG-7"]), "fails") == []


def test_a_driver_that_came_without_packages_is_held_by_nobody():
    assert rows(of(held=[]))["driver.held"]["reason"] == "the driver was not installed from packages"


def test_where_none_applies_nothing_is_looked_at():
    found = {name: claims.judge(name, CATALOGUE[name], result)
             for name, result in host_driver.results(dict(WANTED, not_applicable="this host is a container"), {"skipped": True}).items()}
    assert list(found) == list(CATALOGUE) and {(row["status"], row["reason"]) for row in found.values()} == {("does not apply", "this host is a container")}


def test_a_host_without_a_kernel_has_none_that_boots_next():
    found = rows(of(next_boot=[]))["driver.next_boot"]
    assert found["status"] == "does not apply" and "it is a container" in found["reason"]


def test_only_blackwell_needs_the_open_module_at_the_next_boot():
    proprietary = of(next_boot=["kernel 6.8.0-50-generic", "version: 580.95.05", "license: NVIDIA"])
    assert rows(proprietary)["driver.next_boot"]["status"] == "fails"
    assert rows(both(proprietary, cards("8.9", "9.0")))["driver.next_boot"]["status"] == "holds"
