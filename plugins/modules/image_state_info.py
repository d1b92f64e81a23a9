#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of a run's inputs, and the names that the engine has beside it."""
from __future__ import annotations

DOCUMENTATION = r"""
module: image_state_info
short_description: Read which images of a name the engine has, and what is left of a build
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the image of these inputs, where its alias points, the other images of its name, and what containers were made from.
  - Changes nothing. What is not there is told as absent; an engine that does not answer is an error.
options:
  image:
    description: Name of the image of these inputs, with its tag.
    type: str
    required: true
  alias:
    description: The tag that people know.
    type: str
    required: true
  scratch:
    description: Folder of a build.
    type: path
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
- name: Look for the image of these inputs
  protocol_omni.bunker.image_state_info:
    image: omni/llama-server:0123456789abcdef
    alias: sm120-cuda13
    scratch: /var/cache/protocol_omni/build
  register: state
"""

RETURN = r"""
images:
  description: The image, as the engine knows it, C(Id) and C(Config.Labels); none where there is none.
  returned: success
  type: list
  elements: dict
alias_id:
  description: ID of the image that O(alias) points at, empty where it points at none.
  returned: success
  type: str
names:
  description: Images of that name, the newest first, V(image TAG ID), and V(used ID) for each container's.
  returned: success
  type: list
  elements: str
scratch:
  description: Whether O(scratch) is there.
  returned: success
  type: bool
"""

import os  # noqa: E402
import urllib.parse  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import image_survey  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402


def main():
    module = AnsibleModule(argument_spec={
        "image": {"type": "str", "required": True}, "alias": {"type": "str", "required": True}, "scratch": {"type": "path", "required": True},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given, socket = module.params, module.params["docker_host"]
    name = given["image"].rpartition(":")[0]
    try:
        inspected, alias = (client.get(socket, "/images/%s/json" % urllib.parse.quote(one, safe="/:@")) for one in
                            (given["image"], name + ":" + given["alias"]))
        listed, containers = client.get(socket, "/images/json") or [], client.get(socket, "/containers/json?all=1") or []
    except client.EngineError as error:
        module.fail_json(msg="The images were not looked at: %s" % error)
    module.exit_json(
        changed=False, images=[{"Id": inspected["Id"], "Config": {"Labels": image_survey.image(inspected)["labels"]}}] if inspected else [],
        alias_id=(alias or {}).get("Id", ""), names=image_survey.names(listed, containers, name), scratch=os.path.lexists(given["scratch"]))


if __name__ == "__main__":
    main()
