# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host could not be read, and what to do about it: from the words of Ansible and ssh."""
from __future__ import annotations

import re

from ..inventory_rules import Problem

# The first that matches counts: words in what ssh, sudo and Ansible say, the rule, the remedy.
REASONS = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is the one that you know",
     "Compare its fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then: ssh {target}"),
    (r"Host key verification failed", "you have accepted its host key, and it is still the same",
     "Compare the fingerprint that ssh shows with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there): ssh {target}"),
    (r"bad permissions|UNPROTECTED PRIVATE KEY FILE|Too many authentication failures", "it lets you in over SSH with a key",
     "Name the key, which nobody else may read (chmod 600 FILE): ./bunker init {target} --private-key FILE"),
    (r"Permission denied \(|Invalid/incorrect password|to use the 'ssh' connection type with passwords",
     "it lets you in over SSH with a key", "Put your key there: ssh-copy-id {target} (make one first with ssh-keygen, or load it: ssh-add)"),
    (r"Missing (sudo|become|su) password|password is required|Incorrect sudo password|a terminal is required|Sorry, try again|not in the sudoers"
     r"|Sorry, user|waiting for privilege escalation prompt",
     "you may become root there, as disks and drivers are root's to look at", "Add --ask-become-pass, or name root: ./bunker init root@{address}"),
    (r"sudo: (not found|command not found)|sudo: No such file", "you may become root there, and it has no sudo", "Name root: ./bunker init root@{address}"),
    (r"Could not resolve hostname|Name or service not known", "its name leads to an address", "Correct it, or give the address: ./bunker init USER@ADDRESS"),
    (r"timed out|No route to host|Network is unreachable|Connection refused|Connection reset|Connection closed by", "it answers on its SSH port",
     "Try: ssh {target}. A port other than 22: ./bunker init {target} --port PORT"),
    (r"No space left on device|Read-only file system", "it has room for what Ansible copies there while it looks", "See on the host: df -h; mount"),
    (r"interpreter|python[0-9.]*: (not found|No such file)|No python", "it has Python 3.9 or newer", "On the host: apt-get install python3"),
)


def refusal(words, target):
    """The :class:`Problem` of a host that could not be read.

    :param words: what the tools said.
    :param target: as ssh takes it: USER@ADDRESS or ADDRESS.
    """
    address = target.rpartition("@")[2]
    said = next((line.strip() for line in reversed(words.strip().splitlines()) if line.strip()), "nothing")[:200]
    for pattern, rule, remedy in REASONS:
        if re.search(pattern, words):
            return Problem("host %s (%s)" % (target, said), rule, remedy.format(target=target, address=address) + ".")
    return Problem("host %s (%s)" % (target, said), "it can be read over SSH as root", "Try: ssh %s sudo true." % target)
