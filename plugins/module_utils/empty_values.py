# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of an inventory without a value: YAML reads them as null, and no type of a variable is that. Pure functions."""
from __future__ import annotations

from .inventory_rules import Problem

KINDS = ((dict, "a mapping"), (list, "a list"), (str, "a text"), (bool, "a word"), ((int, float), "a number"), (type(None), "null"))


def check(path, value):
    """Each null in a variable.

    :param path: the variable's name.
    :param value: its value, whatever that is.
    :returns: generator of :class:`inventory_rules.Problem`.
    """
    if value is None:
        yield Problem("%s: null" % path, "a key of an inventory has a value", "Write one behind it, or leave the key out: then the default holds.")
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from check("%s.%s" % (path, key), entry)
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from check("%s.%s" % (path, (isinstance(entry, dict) and entry.get("name")) or position), entry)


def no_list_of_services(value):
    """What is no list of mappings, in the user's terms.

    :param value: of bunker_services.
    :returns: generator of :class:`inventory_rules.Problem`.
    """
    rule, remedy = "services are a list of mappings", "Write a list, each entry begun with - name: NAME."
    if not isinstance(value, list):
        yield Problem("bunker_services: %s" % _kind(value), rule, remedy)
        return
    for position, entry in enumerate(value, 1):
        if not isinstance(entry, dict):
            yield Problem("bunker_services, number %d: %s" % (position, _kind(entry)), rule, remedy)


def _kind(value):
    return next((word for kind, word in KINDS if isinstance(value, kind)), "another thing")
