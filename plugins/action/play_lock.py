# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import getpass
import hashlib
import os
import signal
import time

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.protocol_omni.bunker.plugins.module_utils import small_file
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_program


GRACE = 15
"""Seconds that a play which has ended is given to end its lock itself."""


def machine():
    """What tells this controller, and its process numbers, from another: its id, this start of it, and the namespace of its processes."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    told = [os.uname().nodename, small_file.seen("/etc/machine-id").strip(), small_file.seen("/proc/sys/kernel/random/boot_id").strip(), namespace]
    return hashlib.sha256("\n".join(told).encode("utf-8")).hexdigest()[:16]


def started(process):
    """When a process of this machine was started, in ticks; "" where there is none of that number, where it has ended, or where /proc does not tell."""
    told = small_file.seen("/proc/%d/stat" % process).rpartition(")")[2].split() + [""] * 20
    return "" if told[0] in ("Z", "X") else told[19]  # one that has ended and that nobody has asked for stays in the list


def lives(process, start):
    """Whether a process of this machine is still the one that was started then."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return started(process) == start


def user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def who(holder):
    """A holder in words."""
    told = [holder.get(name, "unknown") for name in ("play", "user", "controller", "process", "since")]
    return "the play %s of %s on %s (process %s, since %s, last heard of %d s ago)" % (*told, holder.get("silent", 0))


class ActionModule(ActionBase):
    """Keeps a second play from a host; documented in plugins/modules/play_lock.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec={
            "path": {"type": "path", "default": "/run/protocol-omni-play.lock"},
            "wait": {"type": "int", "default": 10},
            "lease": {"type": "int", "default": 300},
        })
        result["changed"] = False
        try:
            if self._task.check_mode:
                former = self._ask("look", arguments, None)["former"]
                result["former"] = who(former) if former else ""
                if former:
                    result["warnings"] = ["%s is at work on this host: what is predicted may come otherwise." % self._capital(who(former))]
                return result
            holder = self._holder(arguments, task_vars or {})
            taken = self._take(arguments, holder)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        result["former"] = who(taken["former"]) if taken["former"] else ""
        if taken["former"]:
            result["warnings"] = ["The lock of %s was taken over: %s." % (who(taken["former"]), taken["why"])]
        if taken["fresh"]:
            self._keep(arguments, holder)
        return result

    @staticmethod
    def _capital(text):
        return text[:1].upper() + text[1:]

    def _ask(self, do, arguments, holder, **others):
        return host_program.ask(self, "play_lock.py", dict(others, do=do, path=arguments["path"], holder=holder))

    def _holder(self, arguments, task_vars):
        """Who this run is. All plays of one ansible-playbook are one holder."""
        process = os.getppid()  # a task is run by a child of ansible-playbook
        start = started(process)
        return {"token": "%s:%d:%s" % (machine(), process, start), "machine": machine(), "process": process, "started": start, "lease": arguments["lease"],
                "play": task_vars.get("ansible_play_name", "unknown"), "user": user(), "controller": os.uname().nodename,
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}

    def _take(self, arguments, holder):
        """Takes the lock, waiting for it as long as is said.

        :raises ValueError: another holds it.
        """
        ends, ended = time.monotonic() + arguments["wait"], None
        while True:
            taken = self._ask("take", arguments, holder)
            former = taken["former"]
            if taken["taken"]:
                return dict(taken, why=former and "nothing was heard of it for %d s" % former["silent"])
            if former.get("machine") == holder["machine"] and not lives(former["process"], former["started"]):
                ended = ended or time.monotonic()  # what it left behind is about to end the lock
                if time.monotonic() - ended >= GRACE:
                    return dict(self._ask("take", arguments, holder, dead=former["token"]), former=former, why="its process is no more")
                time.sleep(0.5)
                continue
            if time.monotonic() >= ends:
                raise ValueError("%s holds this host. Two plays at once undo each other's work, so nothing was changed. Wait for its end and run this "
                                 "again, or have it waited for: -e bunker_lock_wait=SECONDS. Where that machine is gone, its lock ends by itself %d s after it "
                                 "was last heard of."
                                 % (self._capital(who(former)), former["lease"]))
            time.sleep(1)

    def _keep(self, arguments, holder):
        """Leaves a process behind that renews the lock while ansible-playbook lives, and ends it when that has ended, in whichever way."""
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        try:
            os.setsid()
            if os.fork():
                os._exit(0)
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # whoever interrupts the play wants the lock to be ended
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            self._follow(arguments, holder)
        finally:
            os._exit(0)  # nothing of the worker from which this process came may go on here

    def _follow(self, arguments, holder):
        renewed = time.monotonic()
        while lives(holder["process"], holder["started"]):
            time.sleep(0.5)
            if time.monotonic() - renewed >= arguments["lease"] / 5:
                renewed = time.monotonic()
                answer = self._quietly("renew", arguments, holder)
                if answer and not answer["taken"]:
                    return
        for _attempt in range(3):
            if self._quietly("release", arguments, holder):
                return
            time.sleep(1)

    def _quietly(self, do, arguments, holder):
        """What the host answers; nothing where it cannot be reached just now."""
        try:
            return self._ask(do, arguments, holder)
        except (OSError, ValueError, AnsibleError):
            return None
