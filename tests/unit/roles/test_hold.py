"""A play that holds the watcher says who it is; one that was interrupted is shown, and taken over by the next."""
import json
import runpy
import subprocess
import time

import pytest
import rendering
from support import ROOT

STATUS = ROOT / "roles/vram_watch/files/status.py"
PLAY = {"play": "From a bare host to answering services", "process": "4711", "controller": "ops-1", "since": "2026-11-30T00:10:00Z"}


@pytest.fixture
def hold(tmp_path, monkeypatch):
    """Runs the role's own command, the watcher active and at rest; returns what it said."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "status.json").write_text('{"stepping": null}', encoding="ascii")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    task = rendering.task("vram_watch", "tasks/hold.yml", "Keep the watcher from acting meanwhile")
    variables = {"vram_watch_step_timeout": 1800, "_vram_watch_hold": str(tmp_path / "hold"), "_vram_watch_status": str(tmp_path / "status.json")}

    def run(**who):
        command = rendering.render("vram_watch", task["ansible.builtin.shell"]["cmd"], dict(variables, _vram_watch_play=dict(PLAY, **who)), task.get("vars"))
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def test_a_play_says_who_it_is_beside_its_hold(hold, tmp_path):
    assert hold() == ""
    until = float((tmp_path / "hold").read_text(encoding="ascii"))  # a number alone: a watcher of before reads it too
    assert 1790 < until - time.clock_gettime(time.CLOCK_BOOTTIME) <= 1800
    assert json.loads((tmp_path / "hold.json").read_text(encoding="ascii")) == PLAY


def test_the_hold_of_an_interrupted_play_is_taken_over_and_named(hold, tmp_path):
    hold(play="Somebody's \"play\"")
    said = hold(process="4712")
    assert said.startswith("The watcher was held by the play Somebody's \"play\" (process 4711 on ops-1, since 2026-11-30T00:10:00Z), for another ")
    assert json.loads((tmp_path / "hold.json").read_text(encoding="ascii"))["process"] == "4712"


def test_a_hold_that_has_ended_is_nobodys(hold, tmp_path):
    (tmp_path / "hold").write_text("1", encoding="ascii")
    (tmp_path / "hold.json").write_text(json.dumps(PLAY), encoding="ascii")
    assert hold() == ""


def test_a_release_removes_both():
    release = rendering.task("vram_watch", "tasks/release.yml", "Let the watcher act again")
    assert rendering.render("vram_watch", release["ansible.builtin.command"]["argv"], {}) == [
        "rm", "-f", "/run/protocol-omni-vram-watch.hold", "/run/protocol-omni-vram-watch.hold.json"]


def shown(folder, until, who=""):
    """What bunker-status says of a hold, at 1000 s after the host's start; PLAY's where ``who`` is empty, nobody's where it is None."""
    (folder / "hold").write_text(until, encoding="ascii")
    if who is not None:
        who = PLAY if who == "" else who
        (folder / "hold.json").write_text(who if isinstance(who, str) else json.dumps(who), encoding="ascii")
    return runpy.run_path(str(STATUS))["held"](str(folder / "hold"), 1000.0)


def test_the_status_shows_who_holds_the_watcher_and_for_how_long(tmp_path):
    assert shown(tmp_path, "2750\n") == (
        "HELD for another 29 min by the play From a bare host to answering services (process 4711 on ops-1, since 2026-11-30T00:10:00Z): no step is taken. "
        "Where that play was interrupted: run it again, which takes over, or rm %s" % (tmp_path / "hold"))


@pytest.mark.parametrize("who", [None, "no JSON", "[]"])
def test_a_hold_of_a_play_that_did_not_say_who_it_is_is_shown_too(tmp_path, who):
    assert shown(tmp_path, "1030", who).startswith("HELD for another 30 s by a play that did not say who it is: no step is taken.")


@pytest.mark.parametrize("until", ["999", "1000", "", "soon", "900000"], ids=["over", "over now", "empty", "no number", "of another clock"])
def test_what_holds_nothing_is_not_shown(tmp_path, until):
    assert shown(tmp_path, until) == ""


@pytest.mark.parametrize("texts, ended", [
    ({"texts": {"status": None}}, True), ({"failed": True, "msg": "cannot be read"}, True), ({"texts": {"status": "{}"}}, True),
    ({"texts": {"status": '{"filling": false}'}}, True), ({"texts": {"status": '{"filling": true}'}}, False)],
    ids=["nobody watches", "unreadable", "an older watcher", "it asks nothing", "it fills the context"])
def test_claims_wait_until_the_watcher_asks_nothing_itself(texts, ended):
    wait = rendering.task("vram_watch", "tasks/quiet.yml", "Wait until the watcher asks nothing itself")
    assert rendering.templar("vram_watch", {"__vram_watch_quiet": texts}).evaluate_conditional(wait["until"]) is ended


@pytest.mark.parametrize("status, ended", [
    (None, False), ('{"source": "none"}', True), ('{"source": "nvml", "filled": {}, "latched": ""}', False),
    ('{"source": "nvml", "filled": {"headroom": 1}, "latched": ""}', True), ('{"source": "nvml", "filled": {}, "latched": "why"}', True)],
    ids=["it has not started", "there is no card", "not yet", "filled", "it has given up"])
def test_a_play_waits_until_the_context_has_been_filled_once(status, ended):
    wait = rendering.task("vram_watch", "tasks/start.yml", "Wait until the whole context has been filled once")
    variables = {"__vram_watch_status": {"texts": {"status": status}}, "vram_watch_fill_context": True, "vram_watch_gpus": ["GPU-1"],
                 "_vram_watch_watched": {"gpus": []}}
    assert rendering.templar("vram_watch", variables, wait["vars"]).evaluate_conditional(wait["until"]) is ended
