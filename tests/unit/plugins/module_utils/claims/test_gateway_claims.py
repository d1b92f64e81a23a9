"""Each claim of the role gateway holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import gateway
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

USER = "protocol-omni-gateway"
WANTED = {"listen": ["0.0.0.0:8080", "127.0.0.1:9180"], "holders": ["operator", "alice"], "routes": ["oracle", "executor"], "user": USER,
          "services": [{"name": "oracle", "address": "", "port": 8000}, {"name": "executor", "address": "127.0.0.1", "port": 8002}]}
DOORS = (("/health", "none", 200), ("/v1/models", "none", 401), ("/v1/models", "wrong", 401), ("/slots", "operator", 404), ("/props", "operator", 404),
         ("/metrics", "operator", 404))
SEEN = {
    "listening": ["0.0.0.0:8080", "127.0.0.1:8002", "127.0.0.1:9180"], "ss": "", "loaded": "d16e57",
    "plan": {"digest": "d16e57", "holders": ["alice", "operator"], "routes": ["executor", "oracle"], "why": ""},
    "doors": [{"path": path, "key": key, "status": status, "why": ""} for path, key, status in DOORS],
    "answers": [{"service": name, "status": 200, "by": name, "answered": True, "why": ""} for name in ("oracle", "executor")],
    "files": [{"name": name, "owner": owner, "mode": mode} for name, owner, mode in (
        ("operator.key", "root", "600"), ("routes.json", "root", "640"), ("self_signed.key", USER, "600"), ("a provider's.key", USER, "400"))],
    "control": {"root": "yes", "others": "no", "says": {"oracle": 8192, "executor": 4096}, "thinks": {"executor": 4096, "oracle": 8192}}}
CATALOGUE = collection_roles.claim_catalogue("gateway")


def rows(change=lambda seen: None, **wanted):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name[len("gateway."):]: claims.judge(name, CATALOGUE[name], result)
            for name, result in gateway.results(dict(WANTED, **wanted), seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert ["gateway." + name for name in found] == list(CATALOGUE)
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    both = "oracle, executor; routes to executor, oracle"
    assert {name: (row["expected"], row["observed"]) for name, row in rows().items()} == {
        "door": ("0.0.0.0:8080, 127.0.0.1:8002, 127.0.0.1:9180",) * 2,
        "keys": ("refused (401) without a key and with a wrong one; keys of alice, operator, loaded", "401, 401; keys of alice, operator, loaded"),
        "routes": (both + ", and to nobody else", both), "narrow": ("/slots, /props and /metrics refused (404)", "404, 404, 404"),
        "secrets": ("operator.key root 600, routes.json root 640 (hashes), others of protocol-omni-gateway 600",
                    "operator.key root 600, routes.json root 640, self_signed.key protocol-omni-gateway 600, a provider's.key protocol-omni-gateway 400"),
        "control": ("root: yes, others: no",) * 2, "contexts": ('{"executor": 4096, "oracle": 8192}',) * 2}


def door(number, **changes):
    return lambda seen: seen["doors"][number].update(changes)


def of(part, **changes):
    return lambda seen: seen[part].update(changes)


def listens(address):
    return lambda seen: seen["listening"].append(address)


def file(number, **changes):
    return lambda seen: seen["files"][number].update(changes)


@pytest.mark.parametrize("claim, change, observed", [
    ("door", listens("172.29.0.2:8000"), "0.0.0.0:8080, 127.0.0.1:8002, 127.0.0.1:9180, 172.29.0.2:8000"),
    ("door", lambda seen: seen["listening"].pop(0), "127.0.0.1:8002, 127.0.0.1:9180"), ("door", lambda seen: seen["listening"].clear(), "nothing listens"),
    ("door", lambda seen: seen["listening"].__setitem__(0, "*:8080"), None),
    ("door", lambda seen: seen.update(listening=[], ss="ss: no such file"), "not observed: ss: no such file"),
    ("keys", door(1, status=200), "200, 401; keys of alice, operator, loaded"), ("keys", door(2, status=429), "401, 429; keys of alice, operator, loaded"),
    ("keys", door(2, status=None, why="timed out"), "401, no answer (timed out); keys of alice, operator, loaded"),
    ("keys", of("plan", holders=["alice", "mallory", "operator"]), "401, 401; keys of alice, mallory, operator, loaded"),
    ("keys", of("plan", holders=["operator"]), None), ("keys", lambda seen: seen.update(loaded="01d"), "401, 401; keys of alice, operator, not loaded"),
    ("routes", lambda seen: seen["answers"][1].update(answered=False), "oracle; routes to executor, oracle"),
    ("routes", lambda seen: seen["answers"][0].update(by="executor"), "executor, executor; routes to executor, oracle"),
    ("routes", lambda seen: [answer.update(answered=False, status=503) for answer in seen["answers"]], "none answered; routes to executor, oracle"),
    ("routes", lambda seen: [answer.update(answered=False, status=None, why="timed out") for answer in seen["answers"]], "not observed: timed out"),
    ("routes", of("plan", routes=["executor", "oracle", "scribe"]), "oracle, executor; routes to executor, oracle, scribe"),
    ("routes", of("plan", routes=["executor"]), "oracle, executor; routes to executor"),
    ("narrow", door(3, status=200), "200, 404, 404"), ("narrow", door(4, status=200), "404, 200, 404"), ("narrow", door(5, status=401), "404, 404, 401"),
    ("narrow", door(5, status=None, why="reset"), "404, 404, no answer (reset)"),
    ("secrets", file(0, mode="644"), None), ("secrets", file(0, owner=USER), None), ("secrets", file(1, mode="644"), None),
    ("secrets", file(1, owner=USER), None), ("secrets", file(2, mode="640"), None), ("secrets", file(3, owner="daemon"), None),
    ("secrets", file(2, owner="", mode=""), "operator.key root 600, routes.json root 640, self_signed.key is not there, "
                                            "a provider's.key protocol-omni-gateway 400"),
    ("secrets", lambda seen: seen["files"].clear(), "no file"),
    ("control", of("control", others="yes"), "root: yes, others: yes"),
    ("control", of("control", others="there is none"), "root: yes, others: there is none"),
    ("control", of("control", others="not tried: Operation not permitted"), "root: yes, others: not tried: Operation not permitted"),
    ("contexts", of("control", thinks={"oracle": 8192, "executor": None}), '{"executor": null, "oracle": 8192}'),
    ("contexts", of("control", thinks={"oracle": 8192}), '{"oracle": 8192}'),
    ("contexts", of("control", says={"oracle": 4096, "executor": 4096}), '{"executor": 4096, "oracle": 8192}')],
    ids=lambda value: None if callable(value) else value)
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim]
    assert observed is None or found[claim]["observed"] == observed


def test_a_context_that_neither_of_them_knows_is_none_that_agrees():
    nobody = {"oracle": None, "executor": 4096}
    found = rows(of("control", says=nobody, thinks=dict(nobody)))
    assert named(found, "fails") == ["contexts"]
    assert found["contexts"]["observed"] == '{"executor": 4096, "oracle": null}; oracle did not tell its own'


@pytest.mark.parametrize("failing, change", [
    (["keys"], lambda seen: [door.update(status=None, why="timed out") for door in seen["doors"][1:3]]),
    (["narrow"], lambda seen: [door.update(status=None, why="timed out") for door in seen["doors"][3:]]),
    (["control", "contexts"], lambda seen: seen["control"].update(root="timed out"))], ids=["no key", "no door", "no control socket"])
def test_what_does_not_answer_is_not_observed(failing, change):
    found = rows(change)
    assert named(found, "fails") == failing
    assert {found[name]["observed"] for name in failing} <= {"not observed: timed out", "root: timed out, others: no"}


def test_a_gateway_that_is_not_there_is_not_observed_and_holds_nowhere():
    def gone(seen):
        for row in seen["doors"] + seen["answers"]:
            row.update(status=None, why="Connection refused", by="", answered=False)
        for entry in seen["files"]:
            entry.update(owner="", mode="")
        seen.update(listening=[], loaded="", plan={"digest": "", "holders": [], "routes": [], "why": "FileNotFoundError: routes.json"},
                    control={"root": "No such file", "others": "there is none", "says": {"oracle": None, "executor": None}, "thinks": {}})
    found = rows(gone)
    assert named(found, "fails") == list(found)
    assert {name: row["observed"] for name, row in found.items()} == {
        "door": "nothing listens", "keys": "not observed: Connection refused", "routes": "not observed: Connection refused",
        "narrow": "not observed: Connection refused", "control": "root: No such file, others: there is none", "contexts": "not observed: No such file",
        "secrets": "operator.key is not there, routes.json is not there, self_signed.key is not there, a provider's.key is not there"}


def test_a_gateway_that_answers_by_a_plan_that_cannot_be_read_proves_neither_keys_nor_routes():
    found = rows(lambda seen: seen.update(loaded="", plan={"digest": "", "holders": ["alice", "operator"], "routes": ["executor", "oracle"], "why": "no JSON"}))
    assert named(found, "fails") == ["keys", "routes"]
    assert {found[name]["observed"] for name in ("keys", "routes")} == {"not observed: no JSON"}
    assert named(rows(lambda seen: seen.update(loaded="", plan=dict(SEEN["plan"], digest=""))), "fails") == ["keys"]


def test_an_inventory_without_services_has_a_door_and_no_routes():
    found = rows(lambda seen: (seen.update(answers=[], listening=WANTED["listen"]), seen["plan"].update(routes=[]), seen["control"].update(says={}, thinks={})),
                 services=[], routes=[])
    assert named(found, "does not apply") == ["routes", "contexts"] and named(found, "fails") == []
    assert found["routes"]["reason"] == "the inventory has no service"
