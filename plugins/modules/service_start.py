#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service is started as it is written, made anew where another definition made it, and left alone where it runs as it should."""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_start
short_description: Have a service run as it is written
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Starts the unit of a service, and enables it. Restarts it where its unit is new, where another definition made its container, or where that is not on each
    of its networks with its address. A container that is on further networks leaves them and runs on.
  - Then asks it once for what it is for, where it has its model already. What it does not answer is no error here; M(protocol_omni.bunker.service_answer) waits
    and tells.
options:
  name:
    description: Name of the service, and of its container.
    type: str
    required: true
  unit:
    description: Its unit.
    type: str
    required: true
  unit_is_new:
    description: Whether this play has written the unit.
    type: bool
    required: true
  label:
    description: The label under which a container carries what it was made by.
    type: str
    required: true
  digest:
    description: What it is to be made by.
    type: str
    required: true
  networks:
    description: Each network that it is to be on, and its address there.
    type: dict
    required: true
  question:
    description: What it is asked, as options of M(protocol_omni.bunker.service_answer).
    type: dict
    required: true
  speed_path:
    description: The file in which M(protocol_omni.bunker.service_speed) keeps its speeds. Without it nothing is told of them.
    type: path
  patience:
    description: Seconds that it is given to have its model. In check mode it is asked once.
    type: float
    default: 3
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
requirements:
  - root on the engine's host
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Start the service
  protocol_omni.bunker.service_start:
    name: executor
    unit: protocol-omni-executor.service
    unit_is_new: false
    label: protocol_omni.bunker.definition
    digest: 0123456789abcdef
    networks: {omni-network: 172.30.0.20}
    question: {endpoint: "http://172.30.0.20:8002", kind: chat, question: "What is the capital of France?", expected_word: Paris}
  register: started
"""

RETURN = r"""
outdated:
  description: Whether it was made anew.
  returned: always
  type: bool
made_by:
  description: What its container said it was made by, before; V(null) where there was none.
  returned: always
  type: str
before:
  description: systemd's name of its start before this one, empty for none.
  returned: always
  type: str
disconnected:
  description: Networks that it left.
  returned: always
  type: list
  elements: str
msg:
  description: What was done, or in check mode would be, for people.
  returned: always
  type: str
noted_speed:
  description: >-
    The verdict on its speed that M(protocol_omni.bunker.service_speed) noted last, where it holds and is of the same definition, and the service ran before as
    it runs now. Empty otherwise.
  returned: success
  type: dict
answered:
  description: Whether it did what it is for.
  returned: success
  type: bool
"""

import time  # noqa: E402
import urllib.parse  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import deployed, service_start, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.commands import answer  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client as engine  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import client as llama  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds, proof  # noqa: E402

LONGEST_ANSWER = 60  # seconds; what takes longer is waited for by whoever tells why
RUNS = ("active", "activating", "reloading")


class Failure(Exception):
    """What could not be done; the message is for people."""


def present(docker_host, name, label):
    """What the container of a name says it was made by, and how it is; two times None without one, or without an engine that tells."""
    try:
        inspected = engine.get(docker_host, "/containers/%s/json" % urllib.parse.quote(name, safe=""))
        listed = engine.get(docker_host, "/containers/json?all=1") or []
    except engine.EngineError:
        return None, None
    container = next((one for one in deployed.containers(listed, label) if one["name"] == name), None)
    return (None if inspected is None else (inspected["Config"].get("Labels") or {}).get(label, "")), container


def done(module, words, said):
    """Runs a command.

    :param said: what could not be done where it ends otherwise than well.
    :raises Failure: so it ended.
    """
    code, out, errors = module.run_command(words)
    if code:
        raise Failure("%s: %s" % (said, (errors or out).strip()))


def attempted(module, words, _said):
    """Runs a command, however it ends."""
    answer(module, *words)


def told(module, changes):
    """A sentence of what was done, or would be."""
    would = "would be " if module.check_mode else ""
    return "%s: %s" % (module.params["name"], would + " and ".join(changes) if changes else "runs as it is written")


def bring_up(module, decision):
    """Does what is decided; returns what of it changes anything, a list of words of :func:`told`. In check mode nothing is done.

    :raises Failure: something of it could not be done.
    """
    unit, name = module.params["unit"], module.params["name"]
    enabled = answer(module, "systemctl", "is-enabled", unit)[0] == 0
    runs = answer(module, "systemctl", "show", "--property", "ActiveState", "--value", unit)[1].strip() in RUNS
    changes = ["made anew"] if decision.outdated else (
        ["disconnected from " + network for network in decision.further] + ["enabled"] * (not enabled) + ["started"] * (not runs))
    if module.check_mode:
        return changes
    if decision.reset:
        # Deliberate starts count too: without this, the start limit that stops a storm would also stop a deployment.
        # Where its unit was not written, nothing is lost with a systemd that does not read it anew; a failure would have a service stopped that runs.
        (done if decision.outdated else attempted)(module, ["systemctl", "daemon-reload"], "systemd could not read its units anew")
        answer(module, "systemctl", "reset-failed", unit)
    if decision.outdated:
        # enable does nothing for a unit that is enabled already, and was tied to less before.
        done(module, ["systemctl", "reenable", unit], "Unable to enable service %s" % unit)
    elif not enabled:
        done(module, ["systemctl", "enable", unit], "Unable to enable service %s" % unit)
    for network in decision.further:
        done(module, ["docker", "network", "disconnect", network, name], "It could not leave the network %s" % network)
    if decision.outdated:
        done(module, ["systemctl", "restart", unit], "Unable to restart service %s" % unit)
    elif not runs:
        done(module, ["systemctl", "start", unit], "Unable to start service %s" % unit)
    return changes


def answers(question, patience):
    """Whether it does what it is for, as soon as it has its model; False where it has none within so many seconds."""
    given = {"endpoint": "", "kind": kinds.CHAT, "question": "", "expected_word": "", "answer_tokens": 64, "thinking_tokens": 1024, "width": 0}
    given.update(question)
    for number in ("answer_tokens", "thinking_tokens", "width"):
        given[number] = int(given[number])
    until = time.monotonic() + patience
    try:
        while not has_its_model(given["endpoint"]):
            if time.monotonic() >= until:
                return False
            time.sleep(0.25)
        return bool(proof.verdict(given["kind"], proof.ask(given["kind"], given["endpoint"], given, LONGEST_ANSWER), given)[2])
    except llama.NoAnswer:
        return False


def has_its_model(endpoint):
    """Whether it says that it is well."""
    try:
        return llama.ask(endpoint + "/health", timeout=10).status == 200
    except llama.NoAnswer:
        return False


def noted_speed(path, digest):
    """The last verdict on the speed of what was made by the digest, {} for none that holds."""
    last = small_file.record(path).get("last") or {} if path else {}
    return last if last.get("holds") and last.get("definition") == digest else {}


def main():
    text = {"type": "str", "required": True}
    module = AnsibleModule(argument_spec={
        "name": text, "unit": text, "label": text, "digest": text, "unit_is_new": {"type": "bool", "required": True},
        "networks": {"type": "dict", "required": True}, "question": {"type": "dict", "required": True},
        "speed_path": {"type": "path"}, "patience": {"type": "float", "default": 3},
        "docker_host": {"type": "str", "default": engine.DEFAULT_HOST}}, supports_check_mode=True)
    given = module.params
    made_by, container = present(given["docker_host"], given["name"], given["label"])
    decision = service_start.decide(given["unit_is_new"], made_by, given["digest"], container, given["networks"])
    seen = {"outdated": decision.outdated, "made_by": made_by, "disconnected": decision.further,
            "before": answer(module, "systemctl", "show", "--property", "InvocationID", "--value", given["unit"])[1].strip()}
    if decision.further:  # somebody has connected it by hand, and may wonder
        module.warn("%s is on networks that the inventory does not give it, and leaves them: %s" % (given["name"], ", ".join(decision.further)))
    try:
        changes = bring_up(module, decision)
    except Failure as failure:
        module.fail_json(msg=str(failure), **seen)
    # What check mode would have started has nothing to say.
    answered = not (module.check_mode and changes) and answers(given["question"], 0 if module.check_mode else given["patience"])
    module.exit_json(changed=bool(changes), msg=told(module, changes), answered=answered,
                     noted_speed={} if changes else noted_speed(given["speed_path"], given["digest"]), **seen)


if __name__ == "__main__":
    main()
