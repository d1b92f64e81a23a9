#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that belong together, written together or not at all."""
from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write files that belong together, all or none
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Writes several small text files with their folders, and removes those of earlier runs that no longer belong to them.
  - Each is validated and lies complete beside its place before the first one takes its place. A full disk or a file that does not validate changes nothing.
  - Files, links and folders that are as they shall be are not touched. A link at a file's place is replaced by the file.
options:
  files:
    description: What shall be there.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where, absolute.
        type: path
        required: true
      content:
        description: The whole text.
        type: str
        required: true
      mode:
        description: Permissions, octal.
        type: str
        default: "0644"
      group:
        description: A group that shall own the file. The user of the task's own owns it otherwise.
        type: str
        default: ""
      validate:
        description: A command that ends with 0 for a right file; V(%s) stands for its path. Not run in check mode, where its program may not be there yet.
        type: list
        elements: str
        default: []
  only:
    description: Patterns such as V(/etc/x/*.conf). What else they match than O(files) is removed.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
"""

EXAMPLES = r"""
- name: Write the rules and the program that loads them
  protocol_omni.bunker.config_files:
    files:
      - {path: /etc/example/rules.nft, content: "{{ rules }}", validate: [nft, --check, --file, "%s"]}
      - {path: /etc/example/keys.json, content: "{{ keys | to_json }}", group: example, mode: "0640"}
      - {path: /usr/local/lib/example/load, content: "{{ lookup('ansible.builtin.file', 'load', rstrip=false) }}", mode: "0755"}
    only: ["/etc/example/*.nft"]
  register: example
"""

RETURN = r"""
written:
  description: Paths of the files that were written anew, or whose mode was set.
  returned: success
  type: list
removed:
  description: Paths that were removed.
  returned: success
  type: list
"""

import glob
import grp
import os
import stat

from ansible.module_utils.basic import AnsibleModule

PART = ".bunker-part"


def present(path):
    """(text, permissions, number of its group) of a plain file; ("", None, None) where there is none. What is no UTF-8 counts as other text."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return "", None, None
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return stream.read(), stat.S_IMODE(found.st_mode), found.st_gid
    except OSError:
        return "", None, None


def group_of(entry):
    """The number of the group that shall own a file; None where no group is asked for.

    :raises ValueError: there is no such group.
    """
    try:
        return grp.getgrnam(entry["group"]).gr_gid if entry["group"] else None
    except KeyError:
        raise ValueError("%s: this host has no group %s. Create it first." % (entry["path"], entry["group"])) from None


def as_wanted(entry, found):
    """Whether what :func:`present` returned is what is asked for. A group that the host does not have yet owns nothing."""
    if found[:2] != (entry["content"], mode_of(entry)):
        return False
    try:
        return group_of(entry) in (None, found[2])
    except ValueError:
        return False


def lay_out(path, content, mode, group):
    """Writes a file beside its place, complete.

    :raises OSError: it cannot be written.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + PART, "w", encoding="utf-8", newline="") as stream:
        if group is not None:
            os.fchown(stream.fileno(), -1, group)
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def mode_of(entry):
    """A file's permissions as a number.

    :raises ValueError: they are not octal digits.
    """
    try:
        return int(entry["mode"], 8)
    except ValueError:
        raise ValueError("%s: mode %s is not octal digits such as 0644" % (entry["path"], entry["mode"])) from None


def put(module, wanted):
    """Validates all files and puts them in their places; none where one does not validate or cannot be written."""
    laid = []
    try:
        for entry in wanted:
            laid.append(entry["path"] + PART)
            lay_out(entry["path"], entry["content"], mode_of(entry), group_of(entry))
        for entry in wanted:
            words = [word.replace("%s", entry["path"] + PART) for word in entry["validate"]]
            code, out, errors = module.run_command(words) if words else (0, "", "")
            if code:
                raise ValueError("%s is not valid, nothing was written. %s says: %s" % (entry["path"], words[0], (errors or out).strip()[-2000:]))
        for entry in wanted:
            os.replace(entry["path"] + PART, entry["path"])
    finally:
        for path in laid:
            if os.path.lexists(path):
                os.unlink(path)


def main():
    module = AnsibleModule(argument_spec={
        "files": {"type": "list", "elements": "dict", "required": True, "options": {
            "path": {"type": "path", "required": True}, "content": {"type": "str", "required": True}, "mode": {"type": "str", "default": "0644"},
            "group": {"type": "str", "default": ""}, "validate": {"type": "list", "elements": "str", "default": []}}},
        "only": {"type": "list", "elements": "str", "default": []}}, supports_check_mode=True)
    files, wanted, differences = module.params["files"], [], []
    try:
        for entry in files:
            found = present(entry["path"])
            if not as_wanted(entry, found):
                wanted.append(entry)
                differences.append({"before_header": entry["path"], "after_header": entry["path"], "before": found[0], "after": entry["content"]})
        ours = {entry["path"] for entry in files}
        stale = sorted({path for pattern in module.params["only"] for path in glob.glob(pattern)} - ours)
        differences += [{"before_header": path, "after_header": path, "before": present(path)[0], "after": ""} for path in stale]
        if not module.check_mode:
            put(module, wanted)
            for path in stale:
                os.unlink(path)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(wanted or stale), written=[entry["path"] for entry in wanted], removed=stale, diff=differences)


if __name__ == "__main__":
    main()
