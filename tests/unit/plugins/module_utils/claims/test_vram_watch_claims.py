"""Each claim of the role vram_watch holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import vram_watch
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

WANTED = {"service": "oracle", "asked": "auto", "cards": True, "interval": 5, "fill_context": True, "metrics_port": 9181}
SEEN = {
    "state": "active", "enabled": "enabled", "now": 1005, "listening": ["127.0.0.1:9181"], "series": 40, "engine": "",
    "play": {"rc": 0, "said": "playbook: /opt/x/playbooks/contingency.yml"}, "containers": [{"name": "oracle", "sources": ["/srv/models", "/srv/run"]}],
    "status": {"read_at": 1000.7, "source": "nvml", "headroom": 8 << 30, "act": 2 << 30, "rung": 0, "latched": "",
               "filled": {"headroom": 5 << 30, "tokens": 8190}}}
CATALOGUE = collection_roles.claim_catalogue("vram_watch")


def rows(change=lambda seen: None, **wanted):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name[len("vram_watch."):]: claims.judge(name, CATALOGUE[name], result)
            for name, result in vram_watch.results(dict(WANTED, **wanted), seen).items()}


def of_status(**changes):
    return lambda seen: seen["status"].update(changes)


def without(name):
    return lambda seen: seen["status"].pop(name)


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert ["vram_watch." + name for name in found] == list(CATALOGUE)
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    assert {name: (row["expected"], row["observed"]) for name, row in rows().items()} == {
        "samples": ("active enabled, a sample of the cards within 15 s", "active enabled, the cards were last read 5 s ago, through nvml"),
        "headroom": ("at least 2.0 GiB", "8.0 GiB at rung 0"), "full_context": ("at least 2.0 GiB left", "5.0 GiB left after 8190 tokens"),
        "ladder": ("the play can be read, and it has not given up", "playbook: /opt/x/playbooks/contingency.yml; has not given up"),
        "metrics": ("127.0.0.1:9181", "127.0.0.1:9181, 40 series"), "engine_socket": ("none has it", "none has it")}


@pytest.mark.parametrize("claim, change, observed", [
    ("samples", of_status(read_at=980), "active enabled, the cards were last read 25 s ago, through nvml"),
    ("samples", lambda seen: seen.update(now=1017), None),
    ("samples", of_status(source="none"), None), ("samples", without("source"), "active enabled, the cards were last read 5 s ago, through nothing"),
    ("samples", lambda seen: seen.update(state="failed"), "failed enabled, the cards were last read 5 s ago, through nvml"),
    ("samples", lambda seen: seen.update(enabled="disabled"), None),
    ("headroom", of_status(headroom=1 << 30), "1.0 GiB at rung 0"), ("headroom", of_status(headroom=None), "0.0 GiB at rung 0"),
    ("headroom", without("headroom"), "0.0 GiB at rung 0"),
    ("full_context", of_status(filled={}), "not filled since its start"),
    ("full_context", of_status(filled={"headroom": 1 << 30, "tokens": 8190}), "1.0 GiB left after 8190 tokens"),
    ("full_context", of_status(filled={"ended": "the service was busy"}), "the service was busy"),
    ("ladder", of_status(latched="no rung is left"), "playbook: /opt/x/playbooks/contingency.yml; no rung is left"),
    ("ladder", without("latched"), "playbook: /opt/x/playbooks/contingency.yml; no status"),
    ("ladder", lambda seen: seen["play"].update(rc=1), None),
    ("ladder", lambda seen: seen.update(play={"rc": 0, "said": "ERROR! the role was not found"}), "ERROR! the role was not found; has not given up"),
    ("ladder", lambda seen: seen.update(play={"rc": 127, "said": ""}), "ansible-playbook said nothing; has not given up"),
    ("metrics", lambda seen: seen.update(listening=["*:9181"]), "*:9181, 40 series"),
    ("metrics", lambda seen: seen["listening"].append("[::]:9181"), "127.0.0.1:9181 [::]:9181, 40 series"),
    ("metrics", lambda seen: seen.update(listening=[]), "nothing listens, 40 series"),
    ("metrics", lambda seen: seen.update(series=0), "127.0.0.1:9181, 0 series"),
    ("engine_socket", lambda seen: seen["containers"].append({"name": "helper", "sources": ["/data", "/var/run/docker.sock"]}), "helper"),
    ("engine_socket", lambda seen: seen.update(containers=[], engine="no Docker engine answers"), "not seen: no Docker engine answers")])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim]
    assert observed is None or found[claim]["observed"] == observed


@pytest.mark.parametrize("source, seen", [
    ("/run/docker.sock", True), ("/var/run/docker.sock", True), ("/srv/other/docker.sock", True), ("/run/containerd/containerd.sock", True), ("/run", True),
    ("/", True), ("/var", True), ("/var/run/", True), ("/run/containerd", True), ("/run/docker", True), ("/srv/models", False), ("/srv/run", False),
    ("/run/other", False), ("/var/lib", False), ("/srv/docker.sock.d", False), ("", False)])
def test_a_mount_that_gives_the_engines_socket_or_a_folder_with_it_is_seen(source, seen):
    assert vram_watch.gives_socket(source) is seen


def test_a_watcher_that_reads_no_card_proves_nothing_of_a_service_that_has_none():
    found = rows(of_status(source="none", headroom=None, filled={}), cards=False)
    assert named(found, "does not apply") == ["samples", "headroom", "full_context"] and named(found, "fails") == []
    assert found["samples"]["reason"] == "the watched service has no card; its memory is RAM"


def test_a_context_that_is_not_filled_on_purpose_claims_nothing():
    found = rows(of_status(filled={}), fill_context=False)
    assert named(found, "does not apply") == ["full_context"] and found["full_context"]["reason"] == "vram_watch_fill_context is false"


@pytest.mark.parametrize("sources, socket", [([], "holds"), (["/run/docker.sock"], "fails")])
def test_where_nothing_is_watched_the_sockets_of_containers_still_count(sources, socket):
    found = rows(lambda seen: seen.update(status={}, state="inactive", containers=[{"name": "a", "sources": sources}]), service="", asked="none", cards=False)
    assert found["engine_socket"]["status"] == socket
    assert named(found, "does not apply") == ["samples", "headroom", "full_context", "ladder", "metrics"]
    assert found["ladder"]["reason"] == "the inventory has no service to watch (vram_watch_service none)"


def test_a_watcher_that_has_written_nothing_proves_nothing():
    assert named(rows(lambda seen: seen.update(status={})), "holds") == ["metrics", "engine_socket"]
