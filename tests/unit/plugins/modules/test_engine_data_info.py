"""What engine_data_info says of configuration files as people leave them. The engine is not there; the files are a test's."""
import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import roots
from ansible_collections.protocol_omni.bunker.plugins.modules import engine_data_info


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Runs the module on files of these bytes; returns what it printed."""
    monkeypatch.setenv("PATH", "/nowhere")

    def run(daemon=b"", containerd=b"", journal=b"", **given):
        for constant, name, content in (("DAEMON_CONFIG", "daemon.json", daemon), ("CONTAINERD_CONFIG", "config.toml", containerd)):
            (tmp_path / name).write_bytes(content)
            monkeypatch.setattr(roots, constant, str(tmp_path / name))
        (tmp_path / "journal").write_bytes(journal)
        with patch_module_args(dict({"journal": str(tmp_path / "journal"), "containerd_root": str(tmp_path / "new")}, **given)), pytest.raises(SystemExit):
            engine_data_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    return run


def test_sound_files_have_no_problem(told):
    found = told(b'{"data-root": "/somewhere/docker"}', b'version = 2\nroot = "/somewhere/containerd"\n')
    assert [problem for problem in found["plan"]["problems"] if "line" in problem] == []
    assert found["sources"]["docker"]["root"] == "/somewhere/docker" and found["sources"]["containerd"]["root"] == "/somewhere/containerd"
    assert found["containerd"]["config"] == 'version = 2\nroot = "%s/new"\n' % told.folder


@pytest.mark.parametrize("daemon, containerd, parts", [
    (b"\xef\xbb\xbf{}", b"", ["daemon.json, line 1: found a byte order mark"]), (b"{\n// x\n}", b"", ["daemon.json, line 2: found a comment"]),
    (b'{"labels": ["\xe4"]}', b"", ["daemon.json, line 1: found the byte 0xe4"]), (b"[" * 100000, b"", ["daemon.json: found objects in objects"]),
    (b"", b"# K\xfcche\n", ["config.toml, line 1: found the byte 0xfc"]),
    (b"\xff\xfe{\0}\0", b"\xff", ["daemon.json, line 1: found UTF-16", "config.toml, line 1: found the byte 0xff"])])
def test_files_that_cannot_be_merged_into_are_problems_and_no_traceback(told, daemon, containerd, parts):
    problems = told(daemon, containerd)["plan"]["problems"]
    assert len(problems) >= len(parts) and all(part in problem for part, problem in zip(parts, problems))


@pytest.mark.parametrize("journal", [b"{", b"[]", b"\xff", b'{"state": "copying"}'])
def test_what_is_no_journal_is_said(told, journal):
    found = told(journal=journal)
    assert found["failed"] and "is no journal of a move" in found["msg"]


@pytest.mark.parametrize("daemon, merged, differs", [
    (b"", {"features": {"cdi": True}, "data-root": "/new"}, True), (b'{"features": {"cdi": true}, "data-root": "/new"}', None, False),
    (b'{"features": {"x": 1, "cdi": false}, "dns": ["192.0.2.1"]}', {"features": {"x": 1, "cdi": True}, "dns": ["192.0.2.1"], "data-root": "/new"}, True)])
def test_daemon_json_is_compared_with_the_options_that_are_wanted(told, daemon, merged, differs):
    found = told(daemon, options={"features": {"cdi": True}, "data-root": "/new"})["daemon"]
    assert (found["differs"], found["merged"]) == (differs, merged if merged else json.loads(daemon))


@pytest.mark.parametrize("ages, outdated", [((2, 2, 1), False), ((2, 2, None), False), ((2, 2, 2), False), ((0, 2, 1), True), ((2, 0, 1), True)],
                         ids=["started last", "none runs", "of one instant", "daemon.json is newer", "config.toml is newer"])
def test_an_engine_that_was_started_before_its_configuration_was_written_is_told(told, monkeypatch, ages, outdated):
    told(b"{}", b"")
    monkeypatch.setattr(engine_data_info, "PID_FILE", str(told.folder / "docker.pid"))
    for name, age in zip(("daemon.json", "config.toml", "docker.pid"), ages):
        if age is not None:
            (told.folder / name).touch()
            os.utime(told.folder / name, (10 ** 9 - age, 10 ** 9 - age))
    assert engine_data_info.outdated() is outdated
