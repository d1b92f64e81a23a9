# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drafted inventory judged as site.yml would judge it. Runs on the controller only."""
from __future__ import annotations

from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import judge, room
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles, validated_inventory


class Plain:
    """In the place of a templar: a draft's values are no templates."""

    @staticmethod
    def template(value):
        """The value itself."""
        return value


def variables(parts):
    """The draft's variables, name to value."""
    return {entry.name: entry.value for part in parts for entry in part.entries}


def judged(parts, host, address="", read=None, ask=True):
    """What validation and preflight say of a draft.

    :param parts: of inventory_draft.draft.draft().
    :param host: what host_info returned.
    :param address: ansible_host.
    :param read: function of host_info's options that reads the host once more, for the draft's folders, devices and models; None leaves it at ``host``.
    :param ask: whether the host may ask servers for sizes that the draft does not have.
    :returns: tuple of the problems of validation (placeholders among them) and the findings of preflight, which are [] where the values have no sound types.
    """
    given = dict(variables(parts), ansible_host=address)
    inventory, problems = validated_inventory.validate(given, Plain)
    if "networks_definitions" not in inventory or not all("gpus" in service for service in inventory.get("bunker_services") or []):
        return problems, []
    inventory["golden_image_cuda_major"] = collection_roles.cuda_major()
    if read:
        asked = read(room.questions(inventory, ask))
        host = dict(host, **{key: asked[key] for key in ("places", "devices", "models", "stored", "sources") if key in asked})
    inventory["bunker_services"] = card_names.resolved_services(inventory["bunker_services"], host["gpus"])
    return problems, judge.judge(inventory, host)
