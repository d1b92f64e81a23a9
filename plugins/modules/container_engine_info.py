#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine that runs, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: container_engine_info
short_description: Read which engine runs, with which options, and where its data lie
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the version of the engine that runs, of BuildKit's client and the bounds of its build cache, the options in daemon.json, and where Docker and
    containerd keep their data.
  - Changes nothing. What is not there is told as absent, and so is an engine that does not answer.
  - What shall become of the data is the matter of M(protocol_omni.bunker.engine_data_info).
options:
  docker_root:
    description: Wanted data-root of Docker. Empty leaves the engine's own.
    type: str
    default: ""
  containerd_root:
    description: Wanted root of containerd. Empty leaves the engine's own.
    type: str
    default: ""
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
- name: Look at the engine
  protocol_omni.bunker.container_engine_info:
    docker_root: /nvme/docker
  register: engine
"""

RETURN = r"""
version:
  description: Version of the engine that runs, empty where none answers.
  returned: success
  type: str
engine:
  description: Why it told nothing, empty where it did.
  returned: success
  type: str
buildx:
  description: What C(docker buildx version) says, empty where there is none.
  returned: success
  type: str
cache_bounds:
  description: The bounds of the running builder's garbage collection, in the order of its rules, each a number with V(K), V(M), V(G) or V(T).
  returned: success
  type: list
  elements: str
options:
  description: The options that daemon.json sets, empty where there is none.
  returned: success
  type: dict
refused:
  description: Why daemon.json was not read, empty where it was or where there is none.
  returned: success
  type: str
roots:
  description: By V(docker) and V(containerd), where the data lie.
  returned: success
  type: dict
  contains:
    docker: &root
      description: Of one of them.
      type: dict
      contains:
        root: {description: Where they lie., type: str}
        running: {description: "Root of the one that runs, null where none does.", type: str}
        configured: {description: Root by its configuration., type: str}
        wanted: {description: "The wanted root, links followed, or the configured one.", type: str}
        mount: {description: The mount that they lie on., type: str}
    containerd: *root
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, daemon_config, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import build_cache, client, roots  # noqa: E402


def options():
    """What daemon.json sets, and why it could not be read."""
    try:
        return daemon_config.options_of(small_file.content(roots.DAEMON_CONFIG), roots.DAEMON_CONFIG), ""
    except daemon_config.Refused as refused:
        return {}, str(refused)


def main():
    module = AnsibleModule(argument_spec={
        "docker_root": {"type": "str", "default": ""}, "containerd_root": {"type": "str", "default": ""},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given, engine, version = module.params, "", ""
    try:
        version = (client.get(given["docker_host"], "/version") or {}).get("Version") or ""
    except client.EngineError as error:
        engine = str(error)
    reader, places = roots.Reader(module), {}
    for name, wanted in (("docker", given["docker_root"]), ("containerd", given["containerd_root"])):
        found = {part: value for part, value in reader.source(name).items() if part in ("root", "running", "configured", "mount")}
        places[name] = dict(found, wanted=os.path.realpath(wanted) if wanted else found["configured"])
    found, refused = options()
    module.exit_json(
        changed=False, version=version, engine=engine, options=found, refused=refused, roots=places,
        buildx=commands.output(module, "docker", "buildx", "version").strip(),
        cache_bounds=build_cache.bounds(commands.output(module, "docker", "buildx", "inspect", "default")))


if __name__ == "__main__":
    main()
