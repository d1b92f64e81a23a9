"""Each claim of the role observability holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import observability
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

RULE = {"alert": "Little", "expr": "a <\n  b", "for": "60s", "labels": {"severity": "warning"},
        "annotations": {"summary": "{{ $value }} is little", "description": "Look\nwho has it."}}
AT_ONCE = {"alert": "None", "expr": "a == 0", "labels": {"severity": "critical"}, "annotations": {"summary": "none", "description": "Run."}}
WANTED = {"enabled": True, "ports": [9100, 9090], "digest": "d16e57d16e57d16e57", "groups": [{"name": "bunker", "rules": [RULE, AT_ONCE]}],
          "targets": [{"job": "node", "address": "127.0.0.1:9100"}, {"job": "services", "service": "oracle", "address": "172.30.0.10:8000"}]}
SEEN = {
    "listening": ["127.0.0.1:9090", "127.0.0.1:9100"], "reloaded": True, "configuration": "external_labels:\n  configuration: d16e57d16e57d16e57\n",
    "targets": [{"job": "services", "service": "oracle", "address": "172.30.0.10:8000", "health": "up"},
                {"job": "node", "service": "", "address": "127.0.0.1:9100", "health": "up"}],
    "rules": [{"name": "Little", "query": "a < b", "duration": "60s", "severity": "warning", "summary": "{{ $value }} is little",
               "description": "Look who has it.", "health": "ok"},
              {"name": "None", "query": "a == 0", "duration": "0s", "severity": "critical", "summary": "none", "description": "Run.", "health": "ok"}]}


def rows(change=lambda seen: None, **wanted):
    """Claim id to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    catalogue = collection_roles.claim_catalogue("observability")
    return {name: claims.judge(name, catalogue[name], result) for name, result in observability.results(dict(WANTED, **wanted), seen).items()}


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert list(found) == list(collection_roles.claim_catalogue("observability"))
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    assert {name: (row["expected"], row["observed"]) for name, row in rows().items()} == {
        "observability.local": ("127.0.0.1:9090, 127.0.0.1:9100",) * 2,
        "observability.targets": ("node 127.0.0.1:9100 up, services oracle 172.30.0.10:8000 up",) * 2,
        "observability.rules": ("2 rules of the role, all evaluated, configuration d16e57d16e57d16e loaded",
                                "2 rules, of another text: none, not evaluated: none, that configuration loaded")}


@pytest.mark.parametrize("claim, change, observed", [
    ("local", lambda seen: seen["listening"].append("*:9093"), "127.0.0.1:9090, 127.0.0.1:9100, *:9093"),
    ("local", lambda seen: seen.update(listening=["*:9100", "127.0.0.1:9090"]), "*:9100, 127.0.0.1:9090"),
    ("local", lambda seen: seen.update(listening=[]), "nothing listens"),
    ("targets", lambda seen: seen["targets"][0].update(health="down"), "node 127.0.0.1:9100 up, services oracle 172.30.0.10:8000 down"),
    ("targets", lambda seen: seen["targets"].pop(), "services oracle 172.30.0.10:8000 up"),
    ("targets", lambda seen: seen["targets"].append(dict(seen["targets"][1], address="127.0.0.1:9200")), None),
    ("targets", lambda seen: seen["targets"][0].update(service="executor"), None),
    ("targets", lambda seen: seen.update(targets=[]), "Prometheus does not answer"),
    ("rules", lambda seen: seen["rules"][0].update(query="a < c"),
     "2 rules, of another text: Little, not evaluated: none, that configuration loaded"),
    ("rules", lambda seen: seen["rules"][0].update(duration="30s"), None), ("rules", lambda seen: seen["rules"][1].update(severity="warning"), None),
    ("rules", lambda seen: seen["rules"][0].update(summary="little"), None), ("rules", lambda seen: seen["rules"][0].update(description="Look"), None),
    ("rules", lambda seen: seen["rules"].pop(), "1 rules, of another text: none, not evaluated: none, that configuration loaded"),
    ("rules", lambda seen: seen["rules"][1].update(health="err"), "2 rules, of another text: none, not evaluated: None, that configuration loaded"),
    ("rules", lambda seen: seen.update(configuration="external_labels: {}"),
     "2 rules, of another text: none, not evaluated: none, another configuration loaded"),
    ("rules", lambda seen: seen.update(reloaded=False), "2 rules, of another text: none, not evaluated: none, another configuration loaded")],
    ids=["one more listens", "on every address", "nobody listens", "one is down", "one is missing", "one too many", "of another service", "no Prometheus",
         "another expression", "another time", "another severity", "another summary", "another description", "one rule less", "not evaluated",
         "another configuration", "refused"])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert [name for name, row in found.items() if row["status"] == "fails"] == ["observability." + claim]
    assert observed is None or found["observability." + claim]["observed"] == observed


def test_a_host_on_which_nothing_runs_fails_in_all():
    found = rows(lambda seen: seen.update(listening=[], targets=[], rules=[], configuration="", reloaded=False))
    assert {row["status"] for row in found.values()} == {"fails"}


def test_an_inventory_that_asks_for_none_of_it_claims_nothing():
    catalogue = collection_roles.claim_catalogue("observability")
    found = {name: claims.judge(name, catalogue[name], result) for name, result in observability.results({"enabled": False}, {"skipped": True}).items()}
    assert list(found) == list(catalogue)
    assert {(row["status"], row["reason"]) for row in found.values()} == {("does not apply", "observability_enabled is false")}


def test_no_targets_and_no_rules_prove_nothing():
    found = rows(lambda seen: seen.update(targets=[], rules=[]), targets=[], groups=[])
    assert [name for name, row in found.items() if row["status"] == "fails"] == ["observability.targets", "observability.rules"]
