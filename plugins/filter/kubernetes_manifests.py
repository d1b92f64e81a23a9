# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_manifests
short_description: The services of a host as files for Kubernetes
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Renders what an inventory says of a host's services as objects of Kubernetes, as YAML. Asks no cluster and no host.
  - Says what the inventory lacks for it instead.
options:
  _input:
    description: The inventory of the host, as P(protocol_omni.bunker.validate_inventory#module) returns it.
    type: dict
    required: true
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
  settings:
    description: C(folder), C(namespace), C(node), C(image), C(claims_image), C(gpus) and C(key), as C(playbooks/kubernetes.yml) has them.
    type: dict
    required: true
  program:
    description: The program that proves the claims.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write the services
  protocol_omni.bunker.config_files:
    files: "{{ (judged.inventory | protocol_omni.bunker.kubernetes_manifests(host='north', settings=settings, program=program)).files }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: C(files), as M(protocol_omni.bunker.config_files) takes them, and C(problems), lines for people. Where there are problems, there are no files.
  type: dict
"""

import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.kubernetes import manifests, rules

HEAD = "# Written by playbooks/kubernetes.yml of the inventory; the next run overwrites it. docs/kubernetes.md says what the cluster must bring.\n"


def plain(value):
    """A value without Ansible's marks on it, which YAML would not take."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    for kind in (str, float, int):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
    return value


def text(objects):
    """Objects as YAML."""
    return HEAD + yaml.safe_dump_all([plain(one) for one in objects], sort_keys=False, explicit_start=True, width=160)


def kubernetes_manifests(inventory, host, settings, program):
    """Files with their texts, or what the inventory lacks."""
    inventory, settings = plain(inventory), dict(plain(settings), models_path=str(inventory["model_store_path"]))
    models = {model["name"]: model for model in inventory["model_store_catalogue"] + inventory["model_store_extra_models"]}
    problems = rules.check(str(host), settings, inventory["bunker_services"], models)
    if problems:
        return {"problems": inventory_rules.numbered(problems), "files": []}
    found = manifests.files(str(host), inventory["bunker_services"], models, settings, str(program))
    # The key is in one of them.
    return {"problems": [], "files": [{"path": "%s/%s" % (settings["folder"], name), "content": text(objects), "mode": "0600"}
                                      for name, objects in found.items()]}


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"kubernetes_manifests": kubernetes_manifests}
