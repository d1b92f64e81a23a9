# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.protocol_omni.bunker.plugins.module_utils import inventory_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import sentence
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import access, cards, disks, draft, models
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates, drafted_inventory, inventory_files, resolved_origins

display = Display()
ARGUMENTS = {
    "folder": {"type": "str"}, "name": {"type": "str"}, "target": {"type": "str"}, "connection": {"type": "dict", "default": {}},
    "options": {"type": "str", "default": ""},
    "survey": {"type": "dict"}, "bandwidth": {"type": "bool", "default": True}, "update": {"type": "bool", "default": False},
    "offline": {"type": "bool", "default": False}, "hub": {"type": "str", "default": candidates.HUB},
    "base": {"type": "str", "default": resolved_origins.BASE}, "registry_scheme": {"type": "str", "default": "https"},
    "answers": {"type": "dict", "options": {
        "format_disks": {"type": "list", "elements": "str", "default": []}, "allow_reboot": {"type": "bool", "default": False},
        "upgrade_driver": {"type": "bool", "default": False}, "gateway_address": {"type": "str", "default": ""},
        "trust_keys": {"type": "list", "elements": "str", "default": []}, "base": {"type": "str", "default": ""},
        "ca_bundle": {"type": "str", "default": ""}, "models": {"type": "dict", "default": {}}}},
}


class ActionModule(ActionBase):
    """Reads a host and writes its inventory; documented in plugins/modules/inventory_draft.py."""

    TRANSFERS_FILES = False  # or a folder is made on the host before anything here can say why that fails
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        survey = arguments["survey"] or self._survey(arguments, task_vars)
        if arguments["answers"] is None:
            result.update(changed=False, survey=survey, questions=draft.questions(survey, self._keys(survey, arguments)))
            return result
        parts, said = self._draft(survey, arguments)
        problems, findings = drafted_inventory.judged(
            parts, survey["host"], arguments["target"], lambda questions: self._read("host_info", questions, arguments, task_vars)["host"],
            ask=not arguments["offline"])
        wanted = inventory_files.texts(arguments["name"], arguments["connection"], parts)
        planned = self._on_files(arguments, inventory_files.plan, wanted, arguments["update"])
        for one in planned if arguments["update"] else []:
            display.display(one["diff"].rstrip() or "%s: as it was" % one["path"])
        refused = list(inventory_files.refusals(planned))
        if refused:
            self._refuse([inventory_rules.Problem(*one) for one in refused])
        if not self._task.check_mode:
            self._on_files(arguments, inventory_files.write, wanted, planned)
        result.update(changed=any(one["verdict"] == "write" for one in planned), files=planned, problems=[problem._asdict() for problem in problems],
                      findings=[finding._asdict() for finding in findings], origins=said)
        display.display(_report(arguments, parts, said, problems, findings))
        return result

    @staticmethod
    def _refuse(problems):
        raise AnsibleActionFail("No inventory was written.\n" + "\n".join(inventory_rules.numbered(problems)),
                                result={"problems": [problem._asdict() for problem in problems]})

    def _on_files(self, arguments, function, *words):
        try:
            return function(arguments["folder"], *words)
        except OSError as error:
            self._refuse([inventory_rules.Problem("folder %s" % arguments["folder"], "its files cannot be written or read (%s)" % error,
                                                  "See: ls -la %s. Another folder: --name NAME." % arguments["folder"])])

    def _read(self, module, module_args, arguments, task_vars, may_fail=False):
        """What a module returns, or the refusal that says why the host could not be read.

        :param may_fail: whether the caller looks at what the module says when it fails.
        """
        try:
            name = module if "." in module else "protocol_omni.bunker." + module
            found = self._execute_module(module_name=name, module_args=module_args, task_vars=task_vars)
            words = "" if not found.get("unreachable") and (may_fail or not found.get("failed")) else "\n".join(
                str(found[key]) for key in ("module_stdout", "module_stderr", "exception", "msg") if found.get(key))
        except AnsibleError as error:
            words = str(error)
        if words:
            self._refuse([access.refusal(words, arguments["target"])])
        return found

    def _survey(self, arguments, task_vars):
        facts = self._read("ansible.legacy.setup", {"gather_subset": ["!all", "min", "network", "loadavg"]}, arguments, task_vars)["ansible_facts"]
        host = self._read("host_info", {"bandwidth": arguments["bandwidth"]}, arguments, task_vars)["host"]
        links = {disk["device"]: disk.get("links", []) for disk in self._read("disk_info", {}, arguments, task_vars)["disks"] if disk["device"]}
        found = self._volumes(list(links), arguments, task_vars)
        found = [dict(disk, links=links[disk["device"]]) for disk in found]
        load = (facts.get("ansible_loadavg") or {}).get("1m")
        return {"host": host, "disks": found, "load": load, "addresses": facts.get("ansible_all_ipv4_addresses") or [], "system": {
            "name": "%s %s" % (facts.get("ansible_distribution"), facts.get("ansible_distribution_major_version")),
            "architecture": facts.get("ansible_architecture"), "service_mgr": facts.get("ansible_service_mgr")}}

    def _volumes(self, names, arguments, task_vars):
        """What is on each disk. One that cannot be read keeps nobody from the others: they are looked at one by one then."""
        wanted = {"volumes": [{"device": name, "mount": disks.BASE} for name in names]}
        found = self._read("volume_info", wanted, arguments, task_vars, may_fail=True)
        if "volumes" in found:
            return found["volumes"]
        if len(names) > 1:
            return [self._volumes([name], arguments, task_vars)[0] for name in names]
        return [disks.lost(name, found.get("msg", "no answer")) for name in names]

    @staticmethod
    def _keys(survey, arguments):
        """The keys that a person will be asked about; none where nobody will need one."""
        if arguments["offline"] or list(draft.unsupported(survey["system"])) or not cards.usable(survey["host"])[0]:
            return []
        resolver = resolved_origins.Resolver({"trust_keys": []})
        return [resolver.key(address) for _variable, _key, address in draft.keys_of(survey)]

    def _picked(self, survey, catalogue, volumes, wanted):
        try:
            return draft.pick(survey, catalogue, volumes, wanted)
        except models.NotThere as error:
            self._refuse([error.problem])

    def _draft(self, survey, arguments):
        """The parts of the inventory, and what origins said that they could not tell."""
        answers = arguments["answers"]
        catalogue = candidates.load(arguments["hub"])
        volumes, _problems = disks.chosen(answers["format_disks"], survey["disks"])
        picked, left = self._picked(survey, catalogue, volumes, answers["models"])
        origins, resolver = {"notes": {}, "facts": {}, "keys": {}}, resolved_origins.Resolver(dict(
            hub=arguments["hub"], base=arguments["base"], registry_scheme=arguments["registry_scheme"], trust_keys=answers["trust_keys"]))
        if not arguments["offline"] and not list(draft.unsupported(survey["system"])):
            if not answers["base"]:
                origins["base"], origins["notes"]["base"] = resolver.base()
            for place, (name, candidate, hands) in enumerate(picked):
                resolved, facts, origins["notes"][candidate["name"]] = resolver.model(candidate)
                picked[place] = (name, resolved, hands)
                if facts:
                    origins["facts"][candidate["name"]] = facts
            if any(hands for _name, _candidate, hands in picked):
                origins["keys"] = {key: resolver.key(address) for _variable, key, address in draft.keys_of(survey)}
        found = [key["fingerprint"] for key in origins["keys"].values()]
        unused = ["--trust-key %s: %s." % (key, "no key was asked for" if not origins["keys"] else "no key of this host's repositories has it. "
                                           "See the fingerprints beside the values") for key in answers["trust_keys"] if key not in found]
        parts, problems = draft.draft(survey, answers, (picked, left), origins)
        if problems:
            self._refuse(problems)
        return parts, resolver.said + unused


def _report(arguments, parts, said, problems, findings):
    """What a person reads at the end."""
    lines = ["", "inventory/%s is written. %s" % (arguments["name"], parts[0].title)]
    lines += ["  " + line for line in parts[0].entries[0].comment]
    lines += ["What origins did not tell:"] * bool(said) + ["  " + line for line in said]
    lines += ["Still to be filled in, or site.yml refuses:"] * bool(problems) + ["  " + line for line in inventory_rules.numbered(problems)]
    lines += ["  " + line for line in draft.without_origins([problem.value for problem in problems])]
    lines += ["What preflight will say:"] * bool(findings) + ["  " + sentence(finding) for finding in findings]
    where = " ".join(filter(None, (re.sub(r"^.*?inventory/(?=[^/]+$)", "", arguments["folder"]), arguments["options"])))
    lines.append("Next: ./bunker deploy %s --check --diff, then without --check --diff" % where)
    return "\n".join(lines)
