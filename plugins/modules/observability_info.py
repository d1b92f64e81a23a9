#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus and the node exporter, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: observability_info
short_description: Read what Prometheus measures, by which rules, and who listens for it
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks Prometheus for its targets, its rules and the configuration that it has loaded, and reads which sockets Prometheus and node exporters listen on.
  - Changes nothing. What is not there is told as absent, also a Prometheus that does not answer.
options:
  endpoint:
    description: Where Prometheus answers, such as V(http://127.0.0.1:9090).
    type: str
    required: true
  targets:
    description: How many targets are to be measured. It may have begun this moment, so it is asked every second until so many answer it.
    type: int
    default: 0
  patience:
    description: Seconds for that.
    type: int
    default: 10
requirements:
  - root on its host, for the programs that listen
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at what is measured
  protocol_omni.bunker.observability_info:
    endpoint: http://127.0.0.1:9090
    targets: 5
  register: observability
"""

RETURN = r"""
listening:
  description: Addresses with ports of the host's own namespace on which processes listen whose names begin with V(prometheus), each once, sorted.
  returned: success
  type: list
  elements: str
targets:
  description: Whom Prometheus measures.
  returned: success
  type: list
  elements: dict
  contains:
    job: {description: Its job., type: str}
    service: {description: "Its service, empty for none.", type: str}
    address: {description: Where it is asked., type: str}
    health: {description: "V(up), V(down) or V(unknown).", type: str}
rules:
  description: The rules that Prometheus has loaded, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    query: {description: "Its expression, as Prometheus writes it.", type: str}
    duration: {description: "How long it must be true, in seconds, such as V(60s).", type: str}
    severity: {description: Its label of that name., type: str}
    summary: {description: Its annotation of that name., type: str}
    description: {description: Its annotation of that name., type: str}
    health: {description: V(ok) where it was evaluated., type: str}
configuration:
  description: The configuration that Prometheus has loaded, YAML. Empty where it does not say.
  returned: success
  type: str
reloaded:
  description: Whether its last attempt to load one went well.
  returned: success
  type: bool
"""

import time  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, listeners, prometheus_survey  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.local_http import text_at  # noqa: E402

PAUSE = 1  # seconds between two questions for the targets
PROGRAM = "prometheus"  # and prometheus-node-exporter, of whose name the kernel keeps 15 characters


def targets(endpoint, wanted, patience):
    """Whom it measures, as soon as as many as are wanted answer it, or the patience is at its end."""
    end = time.monotonic() + patience
    while True:
        found = prometheus_survey.targets(text_at(endpoint + "/api/v1/targets?state=active"))
        if len([target for target in found if target["health"] == "up"]) == wanted or time.monotonic() >= end:
            return found
        time.sleep(PAUSE)


def main():
    module = AnsibleModule(argument_spec={
        "endpoint": {"type": "str", "required": True}, "targets": {"type": "int", "default": 0}, "patience": {"type": "int", "default": 10}},
        supports_check_mode=True)
    endpoint = module.params["endpoint"].rstrip("/")
    sockets = listeners.parsed(commands.output(module, *listeners.COMMAND))
    module.exit_json(
        changed=False, targets=targets(endpoint, module.params["targets"], module.params["patience"]),
        listening=sorted({socket["address"] for socket in sockets if any(name.startswith(PROGRAM) for name in socket["programs"])}),
        rules=prometheus_survey.rules(text_at(endpoint + "/api/v1/rules")),
        configuration=prometheus_survey.configuration(text_at(endpoint + "/api/v1/status/config")),
        reloaded=prometheus_survey.reloaded(text_at(endpoint + "/metrics")))


if __name__ == "__main__":
    main()
