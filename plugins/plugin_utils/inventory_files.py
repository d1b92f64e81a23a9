# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a drafted inventory, and what of them may be written: never over what a person edited. Runs on the controller only."""
from __future__ import annotations

import difflib
import hashlib
import json
import os
import pathlib
import re
import textwrap

import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names

MARK = re.compile(r"^# ./bunker init wrote this, mark ([0-9a-f]{16})\.", re.MULTILINE)
HEAD = "---\n# ./bunker init wrote this, mark %s. It never writes over what a person edits; with --update it shows what it would write now.\n"
DATE = re.compile(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b")
WIDTH = 150


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow=False, indentless=False):  # entries of a list are indented, as everywhere here
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def dumped(value):
    """A value as YAML, laid out as the inventories are."""
    value = json.loads(json.dumps(value))  # Ansible's texts are of a class of its own, which YAML does not know
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=WIDTH)


def comment(text):
    """A text as lines of a comment."""
    return "".join("# %s\n" % line for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def _by_slot(service):
    """The service with an expression in the place of cards whose UUIDs no driver has shown yet."""
    if not any(map(card_names.PCI_NAME.match, service.get("gpus", []))):
        return service
    return dict(service, gpus="{{ %s | protocol_omni.bunker.card_uuids(bunker_host | default({})) }}" % [str(name) for name in service["gpus"]])


def texts(name, connection, parts):
    """Path below the inventory's folder to the text of each file.

    :param name: the host's, in the inventory.
    :param connection: variables of its connection, such as ansible_host.
    :param parts: of inventory_draft.draft.draft().
    """
    body = ""
    for part in parts:
        body += "\n# --- %s" % comment(part.title)[2:]
        for entry in part.entries:
            body += "".join(comment(line) for line in entry.comment)
            value = [_by_slot(service) for service in entry.value] if entry.name == "bunker_services" else entry.value
            body += dumped({entry.name: value})
    host = dict(connection, ansible_python_interpreter="/usr/bin/python3")
    return {"hosts.yml": _marked(dumped({"all": {"hosts": {name: host}}})), "group_vars/all/bunker.yml": _marked(body)}


def mark(body):
    """What a body is told by: its hash, whatever day it was written on."""
    return hashlib.sha256(DATE.sub("DATE", body).encode("utf-8")).hexdigest()[:16]


def _marked(body):
    return HEAD % mark(body) + body


def is_ours(text):
    """Whether a file is as it was written: its mark fits the rest of it."""
    found = MARK.search(text)
    return bool(found) and text.startswith(HEAD % found.group(1)) and mark(text[len(HEAD % found.group(1)):]) == found.group(1)


def _values(text):
    """A file's lines but for comments: dates and measured speeds in them differ from run to run."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def plan(folder, wanted, update):
    """What is to be done with each file.

    :param folder: of the inventory.
    :param wanted: of :func:`texts`.
    :param update: whether files that init wrote, and nobody edited, may be written anew.
    :returns: list of dict of path, verdict ("write", "same", "edited", "differs") and diff (str).
    """
    found = []
    for name, text in wanted.items():
        path = pathlib.Path(folder) / name
        old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        diff = "".join(difflib.unified_diff((old or "").splitlines(True), text.splitlines(True), "%s (as it is)" % path, "%s (as init would write it)" % path))
        same = old is not None and _values(old) == _values(text)
        verdict = "same" if same else "write" if old is None else "edited" if not is_ours(old) else "write" if update else "differs"
        found.append({"path": str(path), "verdict": verdict, "diff": "" if same else diff})
    return found


def refusals(planned):
    """(value, rule, remedy) of each file that is not written."""
    for one in planned:
        if one["verdict"] == "edited":
            yield (one["path"], "a person has edited it, or wrote it, and init writes over nobody's work",
                   "Take over from the diff what you want (--update shows it), or move the file away and run init again.")
        elif one["verdict"] == "differs":
            yield one["path"], "it is there, and init would write another one now", "See the difference and write it: the same command with --update."


def write(folder, wanted, planned):
    """Writes what is to be written: each file whole or not at all."""
    for name, one in zip(wanted, planned):
        if one["verdict"] == "write":
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            part.write_text(wanted[name], encoding="utf-8")
            os.replace(part, path)
