# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's public variables of a host, validated and with all defaults. Runs on the controller only."""
from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleUndefinedVariable

from ansible_collections.protocol_omni.bunker.plugins.module_utils import (
    argument_specs, empty_values, gateway_rules, inventory_rules, kind_rules, ladder_rules, pool_rules, speed_rules)
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

# Facts that the roles publish for later roles; they are no input.
PUBLISHED_FACTS = {"bunker_claims", "bunker_claims_report", "bunker_claim_errors", "bunker_engine", "bunker_host", "bunker_image",
                   "bunker_gateway", "bunker_reboot_needed", "bunker_service_results", "bunker_volumes"}


def validate(task_vars, templar):
    """Validates every role's arguments, unknown variables, and what lies between roles.

    :param task_vars: variables of the host.
    :param templar: the action's templar.
    :returns: tuple of the inventory (dict of variable to value) and a list of :class:`inventory_rules.Problem`.
    :raises AnsibleActionFail: a variable refers to an undefined one.
    """
    roles = collection_roles.role_names()
    specs = {role: dict(collection_roles.argument_options(role)) for role in roles}
    known = {name for options in specs.values() for name in options}
    problems = list(inventory_rules.unknown_variables(task_vars, known | PUBLISHED_FACTS, tuple(role + "_" for role in roles) + ("bunker_",)))
    inventory = {}
    # site.yml hands this one to the role, once a service of bunker_services.
    definition = {"definition": specs["inference_service"].pop("inference_service_definition")}
    given = {name: _value(task_vars, templar, name) for name in sorted(known) if name in task_vars}
    shape = [problem for name, value in given.items() for problem in empty_values.check(name, value)]
    shape = shape or list(empty_values.no_list_of_services(given.get("bunker_services", [])))
    if shape:  # types of what is not there would be told in Python's words
        return inventory, problems + shape
    for role, options in specs.items():
        found, errors = argument_specs.validate(options, {name: given[name] for name in options if name in given})
        inventory.update(found)
        problems += [inventory_rules.Problem("role %s" % role, message, "See roles/%s/meta/argument_specs.yml." % role) for message in errors]
    services = []
    for position, service in enumerate(inventory.get("bunker_services") or []):
        found, errors = argument_specs.validate(definition, {"definition": service})
        name = service.get("name", "number %d" % (position + 1))
        problems += [inventory_rules.Problem("service %s" % name, message.replace(" found in definition", ""),
                                             "See inference_service_definition in roles/inference_service/meta/argument_specs.yml.")
                     for message in errors]
        services.append(found["definition"])
    if not problems:  # cross-checks presume that every value has its type
        inventory["bunker_services"] = services
        problems = list(inventory_rules.placeholders(task_vars.get("ansible_host"), "ansible_host"))
        for rules in (inventory_rules, gateway_rules, kind_rules, ladder_rules, speed_rules):
            problems += rules.check(inventory)
        hosts = list((task_vars.get("groups") or {}).get("all") or [])
        others = _pools(task_vars.get("hostvars"), hosts, specs["pool"]) if inventory["pool_enabled"] else {}
        problems += pool_rules.check(inventory, str(task_vars.get("inventory_hostname")), hosts, others)
    return inventory, problems


def _pools(hostvars, hosts, options):
    """What each host says of its pool: dict of name to variables with all defaults.

    What cannot be read, or has another shape, is left out: that host's own validation tells it.
    """
    found = {}
    for host in hosts if hostvars is not None else ():
        try:
            known = hostvars[host]
            given = {name: known[name] for name in options if name in known}
        except (AnsibleUndefinedVariable, KeyError):
            continue
        if not any(list(empty_values.check(name, value)) for name, value in given.items()):
            variables, errors = argument_specs.validate(options, given)
            found.update({} if errors else {host: variables})
    return found


def refuse(problems):
    """Raises the refusal that names every problem."""
    raise AnsibleActionFail("The inventory is refused; nothing was changed.\n" + "\n".join(inventory_rules.numbered(problems)),
                            result={"problems": [problem._asdict() for problem in problems]})


def _value(task_vars, templar, name):
    try:
        return templar.template(task_vars[name])
    except AnsibleUndefinedVariable as error:
        raise AnsibleActionFail("The inventory is refused; nothing was changed.\n1. %s: refers to an undefined variable (%s). "
                                "Define it." % (name, error)) from error
