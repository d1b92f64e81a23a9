# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import validated_inventory


class ActionModule(ActionBase):
    """Validates the inventory on the controller; documented in plugins/modules/validate_inventory.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        inventory, problems = validated_inventory.validate(task_vars, self._templar)
        if problems:
            validated_inventory.refuse(problems)
        result.update(changed=False, inventory=inventory)
        return result
