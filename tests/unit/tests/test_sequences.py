"""The matrix of changes, the sequences that are drawn of it, and how two inventories of a host are compared; without a host."""
import ast
import re
import runpy
import sys

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "sequences"))
import changes  # noqa: E402
import comparing  # noqa: E402
import host_inventory  # noqa: E402
import play_matrix  # noqa: E402
import streams  # noqa: E402

MATRIX = changes.matrix()
SMALL = {"base": {"names": [{"name": "a", "port": 1}], "plain": 1, "map": {"x": 1}}, "kinds": [
    {"kind": "one", "roles": ["gateway"], "states": {"added": {"names": [{"name": "b", "port": 2}]}, "renamed": {"names": [{"name": "c", "port": 2}]}}},
    {"kind": "two", "roles": ["networks", "gateway"], "always": True, "states": {"changed": {"names": [{"name": "a", "port": 9}], "map": {"y": 2}}}},
    {"kind": "three", "roles": ["networks"]}]}


def test_the_matrix_has_forty_cells_and_each_says_what_happens_or_why_it_cannot():
    shown = [cell for _kind, _move, cell in changes.cells(MATRIX) if "never" not in cell]
    assert len(shown) >= 40
    for kind, move, cell in changes.cells(MATRIX):
        where = "%s: %s" % (kind["kind"], move)
        assert set(cell) <= {"requests", "asked", "becomes", "there", "gone", "says", "silent", "never", "tests"}, where
        assert cell.get("never") or cell["becomes"] and cell["requests"] in changes.REQUESTS, where
        assert "never" in cell or "tests" in cell or move == "removed" or move in kind["states"], where
        assert all(isinstance(word, str) for part in ("says", "silent") for pair in cell.get(part, []) for word in pair), where


@pytest.mark.parametrize("name", sorted({name for _kind, _move, cell in changes.cells(MATRIX) for name in cell.get("tests", [])}))
def test_a_test_that_the_matrix_names_exists(name):
    path, _separator, test = name.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert "def test_" in text and (not test or "def %s(" % test in text)


def test_the_page_is_made_of_the_matrix():
    made = runpy.run_path(str(ROOT / "docs" / "render_changes.py"))["render"]()
    page = (ROOT / "docs" / "changes.md").read_text(encoding="utf-8")
    # ./bunker records --mark says so where the code has changed since.
    assert made == page.replace(") (stale)", ")"), "run: python docs/render_changes.py"


def test_an_inventory_follows_from_the_states_alone():
    assert changes.variables(SMALL, {}) == SMALL["base"]
    both = changes.variables(SMALL, {"one": "added", "two": "changed"})
    assert both == {"names": [{"name": "a", "port": 9}, {"name": "b", "port": 2}], "plain": 1, "map": {"x": 1, "y": 2}}
    assert changes.variables(SMALL, {"one": "renamed"})["names"] == [{"name": "a", "port": 1}, {"name": "c", "port": 2}]
    assert SMALL["base"]["names"] == [{"name": "a", "port": 1}]


@pytest.mark.parametrize("states, word", [({"four": "added"}, "four"), ({"one": "changed"}, "absent, added, renamed")])
def test_a_state_that_nobody_wrote_is_refused(states, word):
    with pytest.raises(ValueError, match=word):
        changes.variables(SMALL, states)


def test_what_may_happen_follows_from_the_state():
    one, two, three = SMALL["kinds"]
    assert changes.moves(one, "absent") == [("added", "added")]
    assert changes.moves(one, "added") == [("renamed", "renamed"), ("removed", "absent")]
    assert changes.moves(one, "renamed") == [("removed", "absent")]
    assert changes.moves(two, "absent") == [("changed", "changed")] and changes.moves(two, "changed") == [("changed", "absent")]
    assert changes.moves(three, "absent") == []


def test_a_seed_draws_the_same_sequence_and_another_one_another():
    assert changes.sequence(MATRIX, 7) == changes.sequence(MATRIX, 7)
    assert len({str(changes.sequence(MATRIX, seed)) for seed in range(100)}) == 100
    drawn = changes.sequence(MATRIX, 3, states={"network": "added"}, only={"network"})
    assert len(drawn) == 5 and {kind for kind, _move, _states in drawn} == {"network"} and drawn[0][1] != "added"
    with pytest.raises(ValueError, match="three"):
        changes.sequence(SMALL, 1, only={"three"})


def test_the_roles_of_changes_come_in_the_order_of_the_site():
    assert changes.roles_of(SMALL, ["one", "two"]) == ["networks", "gateway"]
    order = "".join((ROOT / "playbooks/tasks" / name).read_text(encoding="utf-8") for name in ("provide.yml", "deploy.yml"))
    places = [re.search(r"name: protocol_omni\.bunker\.%s\n.*\n  tags: \[%s" % (role, role), order).start()
              for role in changes.roles_of(MATRIX, ["image", "network", "volume"]) if role != "inference_service"]
    assert len(places) == 3 and places == sorted(places)


RULESET = """table inet bunker_seal {
\tchain forward {
\t\tct state established counter packets 77 bytes 9 accept
\t\tdrop
\t}
}
# Warning: managed by iptables-nft
table ip filter {
\tchain B {
\t}
\tchain A {
\t}
}
"""


def test_tables_are_read_without_counters_and_the_engines_in_no_order():
    found = host_inventory.tables(RULESET)
    assert found["inet bunker_seal"] == [
        "table inet bunker_seal {", "chain forward {", "ct state established counter packets 0 bytes 0 accept", "drop", "}", "}"]
    assert found["ip filter"] == sorted(["table ip filter {", "chain B {", "}", "chain A {", "}", "}"])


def test_routes_and_links_of_containers_are_left_out():
    assert host_inventory.routes("172.28.7.0/24 dev br-third proto kernel linkdown \nfe80::/64 dev veth12 metric 256\n") == {
        "172.28.7.0/24 dev br-third proto kernel": ""}
    assert host_inventory.links("br-third  DOWN  172.28.7.1/24 fe80::1/64\nveth1@if2 UP fe80::2/64\neth0@if9 UP 10.0.0.2/24\n") == {
        "br-third": ["172.28.7.1/24"], "eth0": ["10.0.0.2/24"]}


def test_listeners_are_known_by_program_and_a_free_port_by_no_number():
    text = 'LISTEN 0 511 127.0.0.1:9180 0.0.0.0:* users:(("nginx",pid=9,fd=5),("nginx",pid=8,fd=5))\nLISTEN 0 5 [::1]:41234 [::]:* users:(("x",pid=1,fd=1))\n'
    assert host_inventory.listeners(text) == {"127.0.0.1:9180": ["nginx"], "[::1]:a free port": ["x"]}


def test_units_have_their_enablement_and_state():
    found = host_inventory.units("docker.service enabled enabled\na.service disabled enabled\n",
                                 "● docker.service loaded failed failed Docker\nb.scope loaded active running\n")
    assert found == {"docker.service": "enabled, failed", "a.service": "disabled, not loaded", "b.scope": "no file, active"}


def test_a_container_is_told_without_what_a_start_gives_it():
    one = {"Name": "/a", "Id": "f00", "Image": "sha256:1", "State": {"Status": "running", "Pid": 7}, "HostConfig": {"Binds": ["/x:/y"], "Privileged": False},
           "Config": {"Cmd": ["b"], "Env": ["Z=1", "A=2"], "Labels": {"l": "1"}},
           "NetworkSettings": {"Networks": {"n": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["f00", "b"], "EndpointID": "e"}}}}
    assert host_inventory.containers([one]) == {"a": {
        "image": "sha256:1", "command": ["b"], "entrypoint": None, "environment": ["A=2", "Z=1"], "labels": {"l": "1"}, "user": None, "state": "running",
        "networks": {"n": {"address": "10.0.0.9", "aliases": ["b"]}}, "host": {"Binds": ["/x:/y"]}}}


def test_files_are_told_by_what_is_in_them(tmp_path):
    (tmp_path / "a").write_text("one", encoding="ascii")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "b.pyc").write_text("", encoding="ascii")
    (tmp_path / "l").symlink_to("a")
    (tmp_path / "a").chmod(0o640)
    found = host_inventory.files([str(tmp_path), str(tmp_path / "none")])
    assert set(found) == {str(tmp_path), str(tmp_path / "a"), str(tmp_path / "l")}
    assert found[str(tmp_path / "l")] == "link to a"
    assert found[str(tmp_path / "a")].startswith("file 640 ")
    assert found[str(tmp_path / "a")].endswith(" 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed")  # echo -n one | sha256sum


def test_what_cannot_be_read_is_no_empty_part():
    with pytest.raises(RuntimeError, match="no such thing"):
        host_inventory.said("sh", "-c", "echo no such thing >&2; exit 3")


def test_a_difference_names_what_is_missing_besides_and_other():
    wanted = {"unit": {"protocol-omni-a": "enabled, active", "b": "x"}, "file": {"/etc/protocol_omni/gateway/operator.key": "file 1"}, "container": {}}
    found = {"unit": {"protocol-omni-a": "enabled, failed", "c": "x"}, "file": {"/etc/protocol_omni/gateway/operator.key": "file 2"}, "container": {}}
    assert comparing.difference(wanted, wanted) == []
    assert comparing.difference(wanted, found) == ["missing: unit b", "besides: unit c", "other: unit protocol-omni-a: enabled, failed, not enabled, active"]
    assert comparing.difference(wanted, {**wanted, "file": {}}) == ["missing: file /etc/protocol_omni/gateway/operator.key"]
    assert comparing.difference(wanted, {**wanted, "file": {**wanted["file"], "/var/lib/protocol_omni/x": "file"}}) == []
    assert comparing.what_differs({"a": ["1", "2"]}, {"a": ["2", "3"]}) == "a: without ['1'], with ['3']"


def test_two_hosts_are_compared_without_their_names_and_addresses():
    first, second = ({"listener": {address + ":8443": ["nginx"]}, "route": {"default via 10.0.0.1 src " + address: name}}
                     for address, name in (("10.0.0.5", "a-host"), ("10.0.0.6", "b-host")))
    assert comparing.difference(first, second) != []
    assert comparing.difference(comparing.elsewhere(first, "10.0.0.5", "a-host"), comparing.elsewhere(second, "10.0.0.6", "b-host")) == []


def test_the_inventory_runs_where_only_the_standard_library_is():
    tree = ast.parse((ROOT / "tests/sequences/host_inventory.py").read_text(encoding="utf-8"))
    imported = {alias.name for part in ast.walk(tree) if isinstance(part, ast.Import) for alias in part.names}
    assert "subprocess" in imported and imported <= sys.stdlib_module_names
    assert not [part for part in ast.walk(tree) if isinstance(part, ast.ImportFrom)]


@pytest.mark.parametrize("lines, outcome", [
    ([b"data: {}\n", b"\n", b"data: [DONE]\n", b"\n"], "ended"), ([b"data: {}\n", b"\n"], "broken"), ([], "broken"),
    ([b'data: {"error": {"message": "gone"}}\n', b"data: [DONE]\n"], "broken")])
def test_a_stream_that_ended_is_told_from_one_that_broke(lines, outcome):
    assert streams.ended(lines) == outcome


@pytest.mark.parametrize("ended, broken, refused, outcome", [(3, 0, 0, "kept"), (3, 1, 2, "cut"), (3, 0, 1, "refused"), (0, 0, 0, "none")])
def test_requests_are_judged_by_the_worst_of_them(ended, broken, refused, outcome):
    assert streams.judged({"ended": ended, "broken": broken, "refused": refused}) == outcome


@pytest.mark.parametrize("outcome, said, so", [
    ("kept", "kept", True), ("kept", "drained", True), ("refused", "drained", False), ("cut", "drained", False), ("refused", "kept", False),
    ("cut", "cut", True)])
def test_a_client_that_waits_for_a_drained_service_sees_that_its_answers_end_well(outcome, said, so):
    assert play_matrix.as_said(outcome, said) is so
