"""What is read of networks and seal, with a stand-in for the engine on a socket, and for nft and systemctl on the path."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import networks_info

UNIT = "protocol-omni-seal.service"
# As Docker 29 lists them, shortened, and as nft 1.0.6 prints tables.
NETWORKS = [
    {"Name": "bridge", "Id": "1", "Driver": "bridge", "Internal": False, "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}, "Options": {}},
    {"Name": "internal_brain", "Id": "2", "Driver": "bridge", "Internal": True, "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.31.0.0/16"}]},
     "Options": {"com.docker.network.bridge.name": "br-brain"}},
    {"Name": "none", "Id": "3", "Driver": "null", "Internal": False, "IPAM": {"Config": None}, "Options": None}]
OWNED = 'table inet bunker_seal { # progname python3\n\tcomment "5ea15ea15ea15ea1"\n\tflags owner\n\n\tchain forward {\n\t\tcomment "beef"\n\t}\n}\n'
STANDING = 'table inet bunker_seal_standing {\n\tcomment "5ea15ea15ea15ea1"\n\n\tchain forward {\n\t\tlog prefix "flags owner"\n\t}\n}\n'
STAND_INS = {
    "nft": '[ -e "$5-$4" ] || { echo "Error: No such file or directory" >&2; exit 1; }; cat "$5-$4"',
    "systemctl": 'case "$*" in *NeedDaemonReload*) cat loaded;; *docker.service) cat tie;; '
                 '*"ActiveState --value %s") echo active;; *) echo inactive;; esac' % UNIT,
}
# As systemctl show prints several units.
LOADED = "Id=docker.service\nStatusText=\nNeedDaemonReload=%s\n\nId=" + UNIT + "\nStatusText=rules 5ea1, program 42\nNeedDaemonReload=%s\n"


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the folder is where the stand-ins look."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text('#!/bin/sh\ncd "%s"\n%s\n' % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    for family in ("inet", "bridge"):
        for name, text in (("bunker_seal", OWNED), ("bunker_seal_standing", STANDING)):
            (tmp_path / ("%s-%s" % (name, family))).write_text(text.replace("inet", family), encoding="utf-8")
    (tmp_path / "tie").write_text("Requires=system.slice %s sysinit.target\nAfter=network-online.target %s\n" % (UNIT, UNIT), encoding="utf-8")
    (tmp_path / "loaded").write_text(LOADED % ("no", "no"), encoding="utf-8")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))

    def run(**given):
        parameters = dict({"names": ["internal_brain"], "unit": UNIT, "docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            networks_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    with engine_at(tmp_path / "docker.sock", {"/networks": NETWORKS}) as run.socket:
        yield run


def test_networks_tables_and_ties_are_read(look):
    found = look(names=["internal_brain", "gone", "none"])
    assert not found["changed"] and found["networks"] == [
        {"name": "internal_brain", "driver": "bridge", "internal": True, "ipv6": False, "subnet": "172.31.0.0/16", "bridge": "br-brain"},
        {"name": "none", "driver": "null", "internal": False, "ipv6": False, "subnet": "", "bridge": ""}]
    assert [(table["family"], table["name"], table["digest"], table["flags"], table["program"]) for table in found["tables"]] == [
        ("inet", "bunker_seal", "5ea15ea15ea15ea1", "owner", "python3"), ("inet", "bunker_seal_standing", "5ea15ea15ea15ea1", "", ""),
        ("bridge", "bunker_seal", "5ea15ea15ea15ea1", "owner", "python3"), ("bridge", "bunker_seal_standing", "5ea15ea15ea15ea1", "", "")]
    assert (found["state"], found["engine_ties"]) == ("active", ["Requires", "After"])


@pytest.mark.parametrize("record, unnamed", [
    ('["internal_brain", "none", "gone"]', ["none"]), ('["internal_brain"]', []), ("", []), ("{}", []), ('["none", 5]', ["none"]), (None, [])],
    ids=["one has left", "all are named", "empty", "no list", "no name", "of a host from before"])
def test_a_network_that_was_made_and_is_named_no_more_is_told(look, record, unnamed):
    """What the engine has and nobody recorded is somebody else's."""
    if record is not None:
        (look.folder / "networks.json").write_text(record, encoding="utf-8")
    assert look(record=str(look.folder / "networks.json"))["unnamed"] == unnamed


def test_the_tables_comment_and_no_rules_own_counts(look):
    (look.folder / "bunker_seal-inet").write_text(OWNED.replace('\tcomment "5ea15ea15ea15ea1"\n', "", 1), encoding="utf-8")
    assert look()["tables"][0]["digest"] == ""


def test_what_is_not_there_is_told_as_absent(look):
    (look.folder / "bunker_seal_standing-bridge").unlink()
    (look.folder / "tie").write_text("Requires=sysinit.target\nAfter=%s.d other-%s\n" % (UNIT, UNIT), encoding="utf-8")
    found = look(names=["gone"])
    assert found["networks"] == [] and found["engine_ties"] == []
    assert found["tables"][3] == {"family": "bridge", "name": "bunker_seal_standing", "digest": "", "flags": "", "program": ""}


def test_a_host_without_nft_and_systemd_has_no_seal(look, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = look()
    assert not any(table["digest"] or table["flags"] or table["program"] for table in found["tables"]) and found["state"] == "" and not found["engine_ties"]
    assert len(found["networks"]) == 1


@pytest.mark.parametrize("host, words", [
    ("unix:///nowhere/docker.sock", "no Docker engine answers at /nowhere/docker.sock"), ("tcp://127.0.0.1:2375", "is not a Unix socket")])
def test_an_engine_that_does_not_answer_is_an_error_with_a_remedy(look, host, words):
    found = look(docker_host=host)
    assert found["failed"] and words in found["msg"] and found["msg"].startswith("The networks were not read: ")


def test_an_engine_in_trouble_is_told_with_its_words(look):
    with engine_at(look.folder / "ill.sock", {"/networks": (500, {"message": "no space left on device"})}) as socket:
        assert "the engine answered 500 to /networks" in look(docker_host="unix://%s" % socket)["msg"]
        assert "no space left on device" in look(docker_host="unix://%s" % socket)["msg"]


OLD = {"Name": "old", "Id": "4", "Driver": "bridge", "Internal": True, "IPAM": {"Config": [{"Subnet": "172.28.7.0/24"}]},
       "Options": {"com.docker.network.bridge.name": "br-third"}}
AROUND = [{"Id": "a" * 64, "Names": ["/somebody"], "Labels": {}, "State": "running", "NetworkSettings": {"Networks": {"old": {"IPAddress": "172.28.7.9"}}}},
          {"Id": "b" * 64, "Names": ["/oracle"], "Labels": {"protocol_omni.bunker.definition": "1"}, "State": "running",
           "NetworkSettings": {"Networks": {"old": {"IPAddress": "172.28.7.10"}}}}]


@pytest.mark.parametrize("wanted, in_the_way", [
    ({"name": "new", "bridge": "br-third", "subnet": "172.28.9.0/24"}, ["old"]), ({"name": "new", "bridge": "br-new", "subnet": "172.28.0.0/16"}, ["old"]),
    ({"name": "new", "bridge": "br-new", "subnet": "172.28.9.0/24"}, [])], ids=["its bridge", "its subnet", "neither"])
def test_a_network_that_leaves_is_in_the_way_of_one_with_its_bridge_or_its_subnet(look, wanted, in_the_way):
    """Who is on it and is not ours is told: the engine makes no second one there, and nobody else's container is taken off."""
    (look.folder / "networks.json").write_text('["old", "internal_brain"]', encoding="utf-8")
    with engine_at(look.folder / "second.sock", {"/networks": NETWORKS + [OLD], "/containers/json?all=1": AROUND}) as socket:
        found = look(names=["internal_brain", "new"], docker_host="unix://%s" % socket, record=str(look.folder / "networks.json"),
                     definitions=[{"name": "internal_brain", "bridge": "br-brain", "subnet": "172.31.0.0/16"}, wanted])
    assert (found["in_the_way"], found["on_them"]) == (in_the_way, ["somebody on old"] if in_the_way else [])


def test_what_nobody_recorded_is_in_nobodys_way(look):
    """Preflight names the subnet of a network that is somebody else's."""
    with engine_at(look.folder / "second.sock", {"/networks": NETWORKS + [OLD], "/containers/json?all=1": AROUND}) as socket:
        assert look(docker_host="unix://%s" % socket, definitions=[{"name": "new", "bridge": "br-third", "subnet": "172.28.7.0/24"}])["in_the_way"] == []


BRAIN = {"name": "internal_brain", "bridge": "br-brain", "subnet": "172.31.0.0/16", "internal": True}


@pytest.mark.parametrize("other, differing", [
    ({}, []), ({"name": "new"}, ["new"]), ({"bridge": "br-other"}, ["internal_brain"]), ({"subnet": "172.31.0.0/24"}, ["internal_brain"]),
    ({"internal": False}, ["internal_brain"])], ids=["as it is to be", "is not there", "another bridge", "another subnet", "with a way out"])
def test_networks_that_are_to_be_made_are_told(look, other, differing):
    assert look(definitions=[dict(BRAIN, **other)])["differing"] == differing


@pytest.mark.parametrize("other", [{"EnableIPv6": True}, {"Driver": "macvlan"}])
def test_a_network_of_another_kind_is_made_anew(look, other):
    with engine_at(look.folder / "second.sock", {"/networks": [dict(NETWORKS[1], **other)]}) as socket:
        assert look(docker_host="unix://%s" % socket, definitions=[BRAIN])["differing"] == ["internal_brain"]


@pytest.mark.parametrize("engine, seal, needs", [("no", "no", False), ("yes", "no", True), ("no", "yes", True)])
def test_what_the_seal_says_is_in_force_and_whether_systemd_has_read_its_files(look, engine, seal, needs):
    (look.folder / "loaded").write_text(LOADED % (engine, seal), encoding="utf-8")
    found = look()
    assert (found["status"], found["needs_reload"]) == ("rules 5ea1, program 42", needs)


def test_an_engine_that_is_not_there_yet_has_no_networks_for_whoever_makes_them(look):
    found = look(docker_host="unix:///nowhere/docker.sock", definitions=[BRAIN], to_be_made=True)
    assert (found["networks"], found["differing"], found["recorded"]) == ([], ["internal_brain"], [])


@pytest.mark.parametrize("record, names", [('["old"]\n', ["old"]), ("", []), ("[]", []), ('["old", 5]', None), ("{}", None), ('["old"', None)])
def test_a_record_that_is_none_is_not_written_anew(look, record, names):
    """What was made here is known by it alone."""
    (look.folder / "networks.json").write_text(record, encoding="utf-8")
    found = look(record=str(look.folder / "networks.json"), to_be_made=True)
    if names is None:
        assert found["failed"] and "networks.json is no JSON list of names" in found["msg"] and "remove it" in found["msg"]
    else:
        assert found["recorded"] == names
