"""What is read of the watcher, with stand-ins for the engine, its metrics, systemctl, ss and its ansible-playbook."""
import json
import time

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at
from http_stand_in import http_at

from ansible_collections.protocol_omni.bunker.plugins.modules import vram_watch_info

UNIT = "protocol-omni-vram-watch.service"
# As Docker 29 lists them, shortened: a volume has no source there, and what another container links to has two names.
CONTAINERS = [
    {"Id": "a1", "Names": ["/executor/helper", "/helper"], "State": "exited",
     "Mounts": [{"Type": "bind", "Source": "/run", "Destination": "/host/run", "Mode": "", "RW": True, "Propagation": "rprivate"},
                {"Type": "volume", "Name": "data", "Source": "", "Destination": "/data", "Driver": "local"}]},
    {"Id": "b2", "Names": ["/oracle"], "State": "running", "Mounts": [{"Type": "bind", "Source": "/srv/models", "Destination": "/models", "RW": False}]},
    {"Id": "c3c3c3c3c3c3c3c3", "Names": None, "State": "removing"}]
METRICS = "# HELP bunker_rung Which.\n# TYPE bunker_rung gauge\nbunker_rung{service=\"oracle\"} 0\nbunker_latched 0\nother_bunker_series 1\n"
STAND_INS = {
    "systemctl": 'case "$*" in "is-active %s") echo active;; "is-enabled %s") echo enabled;; *) echo inactive; exit 3;; esac' % (UNIT, UNIT),
    "ss": "cat sockets",
    "ansible-playbook": 'echo "$LC_ALL $ANSIBLE_NOCOLOR $ANSIBLE_COLLECTIONS_PATH $*" > ran; cat said; exit $(cat rc)',
}


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the folder is where the stand-ins look."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text('#!/bin/sh\ncd "%s"\n%s\n' % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    texts = {"unit": "[Service]\nEnvironment=PYTHONPATH=/opt/collections PYTHONUNBUFFERED=1\nExecStart=%s/bin/python /opt/watch.py s.json\n" % tmp_path,
             "status": '{"read_at": 5, "latched": ""}', "said": "\nplaybook: /opt/contingency.yml\n\n", "rc": "0"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))

    def run(**given):
        parameters = dict({"unit": UNIT, "unit_path": str(tmp_path / "unit"), "status_path": str(tmp_path / "status"), "metrics_port": run.server.port,
                           "docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            vram_watch_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    with engine_at(tmp_path / "docker.sock", {"/containers/json?all=1": CONTAINERS}) as run.socket, http_at({"/metrics": METRICS}) as run.server:
        (tmp_path / "sockets").write_text("".join("%s LISTEN 0 5 %s:%d 0.0.0.0:*\n" % (protocol, address, port) for protocol, address, port in (
            ("tcp", "127.0.0.1", run.server.port), ("udp", "0.0.0.0", run.server.port), ("tcp", "[::]", 22))), encoding="utf-8")
        yield run


def test_unit_status_metrics_play_and_mounts_are_read(look):
    found = look()
    assert not found["changed"] and (found["state"], found["enabled"], found["status"]) == ("active", "enabled", {"read_at": 5, "latched": ""})
    assert (found["listening"], found["series"]) == (["127.0.0.1:%d" % look.server.port], 2)
    assert found["play"] == {"rc": 0, "said": "playbook: /opt/contingency.yml"} and found["engine"] == ""
    assert found["containers"] == [{"name": "helper", "sources": ["/run"]}, {"name": "oracle", "sources": ["/srv/models"]},
                                   {"name": "c3c3c3c3c3c3", "sources": []}]
    assert abs(found["now"] - time.time()) < 60


def test_the_play_is_checked_in_the_watchers_environment(look):
    look()
    assert (look.folder / "ran").read_text(encoding="utf-8").strip() == (
        "C.UTF-8 1 /opt/collections --syntax-check -i localhost, /opt/collections/ansible_collections/protocol_omni/bunker/playbooks/contingency.yml")


def test_a_play_that_cannot_be_read_is_told_with_its_words(look):
    (look.folder / "said").write_text("[WARNING]: old\nERROR! the role 'x' was not found\n\n", encoding="utf-8")
    (look.folder / "rc").write_text("4", encoding="utf-8")
    assert look()["play"] == {"rc": 4, "said": "ERROR! the role 'x' was not found"}


@pytest.mark.parametrize("unit, said", [
    ("", "names no Python and no collections"), ("[Service]\nExecStart=/opt/bin/python x\n", "names no Python and no collections"),
    ("[Service]\nEnvironment=PYTHONPATH=/opt\nExecStart=/nowhere/bin/python x\n", "No such file or directory")], ids=["empty", "another's", "removed"])
def test_a_watcher_without_its_ansible_is_told(look, unit, said):
    (look.folder / "unit").write_text(unit, encoding="utf-8")
    found = look()["play"]
    assert found["rc"] == 127 and said in found["said"]


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_status_that_cannot_be_read_is_none(look, content):
    if content is not None:
        (look.folder / "status").write_text(content, encoding="utf-8")
    assert look(**({} if content is not None else {"status_path": "/nowhere"}))["status"] == {}


def test_a_host_without_any_of_it_has_none(look, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = look(metrics_port=1, docker_host="unix:///nowhere/docker.sock")
    assert (found["state"], found["enabled"], found["listening"], found["series"], found["containers"]) == ("", "", [], 0, [])
    assert "no Docker engine answers at /nowhere/docker.sock" in found["engine"]
