"""./bunker init: what of its command line reaches the playbook."""
import importlib.util
import json

import pytest
from support import ROOT

SPEC = importlib.util.spec_from_file_location("bunker_init", ROOT / "tools" / "init.py")
init = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(init)


def variables(*arguments):
    words = init.command(list(arguments))
    assert words[:2] == ["ansible-playbook", "-i"] and words[3] == str(ROOT / "playbooks" / "init.yml") and words[4] == "-e"
    return words[2], json.loads(words[5]), words[6:]


def test_a_host_becomes_an_inventory_of_its_name():
    name, found, further = variables("admin@omni.example", "--port", "2222", "--ask-become-pass")
    assert name == "omni-example," and further == ["--ask-become-pass"]
    assert found["init_folder"] == str(ROOT / "inventory" / "omni-example")
    assert found["init_connection"] == {"ansible_host": "omni.example", "ansible_user": "admin", "ansible_port": 2222}


def test_what_no_option_decides_is_asked_and_yes_asks_nothing():
    _name, found, _further = variables("192.0.2.7", "--name", "two", "--allow-reboot")
    assert found["init_ask"] is True and found["init_answers"] == {"gateway_address": "", "trust_keys": [], "allow_reboot": True}
    _name, found, _further = variables("192.0.2.7", "--yes", "--format-disk", "/dev/disk/by-id/a", "--format-disk", "/dev/disk/by-id/b")
    assert found["init_ask"] is False
    assert found["init_answers"]["format_disks"] == ["/dev/disk/by-id/a", "/dev/disk/by-id/b"]
    assert (found["init_answers"]["allow_reboot"], found["init_answers"]["upgrade_driver"]) == (False, False)


def test_a_fingerprint_may_be_written_as_people_do():
    assert variables("h", "--trust-key", "9d47 6862:39bd")[1]["init_answers"]["trust_keys"] == ["9D47686239BD"]


@pytest.mark.parametrize("host", ["a b", "root@", "-oProxyCommand=x", "x;y", "../x/"])
def test_what_is_no_host_is_refused(host, capsys):
    with pytest.raises(SystemExit):
        init.command(["--", host])
    assert "Write for example root@192.0.2.7" in capsys.readouterr().err
