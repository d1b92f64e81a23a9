"""From the inventory to the module that looks and to the claims: verify.yml of the roles that only join the two, rendered as a play would."""
import rendering
import yaml
from support import ROOT

DEMO = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
COMMON = {"bunker_config_path": "/etc/protocol_omni", "bunker_services": DEMO["bunker_services"]}


def asked(role, name, module, variables):
    """Arguments of the module that looks."""
    task = rendering.task(role, "tasks/verify.yml", name)
    return rendering.render(role, task["protocol_omni.bunker." + module], dict(COMMON, **variables), task.get("vars"))


def recorded(role, name, variables):
    """Claim id to observation."""
    task = rendering.task(role, "tasks/verify.yml", name)
    return rendering.render(role, task["protocol_omni.bunker.claim"]["results"], dict(COMMON, **variables), task.get("vars"))


def observability(**variables):
    """(arguments of the module, claims) of a host on which nothing runs."""
    variables = dict({"observability_enabled": True, "ansible_search_path": [str(ROOT / "roles/observability")],
                      "_observability_services": [{"job": "services", "service": "oracle", "address": "172.30.0.10:8000"}], "__observability_seen": {
                          "listening": [], "targets": [], "rules": [], "configuration": "", "reloaded": False}}, **variables)
    return (asked("observability", "Look at what is measured", "observability_info", variables),
            recorded("observability", "Record the claims of the measurements", variables))


def test_what_is_measured_is_handed_on():
    look, found = observability(vram_watch_service="none", gateway_metrics_port=9280, observability_scrape_interval=3)
    rules = yaml.safe_load((ROOT / "roles/observability/files/rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert look == {"endpoint": "http://127.0.0.1:9090", "targets": 3, "patience": 6}
    assert found["observability.local"]["expected"] == "127.0.0.1:9090, 127.0.0.1:9100"
    assert found["observability.targets"]["expected"] == "gateway 127.0.0.1:9280 up, node 127.0.0.1:9100 up, services oracle 172.30.0.10:8000 up"
    assert found["observability.rules"]["expected"].startswith("%d rules of the role, all evaluated, configuration " % len(rules))
    assert {row["holds"] for row in found.values()} == {False}


def test_nothing_is_looked_at_where_nothing_is_measured():
    variables = {"observability_enabled": False, "__observability_seen": {"skipped": True}}
    assert not rendering.holds("observability", rendering.task("observability", "tasks/verify.yml", "Look at what is measured"), variables)
    found = recorded("observability", "Record the claims of the measurements", variables)
    assert [row["does_not_apply"] for row in found.values()] == ["observability_enabled is false"] * 3
