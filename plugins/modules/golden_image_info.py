#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden image, looked at and looked into."""
from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image_info
short_description: Read an image of llama-server and what is in it
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks the engine for an image and its alias, and has the image's own bash say what is in it, in a container without a network that is removed again.
  - Pulls and changes nothing. An image that is not there is told as absent; an engine that does not answer is an error.
options:
  image:
    description: The image's name with its tag.
    type: str
    required: true
  alias:
    description: The name with its tag that points at it.
    type: str
    required: true
  docker_host:
    description: The engine's Unix socket.
    type: str
    default: unix:///var/run/docker.sock
  pruned:
    description:
      - Read the device code of cuBLAS in the image too, which was emptied in part when it was built. Some seconds, and again only for another image.
    type: bool
    default: false
    version_added: 0.6.0
  cache_path:
    description: Folder for what O(pruned) found, by the image's ID. Not written in check mode.
    type: path
    default: /var/cache/protocol_omni/pruned_code
    version_added: 0.6.0
  scratch_path:
    description: Folder with room for twice an image, where the engine's store (containerd's) hands it out only as an archive. Of use with O(pruned).
    type: path
    default: /var/tmp
    version_added: 0.6.0
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the image
  protocol_omni.bunker.golden_image_info:
    image: omni/llama-server:0123456789abcdef
    alias: omni/llama-server:sm120-cuda13
  register: image
"""

RETURN = r"""
image:
  description: The image. Empty where there is none of O(image).
  returned: success
  type: dict
  contains:
    id: {description: Its ID., type: str}
    tags: {description: Its names., type: list, elements: str}
    size: {description: "Its bytes, uncompressed.", type: int}
    labels: {description: Its labels., type: dict}
    environment: {description: "Its variables, each as V(NAME=VALUE).", type: list, elements: str}
    user: {description: "Whose its processes are, empty for root.", type: str}
layers:
  description: Its layers, the newest first, each with C(made_by) and C(size) in bytes. Empty where it is not there.
  returned: success
  type: list
  elements: dict
alias_id:
  description: ID of the image that O(alias) names, empty for none.
  returned: success
  type: str
inside:
  description: What was found in it, lists of lines. All are empty where the image is not there.
  returned: success
  type: dict
  contains:
    libcuda: {description: Files V(libcuda.so*)., type: list, elements: str}
    searched: {description: Where they were searched to the end., type: list, elements: str}
    tool: {description: "Compilers, Python, systemctl, curl and wget on its PATH.", type: list, elements: str}
    variant: {description: llama.cpp's backends for CPUs., type: list, elements: str}
    package: {description: "Its packages, each as V(NAME_VERSION).", type: list, elements: str}
    input: {description: Lines of its inputs.lock., type: list, elements: str}
    configured: {description: Lines that the build wrote of its configuration., type: list, elements: str}
    end: {description: Not empty where the look came to its end., type: list, elements: str}
pruned:
  description: What the image's cuBLAS holds. Empty without O(pruned), and where the image is not there.
  returned: success
  type: dict
  contains:
    libraries:
      description:
        - For each library its name (C(file)), C(there), target to the number, bytes and SHA-256 of its entries' code, C(emptied), target to the number of
          entries without code, C(frames), SM to what cubins outside of fatbins there are, and C(unread), what was not understood.
      type: list
      elements: dict
    manifest: {description: "What the build wrote of each library before and after.", type: list, elements: dict}
    said: {description: "Why the libraries were not read, absent where they were.", type: str}
said:
  description: Why it was not looked into, empty where it was.
  returned: success
  type: str
"""

import urllib.parse  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, image_survey, pruned_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import docker_engine, readiness  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import client  # noqa: E402

# User 0, or the search would pass over folders that others may not read.
RUN = ("docker", "run", "--rm", "--pull=never", "--network=none", "--user=0", "--entrypoint=/bin/bash")


def pruned(given, inspected, remember):
    """What the image's cuBLAS holds: result of pruned_code.of_tree, or what kept it from being read.

    :param inspected: the engine's answer about the image.
    """
    def read():
        tree = engine.image_tree(inspected, given["scratch_path"])
        try:
            return pruned_code.of_tree(tree)
        finally:
            tree.close()
    try:
        engine = docker_engine.Engine(given["docker_host"])
        return readiness.remembered(given["cache_path"], inspected["Id"], "pruned", read, remember)[0]
    except (docker_engine.EngineError, OSError) as error:
        return {"libraries": [], "manifest": [], "said": str(error)}


def main():
    module = AnsibleModule(argument_spec={
        "image": {"type": "str", "required": True}, "alias": {"type": "str", "required": True},
        "pruned": {"type": "bool", "default": False}, "cache_path": {"type": "path", "default": "/var/cache/protocol_omni/pruned_code"},
        "scratch_path": {"type": "path", "default": "/var/tmp"},
        "docker_host": {"type": "str", "default": client.DEFAULT_HOST}}, supports_check_mode=True)
    given = module.params
    try:
        inspected, other, history = (client.get(given["docker_host"], "/images/%s/%s" % (urllib.parse.quote(given[name], safe="/:@"), what))
                                     for name, what in (("image", "json"), ("alias", "json"), ("image", "history")))
    except client.EngineError as error:
        module.fail_json(msg="The image was not looked at: %s" % error)
    image, alias = image_survey.image(inspected), image_survey.image(other)
    text, said = "", "there is no image %s" % given["image"]
    if image:
        status, text, error = commands.answer(module, *RUN, given["image"], "-c", image_survey.LOOK)
        said = "docker run ended with %d: %s" % (status, error.strip()[-300:]) if status else ""
    module.exit_json(changed=False, image=image, layers=image_survey.layers(history), alias_id=alias.get("id", ""), inside=image_survey.inside(text), said=said,
                     pruned=pruned(given, inspected, not module.check_mode) if image and given["pruned"] else {})


if __name__ == "__main__":
    main()
