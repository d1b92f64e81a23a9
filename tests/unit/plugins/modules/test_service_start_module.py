"""What is done to have a service run: stand-ins for systemctl and docker write down what they are told, one for llama-server answers on loopback."""
import http.server
import json
import threading

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import service_start

UNIT, LABEL = "protocol-omni-clerk.service", "protocol_omni.bunker.definition"
SYSTEMCTL = '''echo "systemctl $*" >> calls
case "$*" in
  *InvocationID*) echo 0ld;; *ActiveState*) cat state;; is-enabled*) [ -e enabled ];;
  daemon-reload) [ ! -e deaf ] || { echo "Refused." >&2; exit 1; };;
  start*|restart*) [ ! -e broken ] || { echo "Job for it failed." >&2; exit 1; };;
esac
'''
QUESTION = {"kind": "chat", "question": "Capital?", "expected_word": "Paris", "answer_tokens": 9, "thinking_tokens": 9, "width": 0}


class StandInServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer(self.server.health.pop(0) if len(self.server.health) > 1 else self.server.health[0], {})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, {"choices": [{"message": {"content": self.server.said}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}})

    def answer(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())


def container(label="same", networks=None, running=True):
    """What the engine knows of it: its own description and the list of all."""
    places = {name: {"IPAddress": address} for name, address in (networks or {"omni-network": "172.30.0.30"}).items()}
    labels = {LABEL: label} if label is not None else {}
    return {"/containers/clerk/json": {"Config": {"Labels": labels}},
            "/containers/json?all=1": [{"Names": ["/clerk"], "State": "running" if running else "exited", "Labels": labels,
                                        "NetworkSettings": {"Networks": places}}]}


@pytest.fixture
def start(tmp_path, monkeypatch, capsys):
    """Runs the module; ``run.calls`` has what would change something, ``run.folder`` what the stand-ins read."""
    for name, script in (("systemctl", SYSTEMCTL), ("docker", 'echo "docker $*" >> calls\n')):
        (tmp_path / name).write_text('#!/bin/sh\ncd "%s"\n%s' % (tmp_path, script), encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    for name, text in (("state", "active\n"), ("enabled", ""), ("calls", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInServer) as server, engine_at(tmp_path / "docker.sock", container()) as socket:
        server.health, server.said = [200], "Paris."
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def run(there=None, check=False, **given):
            run.engine.clear()
            run.engine.update(container() if there is None else there)
            parameters = dict({"name": "clerk", "unit": UNIT, "unit_is_new": False, "label": LABEL, "digest": "same", "patience": 0.3,
                               "networks": {"omni-network": "172.30.0.30"}, "docker_host": "unix://%s" % socket,
                               "question": dict(QUESTION, endpoint="http://127.0.0.1:%d" % server.server_port), "_ansible_check_mode": check}, **given)
            with patch_module_args(parameters), pytest.raises(SystemExit):
                service_start.main()
            run.calls = [line for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
                         if not line.startswith(("systemctl show", "systemctl is-enabled"))]
            return json.loads(capsys.readouterr().out)
        run.folder, run.server, run.warned = tmp_path, server, []
        monkeypatch.setattr(service_start.AnsibleModule, "warn", lambda self, text: run.warned.append(text))
        run.engine = {}
        with engine_at(tmp_path / "other.sock", run.engine) as socket:
            yield run
        server.shutdown()


def test_one_that_runs_as_it_is_written_is_asked_and_left_alone(start):
    found = start()
    assert (found["changed"], found["answered"], found["outdated"], found["made_by"], found["before"]) == (False, True, False, "same", "0ld")
    assert start.calls == []


@pytest.mark.parametrize("last, noted", [
    ({"holds": True, "definition": "same"}, True), ({"holds": False, "definition": "same"}, False), ({"holds": True, "definition": "other"}, False)])
def test_what_was_noted_of_its_speed_stands_as_long_as_it_is_good_and_nothing_is_started(start, last, noted):
    path = start.folder / "speed.json"
    path.write_text(json.dumps({"last": last}), encoding="utf-8")
    assert start(speed_path=str(path))["noted_speed"] == (last if noted else {})
    assert start(speed_path=str(path), unit_is_new=True)["noted_speed"] == {}
    (start.folder / "state").write_text("inactive\n", encoding="utf-8")
    assert start(speed_path=str(path), there={})["noted_speed"] == {}


def test_without_a_record_of_its_speed_nothing_is_told_of_it(start):
    assert start()["noted_speed"] == {} and start(speed_path=str(start.folder / "none.json"))["noted_speed"] == {}
    (start.folder / "damaged.json").write_text("{", encoding="utf-8")
    assert start(speed_path=str(start.folder / "damaged.json"))["noted_speed"] == {}


def test_a_new_unit_is_tied_and_started_anew(start):
    found = start(unit_is_new=True)
    assert found["changed"] and found["outdated"] and found["answered"]
    assert start.calls == ["systemctl daemon-reload", "systemctl reset-failed " + UNIT, "systemctl reenable " + UNIT, "systemctl restart " + UNIT]


def test_one_that_does_not_run_is_started(start):
    (start.folder / "state").write_text("inactive\n", encoding="utf-8")
    assert start(there={})["changed"]
    assert start.calls == ["systemctl daemon-reload", "systemctl reset-failed " + UNIT, "systemctl start " + UNIT]


def test_one_that_is_not_enabled_is(start):
    (start.folder / "enabled").unlink()
    assert start()["changed"] and start.calls == ["systemctl enable " + UNIT]


def test_it_leaves_a_further_network_and_runs_on(start):
    found = start(there=container(networks={"omni-network": "172.30.0.30", "bridge": "172.17.0.3"}))
    assert found["changed"] and found["disconnected"] == ["bridge"] and start.calls == ["docker network disconnect bridge clerk"]
    assert found["msg"] == "clerk: disconnected from bridge"
    assert start.warned == ["clerk is on networks that the inventory does not give it, and leaves them: bridge"]


def test_a_prediction_says_what_would_be_done(start):
    assert start(check=True, there=container(networks={"omni-network": "172.30.0.30", "bridge": "1"}))["msg"] == "clerk: would be disconnected from bridge"
    assert start(check=True, unit_is_new=True)["msg"] == "clerk: would be made anew"
    assert start(check=True)["msg"] == "clerk: runs as it is written"
    (start.folder / "enabled").unlink()
    (start.folder / "state").write_text("failed\n", encoding="utf-8")
    assert start(check=True, there={})["msg"] == "clerk: would be enabled and started"


def test_units_that_cannot_be_read_anew_stop_only_what_was_written_anew(start):
    # Whoever fails here goes back, and that stops the service: one that runs as it should is left alone.
    (start.folder / "deaf").touch()
    found = start(there={})
    assert not found.get("failed") and found["changed"] is False and found["answered"]
    found = start(unit_is_new=True)
    assert found["failed"] and found["msg"] == "systemd could not read its units anew: Refused."
    assert not [call for call in start.calls if "restart" in call]


def test_check_mode_predicts_and_does_nothing(start):
    for given in ({"unit_is_new": True}, {"there": container("other")}, {"there": container(networks={"omni-network": "172.30.0.30", "bridge": "1"})}):
        found = start(check=True, **given)
        assert found["changed"] and not found["answered"] and start.calls == []
    assert start(check=True)["changed"] is False and start(check=True)["answered"] is True


def test_a_start_that_fails_is_told_with_what_was_there(start):
    (start.folder / "broken").touch()
    found = start(there=container("other"))
    assert found["failed"] and found["msg"] == "Unable to restart service %s: Job for it failed." % UNIT
    assert (found["made_by"], found["before"], found["outdated"]) == ("other", "0ld", True)


@pytest.mark.parametrize("health, said, answered", [([503], "Paris.", False), ([503, 200], "Paris.", True), ([200], "Rome.", False)],
                         ids=["it loads for longer than it is given", "it has just loaded", "another answer"])
def test_what_does_not_answer_yet_is_no_failure(start, health, said, answered):
    start.server.health, start.server.said = health, said
    found = start()
    assert not found.get("failed") and found["answered"] is answered


def test_an_engine_that_does_not_answer_knows_no_container(start):
    found = start(docker_host="unix:///nowhere/docker.sock")
    assert found["made_by"] is None and not found["outdated"]
