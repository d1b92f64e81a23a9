"""One run on two hosts: one dies in the middle and the other goes on, or --limit leaves one out; no task of site.yml waits for another host.

Both hosts are this machine, each with a lock of its own; one dies by becoming a host behind a port where nobody listens.
"""
import os
import re
import subprocess
import time

import pytest
from support import ROOT

PLAY = """
- name: Two hosts
  hosts: "{{ 'all' | protocol_omni.bunker.from_the_start }}"
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: Keep other plays from this host
      protocol_omni.bunker.play_lock: {path: "%(folder)s/{{ inventory_hostname }}.lock", wait: 0}
    - name: Begin
      ansible.builtin.file: {path: "%(folder)s/{{ inventory_hostname }}.began", state: touch, mode: "0644"}
    - name: Die
      ansible.builtin.ping:
      vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9, ansible_ssh_timeout: 5}
      when: inventory_hostname == 'one'
    - name: Go on
      ansible.builtin.file: {path: "%(folder)s/{{ inventory_hostname }}.ended", state: touch, mode: "0644"}
"""


def run(folder, *options):
    """The exit status, and which files there are once the locks have ended."""
    (folder / "play.yml").write_text(PLAY % {"folder": folder}, encoding="utf-8")
    done = subprocess.run(["ansible-playbook", "-i", "one,two,", str(folder / "play.yml"), *options], cwd=ROOT, capture_output=True, text=True, check=False,
                          env=dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default"))
    until = time.monotonic() + 60
    while any(path.is_file() for path in folder.glob("*.lock")) and time.monotonic() < until:
        time.sleep(0.2)
    return done.returncode, sorted(path.name for path in folder.iterdir() if path.suffix not in (".yml", ".guard")), done.stdout


def test_a_host_that_dies_in_the_middle_stops_no_other_and_leaves_no_lock(tmp_path):
    status, found, output = run(tmp_path)
    assert status == 4, output  # ansible-playbook's word for a host that could not be reached
    assert found == ["one.began", "two.began", "two.ended"]


def test_a_host_that_the_limit_leaves_out_is_neither_locked_nor_changed(tmp_path):
    (tmp_path / "one.lock").mkdir()  # whoever looked at it would fail
    status, found, output = run(tmp_path, "--limit", "two")
    assert status == 0, output
    assert found == ["one.lock", "two.began", "two.ended"]


@pytest.mark.parametrize("word", ["any_errors_fatal", "run_once", "hostvars", "ansible_play_hosts", "serial", "groups["])
def test_nothing_of_the_site_depends_on_another_host(word):
    """A pool does, on purpose: its doors know its members (playbooks/pool.yml), and a rolling change goes host by host. What is rendered for Kubernetes
    asks no host at all."""
    pattern = re.compile(r"(?m)^[^#\n]*(?<![\w-])%s" % re.escape(word))
    told = [str(path.relative_to(ROOT)) for folder in ("playbooks", "roles") for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".yml", ".j2") and "meta" not in path.parts and pattern.search(path.read_text(encoding="utf-8"))]
    assert [path for path in told if not path.startswith(("roles/pool/", "playbooks/pool.yml", "playbooks/rolling.yml", "playbooks/kubernetes.yml"))] == []
