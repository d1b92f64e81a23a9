#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host the measurements are set up from."""
from __future__ import annotations

DOCUMENTATION = r"""
module: observability_inputs_info
short_description: Read who has the ports of the measurements, and how they are set up
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads who listens on the ports already, whether user and folder are there, what Prometheus has loaded, and whether systemd has read the units.
  - Changes nothing. What is not there is told as absent.
options:
  ports:
    description: Ports of TCP on which O(units) are to listen, that of Prometheus first.
    type: list
    elements: int
    required: true
  units:
    description: The units that may have them.
    type: list
    elements: str
    required: true
  user:
    description: The units' user.
    type: str
    required: true
  data_path:
    description: The folder of the measurements.
    type: path
    required: true
  refuse:
    description: Whether a port that somebody else has fails the task.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look who has the ports
  protocol_omni.bunker.observability_inputs_info:
    ports: [9090, 9100]
    units: [protocol-omni-prometheus.service, protocol-omni-node-exporter.service]
    user: protocol-omni-observability
    data_path: /var/lib/protocol-omni-prometheus
    refuse: true
  register: there
"""

RETURN = r"""
others:
  description: Processes besides those of O(units) that listen on O(ports), V(NAME (process PID\)).
  returned: success
  type: list
  elements: str
prepared:
  description: Whether user and folder are as the role makes them.
  returned: success
  type: bool
configuration:
  description: The YAML that Prometheus has loaded, empty where it does not answer.
  returned: success
  type: str
needs_reload:
  description: Whether systemd has not read one of O(units) that was written since.
  returned: success
  type: bool
"""

import os  # noqa: E402
import pwd  # noqa: E402
import stat  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, listeners, prometheus_survey, small_file  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.local_http import text_at  # noqa: E402

HOME = "/nonexistent"
SHELL = "/usr/sbin/nologin"
PROC = "/proc"


def others(sockets, ports, units):
    """Processes that have one of the ports and belong to none of the units, each once, sorted by number."""
    pids = {pid for socket in sockets if socket["protocol"] == "tcp" and int(socket["address"].rpartition(":")[2]) in ports for pid in socket["pids"]}
    strangers = [pid for pid in sorted(pids) if not any(unit in small_file.seen("%s/%d/cgroup" % (PROC, pid)) for unit in units)]
    return ["%s (process %d)" % (small_file.seen("%s/%d/comm" % (PROC, pid)).strip(), pid) for pid in strangers]


def prepared(user, folder):
    """Whether user and folder are as the role makes them."""
    try:
        entry, found = pwd.getpwnam(user), os.lstat(folder)
    except (KeyError, OSError):
        return False
    return (entry.pw_dir, entry.pw_shell) == (HOME, SHELL) and stat.S_ISDIR(found.st_mode) and (
        found.st_uid, stat.S_IMODE(found.st_mode)) == (entry.pw_uid, 0o750)


def main():
    module = AnsibleModule(argument_spec={
        "ports": {"type": "list", "elements": "int", "required": True}, "units": {"type": "list", "elements": "str", "required": True},
        "user": {"type": "str", "required": True}, "data_path": {"type": "path", "required": True}, "refuse": {"type": "bool", "default": False}},
        supports_check_mode=True)
    given = module.params
    strangers = others(listeners.parsed(commands.output(module, *listeners.COMMAND)), given["ports"], given["units"])
    if given["refuse"] and strangers:
        module.fail_json(others=strangers, msg="Port %s is taken by %s. Choose other ports with observability_prometheus_port and "
                         "observability_node_exporter_port, or stop it." % (" or ".join(map(str, given["ports"])), ", ".join(strangers)))
    told = commands.output(module, "systemctl", "show", "--property", "NeedDaemonReload", *given["units"])
    module.exit_json(
        changed=False, others=strangers, prepared=prepared(given["user"], given["data_path"]), needs_reload="NeedDaemonReload=yes" in told.splitlines(),
        configuration=prometheus_survey.configuration(text_at("http://127.0.0.1:%d/api/v1/status/config" % given["ports"][0])))


if __name__ == "__main__":
    main()
