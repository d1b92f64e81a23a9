"""What the measurements are set up from, with stand-ins for ss and systemctl on the path, for /proc, and for Prometheus on loopback."""
import json
import os
import pwd

import pytest
from ansible.module_utils.testing import patch_module_args
from http_stand_in import http_at

from ansible_collections.protocol_omni.bunker.plugins.modules import observability_inputs_info

ME = pwd.getpwuid(os.getuid())
UNIT = "protocol-omni-prometheus.service"
# Number of a process to its name and its unit.
PROCESSES = {"5120": ("prometheus", UNIT), "41": ("nginx", "nginx.service"), "42": ("python3", "user.slice")}


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed.

    :param ports: of Prometheus and of the exporter.
    """
    (tmp_path / "bin").mkdir()
    for pid, (name, unit) in PROCESSES.items():
        (tmp_path / "proc" / pid).mkdir(parents=True)
        (tmp_path / "proc" / pid / "comm").write_text(name + "\n", encoding="ascii")
        (tmp_path / "proc" / pid / "cgroup").write_text("0::/system.slice/%s\n" % unit, encoding="ascii")
    monkeypatch.setattr(observability_inputs_info, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(observability_inputs_info, "HOME", ME.pw_dir)
    monkeypatch.setattr(observability_inputs_info, "SHELL", ME.pw_shell)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))
    (tmp_path / "data").mkdir(mode=0o750)
    (tmp_path / "data").chmod(0o750)

    def run(ss="", reload="no", ports=(9090, 9100), **given):
        for name, printed in (("ss", ss), ("systemctl", "NeedDaemonReload=no\n\nNeedDaemonReload=%s\n" % reload)):
            (tmp_path / "bin" / name).write_text("#!/bin/sh\ncat <<'E'\n%sE\n" % printed, encoding="utf-8")
            (tmp_path / "bin" / name).chmod(0o755)
        parameters = dict({"ports": list(ports), "units": [UNIT], "user": ME.pw_name, "data_path": str(tmp_path / "data"),
                           "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            observability_inputs_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    return run


def listens(port, name, pid, protocol="tcp"):
    return '%s LISTEN 0 4096 127.0.0.1:%d 0.0.0.0:* users:(("%s",pid=%s,fd=7))\n' % (protocol, port, name, pid)


@pytest.mark.parametrize("ss, others", [
    ("", []), (listens(9090, "prometheus", 5120), []), (listens(9180, "nginx", 41), []), (listens(19090, "nginx", 41), []),
    (listens(9100, "nginx", 41, "udp"), []), (listens(9100, "nginx", 41), ["nginx (process 41)"]),
    (listens(9090, "python3", 42) + listens(9100, "nginx", 41) + listens(9090, "prometheus", 5120), ["nginx (process 41)", "python3 (process 42)"])],
    ids=["nobody", "our own", "another port", "a longer port", "UDP", "somebody", "two beside our own"])
def test_who_has_a_port_besides_our_units_is_named_and_refused(look, ss, others):
    assert look(ss)["others"] == others
    refused = look(ss, refuse=True)
    assert bool(refused.get("failed")) == bool(others)
    if others:
        assert refused["msg"].startswith("Port 9090 or 9100 is taken by %s. Choose other ports with observability_prometheus_port" % ", ".join(others))


@pytest.mark.parametrize("change, prepared", [
    (lambda look: {}, True), (lambda look: {"user": "no-such-user"}, False), (lambda look: {"data_path": str(look.folder / "none")}, False),
    (lambda look: (look.folder / "data").chmod(0o755) or {}, False), (lambda look: {"data_path": str(look.folder / "bin" / "ss")}, False)],
    ids=["as it is to be", "no user", "no folder", "another mode", "a file"])
def test_user_and_folder_are_compared_with_what_the_role_makes(look, change, prepared):
    assert look(**change(look))["prepared"] is prepared


def test_a_user_with_a_shell_is_another(look, monkeypatch):
    monkeypatch.setattr(observability_inputs_info, "SHELL", "/another")
    assert look()["prepared"] is False


@pytest.mark.parametrize("reload, needs", [("no", False), ("yes", True)])
def test_units_that_systemd_has_not_read_are_told(look, reload, needs):
    assert look(reload=reload)["needs_reload"] is needs


def test_what_prometheus_has_loaded_is_told_and_nothing_of_one_that_is_silent(look):
    with http_at({"/api/v1/status/config": json.dumps({"status": "success", "data": {"yaml": "global: {}\n"}})}) as server:
        assert look(ports=(server.port, 9100))["configuration"] == "global: {}\n"
    assert look(ports=(server.port, 9100))["configuration"] == ""
