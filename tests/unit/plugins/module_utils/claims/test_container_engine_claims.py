"""Each claim of the role container_engine holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import container_engine
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

WANTED = {"minimum": "25.0", "volumes": True, "options": {"log-driver": "local", "builder": {"gc": {"enabled": True, "defaultKeepStorage": "20GB"}}}}
SEEN = {
    "version": "26.1.5+dfsg1", "engine": "", "buildx": "github.com/docker/buildx 0.13.1+ds1-3", "cache_bounds": ["512M", "18.63G", "18.63G"], "refused": "",
    "options": {"log-driver": "local", "data-root": "/nvme/docker",
                "builder": {"gc": {"enabled": True, "defaultKeepStorage": "20GB", "reservedSpace": "20GB"}, "entitlements": {}}},
    "roots": {"docker": {"root": "/nvme/docker", "running": "/nvme/docker", "configured": "/nvme/docker", "wanted": "/nvme/docker", "mount": "/nvme"},
              "containerd": {"root": "/nvme/containerd", "running": "/nvme/containerd", "configured": "/nvme/containerd", "wanted": "/nvme/containerd",
                             "mount": "/nvme"}}}
CATALOGUE = collection_roles.claim_catalogue("container_engine")


def rows(change=lambda seen: None, **wanted):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name[len("engine."):]: claims.judge(name, CATALOGUE[name], result)
            for name, result in container_engine.results(dict(WANTED, **wanted), seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert ["engine." + name for name in found] == list(CATALOGUE)
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    found = {name: (row["expected"], row["observed"]) for name, row in rows().items() if name != "options"}
    assert found == {
        "version": ("25.0 or newer", "26.1.5+dfsg1"), "buildkit": ("buildx", "github.com/docker/buildx 0.13.1+ds1-3"),
        "data_root": ("docker /nvme/docker, containerd /nvme/containerd",) * 2,
        "off_root": ("neither on /", "/nvme/docker on /nvme, /nvme/containerd on /nvme"), "bounded": ("at most 20GB", "18.63G")}
    assert rows()["options"]["expected"] == '{"log-driver": "local", "builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}}'


def of_gc(**options):
    return lambda seen: seen["options"]["builder"]["gc"].update(options)


@pytest.mark.parametrize("claim, change, observed", [
    ("version", lambda seen: seen.update(version="24.0.9"), "24.0.9"), ("version", lambda seen: seen.update(version="9.99"), "9.99"),
    ("version", lambda seen: seen.update(version="", engine="no Docker engine answers"), "no Docker engine answers"),
    ("buildkit", lambda seen: seen.update(buildx=""), "none"),
    ("options", lambda seen: seen["options"].pop("log-driver"), None), ("options", lambda seen: seen["options"].update({"log-driver": "journald"}), None),
    ("options", of_gc(enabled=False), None), ("options", lambda seen: seen["options"].update(builder="none"), None),
    ("options", lambda seen: seen.update(options={}, refused="daemon.json, line 2: found a comment"), "daemon.json, line 2: found a comment"),
    ("data_root", lambda seen: seen["roots"]["docker"].update(running="/var/lib/docker"), "docker /var/lib/docker, containerd /nvme/containerd"),
    ("data_root", lambda seen: seen["roots"]["containerd"].update(running=None), "docker /nvme/docker, containerd None"),
    ("off_root", lambda seen: seen["roots"]["containerd"].update(root="/var/lib/containerd", mount="/"),
     "/nvme/docker on /nvme, /var/lib/containerd on /"),
    ("off_root", lambda seen: seen["roots"]["docker"].update(mount="/"), None),
    ("bounded", lambda seen: seen.update(cache_bounds=["18.63G", "50G"]), "50G"), ("bounded", lambda seen: seen.update(cache_bounds=[]), "no policy")])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim]
    assert observed is None or found[claim]["observed"] == observed


@pytest.mark.parametrize("bound, holds", [("20G", True), ("21.47G", True), ("18.63G", True), ("900M", True), ("21.7G", False), ("1T", False)])
def test_units_of_1000_and_of_1024_are_one_and_more_is_not(bound, holds):
    assert (rows(lambda seen: seen.update(cache_bounds=[bound]))["bounded"]["status"] == "holds") is holds


def test_what_the_inventory_does_not_ask_for_is_not_claimed():
    found = rows(lambda seen: seen["roots"]["docker"].update(mount="/") or seen.update(cache_bounds=[]), volumes=False, options={"builder": {}})
    assert {name: found[name]["reason"] for name in named(found, "does not apply")} == {
        "off_root": "the inventory declares no volumes and no data root", "bounded": "container_engine_daemon_options bounds no build cache"}
    assert named(found, "fails") == []


def test_a_bound_that_is_no_size_is_an_error():
    with pytest.raises(ValueError, match="plenty"):
        rows(options={"builder": {"gc": {"defaultKeepStorage": "plenty"}}})
