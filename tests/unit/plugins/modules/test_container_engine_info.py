"""What is read of the engine, with a stand-in for it on a socket and for docker and systemctl on the path."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import build_cache, roots
from ansible_collections.protocol_omni.bunker.plugins.modules import container_engine_info

# As buildx 0.13.1 prints it of Docker 26.1.5 on Debian 13, without its labels.
INSPECT = """\
Name:          default
Driver:        docker
Last Activity: 2026-11-30 05:30:12 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.13.3
GC Policy rule#0:
 All:           false
 Filters:       type==source.local,type==exec.cachemount,type==source.git.checkout
 Keep Duration: 48h0m0s
 Keep Bytes:    2.764GiB
GC Policy rule#1:
 All:           false
 Keep Duration: 1440h0m0s
 Keep Bytes:    20GiB
GC Policy rule#2:
 All:        false
 Keep Bytes: 20GiB
GC Policy rule#3:
 All:        true
 Keep Bytes: 20GiB
"""
STAND_INS = {
    "systemctl": 'case "$*" in "is-active docker.service") echo active;; *) echo 0;; esac',
    "docker": 'case "$*" in "buildx version") echo github.com/docker/buildx 0.13.1;; "buildx inspect default") cat inspect;; "info "*) echo /srv/docker;; esac',
}


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the folder is where the stand-ins look."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text('#!/bin/sh\ncd "%s"\n%s\n' % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "inspect").write_text(INSPECT, encoding="utf-8")
    (tmp_path / "daemon.json").write_text('{"data-root": "/etc/docker-data", "log-driver": "local"}', encoding="utf-8")
    monkeypatch.setattr(roots, "DAEMON_CONFIG", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(roots, "CONTAINERD_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))

    def run(**given):
        with patch_module_args(dict({"docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)), pytest.raises(SystemExit):
            container_engine_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    with engine_at(tmp_path / "docker.sock", {"/version": {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45"}}) as run.socket:
        yield run


def test_version_buildkit_options_and_roots_are_read(look):
    found = look()
    assert not found["changed"] and (found["version"], found["engine"], found["buildx"]) == ("26.1.5+dfsg1", "", "github.com/docker/buildx 0.13.1")
    assert found["cache_bounds"] == ["2.764G", "20G", "20G", "20G"]
    assert (found["options"], found["refused"]) == ({"data-root": "/etc/docker-data", "log-driver": "local"}, "")
    assert {name: (root["root"], root["running"], root["configured"], root["wanted"]) for name, root in found["roots"].items()} == {
        "docker": ("/srv/docker", "/srv/docker", "/etc/docker-data", "/etc/docker-data"),
        "containerd": ("/var/lib/containerd", None, "/var/lib/containerd", "/var/lib/containerd")}
    assert {root["mount"] for root in found["roots"].values()} <= {"/", "/srv", "/var", "/var/lib", "/var/lib/containerd", "/srv/docker"}


def test_links_to_a_wanted_root_are_followed(look):
    (look.folder / "link").symlink_to(look.folder / "bin")
    found = look(docker_root=str(look.folder / "link"), containerd_root="/nvme/containerd")
    assert (found["roots"]["docker"]["wanted"], found["roots"]["containerd"]["wanted"]) == (str((look.folder / "bin").resolve()), "/nvme/containerd")


def test_how_docker_28_calls_the_bound():
    assert build_cache.bounds("GC Policy rule#0:\n Reserved Space: 2GB\n Max Used Space: 20GB\n Min Free Space: 1GB\n") == ["20G"]
    assert build_cache.bounds("ERROR: no builder \"default\" found\n") == []


def test_a_configuration_that_cannot_be_read_is_told(look):
    (look.folder / "daemon.json").write_text("{\n// why\n}", encoding="utf-8")
    found = look()
    assert found["options"] == {} and "line 2: found a comment" in found["refused"]


def test_a_host_without_an_engine_has_none(look, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    (look.folder / "daemon.json").unlink()
    found = look(docker_host="unix:///nowhere/docker.sock")
    assert (found["version"], found["buildx"], found["cache_bounds"], found["options"], found["refused"]) == ("", "", [], {}, "")
    assert "no Docker engine answers at /nowhere/docker.sock" in found["engine"]
    assert [root["running"] for root in found["roots"].values()] == [None, None]
