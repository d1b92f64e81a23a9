"""Two ansible-playbooks on one host, which is this machine: the second is refused by name, and nothing is left of the first, however it ends."""
import json
import os
import signal
import subprocess
import time

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.action import play_lock

PLAY = """
- name: %(name)s
  hosts: "{{ 'all' | protocol_omni.bunker.from_the_start }}"
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: Keep other plays from this host
      protocol_omni.bunker.play_lock: {path: "%(lock)s", wait: %(wait)d, lease: %(lease)d}
    - name: Begin
      ansible.builtin.command: {argv: [sh, -c, "touch %(mark)s && exec %(work)s"]}
- name: The second play of the same run
  hosts: all
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: Keep other plays from this host
      protocol_omni.bunker.play_lock: {path: "%(lock)s", wait: %(wait)d, lease: %(lease)d}
"""


class Controller:
    """Runs plays on this machine, with one lock."""

    def __init__(self, folder):
        self.folder, self.lock, self.runs = folder, folder / "lock", []

    def begin(self, name, *options, work="sleep 180", wait=0, lease=300):
        (self.folder / (name + ".yml")).write_text(PLAY % {
            "name": name, "lock": self.lock, "mark": self.folder / (name + ".began"), "work": work, "wait": wait, "lease": lease}, encoding="utf-8")
        run = subprocess.Popen(["ansible-playbook", "-i", "localhost,", str(self.folder / (name + ".yml")), *options], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True, env=dict(os.environ, ANSIBLE_NOCOLOR="1"))
        self.runs.append(run)
        return run

    def run(self, name, *options, **more):
        run = self.begin(name, *options, work="true", **more)
        output = run.communicate(timeout=180)[0]  # it ends: whoever keeps the lock has closed it
        return run.returncode, " ".join(output.split())

    def until(self, condition, seconds=180):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    def working(self, name, **more):
        # Its command itself makes the mark: an interrupt between two tasks can be lost in what Ansible then does.
        run = self.begin(name, **more)
        self.until(lambda: (self.folder / (name + ".began")).exists() or run.poll() is not None)
        assert run.poll() is None, run.communicate()[0]
        return run


@pytest.fixture
def controller(tmp_path):
    found = Controller(tmp_path)
    yield found
    for run in found.runs:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    found.until(lambda: not found.lock.exists())


def test_a_second_play_is_refused_by_name_and_one_that_waits_gets_its_turn(controller):
    first = controller.working("First")
    code, said = controller.run("Second")
    assert code == 2 and "The play First of " in said and " (process %d, since 20" % first.pid in said and "bunker_lock_wait=SECONDS" in said
    assert not (controller.folder / "Second.began").exists() and first.poll() is None
    code, said = controller.run("Look", "--check")
    assert code == 0 and "The play First of" in said and "predicted may come otherwise" in said
    waiting = controller.begin("Third", work="true", wait=60)
    time.sleep(3)
    os.kill(first.pid, signal.SIGINT)
    assert waiting.wait(timeout=180) == 0 and "taken over" not in waiting.communicate()[0]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_play_ends_its_lock_ends_with_it(controller, how):
    run = controller.working("First")
    assert json.loads(controller.lock.read_text(encoding="utf-8"))["process"] == run.pid
    os.kill(run.pid, how)
    run.wait(timeout=60)
    controller.until(lambda: not controller.lock.exists(), 60)


def test_a_run_that_ends_well_or_fails_leaves_no_lock_and_both_plays_are_one_holder(controller):
    assert controller.run("First")[0] == 0
    controller.until(lambda: not controller.lock.exists(), 60)
    run = controller.begin("Second", work="false")
    assert run.wait(timeout=180) == 2
    controller.until(lambda: not controller.lock.exists(), 60)


def test_the_lock_of_a_process_that_is_no_more_is_taken_over_and_named(controller):
    run = controller.working("First")
    left = json.loads(controller.lock.read_text(encoding="utf-8"))
    os.kill(run.pid, signal.SIGKILL)
    controller.until(lambda: not controller.lock.exists(), 60)
    controller.lock.write_text(json.dumps(left), encoding="utf-8")  # as if what keeps it had been killed as well
    code, said = controller.run("Second")
    assert code == 0 and "The lock of the play First of" in said and "was taken over: its process is no more" in said


def test_the_lock_of_another_controller_holds_until_its_lease_is_over(controller):
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    other = {"token": "m2:1:1", "machine": "m2", "process": 1, "started": "1", "lease": 600, "play": "Theirs", "user": "ops", "controller": "ops-2",
             "since": "2026-11-30T00:00:00Z", "renewed": now + 2}
    controller.lock.write_text(json.dumps(other), encoding="utf-8")
    code, said = controller.run("First")
    assert code == 2 and "The play Theirs of ops on ops-2 (process 1, since 2026-11-30T00:00:00Z" in said and "600 s after it was last heard of" in said
    controller.lock.write_text(json.dumps(dict(other, lease=6, renewed=time.clock_gettime(time.CLOCK_BOOTTIME))), encoding="utf-8")
    code, said = controller.run("Second", wait=60)
    assert code == 0 and "taken over: nothing was heard of it for" in said


def test_a_long_play_renews_its_lock(controller):
    controller.working("First", lease=30)
    first = json.loads(controller.lock.read_text(encoding="utf-8"))["renewed"]
    controller.until(lambda: json.loads(controller.lock.read_text(encoding="utf-8"))["renewed"] > first + 3, 120)
    assert controller.run("Second")[0] == 2


def test_a_process_that_has_ended_lives_no_more_also_where_nobody_has_asked_for_it():
    process = subprocess.Popen(["sleep", "60"])
    start = play_lock.started(process.pid)
    assert start.isdigit() and play_lock.lives(process.pid, start) and not play_lock.lives(process.pid, start + "1")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not play_lock.lives(process.pid, start)
    process.wait()
    assert not play_lock.lives(process.pid, start)


def test_a_run_that_would_begin_in_the_middle_is_refused(controller):
    code, said = controller.run("First", "--start-at-task", "Begin")
    assert code != 0 and "--start-at-task Begin: the judgement" in said and "--tags ROLE" in said
    assert not controller.lock.exists() and not (controller.folder / "First.began").exists()
