# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_routes
short_description: Turn services and providers into the gateway's routes
version_added: 0.2.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Returns who answers for each model name, which the role gateway writes to C(gateway/routes.json).
options:
  _input:
    description: The services, complete definitions.
    type: list
    elements: dict
    required: true
  providers:
    description: The enabled providers.
    type: list
    elements: dict
    required: true
  fallbacks:
    description: Service to the service that answers while the first cannot.
    type: dict
    required: true
  keys_path:
    description: Folder on the host of the gateway's copies of the providers' keys.
    type: path
    required: true
  failsafes:
    description: Service to the enabled provider that answers where nobody here can.
    type: dict
    default: {}
  deployed:
    description: Name to the text of the service's resolved file, which says of which kind it is.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the routes
  ansible.builtin.debug:
    msg: "{{ services | protocol_omni.bunker.gateway_routes(providers=[], fallbacks={'oracle': 'executor'}, keys_path='/etc/keys') }}"
"""

RETURN = r"""
_value:
  description: Model name to C(target), C(host), C(address), C(fallback), C(failsafe), C(key_file) and C(kind).
  type: dict
"""

from ansible_collections.protocol_omni.bunker.plugins.module_utils.gateway_routes import routes


class FilterModule:
    """Provides the filter."""

    def filters(self):
        return {"gateway_routes": routes}
