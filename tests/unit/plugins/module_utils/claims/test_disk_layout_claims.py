"""Each claim of the role disk_layout holds, and fails by itself, from what was seen. What counts as mounted is test_volume_rules.py's."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import disk_layout
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

DEVICE = "/dev/disk/by-id/nvme-EXAMPLE"
WANTED = {"root_limit": 85, "volumes": [{"mount": "/nvme", "device": DEVICE, "filesystem": "xfs", "fill_limit": 90}]}
SEEN = {"root_use": 85, "volumes": [{"mount": "/nvme", "number": "259:1", "use": 90, "at_mount": {
    "device": "/dev/nvme0n1", "type": "xfs", "number": "259:1", "root": "/"}}]}
CATALOGUE = collection_roles.claim_catalogue("disk_layout")


def rows(change=lambda seen: None, **wanted):
    """Claim id to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name: claims.judge(name, CATALOGUE[name], result) for name, result in disk_layout.results(dict(WANTED, **wanted), seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def volume(**changes):
    return lambda seen: seen["volumes"][0].update(changes)


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert list(found) == list(CATALOGUE) and named(found, "holds") == list(CATALOGUE)


def test_the_words():
    mounted = "/nvme: %s xfs" % DEVICE
    assert {name: (row["expected"], row["observed"]) for name, row in rows().items()} == {
        "volumes.mounted": (mounted, mounted), "volumes.room": ("/nvme at most 90 %", "/nvme 90 %"), "root.room": ("at most 85 %", "85 %")}


@pytest.mark.parametrize("claim, change, observed", [
    ("volumes.mounted", lambda seen: seen["volumes"][0]["at_mount"].update(number="259:2"), "/nvme: /dev/nvme0n1 xfs"),
    ("volumes.mounted", lambda seen: seen["volumes"][0]["at_mount"].update(type="ext4"), "/nvme: %s ext4" % DEVICE),
    ("volumes.room", volume(use=91), "/nvme 91 %"), ("root.room", lambda seen: seen.update(root_use=86), "86 %")],
    ids=["another device", "another file system", "full", "a full root"])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim] and found[claim]["observed"] == observed


def test_a_host_on_which_nothing_is_mounted_and_whose_root_tells_no_sizes_holds_nothing():
    found = rows(lambda seen: (volume(at_mount=None, use=None)(seen), seen.update(root_use=100)))
    assert named(found, "fails") == list(CATALOGUE)
    assert (found["volumes.mounted"]["observed"], found["volumes.room"]["observed"]) == ("/nvme: not mounted", "/nvme not mounted")


def test_an_inventory_without_volumes_still_has_a_root():
    found = rows(lambda seen: seen.update(volumes=[]), volumes=[])
    assert named(found, "does not apply") == ["volumes.mounted", "volumes.room"] and named(found, "holds") == ["root.room"]
    assert found["volumes.room"]["reason"] == "the inventory names no volumes (disk_layout_volumes)"
