"""One ansible-playbook and what it did."""
import dataclasses
import os
import pathlib
import time

import ansible_runner
from support import ROOT

DEMO = ROOT / "inventory" / "demo"
SCENARIOS = ROOT / "molecule" / "inventory"
HOSTS = ROOT / "tests" / "host" / "hosts.yml"
INVENTORIES = (DEMO, SCENARIOS, HOSTS)
"""Every host of the tests, the variables of the demo first."""

finished = []
"""(playbook, host, seconds, output) of each play of this process since somebody emptied it; support.reporting does, after each phase of a test."""


@dataclasses.dataclass
class Run:
    """What one ansible-playbook did."""

    rc: int
    changed: set
    failures: list
    tasks: set
    seconds: float
    output: str

    def assert_ok(self):
        assert self.rc == 0, self.output[-4000:]
        return self


def play(playbook, host, folder, *options, extra_vars=None, environment=None, cwd=ROOT, cancel=None, watch=None):
    """Runs a playbook on one host of the inventories.

    :param folder: pathlib.Path, for ansible-runner's own files; must not exist.
    :param cancel: function without arguments; once it returns True, ansible-playbook is killed.
    :param watch: function that is given each event, a dict of ansible-runner.
    :returns: :class:`Run`.
    """
    folder.mkdir(parents=True)
    started = time.monotonic()
    inventories = " ".join("--inventory %s" % path for path in INVENTORIES[1:])
    result = ansible_runner.run(
        private_data_dir=str(folder), project_dir=str(cwd), playbook=str(playbook), inventory=str(INVENTORIES[0]), limit=host, quiet=True,
        cancel_callback=cancel, event_handler=watch and (lambda event: watch(event) or True),  # True keeps the event
        cmdline=" ".join([inventories, *options]), extravars=dict(extra_vars or {}),
        envvars=dict({"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, **(environment or {})))
    changed, failures, tasks = set(), [], set()
    for event in result.events:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_ok":
            tasks.add(data["task"])
            if data["res"].get("changed"):
                changed.add(data["task"])
        if event["event"] == "runner_on_failed" and not data.get("ignore_errors"):
            failures.append(str(data["res"].get("msg", "")))
    output, seconds = result.stdout.read(), time.monotonic() - started
    finished.append((os.path.relpath(str(playbook), ROOT) if pathlib.Path(playbook).is_absolute() else str(playbook), host, seconds, output))
    return Run(result.rc, changed, failures, tasks, seconds, output)
