"""The rolling change: playbooks/rolling.yml itself, run by ansible-playbook on local connections with the real role of the pool.

What it deploys and which claims it collects are stand-ins, which write down whose turn it is. No host is in a pool here, but for the order in which they come:
what a member's doors do meanwhile is shown by tests/integration/isolated/test_pool_rolling.py.
"""
import pytest
import yaml
from support import ROOT
from support.rolling_play import RollingPlay

NOWHERE, HERE = "203.0.113.9", "127.0.0.1"  # an address of no host, and one that this machine has
DOORS = [{"name": "b", "address": HERE}]
WRITE = """---
- name: Write down whose turn it is
  ansible.builtin.shell: echo {word} {{{{ inventory_hostname }}}} >> {log}

- name: Fail where the test says so
  ansible.builtin.fail: {{msg: "the {word} is bad"}}
  when: (inventory_hostname ~ ' {word}') in fails | default([])
"""


@pytest.fixture(name="rolling")
def of_stand_ins(tmp_path):
    """Runs the play on hosts, which are name to variables: (exit status, what was done in order, what was printed)."""
    log = tmp_path / "log"
    play = RollingPlay(tmp_path / "play", {word: WRITE.format(word=word, log=log) for word in ("deploy", "claims")})

    def run(hosts, *words, **variables):
        status, said = play.run(hosts, dict(variables, pool_doors=DOORS), {"_pool_hold": "%s/{{ inventory_hostname }}.hold" % tmp_path}, *words)
        return status, log.read_text(encoding="utf-8").splitlines() if log.exists() else [], said
    run.folder = tmp_path
    return run


def of_pool(address=NOWHERE):
    """A host that is in a pool, and neither a member nor, but for b, a door."""
    return {"pool_enabled": True, "pool_members": [], "pool_address": address}


def test_one_host_is_done_before_the_next_begins_and_the_present_door_is_the_last(rolling):
    (rolling.folder / "d.hold").write_text("held back by playbooks/rolling.yml\n", encoding="utf-8")
    (rolling.folder / "c.hold").write_text("by hand\n", encoding="utf-8")
    status, done, said = rolling({"a": {}, "b": of_pool(HERE), "c": of_pool(), "d": of_pool()})
    # d was left by a run that failed: nobody else goes before it is back.
    assert (status, done) == (0, ["%s %s" % (word, host) for host in "dacb" for word in ("deploy", "claims")]), said
    assert "WARNING" not in said


@pytest.mark.parametrize("word, left", [("deploy", ["deploy a"]), ("claims", ["deploy a", "claims a"])])
def test_it_stops_at_the_first_red_one_and_says_who_was_not_touched(rolling, word, left):
    status, done, said = rolling({"a": {}, "b": of_pool(HERE), "c": of_pool()}, fails=["a " + word])
    assert (status, done) == (2, left), said
    assert "the %s is bad" % word in said and "The rolling change stops at a. Not touched: c, b." in said.replace("\\n", "\n")


def test_a_host_out_of_reach_stops_it_before_the_first_changes(rolling):
    status, done, said = rolling({"a": {}, "b": dict(of_pool(HERE), ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1)})
    assert (status != 0, done) == (True, []), said


def test_a_part_is_refused(rolling):
    status, done, said = rolling({"a": {}}, "--tags", "networks")
    assert (status != 0, done) == (True, []) and "a host that nobody has proven would be let in, so nothing was changed" in " ".join(said.split()), said


def test_what_it_predicts_proves_no_claims(rolling):
    # Claims that would fail: what has not been deployed yet does not hold yet.
    status, done, said = rolling({"a": {}}, "--check", fails=["a claims"])
    assert (status, done) == (0, []), said


def test_it_deploys_and_proves_what_site_does():
    """The same files of tasks, so that a host deployed by the one is as one deployed by the other."""
    def imported(name):
        def found(tasks):
            for task in tasks:
                yield from [task["ansible.builtin.import_tasks"]] if "ansible.builtin.import_tasks" in task else []
                yield from found(task.get("block", []))
        return [path for play in yaml.safe_load((ROOT / "playbooks" / name).read_text(encoding="utf-8")) for path in found(play.get("tasks", []))]
    assert imported("rolling.yml") == imported("site.yml") + imported("verify.yml") == ["tasks/deploy.yml", "tasks/claims.yml"]
