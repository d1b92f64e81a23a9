"""When a service is restarted after an error that its card contained, and when not: beside plays, steps, people and a watcher that is itself restarted."""
import io
import sys

import pytest
import test_hold
import test_vram_watcher
from test_vram_watcher import CARD, GIB, PROGRAMS, told

world = test_vram_watcher.world  # its fixture
hold = test_hold.hold


def in_drain(world, monkeypatch, happens):
    """Has something happen while running answers are waited for."""
    import service
    monkeypatch.setattr(service, "wait_until_idle", lambda _endpoint, _seconds: happens())


def test_a_play_that_begins_during_the_drain_is_not_disturbed_and_the_service_is_restarted_after_it(world, tmp_path, monkeypatch):
    watcher = world.watcher()
    world.ticks(watcher)
    in_drain(world, monkeypatch, lambda: (tmp_path / "hold").write_text(str(world.now + 60), encoding="ascii"))
    world.xid = [(CARD, 94)]
    status = world.ticks(watcher, 4)
    assert world.restarts == [] and world.door == ["open", "shut", "open"] and len(told(status, "unrestarted")) == 1
    in_drain(world, monkeypatch, lambda: None)
    world.ticks(watcher, 12)  # the play has changed nothing, and its hold has ended
    assert len(world.restarts) == 1


def test_a_play_waits_for_the_restart_that_has_begun(world, monkeypatch):
    watcher, alive = world.watcher(), []
    world.ticks(watcher)
    monkeypatch.setattr(watcher.contained, "begin", lambda *_more: alive.append(1) or setattr(watcher.contained, "thread", Alive()) or True)
    world.xid = [(CARD, 94)]
    status = world.ticks(watcher)
    assert alive and status["restarting"] is True
    watcher.contained.thread = None
    watcher.cards.contained.clear()
    assert world.ticks(watcher)["restarting"] is False


class Alive:
    """A thread that has not ended."""

    def is_alive(self):
        return True

    def join(self, _seconds):
        pass


def test_the_hold_is_taken_only_when_the_restart_has_ended(hold, tmp_path, monkeypatch):
    (tmp_path / "status.json").write_text('{"stepping": null, "filling": false, "restarting": true}', encoding="ascii")
    (tmp_path / "sleep").write_text("#!/bin/sh\necho . >> %s/slept; [ $(wc -l < %s/slept) -lt 3 ] || sed -i s/true/false/ %s/status.json\n" % ((tmp_path,) * 3),
                                    encoding="ascii")
    (tmp_path / "sleep").chmod(0o755)
    hold()
    assert (tmp_path / "slept").read_text(encoding="ascii") == ".\n" * 3


def test_an_error_before_a_play_gave_the_service_a_new_container_restarts_nothing(world, tmp_path):
    """With nothing of the definition changed: the play has restarted it for another reason, or somebody has by hand."""
    watcher = world.watcher()
    world.ticks(watcher)
    (tmp_path / "hold").write_text(str(world.now + 12), encoding="ascii")
    world.xid = [(CARD, 94)]
    world.ticks(watcher)
    world.running = "of the play"
    world.ticks(watcher, 6)
    assert world.restarts == []


def test_an_error_before_a_step_restarts_nothing_after_it(world):
    watcher = world.watcher()
    world.ticks(watcher, 3)
    world.others(15 * GIB)
    world.ticks(watcher, 3)
    (child,) = world.children
    world.xid = [(CARD, 94)]
    world.ticks(watcher)
    world.others(0)
    child.ends(True, child.rung)
    world.ticks(watcher, 4)
    assert world.restarts == []


def test_a_watcher_that_is_restarted_during_the_drain_goes_on_with_it(world, monkeypatch):
    watcher = world.watcher()
    world.ticks(watcher)
    monkeypatch.setattr(watcher.contained, "begin", lambda *_more: False)  # killed before it came to it
    world.xid = [(CARD, 94)]
    world.ticks(watcher)
    watcher.try_to_save()
    world.ticks(world.watcher(), 2)
    assert len(world.restarts) == 1


def test_a_watcher_that_is_restarted_knows_when_it_restarted_the_service(world):
    for minute in range(10):
        watcher = world.watcher()
        world.ticks(watcher)
        world.xid = [(CARD, 94)]
        world.ticks(watcher, 11)
    assert len(world.restarts) == 1


def test_what_was_contained_before_the_host_was_restarted_is_past(world, monkeypatch):
    watcher = world.watcher()
    world.ticks(watcher)
    monkeypatch.setattr(watcher.contained, "begin", lambda *_more: False)
    world.xid = [(CARD, 94)]
    world.ticks(watcher)
    watcher.try_to_save()
    world.boot, world.started = "second", world.now
    world.ticks(world.watcher(), 2)
    assert world.restarts == []


def test_a_restart_that_breaks_off_is_not_told_as_one_that_came_well(world, monkeypatch):
    watcher = world.watcher()
    world.ticks(watcher)
    in_drain(world, monkeypatch, lambda: {}["no such field"])
    monkeypatch.setattr("threading.excepthook", lambda _arguments: None)
    world.xid = [(CARD, 94)]
    status = world.ticks(watcher, 2)
    assert told(status, "restarted") == [] and len(told(status, "unrestarted")) == 1 and world.door[-1] == "open"


@pytest.mark.parametrize("code, said, told_of", [(0, "", ""), (1, "Access denied", "Access denied"), (4, "", "systemctl ended with status 4")])
def test_systemd_restarts_what_runs_and_starts_nothing_that_somebody_stops(tmp_path, monkeypatch, code, said, told_of):
    """try-restart: a unit that is stopped, or that is being stopped, stays so (systemctl(1))."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "service", raising=False)
    import service
    (tmp_path / "systemctl").write_text('#!/bin/sh\necho "$*" > %s/words\necho "%s" >&2\nexit %d\n' % (tmp_path, said, code), encoding="ascii")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)
    assert service.restart("protocol-omni-oracle.service") == told_of
    assert (tmp_path / "words").read_text(encoding="ascii") == "--no-block try-restart protocol-omni-oracle.service\n"


def test_a_drain_by_hand_is_not_ended_and_the_service_is_restarted_after_it(world, monkeypatch):
    """docs/gateway.md has people drain a service by the same socket, for work on it."""
    import service
    drained = {"oracle": 300}
    monkeypatch.setattr(service, "drained", drained.get, raising=False)
    watcher = world.watcher(fill_context=True)
    world.xid = [(CARD, 94)]
    world.ticks(watcher, 2)
    world.xid = [(CARD, 94)]
    world.ticks(watcher, 2)
    assert (world.restarts, world.filled, world.door) == ([], [], ["open"])  # the first is the watcher's own start
    drained.update(oracle=0)
    world.ticks(watcher, 6)
    assert len(world.restarts) == 1 and world.filled == ["one", "restarted 1"]


@pytest.mark.parametrize("answer, seconds", [
    ('{"oracle": {"up": true, "draining": 12.5}, "executor": {"draining": 0}}', 12.5), ('{"executor": {"draining": 3}}', 0), ('{"oracle": {"up": true}}', 0),
    ('{"oracle": []}', 0), ('{"oracle": {"draining": "no"}}', 0), ("[]", 0), ("<html>", 0)])
def test_how_long_a_service_is_drained_is_asked_of_the_gateway(tmp_path, monkeypatch, answer, seconds):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "service", raising=False)
    import service
    assert service.drained("oracle") == 0  # no gateway
    asked = []

    class Connection:
        def __init__(self, path):
            assert path == "/run/protocol-omni-gateway/control.sock"

        def request(self, *words):
            asked.append(words)

        def getresponse(self):
            return io.BytesIO(answer.encode())

        def close(self):
            pass
    monkeypatch.setattr(service, "LocalConnection", Connection)
    assert service.drained("oracle") == seconds and asked == [("GET", "/services")]


LINE = "NVRM: Xid (PCI:0000:01:00): 94, pid=%s, name=%s, Contained: SM (0x1). RST: No, D-RST: No"


@pytest.mark.parametrize("lines, restarts", [
    ([LINE % (815, "python3")], 0), ([LINE % (815, "Xorg")] * 3, 0),
    ([LINE % (815, "python3"), LINE % (4711, "llama-server")], 1),
    ([LINE % (4711, "cuda-EvtHandlr")], 1),  # the service's own process, by a thread of CUDA's
    ([LINE % (4712, "llama-server")], 1),  # it has just been started anew, or the number is another name space's
    ([LINE % ("'<unknown>'", "<unknown>")], 1), ([LINE.split(", name", maxsplit=1)[0] % 815], 1), ([], 1)])
@pytest.mark.parametrize("driver", [True, False])
def test_an_error_of_another_program_on_the_card_restarts_nothing(world, lines, restarts, driver):
    """What had the error computes no more, and it is named: the service beside it goes on (NVIDIA, GPU Memory Error Management)."""
    watcher = world.watcher()
    world.ticks(watcher, 2)
    world.kernel, world.xid = list(lines), [(CARD, 94)] * max(len(lines), 1) if driver or not lines else []
    status = world.ticks(watcher, 3)
    assert len(world.restarts) == restarts and len(told(status, "xid")) == 1
