# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible.plugins.action import ActionBase

# As preflight's defaults/main.yml: a role that is used alone has no preflight before it.
LOCK_TIMEOUT = 300
# The fact that remembers what the host has: it is asked once for all roles, and again for whatever was not there then.
REMEMBERED = "protocol_omni_packages"


def installed(lines):
    """The packages that dpkg-query calls installed.

    :param lines: list of str, each "STATUS PACKAGE".
    :returns: set of str.
    """
    return {words[1] for words in map(str.split, lines) if len(words) == 2 and words[0] == "installed"}


class ActionModule(ActionBase):
    """Installs packages that are missing; documented in plugins/modules/system_packages.py."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "start": {"type": "bool", "default": True},
            "mask": {"type": "list", "elements": "str", "default": []},
            "disable": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 1800},
        })
        known = set((task_vars.get("ansible_facts") or {}).get(REMEMBERED) or [])
        if not known.issuperset(arguments["name"]):
            known = self._installed(task_vars)
            result["ansible_facts"] = {REMEMBERED: sorted(known)}
        missing = [name for name in arguments["name"] if name not in known]
        result.update(missing=missing, changed=bool(missing))
        if not missing or self._task.check_mode:
            if missing:
                result["msg"] = "Would install %s" % ", ".join(missing)
            return result
        masked, disabled = ([unit for unit in arguments[what] if unit.split(".")[0] in missing] for what in ("mask", "disable"))
        for unit in masked:
            path = "/etc/systemd/system/%s" % unit
            self._asked("ansible.legacy.command", {"argv": ["ln", "--symbolic", "/dev/null", path], "creates": path}, task_vars)
        done = self._install(missing, arguments, task_vars)
        if not done.get("failed") and disabled:
            done = self._asked("ansible.legacy.command", {"argv": ["systemctl", "disable", *disabled]}, task_vars)
        if done.get("failed"):
            result.update(failed=True, msg="%s could not be installed: %s" % (", ".join(missing), done.get("msg", done)))
        return result

    def _asked(self, module, arguments, task_vars):
        return self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)

    def _installed(self, task_vars):
        # dpkg-query and not the apt module: on a bare host that one cannot look without installing python3-apt first, also in check mode.
        command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\\n"]
        was, self._task.check_mode = self._task.check_mode, False  # it only looks
        try:
            found = self._asked("ansible.legacy.command", {"argv": command}, task_vars)
        finally:
            self._task.check_mode = was
        return installed((found.get("stdout") or "").splitlines())

    def _install(self, names, arguments, task_vars):
        apt = {"name": names, "install_recommends": False, "update_cache": True,
               "lock_timeout": int(self._templar.template(task_vars.get("bunker_apt_lock_timeout", LOCK_TIMEOUT)))}
        if not arguments["start"]:
            apt["policy_rc_d"] = 101
        task = self._task.copy()
        task.args = {"title": "Installation of %s" % ", ".join(names), "module": "ansible.builtin.apt", "arguments": apt,
                     "watch": "/var/log/apt/term.log", "timeout": arguments["timeout"]}
        action = self._shared_loader_obj.action_loader.get(
            "protocol_omni.bunker.long_task", task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
            templar=self._templar, shared_loader_obj=self._shared_loader_obj)
        return action.run(task_vars=task_vars)
