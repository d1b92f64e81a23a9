#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher of VRAM, looked at from outside."""
from __future__ import annotations

DOCUMENTATION = r"""
module: vram_watch_info
short_description: Read what the watcher of VRAM says, and whether it could act
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the watcher's unit, its status file, its metrics and who listens on their port, has its play checked by the Ansible that it would run, and reads
    what containers mount of the host.
  - Changes nothing. What is not there is told as absent, and so is an engine that does not answer.
options:
  unit:
    description: Its unit.
    type: str
    required: true
  unit_path:
    description: The unit's file, which names its Python and its collections.
    type: path
    required: true
  status_path:
    description: Its status file.
    type: path
    required: true
  metrics_port:
    description: Port of its metrics on 127.0.0.1.
    type: int
    required: true
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the watcher
  protocol_omni.bunker.vram_watch_info:
    unit: protocol-omni-vram-watch.service
    unit_path: /etc/systemd/system/protocol-omni-vram-watch.service
    status_path: /run/protocol-omni-vram-watch/status.json
    metrics_port: 9181
  register: watcher
"""

RETURN = r"""
state:
  description: What systemctl says of O(unit), such as V(active).
  returned: success
  type: str
enabled:
  description: What it says of its start with the host, such as V(enabled).
  returned: success
  type: str
now:
  description: The host's clock, seconds since 1970.
  returned: success
  type: int
listening:
  description: Addresses of TCP on which somebody listens at O(metrics_port).
  returned: success
  type: list
  elements: str
series:
  description: How many series of the watcher are answered there.
  returned: success
  type: int
play:
  description: How C(ansible-playbook --syntax-check) of the play of contingencies ended in the watcher's environment.
  returned: success
  type: dict
  contains:
    rc: {description: "Its exit status, 127 where there is no such program.", type: int}
    said: {description: The last line that it said., type: str}
containers:
  description: All containers, also those that do not run.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    sources: {description: What it mounts of the host., type: list, elements: str}
engine:
  description: Why the engine told nothing, empty where it did.
  returned: success
  type: str
status:
  description: The watcher's status file. Empty where there is none.
  returned: success
  type: dict
"""

import os  # noqa: E402
import time  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, listeners, small_file, watch_survey  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.local_http import text_at  # noqa: E402

PLAY = "ansible_collections/protocol_omni/bunker/playbooks/contingency.yml"


def play(module):
    """Whether the watcher's Ansible can read the play that it would run."""
    python, collections = watch_survey.environment(small_file.seen(module.params["unit_path"]))
    if not python or not collections:
        return {"rc": commands.ABSENT, "said": "%s names no Python and no collections" % module.params["unit_path"]}
    status, said, error = commands.answer(
        module, os.path.join(os.path.dirname(python), "ansible-playbook"), "--syntax-check", "-i", "localhost,", os.path.join(collections, PLAY),
        ANSIBLE_COLLECTIONS_PATH=collections, ANSIBLE_NOCOLOR="1", LC_ALL="C.UTF-8")  # Ansible refuses to start with another encoding than UTF-8
    return {"rc": status, "said": watch_survey.last_line(said) or watch_survey.last_line(error)}


def main():
    module = AnsibleModule(argument_spec={
        "unit": {"type": "str", "required": True}, "unit_path": {"type": "path", "required": True}, "status_path": {"type": "path", "required": True},
        "metrics_port": {"type": "int", "required": True}, "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given, engine, listed = module.params, "", []
    try:
        listed = client.get(given["docker_host"], "/containers/json?all=1") or []
    except client.EngineError as error:
        engine = str(error)
    sockets = listeners.parsed(commands.output(module, *listeners.COMMAND))
    module.exit_json(
        changed=False, engine=engine, containers=watch_survey.mounts(listed), play=play(module),
        state=commands.output(module, "systemctl", "is-active", given["unit"]).strip(),
        enabled=commands.output(module, "systemctl", "is-enabled", given["unit"]).strip(),
        listening=[socket["address"] for socket in sockets
                   if socket["protocol"] == "tcp" and socket["address"].endswith(":%d" % given["metrics_port"])],
        series=watch_survey.series(text_at("http://127.0.0.1:%d/metrics" % given["metrics_port"])),
        # Together, and last: the watcher goes on to write meanwhile.
        now=int(time.time()), status=small_file.record(given["status_path"]))


if __name__ == "__main__":
    main()
