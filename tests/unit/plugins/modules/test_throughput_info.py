"""What is read of measurements, with a stand-in for the engine on a socket."""
import fcntl
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import throughput_info

LABEL = "protocol_omni.bunker.bench"
CONTAINERS = [{"Id": "a", "Names": ["/bunker-bench-oracle"], "State": "exited", "Labels": {LABEL: "1"}},
              {"Id": "b", "Names": ["/oracle"], "State": "running", "Labels": {"other": LABEL}}]


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module and returns what it printed."""
    def run(**given):
        parameters = dict({"path": str(tmp_path / "fact"), "lock": str(tmp_path / "lock"), "label": LABEL, "docker_host": "unix://%s" % run.socket,
                           "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            throughput_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    with engine_at(tmp_path / "docker.sock", {"/containers/json?all=1": CONTAINERS}) as run.socket:
        yield run


def test_containers_of_measurements_are_told_and_no_others(look):
    found = look()
    assert not found["changed"] and (found["containers"], found["engine"], found["measuring"]) == (["bunker-bench-oracle"], "", False)
    assert found["measured"] == {} and found["fingerprint"]["threads"] == len(found["cpus"])


def test_a_measurement_that_is_being_made_holds_its_lock(look):
    with open(look.folder / "lock", "w", encoding="ascii") as lock:
        assert look()["measuring"] is False
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert look()["measuring"] is True


def test_the_engine_is_only_asked_where_a_label_is_named(look):
    assert {"containers", "engine", "measuring"} & set(look(label="", docker_host="unix:///nowhere")) == set()


def test_an_engine_that_does_not_answer_is_told(look):
    found = look(docker_host="unix:///nowhere/docker.sock")
    assert found["containers"] == [] and "no Docker engine answers at /nowhere/docker.sock" in found["engine"]
