"""The callback plugin on small plays of its own, on a terminal and without one; and that it knows each task of site.yml."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.vars.manager import VariableManager
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.callback import screen
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import phases

PLAY = """
- name: Judge the inventory before anything changes
  hosts: all
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.command: "true"
    - name: Say something
      ansible.builtin.debug: {msg: "said by a task"}
    - name: Be rescued
      block:
        - name: Fail and be rescued
          ansible.builtin.command: sh -c 'echo first cause >&2; exit 3'
      rescue:
        - name: Rescue
          ansible.builtin.command: "true"
    - name: Wait for something
      ansible.builtin.command: "true"
      register: tried
      until: tried.attempts | default(0) == 2
      retries: 3
      delay: 1
    - name: Take one after the other
      ansible.builtin.command: echo {{ item }}
      loop: [first, second]
    - name: Take a secret
      ansible.builtin.command: echo {{ item }}
      loop: [hush]
      no_log: true
    - name: Pass over
      ansible.builtin.command: "false"
      ignore_errors: true
      when: false
    - name: The last step
      LAST
"""
FAILS = "ansible.builtin.fail: {msg: \"no room on /srv\\nmake some\"}"
SLEEPS = "ansible.builtin.command: sleep 60"


@pytest.fixture
def command(tmp_path):
    """(words, environment) of ansible-playbook for a play with that last step."""
    def make(last, **more):
        (tmp_path / "play.yml").write_text(PLAY.replace("LAST", last))
        words = [sys.executable, "-m", "ansible", "playbook", "-i", "here,", "-c", "local", str(tmp_path / "play.yml")]
        return words, dict(os.environ, ANSIBLE_STDOUT_CALLBACK="protocol_omni.bunker.screen", ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"), TERM="xterm",
                           PYTHONIOENCODING="utf-8", ANSIBLE_PYTHON_INTERPRETER=sys.executable, **more)
    return make


def on_a_terminal(words, environment, when=None, send=None):
    """(exit status, what was written) of a command on a terminal of 100 columns. Once ``when`` is on it, ``send`` is called with (descriptor, pid)."""
    pid, near = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
        os.execvpe(words[0], words, environment)
    fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    said, until = b"", time.monotonic() + 120
    while time.monotonic() < until:
        if select.select([near], [], [], 0.2)[0]:
            try:
                more = os.read(near, 65536)
            except OSError:
                break
            if not more:
                break
            said += more
        if when and when in said:
            when = None
            send(near, pid)
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(near)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_without_a_terminal_it_writes_lines(command, tmp_path):
    (tmp_path / "durations.json").write_text("{", encoding="utf-8")
    words, environment = command(FAILS, BUNKER_CACHE=str(tmp_path))
    done = subprocess.run(words, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 2 and "\x1b" not in done.stdout
    for line in (" == preflight", "here: Change something: changed in", "here: said by a task", "here: FAILED: Fail and be rescued: first cause",
                 "here: FAILED: The last step: no room on /srv", "Failed after"):
        assert line in done.stdout, done.stdout
    cause = done.stdout.partition("What failed")[2]
    assert "no room on /srv" in cause and "first cause" not in cause
    assert done.stdout.startswith("play.yml on here\n")
    assert "first values are told: %s/durations.json" % tmp_path in done.stdout and "remaining" not in done.stdout


def test_a_terminal_has_its_cursor_back_at_the_end_and_the_cause_stays(command, tmp_path):
    (tmp_path / "durations.json").write_text('{"play.yml on here": {"phases": {"preflight": {"changing": [5000]}}}}', encoding="utf-8")
    status, said = on_a_terminal(*command(FAILS, BUNKER_CACHE=str(tmp_path)))
    assert status == 2
    assert said.count("\x1b[?25l") == 1 and said.rstrip().endswith("\x1b[?7h\x1b[?25h")
    end = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.partition("What failed")[2])
    assert "no room on /srv" in end and "make some" in end and "first cause" not in end
    assert "elapsed" in said and "here: said by a task" in said and re.search("about 8[0-3] min remaining", said)
    assert re.search("attempt [123] of 4; it is tried again", said) and "done: first" in said and "hush" not in said


@pytest.mark.parametrize("send", [lambda near, _pid: os.write(near, b"\x03"), lambda _near, pid: os.kill(pid, signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_says_so_and_gives_the_cursor_back(command, send):
    def once_it_sleeps(near, pid):
        time.sleep(2)  # Python drops what comes while it forks the step's worker: "Exception ignored in", and the run goes on
        send(near, pid)

    status, said = on_a_terminal(*command(SLEEPS), when=b"The last step", send=once_it_sleeps)
    assert status != 0
    assert "Interrupted after" in said and "\x1b[?25h" in said.rpartition("Interrupted after")[2]


def test_a_window_that_changes_is_drawn_by_its_new_width(command, tmp_path):
    def narrow(near, _pid):
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))

    words, environment = command("ansible.builtin.command: sleep 3", BUNKER_CACHE=str(tmp_path / "cache"))
    status, said = on_a_terminal(words, environment, when=b"The last step", send=narrow)
    frames = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in said.splitlines() if "elapsed" in line]
    assert status == 0
    assert {len(frame) for frame in frames} == {40, 100}
    remembered = json.loads((tmp_path / "cache" / "durations.json").read_text(encoding="utf-8"))
    ((kind, record),) = remembered.items()
    assert (kind, list(record["phases"])) == ("play.yml on here", ["preflight"]) and 3 < record["phases"]["preflight"]["changing"][0] < 120


def entries():
    """(play, role, file of tasks) of each task of playbooks/site.yml as it is loaded, in order."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=["here,"])
    book = Playbook.load(str(ROOT / "playbooks" / "site.yml"), variable_manager=VariableManager(loader=loader, inventory=inventory), loader=loader)

    def tasks(block):
        for one in block.block + block.rescue + block.always:
            yield from tasks(one) if hasattr(one, "block") else [one]

    for play in book.get_plays():
        for block in play.compile():
            for task in tasks(block):
                if not task.implicit:
                    yield (play.get_name(), *screen.entry_of(task))


def test_the_tasks_of_site_come_through_the_phases_in_their_order():
    now, came = None, []
    for play, role, entry in entries():
        now = phases.phase_of(play, role, entry, now)
        came += [now] if now not in came[-1:] else []
    assert came == list(phases.ORDER)
