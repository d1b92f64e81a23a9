# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_program, host_state


def refuse_existing(path):
    """:raises FileExistsError: there is a file of that name."""
    if os.path.lexists(path):
        raise FileExistsError("%s is there already; an archive is never overwritten. Give another backup_archive, or move it away." % path)


def write_whole(path, text):
    """Writes an archive that its owner alone can read, complete or not at all.

    :raises FileExistsError: there is a file of that name.
    """
    refuse_existing(path)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = path + ".part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(part, path)  # unlike a rename, it takes no other's place
    finally:
        os.unlink(part)


class ActionModule(ActionBase):
    """A host's state to an encrypted archive and back; documented in plugins/modules/host_state.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "state": {"type": "str", "required": True, "choices": ["saved", "restored"]},
            "archive": {"type": "path", "required": True},
            "config_path": {"type": "path", "default": host_state.CONFIG},
            "named": {"type": "list", "elements": "path", "default": []},
            "host": {"type": "str"},
            "replace": {"type": "bool", "default": False},
        })
        if C.DEFAULT_DEBUG:
            raise AnsibleActionFail("ANSIBLE_DEBUG is set: Ansible would write what hosts answer, keys as well, to its output. Unset it, and run this again.")
        try:
            result.update(self._save(arguments, task_vars) if arguments["state"] == "saved" else self._restore(arguments, task_vars))
        except (OSError, ValueError) as error:
            raise AnsibleActionFail("%s%s" % (error, "" if "Nothing was changed" in str(error) else " Nothing was changed.")) from None
        return result

    def _secrets(self):
        return list(self._loader._vault.secrets or [])  # what ansible-playbook was given by --vault-id and its like

    def _ask(self, request):
        return host_program.ask(self, "state_files.py", request)

    def _patterns(self, arguments, kind="carried"):
        return [host_state.on_host(entry["path"], arguments["config_path"]) for entry in host_state.the_list()[kind]]

    def _save(self, arguments, task_vars):
        name, _secret = host_state.secret_for(self._secrets())  # before anything is read
        refuse_existing(arguments["archive"])
        roots = [host_state.on_host(path, arguments["config_path"]) for path in host_state.ROOTS]
        above = roots + [parent for path in roots for parent in map(str, pathlib.PurePosixPath(path).parents)]
        found = self._ask({"do": "collect", "patterns": self._patterns(arguments) + arguments["named"], "folders": above})
        absent = sorted(set(arguments["named"]) - {entry["path"] for entry in found["files"]})
        if absent:
            raise ValueError("The inventory names %s, and the host does not have it: a backup without it would be of no use. Write it there, or change the "
                             "inventory." % ", ".join(absent))
        if not found["files"]:
            raise ValueError("The host has no state: nothing of playbooks/files/host_state.yml lies there. Was site.yml run on it?")
        for entry in found["files"] + found["folders"]:
            if entry["path"] not in arguments["named"]:
                entry["path"] = host_state.in_archive(entry["path"], arguments["config_path"])
        content = {"host": arguments["host"] or task_vars["inventory_hostname"], "files": host_state.with_hashes(found["files"]), "folders": found["folders"]}
        paths = [entry["path"] for entry in content["files"]]
        if not self._task.check_mode:
            write_whole(arguments["archive"], host_state.seal(content, self._secrets()))
            with open(arguments["archive"], "rb") as stream:
                host_state.unseal(stream.read(), self._secrets())  # what cannot be opened again is no backup
        return {"changed": True, "archive": arguments["archive"], "paths": paths, "vault_id": name}

    def _restore(self, arguments, task_vars):
        with open(arguments["archive"], "rb") as stream:
            content = host_state.unseal(stream.read(), self._secrets())
        host = task_vars["inventory_hostname"]
        if content["host"] != (arguments["host"] or host):
            raise ValueError("The archive is of %s, and this host is %s. If that is meant: -e restore_of=%s. Nothing was changed."
                             % (content["host"], host, content["host"]))
        foreign = host_state.outside(content["files"], arguments["named"])
        if foreign:
            raise ValueError("The archive brings %s: neither in playbooks/files/host_state.yml nor named by this inventory (keys of providers, certificates). "
                             "Name it there, or take an archive of this collection. Nothing was changed." % ", ".join(foreign))
        for entry in content["files"] + content["folders"]:
            if entry["path"] not in arguments["named"]:
                entry["path"] = host_state.on_host(entry["path"], arguments["config_path"])
        request = {"files": content["files"], "folders": content["folders"], "patterns": self._patterns(arguments)}
        told = self._ask(dict(request, do="compare"))
        lost = told["replaced"] + told["removed"]
        if lost and not arguments["replace"]:
            raise ValueError("The host has state of its own, which the archive has otherwise or not at all: %s. To lose that: -e restore_replace=true. "
                             "Nothing was changed." % ", ".join(lost))
        if not self._task.check_mode:
            told = self._ask(dict(request, do="lay"))
        return {"changed": bool(told["new"] + told["replaced"] + told["removed"]), "new": told["new"], "replaced": told["replaced"],
                "removed": told["removed"], "unknown": told["unknown"], "paths": [entry["path"] for entry in content["files"]]}
