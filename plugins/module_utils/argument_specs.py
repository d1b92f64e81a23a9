# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation against a role's argument spec that also fills in nested defaults.

ansible-core validates a role's arguments but hands the role what the user wrote, without nested defaults.
"""
from __future__ import annotations

import copy

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


def _with_nested_defaults(option):
    option = {key: value for key, value in option.items() if key != "description"}
    if "options" in option:
        option["options"] = {name: _with_nested_defaults(nested) for name, nested in option["options"].items()}
        if option.get("type") == "dict" and "default" not in option and not option.get("required"):
            option["apply_defaults"] = True
    return option


def _plain(value):
    """A value in dicts and lists of Python's own. Ansible's lazy ones hold its templar and its loaders, which the validator would copy with them."""
    if isinstance(value, dict):
        return {name: _plain(nested) for name, nested in value.items()}
    return [_plain(nested) for nested in value] if isinstance(value, list) else value


def validate(options, values):
    """Validate values against the options of a spec.

    :param options: dict of option name to its spec, as in meta/argument_specs.yml.
    :param values: dict of what was given.
    :returns: tuple of the values with defaults at every depth, and a list of error messages (empty if valid).
    """
    # A copy: the validator fills in nested defaults in place, in the spec's own defaults too.
    options = {name: _with_nested_defaults(option) for name, option in copy.deepcopy(options).items()}
    validation = ArgumentSpecValidator(options).validate(_plain(values))
    return validation.validated_parameters, validation.error_messages
