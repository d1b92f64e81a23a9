"""A card that needs a reset, from the kernel's line to the service that is back: the watcher's own programs, with stand-ins for nvidia-smi and systemctl.

The same on a host, with llama-server, systemd and Prometheus: tests/integration/destructive/test_watch_the_gap.py.
"""
import pathlib
import re
import subprocess
import sys
import types

import pytest
import rendering
import yaml
from support import ROOT
import test_vram_watcher
from test_vram_watcher import CARD, Child, GIB, NOT_ANSWERING, OTHER, PROGRAMS, told

from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import xid

world = test_vram_watcher.world  # its fixture
POPEN = subprocess.Popen  # the world's takes its place
SECONDS = 5  # between two samples, as the world's settings have it
RULES = [rule for group in yaml.safe_load((ROOT / "roles" / "observability" / "files" / "rules.yml").read_text(encoding="utf-8"))["groups"]
         for rule in group["rules"]]
ORACLE, WATCHER, DAEMON = "protocol-omni-oracle.service", "protocol-omni-vram-watch.service", "nvidia-persistenced.service"
# As systemd does it: a unit that it does not know makes stop, start and reset-failed fail after they have done the others; one that met its start limit is
# started by nobody until its failures are forgotten.
SYSTEMCTL = """#!/bin/sh
cd %s || exit 99
action=$1; shift
echo "$action $*" >> asked
code=0
for unit; do
    [ -e "unit-$unit" ] || { echo "Failed to $action $unit: Unit $unit not loaded." >&2; code=5; continue; }
    case $action in
        stop) : > "unit-$unit"; [ "$unit" != %s ] || sed -i 's/ [0-9]* [0-9]*$/ 0 0/' cards ;;
        reset-failed) rm -f "limit-$unit" ;;
        start) [ -e "limit-$unit" ] && { echo "Job for $unit failed: start request repeated too quickly." >&2; code=1; continue; }; echo up > "unit-$unit" ;;
    esac
done
exit $code
"""


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A folder with a card that the stand-ins for nvidia-smi and systemctl tell of, both first on the path."""
    folder, programs = tmp_path / "gpu", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (programs / "nvidia-smi").write_bytes((ROOT / "tests" / "stand_ins" / "nvidia-smi").read_bytes())
    (programs / "systemctl").write_text(SYSTEMCTL % (folder, ORACLE), encoding="utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    (folder / "cards").write_text("%s Stand-in_GPU %d %d 4711 %d\n" % (CARD, 96 * GIB, 84 * GIB, 80 * GIB), encoding="ascii")
    for unit in (ORACLE, WATCHER, DAEMON):
        (folder / ("unit-" + unit)).write_text("up\n", encoding="ascii")
    monkeypatch.setenv("STAND_IN_GPU", str(folder))
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % programs)
    return folder


@pytest.fixture
def kernel(world, tmp_path, monkeypatch):
    """Writes a line into the kernel's log, which the watcher's own program reads."""
    monkeypatch.delitem(sys.modules, "kernel_log", raising=False)
    import kernel_log
    import watch
    monkeypatch.setattr(subprocess, "Popen", POPEN)
    monkeypatch.setattr(watch, "subprocess", types.SimpleNamespace(Popen=lambda words, **_more: Child(world, words), PIPE=subprocess.PIPE))
    path, count = tmp_path / "kmsg", [0]
    path.touch()
    monkeypatch.setattr(watch, "KernelLog", lambda sequence=None: kernel_log.KernelLog(sequence, str(path)))

    def write(line):
        count[0] += 1
        with open(path, "a", encoding="utf-8") as stream:
            stream.write("3,%d,5140900,-;%s\n" % (count[0], line))
    return write


def screen(status, now):
    """The lines of bunker-status."""
    sys.modules.pop("status", None)
    import status as page
    return page.screen(status, now, now)[0]


def firing(gauges):
    """Names of the alerts on a card's state that these figures satisfy."""
    found = []
    for rule in RULES:
        said = re.match(r"bunker_card_state (==|>=) (\d+)$", str(rule["expr"]).strip())
        if said and (gauges["bunker_card_state"] == int(said.group(2)) or said.group(1) == ">=" and gauges["bunker_card_state"] > int(said.group(2))):
            found.append(rule["alert"])
    return found


def command_of(line):
    """The command that a sentence ends with."""
    return line.partition("it needs a reset: ")[2]


@pytest.mark.parametrize("sign", ["Xid in the kernel's log", "recovery action alone"])
def test_a_wedged_card_from_the_first_sign_to_the_service_that_is_back(world, card, kernel, sign):
    watcher = world.watcher(source="nvidia-smi")
    assert world.ticks(watcher, 3)["headroom"] == 12 * GIB and firing(world.gauges) == []
    (card / "wedged").write_text("1", encoding="ascii")
    if sign.startswith("Xid"):
        kernel(NOT_ANSWERING)
    world.running, world.up = "", False
    began = world.now
    while not firing(world.gauges):
        status = world.ticks(watcher)
        assert world.now - began < 60, "no alert within a minute"
    # One sample here; Prometheus takes at most one interval more to read it and one to judge it, for there is nothing to wait for in the rule.
    assert world.now - began == SECONDS and firing(world.gauges) == ["CardNeedsReset"]
    assert [rule.get("for", "0s") for rule in RULES if rule["alert"] == "CardNeedsReset"] == ["0s"]
    interval = rendering.read("observability", "defaults/main.yml")["observability_scrape_interval"]
    assert world.now - began + 2 * interval <= 15
    status = world.ticks(watcher, 12)
    assert len(told(status, "fault")) == 1 and len(told(status, "latch")) == 1 and world.children == []  # escalated once, and no step is tried
    (line,) = [line for line in screen(status, world.now) if "it needs a reset" in line]
    assert line.startswith("card %s: " % CARD) and ("RESET_GPU" in line or '"Reset"' in line)
    if sign.startswith("Xid"):
        assert "NVIDIA's action for Xid 119 (its firmware (GSP) does not answer) is RESET_GPU" in line
    (card / ("limit-" + ORACLE)).touch()  # by now it has died three times
    done = subprocess.run(["sh", "-c", command_of(line)], capture_output=True, text=True, check=False)
    assert not (card / "wedged").exists() and "was successfully reset" in done.stdout
    assert {path.name: path.read_text(encoding="ascii").strip() for path in card.glob("unit-*")} == dict.fromkeys(
        ["unit-" + unit for unit in (ORACLE, WATCHER, DAEMON)], "up"), done.stderr
    watcher = world.watcher(source="nvidia-smi")  # the command has started it anew
    world.running, world.up = "after the reset", True
    (card / "cards").write_text("%s Stand-in_GPU %d %d 4711 %d\n" % (CARD, 96 * GIB, 84 * GIB, 80 * GIB), encoding="ascii")
    status = world.ticks(watcher, 6)
    assert (status["lost"], status["faults"], status["latched"], firing(world.gauges)) == ([], {}, "", [])
    assert not any("it needs" in line for line in screen(status, world.now)[:-12])


@pytest.mark.parametrize("absent", [DAEMON, WATCHER])
def test_the_command_does_its_work_also_where_a_unit_is_not_there(card, absent):
    """A host without the persistence daemon; a watcher that was removed meanwhile."""
    (card / "wedged").write_text("1", encoding="ascii")
    (card / ("unit-" + absent)).unlink()
    command = command_of(xid.sentence(CARD, "0000:01:00", xid.fault_of_number(119), [ORACLE, WATCHER, DAEMON]))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert not (card / "wedged").exists(), done.stdout + done.stderr
    assert {path.read_text(encoding="ascii") for path in card.glob("unit-*")} == {"up\n"}


def test_a_card_that_needs_a_reset_when_the_watcher_starts_is_told_though_none_can_be_read(world, card, kernel):
    """Its Xid is long past, and it is the only card."""
    (card / "wedged").write_text("1", encoding="ascii")
    status = world.ticks(world.watcher(source="nvidia-smi"), 2)
    assert status["lost"] == [CARD] and "--gpu-reset -i 0000:01:00.0" in status["faults"][CARD] and firing(world.gauges) == ["CardNeedsReset"]


def test_a_card_that_needs_a_reboot_is_told_by_nvidias_name_and_no_reset_is_offered(world, card, kernel):
    watcher = world.watcher(source="nvidia-smi")
    world.ticks(watcher)
    (card / "wedged").write_text("2", encoding="ascii")
    status = world.ticks(watcher, 20)
    (sentence,) = status["faults"].values()
    assert '"Reboot"' in sentence and "systemctl reboot" in sentence and "--gpu-reset" not in sentence
    assert firing(world.gauges) == ["CardNeedsReboot"] and len(told(status, "fault")) == 1


@pytest.mark.parametrize("source", ["one card", "two cards"])
def test_an_older_driver_that_says_only_that_the_card_requires_a_reset_is_believed(world, source):
    """No Xid was seen, and no recovery action is told (before branch 565)."""
    cards = [CARD, OTHER] if source == "two cards" else [CARD]
    world.cards[OTHER] = (96 * GIB, 10 * GIB, 0)
    watcher = world.watcher(gpus=cards)
    world.ticks(watcher, 1)
    kept = world.cards.pop(CARD)
    kind = type(watcher.cards.source)
    kind.odd = {CARD: "[GPU requires reset]"}
    status = world.ticks(watcher, 3)
    assert status["lost"] == [CARD] and '"[GPU requires reset]"' in status["faults"][CARD]
    world.cards[CARD] = kept
    kind.odd = {}
    status = world.ticks(watcher, 5)
    assert (status["lost"], status["faults"], status["latched"]) == ([], {}, "")


@pytest.mark.parametrize("code, words, kind", [
    (1, "Reset", "reset"), (2, "Reboot", "reboot"), (3, "Drain P2P", "later"), (4, "Drain and Reset", "later"), (5, "Recover IMEX Domain", "later"),
    (6, "Bus Reset", "reset"), (7, "System Reboot", "reboot"), (77, "code 77", "later")])
def test_a_recovery_action_that_nvml_tells_as_a_number_has_nvidias_name(world, code, words, kind):
    """NVML's constants as nvidia-ml-py 13.615 has them."""
    world.recovery = {CARD: code}
    status = world.ticks(world.watcher(), 2)
    assert "the driver's recovery action is \"%s\"" % words in status["faults"][CARD]
    assert world.gauges["bunker_card_state"] == {"later": 1, "reset": 2, "reboot": 3}[kind]


def test_nvml_says_a_needed_reset_in_the_drivers_words(monkeypatch):
    """nvidia-ml-py calls its error 16 "GPU requires restart", which is something else."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    monkeypatch.delitem(sys.modules, "gpus", raising=False)
    import gpus
    assert gpus.words_of(types.SimpleNamespace(value=16, __str__=lambda: "GPU requires restart")) == "[GPU requires reset]"


def test_a_card_that_nvidia_smi_calls_lost_is_lost(world, card, kernel, tmp_path):
    watcher = world.watcher(source="nvidia-smi")
    world.ticks(watcher)
    program = pathlib.Path(tmp_path / "bin" / "nvidia-smi")
    program.write_text("#!/bin/sh\ncase $1 in *memory.total*) echo '%s, a, [GPU is lost], [GPU is lost], [GPU is lost]' ;; esac\n" % CARD, encoding="ascii")
    assert world.ticks(watcher, 2)["lost"] == []
    status = world.ticks(watcher, 2)
    assert status["lost"] == [CARD] and "a card is lost" in status["latched"]


def test_a_card_that_requires_a_reset_is_no_card_that_may_wait_for_one(world, card, kernel):
    """The driver's recovery action is "Drain and Reset", and it computes nothing any more."""
    (card / "wedged").write_text("4", encoding="ascii")
    status = world.ticks(world.watcher(source="nvidia-smi"), 3)
    assert status["lost"] == [CARD] and firing(world.gauges) == ["CardNeedsReset"] and len(told(status, "fault")) == 1
