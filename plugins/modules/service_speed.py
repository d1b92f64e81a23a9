#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate for a service that was deployed: is it as fast as it was?"""
from __future__ import annotations

DOCUMENTATION = r"""
module: service_speed
short_description: Measure a service and compare it with its last good speeds on this host
version_added: 0.5.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks a running llama-server for some seconds and takes the medians of its own timings. Compares them with the last good ones of the same
    O(identity), and says what of O(inputs) and of the host has changed since.
  - What is below the bound is measured again, up to O(attempts) times with O(pause) seconds between them, and of each speed the best attempt counts, because a
    neighbour that works for a moment is no slower service. A measurement within which the service answered others too is none, and is made again.
  - What passes is noted as good, and the median of the last five is the measure. Once there were five it does not fall any more, so that many small steps
    downwards do not all pass.
  - A first measurement passes, as there is nothing to compare it with.
  - A service that refuses the request of the measurement, because of its size for example, has none and is not failed for that.
options:
  endpoint:
    description: The server, for example V(http://172.30.0.20:8002).
    type: str
    required: true
  path:
    description: JSON file of the record, one for each service. Its folder is created.
    type: path
    required: true
  kind:
    description: What it is for. One that generates nothing is measured by how fast it reads. Services of another kind are never compared.
    type: str
    choices: [chat, vision, embeddings, reranking, completion]
    default: chat
  identity:
    description: What has to be the same for speeds to be compared, such as the model's hash. The host's processor belongs to it by itself.
    type: dict
    required: true
  inputs:
    description: Name to text of what a speed may come from, such as the image.
    type: dict
    default: {}
  arguments:
    description: Words of a command line whose options are such inputs too.
    type: list
    elements: str
    default: []
  definition:
    description: What the service was deployed by; noted with the verdict.
    type: str
    default: ""
  again:
    description: Measure in any case. Otherwise only where the noted verdict is of another O(definition), or was not good.
    type: bool
    default: true
  pid:
    description: The server's process, whose CPU quota is an input. Without it that of O(container).
    type: int
  container:
    description: The server's container. Without it, and without O(pid), no quota is looked for.
    type: str
    default: ""
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
  seconds:
    description: For how long to ask, each time.
    type: float
    default: 5
  bound:
    description: Percent of the median of the last good speeds that are enough.
    type: int
    default: 85
  attempts:
    description: How often to measure before it counts as slower.
    type: int
    default: 3
  pause:
    description: Seconds before what is below the bound is measured again.
    type: float
    default: 10
  accept:
    description: Take what is measured as good, whatever it was before.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details: Measures nothing and notes nothing.
"""

EXAMPLES = r"""
- name: Compare it with what it was
  protocol_omni.bunker.service_speed:
    endpoint: http://172.30.0.20:8002
    path: /var/lib/protocol_omni/throughput/executor.speed.json
    identity: {model: "{{ model_hash }}"}
    inputs: {image: "{{ bunker_image.id }}"}
  register: speed
  failed_when: not speed.verdict.holds
"""

RETURN = r"""
verdict:
  description:
    - C(holds), C(speeds) and C(against) (tokens per second, V(generation) and V(prompt)), C(percent), C(since), C(changed) (words), C(attempts), C(samples).
  returned: when something was measured
  type: dict
msg:
  description: The verdict in words, or why there is none.
  returned: always
  type: str
"""

import time
import urllib.parse

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils import small_file
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client as engine
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import client, kinds
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import gate, inputs, reading, served


def pid_of(given):
    """The server's process: the one that is named, else its container's; None where there is neither."""
    if given["pid"] or not given["container"]:
        return given["pid"]
    try:
        found = engine.get(given["docker_host"], "/containers/%s/json" % urllib.parse.quote(given["container"], safe=""))
    except engine.EngineError:
        return None
    return ((found or {}).get("State") or {}).get("Pid") or None


def main():
    module = AnsibleModule(argument_spec={
        "endpoint": {"type": "str", "required": True}, "path": {"type": "path", "required": True}, "identity": {"type": "dict", "required": True},
        "kind": {"type": "str", "choices": list(kinds.KINDS), "default": kinds.CHAT},
        "inputs": {"type": "dict", "default": {}}, "arguments": {"type": "list", "elements": "str", "default": []}, "pid": {"type": "int"},
        "container": {"type": "str", "default": ""}, "docker_host": {"type": "str", "default": engine.DEFAULT_HOST},
        "definition": {"type": "str", "default": ""}, "again": {"type": "bool", "default": True},
        "seconds": {"type": "float", "default": 5}, "bound": {"type": "int", "default": 85}, "attempts": {"type": "int", "default": 3},
        "pause": {"type": "float", "default": 10},
        "accept": {"type": "bool", "default": False}}, supports_check_mode=True)
    given = module.params
    if given["seconds"] <= 0 or given["attempts"] < 1 or given["pause"] < 0 or not 0 <= given["bound"] <= 100:
        module.fail_json(msg="seconds %s, attempts %s, pause %s, bound %s: seconds are more than 0, attempts at least 1, the pause at least 0, the bound is "
                             "0 to 100 percent." % (given["seconds"], given["attempts"], given["pause"], given["bound"]))
    if module.check_mode:
        module.exit_json(changed=False, msg="Check mode: nothing was measured")
    record = small_file.record(given["path"])
    last = record.get("last", {})
    if not given["again"] and not given["accept"] and last.get("holds") and last.get("definition") == given["definition"]:
        module.exit_json(changed=False, verdict=last, msg="Noted on %s: %s" % (last["date"], gate.sentence(last)))
    # The processor makes a speed another one's; what else there is of the machine can make it slower, and is told.
    fingerprint = reading.host()["fingerprint"]
    identity = dict(given["identity"], host={key: fingerprint[key] for key in ("cpu", "sockets")})
    if given["kind"] not in kinds.TEXT:
        identity["kind"] = given["kind"]
    known = dict({name: str(value) for name, value in given["inputs"].items()}, **gate.options(given["arguments"]))
    known.update({key.replace("_", " "): str(value) for key, value in fingerprint.items() if key not in ("cpu", "sockets") and value is not None})
    known.update(inputs.of_host(pid_of(given)))
    entry, best, made, disturbed = None if given["accept"] else gate.entry_of(record, identity), {}, 0, 0
    for made in range(1, given["attempts"] + 1):
        try:
            found = served.measure(given["endpoint"], given["seconds"], kind=given["kind"])
        except client.Refused as error:
            module.exit_json(changed=False, msg="It was not measured, because it refuses what it is measured by: %s" % error)
        except served.NoAnswer as error:
            module.fail_json(msg="The service could not be measured: %s" % error)
        if found["disturbed"]:
            disturbed += 1
            continue
        best = {"samples": best.get("samples", []) + found["samples"], **{what: max(best.get(what, 0), found[what]) for what in gate.of(found)}}
        if gate.judge(best, entry, given["bound"])["holds"]:
            break
        if made < given["attempts"]:
            time.sleep(given["pause"])
    if not best and last.get("definition") == given["definition"] and not last["holds"]:
        module.exit_json(changed=False, verdict=last, msg="It answered others in each of %d measurements; before: %s" % (disturbed, gate.sentence(last)))
    if not best:
        module.exit_json(changed=False, msg="It answered others in each of %d measurements, so there is none of it alone" % disturbed)
    speeds = {what: round(best[what], 3) for what in gate.of(best)}
    date = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    record, verdict = gate.noted(record, identity, speeds, known, date, given["bound"], given["accept"])
    verdict.update(definition=given["definition"], attempts=made, samples=best["samples"])
    small_file.write_record(given["path"], record)
    module.exit_json(changed=False, verdict=verdict, msg=gate.sentence(verdict))


if __name__ == "__main__":
    main()
