"""The watcher, tick by tick, in a world of stand-ins: what it sees and starts is made up here, what it makes of it is its own."""
import json
import math
import pathlib
import struct
import sys
import types

import pytest

PROGRAMS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "vram_watch" / "files"
GIB, MIB = 2 ** 30, 2 ** 20
CARD, OTHER = "GPU-1", "GPU-2"
LADDER = [{"name": "inventory", "plan": {}, "arguments": []}, {"name": "small", "plan": {"micro_batch": 128}, "arguments": []},
          {"name": "large", "plan": {"kv_cache": "ram"}, "arguments": []}]


class World:
    """Cards, a service, its journal, and what was told of them."""

    def __init__(self, folder):
        self.now, self.rung, self.since = 1000.0, 0, ""
        self.day, self.started, self.boot = 0.0, 0.0, "first"  # what somebody set the time of day by, when the host was started, and which start it was
        self.cards = {CARD: (96 * GIB, 80 * GIB, 4 * GIB)}  # total, what the service holds, what others hold
        self.readable, self.xid, self.running, self.up, self.words = True, [], "one", True, []
        self.kernel, self.recovery, self.addresses = [], {}, {CARD: "00000000:01:00.0", OTHER: "00000000:41:00.0"}
        self.gauges, self.counts, self.children, self.filled, self.opened = {}, {}, [], [], []
        self.folder, self.door, self.idle = folder, [], True
        self.restarts, self.restart_fails, self.dies_in_drain = [], "", ""

    def others(self, size):
        total, held, _others = self.cards[CARD]
        self.cards[CARD] = (total, held, size)


class Child:
    """A step that was begun."""

    def __init__(self, world, words):
        self.world, self.rung, self.drain, self.reason = world, int(words[3]), words[4], words[5]
        self.returncode, self.terminated, self.stdout = None, False, None
        world.children.append(self)

    def poll(self):
        return self.returncode

    def terminate(self):
        self.terminated = True
        self.returncode = 254
        self.stdout = types.SimpleNamespace(read=lambda: "")

    def ends(self, done, rung):
        """With the service at a rung, in a new container."""
        self.returncode = 0 if done else 1
        self.stdout = types.SimpleNamespace(read=lambda: json.dumps({"done": done, "message": "a task failed"}) + "\n")
        self.world.running = "after step %d" % len(self.world.children)
        self.world.at(rung)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A world, and in world.watcher() the watcher of it."""
    world = World(tmp_path)

    class Exporter:
        fault = ""

        def __init__(self, port):
            pass

        def set(self, name, value, **_labels):
            world.gauges[name] = value

        def count(self, name, amount=1, **labels):
            key = (name, *(label for label in labels.values() if label != "oracle"))
            world.counts[key] = world.counts.get(key, 0) + amount

    monkeypatch.setitem(sys.modules, "exporter", types.SimpleNamespace(Exporter=Exporter))
    monkeypatch.syspath_prepend(str(PROGRAMS))
    for name in ("watch", "watch_trace", "cards", "contained", "exits", "gpus", "service", "kernel_log"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gpus
    import service
    import watch

    class Source:
        name = "stand-in"

        def __init__(self):
            world.opened.append(world.now)
            self.read()

        def close(self):
            pass

        def read(self, wanted=()):
            if not world.readable:
                raise gpus.Unreadable("the driver does not answer")
            return [gpus.Gpu(uuid, "a card", total, (held if world.running else 0) + others, total - (held if world.running else 0) - others,
                             {4711: held} if world.running else {}) for uuid, (total, held, others) in world.cards.items()]

        def errors(self):
            found, world.xid = world.xid, []
            return found

        @property
        def recovery(self):
            return {uuid: ("", code) for uuid, code in world.recovery.items()}

        @property
        def addresses(self):
            return {uuid: world.addresses[uuid] for uuid in world.cards if uuid in world.addresses}

    class KernelLog:
        fault, sequence = "", None

        def __init__(self, sequence=None):
            world.opened_at = sequence
            self.sequence = sequence

        def read(self):
            found, world.kernel = world.kernel, []
            self.sequence = (self.sequence or 0) + len(found)
            return found

    def at(rung, since=None):
        world.rung, world.since = rung, since or "step %d" % len(world.children)
        (tmp_path / "resolved.json").write_text(json.dumps({"ladder": LADDER, "rung": rung, "definition": {}}), encoding="utf-8")
        (tmp_path / "facts").write_text(json.dumps({"rungs": {"oracle": {"rung": rung, "since": world.since, "reason": "a test"}}}), encoding="utf-8")

    def journal(_unit, _cursor):
        text, world.words = "\n".join(world.words), []
        return text, "cursor"

    def fill(_endpoint, _timeout):
        world.filled.append(world.running)
        return 8190

    def wait(_endpoint, _seconds):
        world.running = world.dies_in_drain or world.running
        return world.idle

    def restart(unit):
        world.restarts.append((unit, list(world.door)))
        world.running = world.running if world.restart_fails else "restarted %d" % len(world.restarts)
        return world.restart_fails

    world.at = at
    at(0, "first")
    monkeypatch.setitem(gpus.SOURCES, "auto", [Source, gpus.Nothing])
    monkeypatch.setattr(service, "container", lambda _name: (world.running, 4711 if world.running else 0))
    monkeypatch.setattr(service, "ask", lambda _url, *_more: "ok" if world.up and world.running else None)
    monkeypatch.setattr(service, "counts", lambda _endpoint: {})
    monkeypatch.setattr(service, "journal", journal)
    monkeypatch.setattr(service, "fill_context", fill)
    monkeypatch.setattr(service, "keep_out", lambda _name, _seconds: world.door.append("shut"))
    monkeypatch.setattr(service, "let_in", lambda _name: world.door.append("open"))
    monkeypatch.setattr(service, "wait_until_idle", wait)
    monkeypatch.setattr(service, "restart", restart)
    monkeypatch.setattr(watch, "KernelLog", KernelLog)
    monkeypatch.setattr(watch, "available_memory", lambda: 300 * GIB)
    monkeypatch.setattr(watch.model_memory, "rung_relief", lambda _definition, plan, *_more: 10 * GIB if "kv_cache" in plan else 0)
    monkeypatch.setattr(watch.model_memory, "moved_experts", lambda *_arguments: 0)
    monkeypatch.setattr(watch.model_memory, "ram_need", lambda *_arguments: 0)
    monkeypatch.setattr(watch.subprocess, "Popen", lambda words, **_more: Child(world, words))
    monkeypatch.setattr(watch.time, "time", lambda: world.now + world.day)
    monkeypatch.setattr(watch.time, "monotonic", lambda: world.now)
    monkeypatch.setattr(watch, "clock", lambda: world.now - world.started)
    monkeypatch.setattr(watch, "boot", lambda: world.boot)
    settings = {
        "service": "oracle", "unit": "protocol-omni-oracle.service", "endpoint": "http://192.0.2.1", "endpoints": {"oracle": "http://192.0.2.1"},
        "gateway": "", "gpus": [CARD], "source": "auto", "interval": 5, "drain": 30, "step_timeout": 600, "fill_context": False, "ram_reserve": 8,
        "metrics_port": 9181, "model_files": [], "definition": "a", "host": "here",
        "limits": {"warn": 7, "act": 2, "samples": 3, "window": 120, "lead": 180, "cooldown": 300, "steps_per_hour": 4, "failures": 3, "quiet": 0, "margin": 1},
        "resolved_path": str(tmp_path / "resolved.json"), "facts_path": str(tmp_path / "facts"), "state_path": str(tmp_path / "state.json"),
        "status_path": str(tmp_path / "status.json"), "hold_path": str(tmp_path / "hold"), "runs_path": str(tmp_path / "runs"),
        "trace_path": str(tmp_path / "trace.jsonl"),
    }

    def watcher(**changes):
        (tmp_path / "settings.json").write_text(json.dumps(dict(settings, **changes)), encoding="utf-8")
        return watch.Watcher(str(tmp_path / "settings.json"))

    def ticks(watching, number=1):
        for _tick in range(number):
            world.now += 5
            watching.tick()
            for thread in filter(None, (watching.filler, watching.contained.thread)):
                thread.join(10)
        return json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))

    world.watcher, world.ticks = watcher, ticks
    world.events = lambda: [event["event"] for event in json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))["events"]]
    return world


def test_cards_that_cannot_be_read_are_no_quiet_ones(world):
    watcher = world.watcher()
    world.ticks(watcher, 3)
    read_at = world.now
    world.readable = False
    status = world.ticks(watcher, 20)
    assert (status["source"], status["read_at"], status["headroom"]) == ("unreadable", read_at, None)
    assert world.gauges["bunker_last_sample_timestamp_seconds"] == read_at and math.isnan(world.gauges["bunker_headroom_bytes"])
    assert world.events().count("unreadable") == 1
    sys.modules.pop("status", None)
    import status as page
    lines, wrong = page.screen(status, world.now)
    assert wrong and any("THE CARDS CANNOT BE READ" in line for line in lines)


def test_a_driver_that_comes_back_is_read_again_and_no_card_was_lost(world):
    world.readable = False
    watcher = world.watcher()
    world.ticks(watcher, 5)
    world.readable = True
    status = world.ticks(watcher, 2)
    assert (status["source"], status["lost"], status["latched"]) == ("stand-in", [], "") and status["headroom"] == 12 * GIB


def test_a_card_is_lost_after_three_samples_without_it_and_the_latch_lifts_when_it_answers_again(world):
    world.cards[OTHER] = (32 * GIB, 0, 0)
    watcher = world.watcher()
    world.ticks(watcher, 2)
    card = world.cards.pop(CARD)
    assert world.ticks(watcher, 2)["lost"] == []
    status = world.ticks(watcher)
    assert status["lost"] == [CARD] and "a card is lost" in status["latched"]
    world.cards[CARD] = card
    status = world.ticks(watcher, 2)
    assert (status["lost"], status["latched"]) == ([], "")
    assert [event["text"] for event in status["events"] if event["event"] in ("latch", "lift")] == [
        "given up: a card is lost; no rung brings it back. Set a rung to go on: ansible-playbook -i INVENTORY site.yml -e bunker_rung=0",
        "the card that was lost answers again; what is needed is looked at anew"]


@pytest.mark.parametrize("card, lost", [(OTHER, []), (CARD, [CARD])])
def test_xid_79_of_another_card_is_no_matter_of_the_service(world, card, lost):
    watcher = world.watcher()
    world.xid = [(card, 79)]
    status = world.ticks(watcher, 2)
    assert status["lost"] == lost and bool(status["latched"]) == bool(lost)
    assert world.counts["bunker_xid_errors", card, "79"] == 1
    world.at(0, "by hand")
    assert world.ticks(watcher, 2)["lost"] == []


def exits_for_lack_of_memory(world, running=""):
    world.running, world.up = running, False
    world.words += ["CUDA error: out of memory"]


def test_after_an_exit_the_rung_is_chosen_by_what_the_service_held_before(world):
    """The first rung frees nothing and would die as well; that is known only from what was measured before the exit."""
    watcher = world.watcher()
    world.ticks(watcher, 3)
    world.others(20 * GIB)
    exits_for_lack_of_memory(world)
    status = world.ticks(watcher)
    assert [child.rung for child in world.children] == [2] and status["predicted"] == [-4 * GIB, -4 * GIB, 6 * GIB]
    assert world.children[0].drain == "0" and world.children[0].reason == "it exited for lack of memory"


def test_a_card_that_holds_experts_alone_is_relieved_by_no_rung(world, tmp_path):
    """None of the layers are there, so what a rung frees is all on the other card."""
    other = "GPU-with-experts"
    resolved = json.loads((tmp_path / "resolved.json").read_text(encoding="utf-8"))
    resolved["placement"] = {"gpus": [CARD, other], "tensor_split": "1,0"}
    (tmp_path / "resolved.json").write_text(json.dumps(resolved), encoding="utf-8")
    world.cards[other] = (32 * GIB, 22 * GIB, 0)
    status = world.ticks(world.watcher(gpus=[CARD, other]), 3)
    assert status["predicted"] == [10 * GIB] * 3  # of the other card at every rung; in proportion to what it holds it were 12 at the last


def test_an_exit_between_the_looks_at_the_cards_and_at_the_service_is_no_full_card(world, monkeypatch):
    """The cards were read when the process still held its memory."""
    import service
    watcher = world.watcher()
    world.ticks(watcher, 3)
    world.others(14 * GIB)
    world.words += ["CUDA error: out of memory"]
    monkeypatch.setattr(service, "container", lambda _name: ("", 0))
    status = world.ticks(watcher)
    assert status["predicted"] == [2 * GIB, 2 * GIB, 12 * GIB] and [child.rung for child in world.children] == [2]


def a_step_begun(world):
    """A watcher that has just begun a step, because others took all but 1 GiB of the card."""
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.others(15 * GIB)
    world.ticks(watcher, 3)
    return watcher


def test_what_was_held_at_a_rung_is_still_known_at_another(world):
    watcher = a_step_begun(world)
    assert [child.rung for child in world.children] == [2]
    world.cards[CARD] = (96 * GIB, 72 * GIB, 15 * GIB)  # it frees 8, not the 10 of the forecast
    world.ticks(watcher, 2)
    world.children[0].ends(True, 2)
    status = world.ticks(watcher, 2)
    assert status["rung"] == 2 and status["predicted"] == [GIB, GIB, 9 * GIB]
    # And that the rung before proved too small, when so much was predicted for it.
    assert watcher.state.refuted == ((0, GIB),) and watcher.state.rung == 2


def test_words_about_memory_are_no_exit(world):
    """llama.cpp tries with less when a buffer cannot be had at load, and then runs."""
    watcher = world.watcher()
    world.ticks(watcher)
    world.running, world.up = "two", False
    world.ticks(watcher)
    world.words += ["cudaMalloc failed: out of memory"]
    world.ticks(watcher, 2)
    world.up = True
    world.ticks(watcher)
    world.up = False  # busy for a moment
    world.ticks(watcher)
    world.running = ""  # and ended for another reason
    world.ticks(watcher)
    assert world.counts["bunker_oom_exits",] == 0 and world.children == [] and world.events().count("exit") == 2


def test_a_service_that_never_comes_up_for_lack_of_memory_is_found(world):
    """It dies between two samples whenever systemd starts it."""
    world.running, world.up = "", False
    watcher = world.watcher()
    world.words += ["cudaMalloc failed: out of memory"]
    world.ticks(watcher)
    assert world.counts["bunker_oom_exits",] == 1 and len(world.children) == 1


def test_systemds_restarts_within_the_cool_down_are_one_failure(world):
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.others(20 * GIB)
    exits_for_lack_of_memory(world)
    world.ticks(watcher)
    world.children[0].ends(True, 2)
    world.up, world.cards[CARD] = True, (96 * GIB, 70 * GIB, 20 * GIB)
    world.ticks(watcher, 2)
    for number in range(4):  # it dies, and again whenever systemd starts it
        exits_for_lack_of_memory(world)
        world.ticks(watcher)
        world.running = "restart %d" % number
        world.ticks(watcher)
    status = world.ticks(watcher)
    assert status["latched"] == "" and "the next step may begin in" in status["reason"]


def test_a_step_that_takes_too_long_is_ended_and_what_ran_before_is_deployed_again_once(world):
    watcher = a_step_begun(world)
    world.at(2)  # half deployed
    world.ticks(watcher, 125)
    assert world.children[0].terminated
    status = world.ticks(watcher)
    assert [(child.rung, child.reason) for child in world.children][1:] == [(0, "the step to rung 2 (large) did not come to its end")]
    assert status["stepping"] == 0
    world.children[1].ends(True, 0)
    status = world.ticks(watcher, 2)
    assert (status["stepping"], status["rung"], len(world.children)) == (None, 0, 2)


def test_a_watcher_that_was_killed_in_a_step_goes_on_with_it_and_says_why_it_was_begun(world):
    a_step_begun(world)
    world.ticks(world.watcher())
    assert [(child.rung, child.reason) for child in world.children] == [(2, "headroom 1.00 GiB is under 2.00 GiB")] * 2
    assert "resume" in world.events()


def test_while_another_play_changes_the_services_no_step_is_taken(world):
    watcher = world.watcher()
    world.ticks(watcher, 2)
    (world.folder / "hold").write_text(str(world.now + 60), encoding="ascii")
    exits_for_lack_of_memory(world)
    status = world.ticks(watcher, 5)
    assert world.children == [] and "another play changes the services" in status["reason"]
    world.running, world.up = "deployed", True
    world.ticks(watcher, 10)  # the hold ends by itself
    assert world.children == [] and world.counts["bunker_oom_exits",] == 0
    world.others(15 * GIB)
    world.ticks(watcher, 3)
    assert len(world.children) == 1


def test_what_a_step_ends_is_no_accident(world):
    watcher = a_step_begun(world)
    exits_for_lack_of_memory(world)  # for instance because the rung is too small
    world.ticks(watcher, 2)
    world.up = True
    world.children[0].ends(True, 2)
    world.ticks(watcher, 2)
    assert world.counts["bunker_exits",] == 0 and world.counts["bunker_oom_exits",] == 0 and len(world.children) == 1


def test_a_sample_that_comes_late_is_told(world):
    watcher = world.watcher()
    world.ticks(watcher, 3)
    assert "gap" not in world.events()
    world.now += 15
    world.ticks(watcher)
    assert world.counts["bunker_sample_gaps",] == 1
    assert json.loads((world.folder / "status.json").read_text(encoding="utf-8"))["events"][-1]["text"] == "the last sample is 20 s old, not 5"


def test_the_load_of_all_services_is_seen(world, monkeypatch):
    import service
    monkeypatch.setattr(service, "counts", lambda endpoint: {"requests_processing": 3.0 if endpoint.endswith("2") else 1.0})
    watcher = world.watcher(endpoints={"oracle": "http://192.0.2.1", "executor": "http://192.0.2.2"})
    status = world.ticks(watcher)
    assert {name: found["processing"] for name, found in status["services"].items()} == {"oracle": 1.0, "executor": 3.0}
    assert status["memory_available"] == 300 * GIB


def test_the_engine_is_asked_once_a_sample_also_while_another_play_deploys(world, monkeypatch):
    import service
    asked = []
    monkeypatch.setattr(service, "container", lambda _name: asked.append(world.now) or (world.running, 4711))
    watcher = world.watcher()
    (world.folder / "hold").write_text(str(world.now + 60), encoding="ascii")
    world.ticks(watcher, 3)
    assert len(asked) == 3


def test_a_deployment_waits_for_a_context_that_is_being_filled_and_not_for_ever(world, monkeypatch):
    import threading
    import service
    done = threading.Event()
    monkeypatch.setattr(service, "fill_context", lambda *_arguments: done.wait(10) and 8190)
    watcher = world.watcher(fill_context=True)
    world.now += 5
    watcher.tick()
    (world.folder / "hold").write_text(str(world.now + 60), encoding="ascii")
    world.now += 5
    watcher.tick()
    assert json.loads((world.folder / "status.json").read_text(encoding="utf-8"))["filling"] is True
    done.set()
    status = world.ticks(watcher, 2)
    assert status["filling"] is False and "headroom" not in status["filled"]
    status = world.ticks(watcher, 15)  # the hold has ended
    assert status["filled"]["headroom"] == 12 * GIB
    (world.folder / "hold").write_text(str(world.now + 60), encoding="ascii")
    assert world.ticks(watcher, 2)["filled"]["headroom"] == 12 * GIB  # nothing changed: it is not filled again


def test_a_context_whose_filling_ended_the_service_is_not_filled_again_until_somebody_sets_a_rung(world):
    watcher = world.watcher(fill_context=True)
    status = world.ticks(watcher, 2)
    assert world.filled == ["one"] and status["filled"]["headroom"] == 12 * GIB
    world.running = "two"
    world.ticks(watcher)
    assert world.filled == ["one", "two"]
    world.running = "three"  # while it was filled
    status = world.ticks(watcher, 5)
    assert world.filled == ["one", "two"] and "exited while its context was filled" in status["filled"]["ended"]
    world.at(0, "by hand")
    status = world.ticks(watcher, 2)
    assert world.filled == ["one", "two", "three"] and status["filled"]["headroom"] == 12 * GIB


def test_no_context_is_filled_while_somebody_is_answered_and_the_door_is_shut_meanwhile(world):
    watcher = world.watcher(fill_context=True)
    world.idle = False
    world.ticks(watcher, 2)
    assert world.filled == [] and world.door == ["open", "shut", "open", "shut", "open"]  # the first is of its start
    world.idle = True
    status = world.ticks(watcher, 2)
    assert world.filled == ["one"] and world.door[-2:] == ["shut", "open"] and status["filled"]["headroom"] == 12 * GIB


def test_a_full_disk_ends_no_watch_and_begins_no_step_that_a_killed_watcher_would_not_know_of(world, monkeypatch):
    import watch
    watcher = world.watcher()
    world.ticks(watcher, 2)

    def full(_path, _value):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(watch, "write", full)
    world.others(15 * GIB)
    status = world.ticks(watcher, 4)
    assert world.children == [] and status["stepping"] is None and "unsaved" in world.events()
    monkeypatch.undo()


def ticks_until(world, watcher, most=200):
    """How many samples until one more step is begun."""
    before = len(world.children)
    for number in range(1, most + 1):
        world.ticks(watcher)
        if len(world.children) > before:
            return number
    return None


def ticks_of_waiting(world, watcher, most=200):
    """How many samples say that the next step has to wait, from the first one that does."""
    said = []
    while len(said) < most and (not any(said) or said[-1]):
        said.append("the next step may begin in" in world.ticks(watcher)["reason"])
    return sum(said)


@pytest.mark.parametrize("day", [0, -3600, 86400])
def test_the_time_of_day_may_be_set_without_changing_what_is_decided(world, day):
    """An hour back, a day forward, and a step in between."""
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.day += day
    world.others(15 * GIB)
    assert ticks_until(world, watcher) == 3
    world.children[0].ends(True, 2)
    world.ticks(watcher)
    world.day -= day
    exits_for_lack_of_memory(world)
    assert 58 <= ticks_of_waiting(world, watcher) <= 60  # the cool-down of 300 s, and nothing else


def after_a_step_in_vain(world):
    """Leaves the state of a watcher whose first step did not come to its end."""
    watcher = a_step_begun(world)
    world.children[0].ends(False, 0)
    world.ticks(watcher)
    watcher.save()


def test_after_a_restart_of_the_host_the_cool_down_goes_on_as_if_no_time_had_passed(world):
    after_a_step_in_vain(world)
    world.boot, world.started, world.day = "second", world.now + 40, world.day + 1e7  # off for a while, and with another time of day
    world.now += 40
    assert 55 <= ticks_of_waiting(world, world.watcher()) <= 60


def test_a_state_of_an_earlier_version_is_read_its_times_were_of_the_day(world, tmp_path):
    after_a_step_in_vain(world)
    world.day = 1.7e9
    kept = json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))
    earlier = {key: value for key, value in kept.items() if key not in ("clock", "boot")}
    for name in ("went_back", "relapses"):
        del earlier["decision"][name]
    earlier["decision"].update(ended=kept["decision"]["ended"] + world.day, steps=[time + world.day for time in kept["decision"]["steps"]])
    (tmp_path / "state.json").write_text(json.dumps(earlier), encoding="utf-8")
    assert 55 <= ticks_of_waiting(world, world.watcher()) <= 60


def test_a_hold_of_another_clock_does_not_keep_it_from_acting_for_years(world):
    (world.folder / "hold").write_text("1764400000", encoding="ascii")  # seconds since 1970, as earlier versions wrote
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.others(15 * GIB)
    assert ticks_until(world, watcher) == 3


@pytest.fixture
def two_cards(world):
    """A world with a watcher of two cards: one with 1 GiB left that answers now and then, one with plenty."""
    world.cards = {CARD: (96 * GIB, 80 * GIB, 15 * GIB), OTHER: (96 * GIB, 10 * GIB, 0)}
    world.tight = world.cards[CARD]
    return world


def test_a_card_that_is_missing_in_each_third_sample_is_acted_on_by_what_it_said(two_cards):
    watcher, world = two_cards.watcher(gpus=[CARD, OTHER]), two_cards
    for number in range(5):
        world.cards.pop(CARD, None) if number % 3 == 2 else world.cards.update({CARD: world.tight})
        world.ticks(watcher)
    assert [child.rung for child in world.children] == [2]
    assert world.events().count("warn") == 1


def test_nothing_goes_upward_on_less_than_all_cards(two_cards):
    """One sample without the tight card while the calm is counted: it would step back to a rung that leaves 1 GiB."""
    world = two_cards
    world.at(2)
    world.cards[CARD] = world.tight = (96 * GIB, 70 * GIB, 15 * GIB)
    limits = {"warn": 7, "act": 2, "samples": 3, "window": 120, "lead": 180, "cooldown": 0, "steps_per_hour": 60, "failures": 3, "quiet": 60, "margin": 1}
    watcher = world.watcher(gpus=[CARD, OTHER], limits=limits)
    watcher.learned = {0: {CARD: 80 * GIB, OTHER: 10 * GIB}}
    for number in range(40):
        world.cards.pop(CARD, None) if number % 10 == 9 else world.cards.update({CARD: world.tight})
        world.ticks(watcher)
    assert world.children == []


@pytest.mark.parametrize("words", ["[N/A]", "[Unknown Error]"])
def test_a_card_that_says_words_is_unreadable_and_not_lost_and_both_ends_are_told(two_cards, words):
    world = two_cards
    watcher = world.watcher(gpus=[CARD, OTHER])
    world.ticks(watcher, 1)
    read_at = world.now
    source = watcher.cards.source
    tight = world.cards.pop(CARD)
    source.odd = {CARD: words}
    status = world.ticks(watcher, 10)
    assert (status["lost"], status["latched"], status["unreadable"], status["read_at"]) == ([], "", {CARD: words}, read_at)
    sys.modules.pop("status", None)
    import status as page
    lines, wrong = page.screen(status, world.now, world.now)
    assert wrong and "%s  CANNOT BE READ: it says %s" % (CARD, words) in lines
    world.cards[CARD], source.odd = tight, {}
    status = world.ticks(watcher, 1)
    assert status["unreadable"] == {} and status["read_at"] == world.now
    told = [event["text"] for event in status["events"] if event["event"] in ("unreadable", "readable")]
    assert told == ["card %s says %s" % (CARD, words), "the cards answer again: %s, %s" % (CARD, OTHER)]


def test_what_a_silent_card_said_before_the_present_start_predicts_nothing(two_cards):
    world = two_cards
    world.cards = {CARD: (96 * GIB, 60 * GIB, 20 * GIB), OTHER: (96 * GIB, 60 * GIB, 0)}
    watcher = world.watcher(gpus=[CARD, OTHER])
    world.ticks(watcher, 2)
    world.others(35 * GIB)
    world.ticks(watcher, 3)
    world.children[0].ends(True, 1)
    world.cards.pop(OTHER)
    watcher.cards.source.odd = {OTHER: "[N/A]"}
    status = world.ticks(watcher, 8)
    assert status["predicted"] == [None, None, None] and status["latched"] == ""


def test_a_card_that_was_never_there_is_said(world):
    watcher = world.watcher(gpus=[CARD, "GPU-of-nobody"])
    assert world.ticks(watcher, 2)["unreadable"] == {}
    status = world.ticks(watcher, 1)
    assert status["unreadable"] == {"GPU-of-nobody": "nothing: it was never listed"} and status["lost"] == []


def test_a_card_after_xid_79_that_answers_again_is_taken_back(world):
    watcher = world.watcher()
    world.ticks(watcher, 1)
    world.xid = [(CARD, 79)]
    assert world.ticks(watcher)["lost"] == [CARD]
    assert world.ticks(watcher, 2)["lost"] == [CARD]  # it may be about to go
    status = world.ticks(watcher, 3)
    assert (status["lost"], status["latched"]) == ([], "") and "lift" in world.events()


NOT_ANSWERING = "NVRM: Xid (PCI:0000:01:00): 119, pid=4711, name=llama-server, Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76"
CHANGED = "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x%d (%s) to 0x%d (%s)"
UNITS = "protocol-omni-oracle.service protocol-omni-vram-watch.service nvidia-persistenced.service"
RESET = "systemctl stop {0}; nvidia-smi --gpu-reset -i 0000:01:00.0; systemctl reset-failed {0}; systemctl start {0}".format(UNITS)


def told(status, event):
    return [entry["text"] for entry in status["events"] if entry["event"] == event]


@pytest.mark.parametrize("number", [46, 48, 62, 64, 95, 109, 119, 120, 140, 143])
def test_a_card_that_needs_a_reset_is_lost_once_and_taken_back_when_the_driver_asks_for_nothing(world, number):
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.recovery, world.xid = {CARD: 1}, [(CARD, number)] * 50  # the driver says it by the thousand
    status = world.ticks(watcher, 10)
    assert status["lost"] == [CARD] and "a card is lost" in status["latched"] and world.gauges["bunker_card_state"] == 2
    (sentence,) = status["faults"].values()
    assert told(status, "fault") == [sentence] and len(told(status, "xid")) == 1 and len(told(status, "latch")) == 1
    assert "for Xid %d (" % number in sentence and sentence.endswith("it needs a reset: " + RESET)
    sys.modules.pop("status", None)
    import status as page
    lines, wrong = page.screen(status, world.now, world.now)
    assert wrong and CARD + "  LOST" in lines and sentence in lines
    assert world.counts["bunker_xid_errors", CARD, str(number)] == 50
    world.recovery = {CARD: 0}
    assert world.ticks(watcher, 3)["lost"] == [CARD]
    status = world.ticks(watcher, 2)
    assert (status["lost"], status["faults"], status["latched"], world.gauges["bunker_card_state"]) == ([], {}, "", 0)
    assert told(status, "recovered") == ["card GPU-1 answers, and the driver asks for nothing more"] and len(told(status, "lift")) == 1


@pytest.mark.parametrize("number", [8, 13, 31, 43, 45, 63, 68, 69, 92, 94, 137, 154, 999])
def test_faults_of_programs_and_notes_are_told_and_change_nothing(world, number):
    watcher = world.watcher()
    world.xid = [(CARD, number)]
    status = world.ticks(watcher, 3)
    assert (status["lost"], status["faults"], status["latched"]) == ([], {}, "") and len(told(status, "xid")) == 1


def test_after_a_contained_error_the_service_is_drained_and_restarted_once(world):
    """Xid 94: the program that had the error computes no more, the card does (NVIDIA, GPU Memory Error Management)."""
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.kernel = ["NVRM: Xid (PCI:0000:01:00): 94, pid=4711, name=llama-server, Contained: SM (0x1). RST: No, D-RST: No"]
    status = world.ticks(watcher, 3)
    assert world.restarts == [("protocol-omni-oracle.service", ["open", "shut"])] and world.door == ["open", "shut", "open"]
    assert [text.split(": ")[0] for text in told(status, "contained")] == ["oracle is drained and restarted"]
    assert len(told(status, "restarted")) == 1 and (status["lost"], status["faults"], status["latched"]) == ([], {}, "") and world.children == []
    assert world.counts["bunker_exits",] == 0 and "exit" not in world.events()


def test_no_error_restarts_a_service_over_and_over(world):
    watcher = world.watcher()
    world.ticks(watcher)
    for _time in range(20):  # a card that has one each minute
        world.xid = [(CARD, 94)]
        world.ticks(watcher, 12)
    assert len(world.restarts) == 2  # at the first, and after fifteen minutes


@pytest.mark.parametrize("card, number", [(OTHER, 94), (CARD, 95), (CARD, 13), (CARD, 31), (CARD, 92)])
def test_other_errors_restart_nothing(world, card, number):
    watcher = world.watcher()
    world.xid = [(card, number)]
    world.ticks(watcher, 3)
    assert world.restarts == []


def test_a_service_that_died_of_its_error_is_restarted_by_systemd_alone(world):
    watcher = world.watcher()
    world.ticks(watcher)
    world.xid, world.running = [(CARD, 94)], "two"
    world.ticks(watcher, 2)
    assert world.restarts == []
    world.xid, world.dies_in_drain = [(CARD, 94)], "three"
    world.ticks(watcher, 2)
    assert world.restarts == [] and world.door[-1] == "open"


def test_a_restart_that_fails_is_told_and_the_door_is_open_again(world):
    watcher = world.watcher()
    world.ticks(watcher)
    world.xid, world.restart_fails = [(CARD, 94)], "Failed to restart protocol-omni-oracle.service: Unit not found."
    status = world.ticks(watcher, 3)
    assert told(status, "unrestarted") == ["oracle: Failed to restart protocol-omni-oracle.service: Unit not found."] and world.door[-1] == "open"


def test_while_another_play_changes_the_services_none_is_restarted(world, tmp_path):
    watcher = world.watcher()
    world.ticks(watcher)
    (tmp_path / "hold").write_text(str(world.now + 60), encoding="ascii")
    world.xid = [(CARD, 94)]
    world.ticks(watcher, 3)
    assert world.restarts == []


def test_the_kernels_log_and_the_drivers_events_tell_of_one_error_and_it_is_counted_once(world):
    watcher = world.watcher()
    world.ticks(watcher)
    world.xid = [(CARD, 119)]
    world.ticks(watcher)
    world.kernel = [NOT_ANSWERING]
    status = world.ticks(watcher)
    assert world.counts["bunker_xid_errors", CARD, "119"] == 1 and len(told(status, "fault")) == 1
    world.kernel = [NOT_ANSWERING] * 3  # two more that the driver's events have not told of yet
    world.xid = [(CARD, 119)]
    world.ticks(watcher)
    assert world.counts["bunker_xid_errors", CARD, "119"] == 4


@pytest.mark.parametrize("words, state, lost", [
    ((1, "GPU Reset Required"), 2, [CARD]), ((2, "Node Reboot Required"), 3, [CARD]), ((2, "OS Reboot"), 3, [CARD]), ((1, "PF FLR"), 2, [CARD]),
    ((3, "Drain P2P"), 1, []), ((4, "Drain and Reset"), 1, [])])
def test_xid_154_says_by_itself_what_a_card_needs_and_when_no_more(world, words, state, lost):
    """Of a driver that says it in the kernel's log alone."""
    watcher = world.watcher()
    world.ticks(watcher)
    world.kernel = [CHANGED % (0, "None", *words)]
    status = world.ticks(watcher, 10)
    assert status["lost"] == lost and bool(status["latched"]) == bool(lost) and world.gauges["bunker_card_state"] == state
    assert len(told(status, "fault")) == 1 and '"%s"' % words[1] in told(status, "fault")[0]
    world.kernel = [CHANGED % (*words, 0, "None")]
    status = world.ticks(watcher, 6)
    assert (status["lost"], status["faults"], status["latched"], world.gauges["bunker_card_state"]) == ([], {}, "", 0)


def test_a_reboot_is_asked_for_after_a_reset_did_not_do(world):
    watcher = world.watcher()
    world.ticks(watcher)
    world.kernel, world.recovery = [NOT_ANSWERING], {CARD: 1}
    world.ticks(watcher, 3)
    world.recovery = {CARD: 2}
    status = world.ticks(watcher, 3)
    assert [text.rpartition("; ")[0] for text in told(status, "fault")][1:] == ['card GPU-1: the driver\'s recovery action is "Reboot"']
    assert "systemctl reboot" in told(status, "fault")[1] and len(told(status, "latch")) == 1


def test_a_card_that_hangs_the_driver_is_given_up_by_the_kernels_words(world):
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.readable, world.kernel = False, [NOT_ANSWERING]
    status = world.ticks(watcher, 2)
    assert status["source"] == "unreadable" and status["lost"] == [CARD] and "a card is lost" in status["latched"]


def test_a_card_that_was_faulty_before_the_watcher_began_is_found_by_what_the_driver_asks_for(world):
    world.recovery = {CARD: 1}
    status = world.ticks(world.watcher(), 2)
    assert status["lost"] == [CARD] and status["latched"] and len(told(status, "fault")) == 1


def test_without_a_driver_that_says_what_it_needs_a_card_is_taken_back_only_after_it_was_away(world):
    world.cards[OTHER] = (32 * GIB, 0, 0)
    watcher = world.watcher()
    world.ticks(watcher)
    world.xid = [(CARD, 119)]
    assert world.ticks(watcher, 30)["lost"] == [CARD]  # it answers, and nobody says that it is well
    card = world.cards.pop(CARD)
    world.ticks(watcher, 2)
    world.cards[CARD] = card
    status = world.ticks(watcher, 5)
    assert (status["lost"], status["latched"]) == ([], "")


def test_a_fault_that_comes_again_and_again_is_told_ever_more_seldom(world):
    watcher = world.watcher()
    world.recovery = {CARD: 0}
    for _minute in range(120):
        world.xid = [(CARD, 95)]
        world.ticks(watcher, 12)
    latches = world.counts["bunker_decisions", "latch"]
    assert latches <= 3 and world.counts["bunker_xid_errors", CARD, "95"] == 120


def test_a_watcher_goes_on_in_the_kernels_log_where_it_was_but_not_in_that_of_another_start(world):
    watcher = world.watcher()
    assert world.opened_at is None
    world.kernel = [NOT_ANSWERING]
    world.ticks(watcher, 2)
    watcher.save()
    world.watcher()
    assert world.opened_at == 1
    world.boot = "second"
    world.watcher()
    assert world.opened_at is None


def test_another_card_of_the_host_is_told_and_changes_nothing(world):
    world.cards[OTHER] = (32 * GIB, 0, 0)
    watcher = world.watcher()
    world.ticks(watcher)
    world.kernel = ["NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus.", "NVRM: Xid (PCI:0000:99:00): 31, x", "usb 1-1: Xid of something else"]
    status = world.ticks(watcher, 2)
    assert (status["lost"], status["faults"]) == ([], {})
    assert [text.partition(":")[0] for text in told(status, "xid")] == ["card GPU-2 reports Xid 79", "card 0000"]


def test_an_error_of_a_card_is_one_of_the_slice_that_the_service_has(world):
    world.cards, world.addresses["MIG-1"] = {CARD: (96 * GIB, 0, 0), "MIG-1": (24 * GIB, 10 * GIB, 0)}, world.addresses[CARD]
    watcher = world.watcher(gpus=["MIG-1"])
    world.ticks(watcher, 2)
    world.kernel = [NOT_ANSWERING]
    status = world.ticks(watcher, 2)
    assert status["lost"] == ["MIG-1"] and "--gpu-reset -i 0000:01:00.0" in status["faults"]["MIG-1"]
    assert world.counts["bunker_xid_errors", CARD, "119"] == 1


@pytest.fixture
def records():
    """A file descriptor that gives whole records, as /dev/kmsg does, and the end to write them to."""
    import socket
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_the_kernels_log_is_read_by_record_from_where_it_was(monkeypatch, records):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "kernel_log", raising=False)
    import kernel_log
    ours, theirs = records
    monkeypatch.setattr(kernel_log.os, "open", lambda *_arguments: theirs.fileno())
    log = kernel_log.KernelLog(sequence=7)
    assert log.read() == []
    device = "\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0"
    for number, text in ((6, NOT_ANSWERING), (7, NOT_ANSWERING), (8, "usb 1-1: new device"), (9, NOT_ANSWERING + device)):
        ours.send(("3,%d,5140900,-;%s\n" % (number, text)).encode())
    ours.send(b"no record at all")
    ours.send(b"3,10,1,-;NVRM: Xid \xff\n")
    assert log.read() == [NOT_ANSWERING, "NVRM: Xid \ufffd"] and log.sequence == 10 and log.fault == ""


def test_records_that_were_overwritten_are_passed_over_and_a_log_that_fails_is_said(monkeypatch, records):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "kernel_log", raising=False)
    import kernel_log
    answers = [BrokenPipeError(), ("3,11,1,-;%s\n" % NOT_ANSWERING).encode(), BlockingIOError(), OSError(5, "Input/output error")]

    def read(_file, _size):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
    monkeypatch.setattr(kernel_log.os, "open", lambda *_arguments: records[1].fileno())
    monkeypatch.setattr(kernel_log.os, "read", read)
    log = kernel_log.KernelLog(sequence=1)
    assert log.read() == [NOT_ANSWERING] and log.fault == ""
    assert log.read() == [] and "Input/output error" in log.fault and log.read() == []


def test_a_host_without_a_kernels_log_is_watched_all_the_same(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "kernel_log", raising=False)
    import kernel_log
    log = kernel_log.KernelLog(path=str(tmp_path / "kmsg"))
    assert log.read() == [] and "No such file" in log.fault


@pytest.mark.parametrize("card, words", [((0, 0, 0), "0 bytes"), ((96 * GIB, 80 * GIB, 20 * GIB), "free")])
def test_a_card_whose_figures_cannot_be_is_not_believed(world, card, words):
    watcher = world.watcher()
    world.ticks(watcher, 1)
    world.cards[CARD] = card
    status = world.ticks(watcher, 3)
    assert status["source"] == "unreadable" and status["headroom"] is None
    assert words in next(event["text"] for event in status["events"] if event["event"] == "unreadable")
    sys.modules.pop("status", None)
    import status as page
    assert page.drawn(0, 0, 0) == "[" + "?" * 40 + "]"


@pytest.mark.parametrize("content", [
    b"", b"PK\x03\x04", b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60) + b"\0" * 40],
    ids=["empty", "a zip", "2**63 tensors", "a key of 2**60 bytes"])
def test_a_model_with_a_broken_header_is_told_and_the_cards_are_watched_all_the_same(world, tmp_path, content):
    (tmp_path / "x.gguf").write_bytes(content)
    watcher = world.watcher(model_files=[str(tmp_path / "x.gguf"), str(tmp_path / "gone.gguf")])
    status = world.ticks(watcher, 3)
    told = [event["text"] for event in status["events"] if event["event"] == "unreadable_model"]
    assert len(told) == 2 and "x.gguf, at byte " in told[0] and "gone.gguf, it cannot be read: No such file" in told[1]
    assert status["read_at"] == world.now and status["headroom"] is not None


def replayed(world, *words):
    """(exit code, lines) of the program that reads the trace again."""
    import contextlib
    import io

    import watch_trace
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = watch_trace.main([str(world.folder / "trace.jsonl"), *words])
    return code, said.getvalue().splitlines()


@pytest.fixture
def traced(world):
    """A world in which two steps were taken, one of them in vain, and the watcher was started anew."""
    watcher = a_step_begun(world)
    world.children[0].ends(True, 2)
    world.ticks(watcher, 3)
    exits_for_lack_of_memory(world)
    world.ticks(watcher, 70)
    watcher = world.watcher()
    world.ticks(watcher, 5)
    return world


def test_a_trace_read_again_gives_the_same_decisions(traced):
    code, lines = replayed(traced)
    assert code == 0 and lines[-1] == "all is decided now as it was then"
    assert any("step to rung 2 (headroom 1.00 GiB is under 2.00 GiB)" in line for line in lines)
    assert any(": latch" in line for line in lines)


def test_a_trace_that_begins_within_a_step_gives_the_same_decisions(world):
    """The watcher was ended during the step; what stood before its start is gone."""
    a_step_begun(world)
    watcher = world.watcher()
    world.ticks(watcher, 3)
    world.children[-1].ends(True, 2)
    world.ticks(watcher, 3)
    path = world.folder / "trace.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith('{"start"')]
    assert len(starts) == 2
    path.write_text("".join(lines[starts[1]:]), encoding="utf-8")
    assert replayed(world) == (0, ["all is decided now as it was then"])


def test_a_trace_says_what_other_limits_would_have_decided(traced):
    code, lines = replayed(traced, "--limit", "samples=2")
    assert code == 1 and any("now: step to rung 2" in line for line in lines)
    code, lines = replayed(traced, "--limit", "act=0.5", "--limit", "lead=0")
    assert code == 1 and any(line.endswith("; now: hold") and "step to rung 2" in line for line in lines)


@pytest.mark.parametrize("words, said", [(["--limit", "speed=3"], "there are act"), (["--limit", "act=much"], "no number")])
def test_a_limit_that_is_none_is_refused(traced, words, said):
    import watch_trace
    with pytest.raises(SystemExit):
        watch_trace.main([str(traced.folder / "trace.jsonl"), *words])


@pytest.mark.parametrize("text", ['{"seen": 1}', "[1]", "null", "3"])
def test_a_file_that_is_no_trace_is_refused_by_its_line(traced, text):
    path = traced.folder / "trace.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + text + "\n", encoding="utf-8")
    code, lines = replayed(traced)
    assert code == 2 and "is none of a trace of the watcher" in lines[-1]


def test_a_trace_whose_beginning_is_gone_is_refused(traced):
    path = traced.folder / "trace.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    code, lines = replayed(traced)
    assert code == 2 and "line 1 " in lines[-1] and "Give a trace from a line with \"start\" on" in lines[-1]


def test_a_trace_that_is_full_is_exchanged_and_one_that_cannot_be_written_ends_nothing(world):
    watcher = world.watcher()
    import watch_trace
    watch_trace.LONGEST, before = 2000, watch_trace.LONGEST
    try:
        world.ticks(watcher, 40)
    finally:
        watch_trace.LONGEST = before
    assert (world.folder / "trace.jsonl.before").exists() and (world.folder / "trace.jsonl").stat().st_size < 4000
    with open(world.folder / "trace.jsonl", encoding="utf-8") as stream:
        head = json.loads(next(stream))
    assert head["limits"]["act"] == watcher.limits.act and head["start"]["since"] == watcher.since
    assert replayed(world) == (0, ["all is decided now as it was then"])
    (world.folder / "trace.jsonl").unlink()  # by hand, under the running watcher
    world.ticks(watcher, 3)
    assert replayed(world) == (0, ["all is decided now as it was then"])
    watcher.trace.path = str(world.folder / "nowhere" / "trace.jsonl")
    assert world.ticks(watcher, 2)["headroom"] is not None
