#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine's data lie and where they shall lie."""
from __future__ import annotations

DOCUMENTATION = r"""
module: engine_data_info
short_description: Read where the engine's data lie, and judge where they shall lie
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the roots of Docker and containerd (of the running engine, or else of its configuration), what they hold, the places that are wanted
    instead, and the journal of a move. Changes nothing, and does not wake an engine that stands still.
  - Compares daemon.json with the options that are wanted.
options:
  docker_root:
    description: Wanted data-root of Docker. Empty leaves the engine's own.
    type: str
    default: ""
  containerd_root:
    description: Wanted root of containerd. Empty leaves the engine's own.
    type: str
    default: ""
  move:
    description: Whether existing data may be moved.
    type: bool
    default: false
  discard:
    description: Whether the old copy of moved data may be removed.
    type: bool
    default: false
  volumes:
    description: The host's volumes, each with C(mount).
    type: list
    elements: dict
    default: []
  ready:
    description: Whether the volumes must be mounted by now.
    type: bool
    default: true
  journal:
    description: File that notes a move.
    type: path
    required: true
  options:
    description: Options that daemon.json shall set besides its own.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Read where the engine's data lie
  protocol_omni.bunker.engine_data_info:
    docker_root: /nvme/docker
    journal: /var/lib/protocol_omni/engine-move.json
  register: data
"""

RETURN = r"""
plan:
  description: What is to be done.
  returned: success
  type: dict
  contains:
    action:
      description: V(none), V(switch) (there is nothing to copy), V(copy), or V(finish) (all is done, the journal does not say so yet).
      type: str
    roots:
      description: The roots it concerns, each C(name), C(old), C(new).
      type: list
    problems:
      description: Why it must not be done, each a sentence with value, rule and remedy; configuration files that cannot be merged into come first.
      type: list
    resumed:
      description: Whether an unfinished move goes on.
      type: bool
    discard:
      description: Folders of old data that may be emptied.
      type: list
    kept:
      description: Folders of old data that wait for it.
      type: list
sources:
  description:
    - The present roots by name, each C(root), C(running) (of the engine that runs now, null where none does), C(configured), C(mount),
      C(data) (counts), C(bytes), C(submounts), C(unmovable). Sizes only where a root changes.
  returned: success
  type: dict
targets:
  description: The wanted roots by name, each C(root), C(mount), C(entries), C(bytes), C(free).
  returned: success
  type: dict
units:
  description: Units that run now, of the engine and of the services on it, together with those that the journal names.
  returned: success
  type: list
containerd:
  description: C(config) (its configuration with the wanted root) and C(differs).
  returned: success
  type: dict
daemon:
  description:
    - C(merged) (the options of daemon.json with those that are wanted), whether it C(differs) from that, and C(outdated), whether the engine that runs was
      started before a configuration was written.
  returned: success
  type: dict
paths:
  description: Which of the files and folders that the role writes are there, and C(rsync) where that is installed.
  returned: success
  type: list
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import daemon_config, engine_data, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import roots  # noqa: E402

DROP_INS = ["/etc/systemd/system/%s.d" % unit for unit in ("docker.service", "docker.socket", "containerd.service")]
PATHS = [os.path.dirname(roots.DAEMON_CONFIG), os.path.dirname(roots.CONTAINERD_CONFIG), "/var/lib/protocol_omni", *DROP_INS,
         *(folder + "/protocol-omni-mounts.conf" for folder in DROP_INS)]
PID_FILE = "/run/docker.pid"  # the engine writes it when it starts


def outdated():
    """Whether a configuration was written after the engine that runs was started."""
    def written(path):
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return 0
    started = written(PID_FILE)
    return started > 0 and max(map(written, (roots.DAEMON_CONFIG, roots.CONTAINERD_CONFIG))) > started


def configurations(options, containerd_root):
    """What is to become of the two files, ``daemon`` and ``containerd``, and why one of them is not merged into: list of str."""
    found, refusals = {}, []
    for path, judged in ((roots.DAEMON_CONFIG, daemon_config.options_of), (roots.CONTAINERD_CONFIG, daemon_config.text_of)):
        try:
            found[path] = judged(small_file.content(path), path)
        except daemon_config.Refused as refused:
            refusals.append(str(refused))
    present, text = found.get(roots.DAEMON_CONFIG, {}), found.get(roots.CONTAINERD_CONFIG, "")
    merged, config = daemon_config.merged(present, options), engine_data.with_containerd_root(text, containerd_root) if containerd_root else text
    return ({"merged": merged, "differs": merged != present, "outdated": outdated()}, {"config": config, "differs": config != text}, refusals)


def main():
    module = AnsibleModule(
        argument_spec={
            "docker_root": {"type": "str", "default": ""},
            "containerd_root": {"type": "str", "default": ""},
            "move": {"type": "bool", "default": False},
            "discard": {"type": "bool", "default": False},
            "volumes": {"type": "list", "elements": "dict", "default": []},
            "ready": {"type": "bool", "default": True},
            "journal": {"type": "path", "required": True},
            "options": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    wanted = {"docker": module.params["docker_root"], "containerd": module.params["containerd_root"]}
    reader = roots.Reader(module)
    sources = {name: reader.source(name) for name in wanted}
    targets = {name: reader.target(path) for name, path in wanted.items() if path}
    for name, target in targets.items():
        if target["root"] != sources[name]["root"]:
            sources[name]["bytes"], target["bytes"] = reader.size(sources[name]["root"]), reader.size(target["root"])
    try:
        journal = engine_data.journal_of(small_file.text(module.params["journal"]))
    except ValueError as error:
        module.fail_json(msg="%s is no journal of a move (%s). Compare the folders that it concerned, and remove it." % (module.params["journal"], error))
    plan = engine_data.decide(
        {"roots": wanted, "move": module.params["move"], "discard": module.params["discard"], "volumes": module.params["volumes"],
         "ready": module.params["ready"], "journal": module.params["journal"]},
        {"sources": sources, "targets": targets, "journal": journal, "answers": reader.answer is not None,
         "left": [root["old"] for root in (journal or {"roots": []})["roots"] if roots.entries(root["old"])]})
    daemon, containerd, refusals = configurations(module.params["options"], wanted["containerd"])
    plan["problems"] = refusals + plan["problems"]
    module.exit_json(
        changed=False, plan=plan, sources=sources, targets=targets,
        units=sorted(set(reader.units()) | set(journal["units"] if journal and journal["state"] == "copying" else [])),
        daemon=daemon, containerd=containerd,
        paths=[path for path in PATHS if os.path.exists(path)] + (["rsync"] if module.get_bin_path("rsync") else []))


if __name__ == "__main__":
    main()
