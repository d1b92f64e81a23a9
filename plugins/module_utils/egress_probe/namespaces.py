# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces, entered by one thread for as long as it takes to open a socket or to run ``ip``.

A socket stays in the namespace in which it was opened, so one loop can serve sockets of many. Namespaces made here have no name: the kernel
removes them with all their devices and routes when this process ends, however it ends.

Source: setns(2), unshare(2), network_namespaces(7), veth(4).
"""
from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """A namespace or device cannot be had. The message says which and why."""


def _call(function, *arguments):
    if getattr(_libc, function)(*arguments):
        code = ctypes.get_errno()
        raise NamespaceError("%s: %s. It takes root with CAP_SYS_ADMIN and CAP_NET_ADMIN" % (function, os.strerror(code)))


def run_ip(*words):
    """Runs ip(8) in the namespace of the thread: that of the module's own run_command would be the process's. Returns the CompletedProcess."""
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)  # pylint: disable=ansible-bad-function  # of this thread


class Namespace:
    """A network namespace, held open."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    @classmethod
    def of_process(cls, pid):
        """:raises NamespaceError: there is no such process."""
        try:
            return cls(os.open("/proc/%s/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise NamespaceError("process %s: %s" % (pid, error.strerror)) from error

    @classmethod
    def new(cls):
        here = cls.of_process("thread-self")
        _call("unshare", CLONE_NEWNET)
        try:
            return cls.of_process("thread-self")
        finally:
            _call("setns", here.descriptor, CLONE_NEWNET)
            here.close()

    @contextlib.contextmanager
    def entered(self):
        here = self.of_process("thread-self")
        _call("setns", self.descriptor, CLONE_NEWNET)
        try:
            yield self
        finally:
            _call("setns", here.descriptor, CLONE_NEWNET)
            here.close()

    def ip(self, *commands):
        """Runs lines of ip(8) in it.

        :raises NamespaceError: one fails.
        """
        with self.entered():
            for command in commands:
                done = run_ip(*command.split())
                if done.returncode:
                    raise NamespaceError("ip %s: %s" % (command, done.stderr.strip()))

    def write(self, path, value):
        """Writes a setting of /proc/sys/net, which shows the namespace of the thread that opens it."""
        with self.entered(), open(path, "w", encoding="ascii") as stream:
            stream.write(value)

    def close(self):
        os.close(self.descriptor)
