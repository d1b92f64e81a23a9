"""The claims of a pool: each holds of what is right and fails of what is not."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import pool
from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import survey
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

CATALOGUE = collection_roles.claim_catalogue("pool")
WANTED = {"enabled": True, "member": True, "servers": ["model_oracle/north", "any/north"], "address": "10.0.0.9/24"}
# As HAProxy 2.6 answers, its columns shortened.
STATISTICS = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,
door,FRONTEND,,,0,1,4096,9,1,1,0,0,0,,,,,OPEN,,
model_oracle,north,0,0,0,1,64,9,1,1,,0,,0,0,0,0,%s,100,
model_oracle,BACKEND,0,0,0,1,410,9,1,1,0,0,,0,0,0,0,UP,100,
any,north,0,0,0,0,64,0,0,0,,0,,0,0,0,0,UP,100,
gateway,gateway,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,

"""


def seen(state="UP", **changes):
    return {"due": "", "stranger": "refused", "servers": survey.servers(STATISTICS % state),
            "address": {"state": "active", "why": "", "here": False}, **changes}


def judged(wanted, found):
    results = pool.results(wanted, found)
    assert list(results) == list(CATALOGUE)
    return {name[len("pool."):]: claims.judge(name, CATALOGUE[name], result)["status"] for name, result in results.items()}


@pytest.mark.parametrize("state", ["UP", "DRAIN (agent)", "UP 1/2"])
def test_they_hold_of_a_pool_that_is_whole(state):
    assert set(judged(WANTED, seen(state)).values()) == {"holds"}


@pytest.mark.parametrize("changes, failing", [
    ({"due": "it ends within 30 days"}, "certificate"), ({"stranger": "let in"}, "doors_alone"), ({"stranger": "not asked: refused"}, "doors_alone"),
    ({"address": {"state": "failed", "why": "", "here": False}}, "address"), ({"address": {"state": "", "why": "", "here": False}}, "address"),
    ({"address": {"state": "active", "why": "timed out", "here": False}}, "address"),
    ({"state": "DOWN"}, "members"), ({"state": "MAINT"}, "members"), ({"servers": []}, "members"),
    ({"servers": survey.servers(STATISTICS % "UP") + [{"backend": "any", "name": "west", "state": "UP"}]}, "members")])
def test_one_fails_of_what_is_wrong(changes, failing):
    assert [name for name, status in judged(WANTED, seen(**changes)).items() if status == "fails"] == [failing]


def test_they_do_not_apply_where_there_is_no_pool():
    assert set(judged({"enabled": False}, {"skipped": True}).values()) == {"does not apply"}


def test_what_a_host_is_not_is_not_claimed_of_it():
    assert judged(dict(WANTED, member=False), seen(stranger=""))["doors_alone"] == "does not apply"
    assert judged(dict(WANTED, servers=[]), seen(servers=[]))["members"] == "does not apply"
    assert judged(dict(WANTED, address=""), seen(address={}))["address"] == "does not apply"


def test_an_answer_that_is_none_has_no_servers():
    assert survey.servers("") == [] and survey.statistics("/nonexistent/admin.sock") == ""
