"""What is read of the services that a host has, with a stand-in for the engine on a socket."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import deployed_info

LABEL = "protocol_omni.bunker.definition"
UNIT = "[Service]\nExecStart=/usr/bin/docker run --label %s=0123abcd --name %%s\n" % LABEL
CONTAINERS = [{"Names": ["/scribe"], "State": "running", "Labels": {LABEL: "0123abcd"}, "NetworkSettings": {"Networks": {}}}]


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module on a host with three services, two of which have a unit; returns what it printed."""
    for folder in ("units", "services"):
        (tmp_path / folder).mkdir()
    for name in ("oracle", "scribe"):
        (tmp_path / "units" / ("protocol-omni-%s.service" % name)).write_text(UNIT % name, encoding="utf-8")
    (tmp_path / "units" / "protocol-omni-seal.service").write_text("ExecStart=/bin/true\n", encoding="utf-8")
    (tmp_path / "units" / "protocol-omni-gone.service").symlink_to("/dev/null")
    for name in ("oracle", "executor"):
        (tmp_path / "services" / (name + ".json")).write_text("{}", encoding="utf-8")

    def run(names, **given):
        parameters = dict({"names": names, "folder": str(tmp_path / "services"), "label": LABEL, "units": str(tmp_path / "units"),
                           "docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            deployed_info.main()
        return json.loads(capsys.readouterr().out)
    with engine_at(tmp_path / "docker.sock", {"/containers/json?all=1": CONTAINERS}) as run.socket:
        yield run


def test_services_are_found_and_those_without_a_name_in_the_inventory_told(look):
    found = look(["oracle"])
    assert not found["changed"] and found["engine"] == ""
    assert [(service["name"], service["unit"] != "", service["running"]) for service in found["services"]] == [
        ("executor", False, False), ("oracle", True, False), ("scribe", True, True)]
    assert [service["name"] for service in found["unnamed"]] == ["executor", "scribe"]
    assert found["containers"] == [{"name": "scribe", "ours": True, "running": True, "networks": {}}]


def test_a_second_name_of_a_unit_is_no_service_of_its_own(look, tmp_path):
    (tmp_path / "units" / "protocol-omni-main.service").symlink_to("protocol-omni-oracle.service")
    for name, place in (("linked", tmp_path / "linked.service"), ("moved", tmp_path / "units" / "moved.service")):
        place.write_text(UNIT % name, encoding="utf-8")
        (tmp_path / "units" / ("protocol-omni-%s.service" % name)).symlink_to(place)
    assert [service["name"] for service in look(["oracle"])["unnamed"]] == ["executor", "linked", "moved", "scribe"]


def test_a_container_of_others_with_the_name_of_a_service_is_told(look):
    assert look(["oracle", "scribe"])["taken"] == []
    assert look(["oracle"], label="another.label", units="/nowhere")["taken"] == []
    assert look(["scribe"], label="another.label", units="/nowhere")["taken"] == ["scribe"]


def test_a_host_that_was_never_deployed_to_has_none(look):
    found = look([], folder="/nowhere", units="/nowhere", docker_host="unix:///nowhere/docker.sock")
    assert (found["services"], found["unnamed"], found["containers"]) == ([], [], [])


def test_an_engine_that_does_not_answer_is_told_and_the_files_count_all_the_same(look):
    found = look(["oracle"], docker_host="unix:///nowhere/docker.sock")
    assert "no Docker engine answers at /nowhere/docker.sock" in found["engine"]
    assert [service["name"] for service in found["unnamed"]] == ["executor", "scribe"]
