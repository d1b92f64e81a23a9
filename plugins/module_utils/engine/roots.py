# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Docker and containerd keep their data, by the running engine and its configuration. Read only, and an engine that stands still is not woken."""
from __future__ import annotations

import glob
import os

from .. import engine_data, host_survey, small_file

CONTAINERD_CONFIG = "/etc/containerd/config.toml"
DAEMON_CONFIG = "/etc/docker/daemon.json"
UNITS = ["docker.service", "docker.socket", "containerd.service", "protocol-omni-*.service"]


def entries(folder):
    """Names in a folder; empty where there is none."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


class Reader:
    """Reads the host."""

    def __init__(self, module):
        self.module = module
        self.mounts = host_survey.mounts_of_mountinfo(small_file.seen("/proc/self/mountinfo"))
        self.answer = None
        if self.command("systemctl", "is-active", "docker.service").strip() == "active":  # the question alone would wake it through its socket
            self.answer = self.command("docker", "info", "--format", "{{.DockerRootDir}}").strip() or None

    def command(self, *arguments):
        program = self.module.get_bin_path(arguments[0])
        if program is None:
            return ""
        _code, out, _error = self.module.run_command([program, *arguments[1:]], environ_update={"LC_ALL": "C"})
        return out

    def running_root(self, name):
        """The root of the running engine; containerd is not asked but looked at: its database is open."""
        if name == "docker":
            return self.answer
        pid = self.command("systemctl", "show", "--property=MainPID", "--value", "containerd.service").strip() or "0"
        for link in glob.glob("/proc/%s/fd/*" % pid) if pid != "0" else []:
            path = os.readlink(link) if os.path.islink(link) else ""
            if path.endswith(engine_data.CONTAINERD_DATABASE):
                return path[:-len(engine_data.CONTAINERD_DATABASE)] or None
        return None

    def configured_root(self, name):
        if name == "docker":
            root = engine_data.root_of_daemon(small_file.seen(DAEMON_CONFIG))
        else:
            root = engine_data.root_of_containerd(small_file.seen(CONTAINERD_CONFIG))
        return os.path.realpath(root or engine_data.OWN_ROOTS[name])

    def mount(self, path):
        return (host_survey.mount_of(path, self.mounts) or {"path": "/"})["path"]

    def size(self, root):
        words = self.command("du", "--summarize", "--one-file-system", "--block-size=1", root).split() if os.path.isdir(root) else []
        return int(words[0]) if words else 0

    def source(self, name):
        configured, running = self.configured_root(name), self.running_root(name)
        root = running or configured
        data = {kind: len(glob.glob(os.path.join(glob.escape(root), pattern))) for kind, pattern in engine_data.DATA[name].items()}
        if name == "docker" and self.answer:
            data["networks"] = len(self.command("docker", "network", "ls", "--quiet", "--filter", "type=custom").split())
        return {
            "root": root, "running": running, "configured": configured, "mount": self.mount(root), "data": data, "bytes": 0,
            "submounts": [mount["path"] for mount in self.mounts if mount["path"] != root and engine_data.inside(mount["path"], root)
                          and mount["type"] not in engine_data.OWN_MOUNTS],
            "unmovable": [os.path.relpath(path, root) for pattern in engine_data.UNMOVABLE[name]
                          for path in glob.glob(os.path.join(glob.escape(root), pattern))],
        }

    def target(self, wanted):
        root = os.path.realpath(wanted)
        existing = root
        while not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        space = os.statvfs(existing)
        return {"root": root, "mount": self.mount(root), "entries": entries(root), "bytes": 0, "free": space.f_bavail * space.f_frsize}

    def units(self):
        lines = self.command("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating,reloading", *UNITS).splitlines()
        return [line.split()[0] for line in lines if line.split()]
