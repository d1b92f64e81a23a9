"""What is read of Prometheus, with a stand-in for it on loopback and for ss on the path."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from http_stand_in import http_at

from ansible_collections.protocol_omni.bunker.plugins.modules import observability_info

SS = """\
tcp LISTEN 0 4096 127.0.0.1:9090 0.0.0.0:* users:(("prometheus",pid=5120,fd=7))
tcp LISTEN 0 4096 127.0.0.1:9090 0.0.0.0:* users:(("prometheus",pid=5120,fd=9))
tcp LISTEN 0 4096 *:9101 *:* users:(("prometheus-node",pid=5121,fd=3))
tcp LISTEN 0 511 127.0.0.1:9180 0.0.0.0:* users:(("nginx",pid=41,fd=6))
"""
# As Prometheus 2.42 of Debian 12 answers, shortened.
TARGETS = {"status": "success", "data": {"activeTargets": [
    {"discoveredLabels": {"__address__": "127.0.0.1:9100", "job": "node"}, "labels": {"instance": "127.0.0.1:9100", "job": "node"}, "scrapePool": "node",
     "scrapeUrl": "http://127.0.0.1:9100/metrics", "lastError": "", "health": "up", "scrapeInterval": "5s"},
    {"labels": {"instance": "172.30.0.10:8000", "job": "services", "service": "oracle"}, "scrapePool": "services", "lastError": "refused", "health": "down"}],
    "droppedTargets": []}}
RULES = {"status": "success", "data": {"groups": [{"name": "bunker", "file": "/etc/protocol_omni/observability/rules.yml", "interval": 5, "rules": [
    {"state": "inactive", "name": "HeadroomUnderWarn", "query": "bunker_headroom_bytes < bunker_headroom_warn_bytes", "duration": 60,
     "labels": {"severity": "warning"}, "annotations": {"summary": "little is free", "description": "Nothing to do yet"}, "alerts": [], "health": "ok",
     "evaluationTime": 0.0001, "type": "alerting"},
    {"name": "somebody:else", "query": "up", "health": "err", "type": "recording"}]}]}}
CONFIGURATION = "global:\n  scrape_interval: 5s\n  external_labels:\n    configuration: d16e57\n"
METRICS = "# TYPE prometheus_config_last_reload_successful gauge\nprometheus_config_last_reload_successful 1\n"


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the answers may be changed."""
    (tmp_path / "ss").write_text("#!/bin/sh\ncat <<'E'\n%sE\n" % SS, encoding="utf-8")
    (tmp_path / "ss").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    monkeypatch.setattr(observability_info, "PAUSE", 0.01)

    def run(**given):
        parameters = dict({"endpoint": "http://127.0.0.1:%d" % run.server.port, "targets": 1, "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            observability_info.main()
        return json.loads(capsys.readouterr().out)
    answers = {"/api/v1/targets?state=active": json.dumps(TARGETS), "/api/v1/rules": json.dumps(RULES), "/metrics": METRICS,
               "/api/v1/status/config": json.dumps({"status": "success", "data": {"yaml": CONFIGURATION}})}
    with http_at(answers) as run.server:
        yield run


def test_targets_rules_configuration_and_listeners_are_read(look):
    found = look()
    assert not found["changed"] and found["listening"] == ["*:9101", "127.0.0.1:9090"]
    assert found["targets"] == [{"job": "node", "service": "", "address": "127.0.0.1:9100", "health": "up"},
                                {"job": "services", "service": "oracle", "address": "172.30.0.10:8000", "health": "down"}]
    assert found["rules"] == [
        {"name": "HeadroomUnderWarn", "query": "bunker_headroom_bytes < bunker_headroom_warn_bytes", "duration": "60s", "severity": "warning",
         "summary": "little is free", "description": "Nothing to do yet", "health": "ok"},
        {"name": "somebody:else", "query": "up", "duration": "0s", "severity": "", "summary": "", "description": "", "health": "err"}]
    assert (found["configuration"], found["reloaded"]) == (CONFIGURATION, True)


@pytest.mark.parametrize("metrics", [METRICS.replace("successful 1", "successful 0"), "", (503, METRICS)], ids=["refused", "empty", "not now"])
def test_a_configuration_that_was_refused_is_told(look, metrics):
    look.server.answers["/metrics"] = metrics
    assert look()["reloaded"] is False


def test_targets_that_answer_a_moment_later_are_waited_for(look):
    begun = json.dumps(TARGETS).replace('"up"', '"unknown"')
    answers = [begun, begun, json.dumps(TARGETS)]
    look.server.answers["/api/v1/targets?state=active"] = lambda: answers.pop(0)
    assert [target["health"] for target in look()["targets"]] == ["up", "down"] and answers == []


def test_targets_that_never_answer_are_told_as_they_are(look):
    assert [target["health"] for target in look(targets=2, patience=0)["targets"]] == ["up", "down"]
    assert look.server.asked.count("/api/v1/targets?state=active") == 1


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"data": null}', '{"status": "error"}', (500, "ill")])
def test_an_answer_that_is_none_is_told_as_absent(look, answer):
    look.server.answers.update(dict.fromkeys(("/api/v1/targets?state=active", "/api/v1/rules", "/api/v1/status/config"), answer))
    found = look(patience=0)
    assert (found["targets"], found["rules"], found["configuration"]) == ([], [], "")


def test_a_host_without_any_of_it_has_none(look, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = look(endpoint="http://127.0.0.1:1", patience=0)
    assert (found["listening"], found["targets"], found["rules"], found["configuration"], found["reloaded"]) == ([], [], [], "", False)
