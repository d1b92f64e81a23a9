"""What of an engine will do, with a stand-in for it on a socket."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import engine_answer


@pytest.fixture
def asked(tmp_path, capsys):
    """Runs the module with an engine of this version, None for none; returns what it printed."""
    def run(version, minimum="25.0", check_mode=False):
        answers = {"/version": {"Version": version}} if version is not None else {}
        with engine_at(tmp_path / "docker.sock", answers) as path:
            socket = str(path) if version is not None else str(tmp_path / "nobody.sock")
            with patch_module_args({"minimum": minimum, "docker_host": "unix://" + socket, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
                engine_answer.main()
        (tmp_path / "docker.sock").unlink()
        return json.loads(capsys.readouterr().out)
    return run


@pytest.mark.parametrize("version", ["25.0", "25.0.0", "26.1.5+dfsg1", "29.0.0-rc.1", "100.1"])
def test_an_engine_that_is_new_enough_will_do(asked, version):
    found = asked(version)
    assert (found["changed"], found["answers"], found["version"]) == (False, True, version)


@pytest.mark.parametrize("version, said", [
    ("24.0.9", "is 24.0.9; needed is 25.0 or newer"), ("9.0", "is 9.0; "), ("", "does not answer (it says no version)"), ("dev", "is dev; "),
    (None, "does not answer (no Docker engine answers at ")])
def test_one_that_is_too_old_or_silent_is_refused_but_predicted_in_check_mode(asked, version, said):
    refused = asked(version)
    assert refused["failed"] and said in refused["msg"] and refused["msg"].endswith("See: systemctl status docker")
    found = asked(version, check_mode=True)
    assert not found.get("failed") and (found["answers"], found["version"]) == (bool(version), version or "")
