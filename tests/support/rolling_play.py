"""playbooks/rolling.yml with stand-ins for what it deploys and for the claims, on local connections. The role of the pool and the play's shape are real."""
import json
import os
import subprocess

from support import ROOT


class RollingPlay:
    """The play in a folder of its own.

    :param folder: a folder that is empty.
    :param tasks: "deploy" and "claims" to the tasks that stand in for these files, YAML.
    """

    def __init__(self, folder, tasks):
        self.folder = folder
        (folder / "tasks").mkdir(parents=True)
        text = (ROOT / "playbooks/rolling.yml").read_text(encoding="utf-8")
        text = text.replace("gather_facts: true", "gather_facts: false")  # which nobody here reads, and which takes most of the time
        # Stand-in hosts have no inventory worth a judgement, and share a machine: each has a lock of its own.
        lock = "protocol_omni.bunker.play_lock:\n"
        for there, instead in (("protocol_omni.bunker.validate_inventory:", "ansible.builtin.debug:"), ("ansible.builtin.setup:", "ansible.builtin.debug:"),
                               (lock, lock + "        path: %s/{{ inventory_hostname }}.lock\n" % folder)):
            assert text.count(there) == 1
            text = text.replace(there, instead)
        (folder / "rolling.yml").write_text(text, encoding="utf-8")
        for name, stand_in in tasks.items():
            (folder / "tasks" / (name + ".yml")).write_text(stand_in, encoding="utf-8")

    def run(self, hosts, common, forced, *words):
        """(exit status, what was printed).

        :param hosts: name to variables.
        :param common: variables of all of them.
        :param forced: variables before which the role's own give way.
        :param words: further ones for ansible-playbook.
        """
        shared = dict(common, ansible_connection="local", ansible_become=False)
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}), encoding="utf-8")
        done = subprocess.run(["ansible-playbook", "-i", str(self.folder / "hosts.json"), str(self.folder / "rolling.yml"), "-e", json.dumps(forced), *words],
                              cwd=ROOT, check=False, capture_output=True, text=True, env=dict(os.environ, ANSIBLE_PIPELINING="1"))
        return done.returncode, done.stdout + done.stderr
