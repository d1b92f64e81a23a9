#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that runs, looked at from everywhere and changed nowhere."""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Read everything of a running service that its claims speak of
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Waits until a llama-server answers, asks it a question, measures one completion, tries its doors, and reads its container, its process, its unit and
    what was noted of it.
  - Changes nothing and judges nothing. What is not there is told as absent; a service that does not answer, or has no container, is an error.
  - With O(egress) it tries to get out of the container too, as M(protocol_omni.bunker.egress_probe) does.
  - Of its environment nothing is returned but C(CUDA_VISIBLE_DEVICES).
options:
  name:
    description: The service's name, which its container has too.
    type: str
    required: true
  endpoint:
    description: Where it answers on the host, such as V(http://172.30.0.20:8002).
    type: str
    required: true
  kind:
    description: What it is for, as M(protocol_omni.bunker.service_answer) asks it.
    type: str
    choices: [chat, vision, embeddings, reranking, completion]
    default: chat
  question:
    description: The question of kinds that chat.
    type: str
    required: true
  expected_word:
    description: The word that is waited for where it thinks for long.
    type: str
    default: ""
  answer_tokens:
    description: Tokens that the answer may take.
    type: int
    default: 64
  thinking_tokens:
    description: Tokens besides, where these ran out while it was thinking.
    type: int
    default: 1024
  patience:
    description: Seconds until it is to answer C(/health). It is asked every two seconds.
    type: int
    default: 30
  timeout:
    description: Seconds for an answer to a question.
    type: int
    default: 600
  measurements:
    description:
      - Completions that are measured one after the other, at most ten. With more than one it is looked for a second before them who else is at work.
    type: int
    default: 1
  gpus:
    description: UUIDs of the GPUs on which it is to compute. With some, C(nvidia-smi) is asked on which it does.
    type: list
    elements: str
    default: []
  egress:
    description: Whether it is tried to get out of the container. That takes about two seconds, and makes devices and routes of its own for so long.
    type: bool
    default: false
  unit:
    description: Its unit.
    type: str
    required: true
  unit_path:
    description: The unit's file.
    type: path
    required: true
  resolved_path:
    description: The file with the resolved service.
    type: path
    required: true
  speed_path:
    description: The file in which M(protocol_omni.bunker.service_speed) keeps its speeds.
    type: path
    required: true
  label:
    description: The label under which its container carries what it was made by.
    type: str
    required: true
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
- name: Look at the Executor
  protocol_omni.bunker.service_info:
    name: executor
    endpoint: http://172.30.0.21:8002
    question: What is the capital of France?
    unit: protocol-omni-executor.service
    unit_path: /etc/systemd/system/protocol-omni-executor.service
    resolved_path: /etc/protocol_omni/services/executor.json
    speed_path: /var/lib/protocol_omni/throughput/executor.speed.json
    label: protocol_omni.bunker.definition
  register: executor
"""

RETURN = r"""
answer:
  description: >-
    What it answered, by its kind - C(said) (empty for no words), how many C(tokens) it generated for that and whether it was still C(thinking); C(saw) of a
    picture; C(vectors), C(scores).
  returned: success
  type: dict
speeds:
  description: >-
    Tokens per second, C(generation) and C(prompt), by llama-server's own timings, of several requests the median of each; null for what a service of its kind
    has not. C(why) says what was refused.
  returned: success
  type: dict
samples:
  description: Tokens per second of each request, C(generation) and C(prompt), in their order.
  returned: success
  type: dict
others:
  description: >-
    Before they were measured, on average over a second, the C(cpus) in use, C(of) how many, and the C(pressure) on them in percent. Empty where
    O(measurements) is 1.
  returned: success
  type: dict
model_path:
  description: The model file that it serves, as C(/props) tells it; empty where it does not.
  returned: success
  type: str
doors:
  description: How C(/), C(/slots) and C(/health) answer a page of another origin, each with C(path), C(status) and the allowed C(origin).
  returned: success
  type: list
  elements: dict
container:
  description: Its container.
  returned: success
  type: dict
  contains:
    pid: {description: Its first process on the host., type: int}
    image: {description: ID of its image., type: str}
    definition: {description: "What it was made by, empty where it does not say.", type: str}
    networks: {description: Its networks with its address on each., type: dict}
    ports: {description: Addresses of the host on which its ports are published., type: list, elements: str}
    cpuset: {description: "The CPUs that it may use, empty for all.", type: str}
    restart: {description: Docker's restart policy., type: str}
    hardening:
      description: What is taken from it - C(user), C(read_only), C(dropped), C(added), C(security), C(privileged), C(pids), C(models_writable).
      type: dict
process:
  description: The container's first process.
  returned: success
  type: dict
  contains:
    arguments: {description: Words of its command line., type: list, elements: str}
    visible_devices: {description: "CUDA_VISIBLE_DEVICES, null where it has none.", type: str}
    devices: {description: The NVIDIA devices that it has open., type: list, elements: str}
    libcuda: {description: The libcuda files that it has mapped., type: list, elements: str}
    backend: {description: The libggml-cuda files that it has mapped., type: list, elements: str}
    memory: {description: Bytes that are resident., type: int}
gpus:
  description: The GPUs on which its process computes. Empty without O(gpus), and where nvidia-smi says nothing.
  returned: success
  type: list
  elements: str
inside:
  description: Statements of the seal's table in its network namespace that close it. Empty where there is no such table.
  returned: success
  type: list
  elements: str
unit:
  description: Its unit's C(state) and whether it is C(enabled), as systemctl says it, the units it C(binds_to), and the C(definition) that its file gives.
  returned: success
  type: dict
resolved:
  description: C(rung), its C(name) and llama-server's C(arguments) there, of the resolved service; empty where that cannot be read.
  returned: success
  type: dict
egress:
  description: >-
    C(isolated), C(attempts) and C(failing), as M(protocol_omni.bunker.egress_probe) returns them; C(why) no attempt was made, empty where some were.
    Empty without O(egress).
  returned: success
  type: dict
last_speed:
  description: The verdict that M(protocol_omni.bunker.service_speed) noted last; empty for none.
  returned: success
  type: dict
"""

import statistics  # noqa: E402
import time  # noqa: E402
import urllib.parse  # noqa: E402
from concurrent import futures  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_survey, small_file, speed_noise  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.commands import output  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe.container import NotProbed, probed  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client as engine  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import client as llama  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kinds, proof  # noqa: E402

PAUSE = 2  # seconds between two questions for its health
HEALTH_TIMEOUT = 10


class Failure(Exception):
    """Why it was not looked at; the message is for people."""


def property_of(module, unit, name):
    return output(module, "systemctl", "show", "--property", name, "--value", unit).strip()


def wait(module):
    """Until it answers; a service that systemd has given up answers no more.

    :raises Failure: it does not.
    """
    given, why = module.params, ""
    for attempt in range(max(int(given["patience"] / PAUSE), 1)):
        if attempt:
            time.sleep(PAUSE)
        if property_of(module, given["unit"], "ActiveState") == "failed":
            raise Failure("it ended again and again, and systemd starts it no more. See: journalctl -u %s" % given["unit"])
        try:
            answered = llama.ask(given["endpoint"] + "/health", timeout=HEALTH_TIMEOUT)
        except llama.NoAnswer as error:
            why = str(error)
            continue
        if answered.status == 200:
            return
        why = "%s/health: it answered %d: %s" % (given["endpoint"], answered.status, answered.text[:300])
    raise Failure("it has not answered within %d s: %s. See: journalctl -u %s" % (given["patience"], why, given["unit"]))


def container_of(module):
    """Its container, as the engine knows it.

    :raises Failure: there is none that runs.
    """
    name = module.params["name"]
    inspected = engine.get(module.params["docker_host"], "/containers/%s/json" % urllib.parse.quote(name, safe=""))
    if inspected is None:
        raise Failure("the engine knows no container %s. See: docker ps --all" % name)
    if not inspected["State"]["Pid"]:
        raise Failure("its container does not run. See: docker inspect %s" % name)
    return service_survey.container(inspected, module.params["label"])


def at_work():
    """Who uses the processors, before the service is asked for anything."""
    before = small_file.seen("/proc/stat")
    time.sleep(1)
    return speed_noise.at_work(before, small_file.seen("/proc/stat"), small_file.seen("/proc/pressure/cpu"))


def measured(given):
    """``samples`` of its speeds and, in ``speeds``, the median of each; None for what a service of its kind has not, and why it refused."""
    seen = [service_survey.speeds(given["kind"], given["endpoint"], given["question"], given["timeout"]) for _number in range(given["measurements"])]
    samples = {what: [speeds[what] for speeds in seen if speeds[what] is not None] for what in ("generation", "prompt")}
    reasons = [speeds["why"] for speeds in seen if speeds.get("why")]
    speeds = {what: statistics.median(values) if values else None for what, values in samples.items()}
    return {"samples": samples, "speeds": dict(speeds, why=reasons[0]) if reasons else speeds}


def attempts(given):
    """What attempts to get out of its container come to, and why none was made."""
    if not given["egress"]:
        return {}
    try:
        return dict(probed(given["name"], given["docker_host"]), why="")
    except NotProbed as error:
        return {"isolated": False, "attempts": [], "failing": [], "why": str(error)}


def inspected(module):
    """Container, process and unit, and what was noted of them.

    :raises Failure: there is none that runs.
    """
    given, container = module.params, container_of(module)
    pid = container["pid"]
    try:
        process = service_survey.process(pid)
    except OSError as error:
        raise Failure("its process %d cannot be looked at (%s). It needs root; or it has just ended" % (pid, error)) from error
    apps = output(module, "nvidia-smi", "--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader") if given["gpus"] else ""
    table = output(module, "nsenter", "--net=/proc/%d/ns/net" % pid, "nft", "--stateless", "list", "table", "inet", "bunker_seal_inside")
    return {
        "container": container, "process": process, "gpus": service_survey.gpus_of(pid, apps), "inside": service_survey.statements_inside(table),
        "unit": {"state": property_of(module, given["unit"], "ActiveState"),
                 "enabled": output(module, "systemctl", "is-enabled", given["unit"]).strip(),
                 "binds_to": property_of(module, given["unit"], "BindsTo").split(),
                 "definition": service_survey.definition_of_unit(small_file.content(given["unit_path"]), given["label"])},
        "resolved": service_survey.resolved(small_file.record(given["resolved_path"])), "last_speed": service_survey.last_speed(given["speed_path"])}


def look(module):
    """All of it; the service first, because everything else is of no use where it does not answer.

    The attempts to get out mostly wait for what does not arrive, so they are made while it is asked. It is measured when they have ended.
    """
    given = module.params
    wait(module)
    with futures.ThreadPoolExecutor(1) as beside:
        egress = beside.submit(attempts, given)
        found = {"answer": proof.ask(given["kind"], given["endpoint"], given, given["timeout"]),
                 "model_path": str(llama.ask_json(given["endpoint"] + "/props").get("model_path") or ""), "doors": service_survey.doors(given["endpoint"])}
        found.update(inspected(module), egress=egress.result())
    others = at_work() if given["measurements"] > 1 else {}
    return dict(found, **measured(given), others=others)


def main():
    module = AnsibleModule(argument_spec={
        "name": {"type": "str", "required": True}, "endpoint": {"type": "str", "required": True}, "question": {"type": "str", "required": True},
        "kind": {"type": "str", "choices": list(kinds.KINDS), "default": kinds.CHAT}, "expected_word": {"type": "str", "default": ""},
        "thinking_tokens": {"type": "int", "default": 1024, "no_log": False},
        "answer_tokens": {"type": "int", "default": 64, "no_log": False}, "patience": {"type": "int", "default": 30},
        "timeout": {"type": "int", "default": 600}, "gpus": {"type": "list", "elements": "str", "default": []}, "unit": {"type": "str", "required": True},
        "measurements": {"type": "int", "default": 1}, "egress": {"type": "bool", "default": False},
        "unit_path": {"type": "path", "required": True}, "resolved_path": {"type": "path", "required": True},
        "speed_path": {"type": "path", "required": True}, "label": {"type": "str", "required": True},
        "docker_host": {"type": "str", "default": engine.DEFAULT_HOST}}, supports_check_mode=True)
    if not 1 <= module.params["measurements"] <= 10:
        module.fail_json(msg="measurements %d: it is a number from 1 to 10. Write for example 5." % module.params["measurements"])
    try:
        found = look(module)
    except (Failure, llama.NoAnswer, engine.EngineError) as error:
        module.fail_json(msg="%s was not looked at: %s" % (module.params["name"], error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
