# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher's hand: one step of the ladder, by playbooks/contingency.yml with ansible-runner.

A process of its own, because what it needs of memory should go when it is done. act.py SETTINGS RUNG DRAIN REASON; the last line that it prints is
JSON: {"done": bool, "message": str}.
"""
import json
import os
import sys

import ansible_runner


def main(settings_path, rung, drain, reason):
    with open(settings_path, encoding="utf-8") as stream:
        settings = json.load(stream)
    os.makedirs(settings["runs_path"], mode=0o700, exist_ok=True)
    binaries = os.path.dirname(sys.executable)
    result = ansible_runner.run(
        private_data_dir=settings["runs_path"], rotate_artifacts=10, quiet=True, project_dir=settings["playbooks_path"], playbook="contingency.yml",
        inventory={"all": {"hosts": {settings["host"]: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}},
        extravars={"contingency_service": settings["service"], "contingency_rung": int(rung), "contingency_drain": int(float(drain)),
                   "contingency_reason": reason, "contingency_config_path": settings["config_path"], "contingency_by_hand": False},
        envvars={"ANSIBLE_COLLECTIONS_PATH": settings["collections_path"], "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0",
                 "ANSIBLE_NO_TARGET_SYSLOG": "1",  # the journal of the watcher is for people
                 "PATH": binaries + ":" + os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")})
    messages = [str(event["event_data"]["res"].get("msg", "")) for event in result.events
                if event["event"] == "runner_on_failed" and not event["event_data"].get("ignore_errors")]
    if not messages:
        messages = ["%s: %s" % (result.status, result.stdout.read().strip()[-500:])]
    print(json.dumps({"done": result.rc == 0, "message": messages[-1][:2000]}))  # short enough for a pipe that is read only at the end
    return 0 if result.rc == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
