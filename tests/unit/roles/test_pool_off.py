"""An inventory of one host has nothing of a pool: no task of site.yml is the pool's, and the pool's own play leaves such a host alone."""
import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.module_utils import pool_rules

POOL, AGENT, ADDRESS = ("protocol-omni-pool%s.service" % name for name in ("", "-agent", "-address"))
DEFAULTS = rendering.read("pool", "defaults/main.yml")


def test_site_knows_nothing_of_it():
    for name in ("site", "tasks/judge", "tasks/provide", "tasks/deploy"):
        assert "protocol_omni.bunker.pool" not in (ROOT / ("playbooks/%s.yml" % name)).read_text(encoding="utf-8")
    assert "protocol_omni.bunker.pool" in (ROOT / "playbooks/pool.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["demo", "omni_prime"])
def test_no_sample_inventory_asks_for_it(name):
    variables = yaml.safe_load((ROOT / "inventory" / name / "group_vars/all/bunker.yml").read_text(encoding="utf-8"))
    assert [variable for variable in variables if variable.startswith("pool_")] == []


def test_it_is_off_unless_somebody_asks_for_it():
    belong = rendering.task("pool", "tasks/main.yml", "Belong to the pool")
    leave = rendering.task("pool", "tasks/main.yml", "Belong to no pool")
    assert DEFAULTS["pool_enabled"] is False and pool_rules.check(DEFAULTS, "north", ["north"]) == []
    assert [rendering.holds("pool", task, {}) for task in (belong, leave)] == [False, True]
    assert rendering.holds("pool", belong, {"pool_enabled": True})


def test_a_host_that_never_belonged_to_one_has_nothing_to_stop():
    """What changes something there is done for units that were found, or removes files that may be absent."""
    absent = {"__pool_present": {"results": [{"item": "protocol-omni-pool.service", "stat": {"exists": False}}]}}
    for name in ("Stop them", "Remove them"):
        assert rendering.render("pool", rendering.task("pool", "tasks/stop.yml", name)["loop"], absent) == []
    forget = rendering.task("pool", "tasks/stop.yml", "Have systemd forget them")
    assert not rendering.holds("pool", forget, dict(absent, ansible_check_mode=False))


@pytest.mark.parametrize("written, states", [
    ([], {POOL: "reloaded", AGENT: "restarted", ADDRESS: "reloaded"}), ([ADDRESS], {POOL: "reloaded", AGENT: "restarted", ADDRESS: "restarted"}),
    ([POOL], {POOL: "restarted", AGENT: "restarted", ADDRESS: "reloaded"})])
def test_what_has_streams_or_the_address_is_reloaded_unless_its_unit_is_new(written, states):
    """A keepalived that is restarted gives the pool's address to the other door, which has none of the streams."""
    task = rendering.task("pool", "tasks/start.yml", "Do it")
    for loaded in ([], ["/etc/protocol_omni/pool/loaded"]):
        seen = {"__pool_loaded": {"written": loaded}, "__pool_written": {"written": ["/etc/systemd/system/" + name for name in written]}}
        found = {unit: rendering.render("pool", task["ansible.builtin.systemd_service"]["state"], {**task["vars"], **seen, "item": unit}) for unit in states}
        assert found == (states if loaded else dict.fromkeys(states, "started"))
