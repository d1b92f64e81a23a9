# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver's Xid errors ask for. Pure functions: text and numbers in, facts out.

Sources: NVIDIA, "XID Errors" (r590), "Analyzing Xid Errors with the Xid Catalog", column "Resolution Bucket (Immediate Action)"; for the recovery action
NVIDIA, "GPU Memory Error Management", and ``nvmlDeviceGpuRecoveryAction_t`` of NVML's reference. A driver of branch 565 or newer says by itself what a card
needs: as text behind Xid 154, and when it is asked. That goes before the number of any other Xid.
"""
from __future__ import annotations

import collections
import re

# What has to be done, least first. LATER: the card works on, with less of something, until it is reset when that suits.
NONE, LOG, APPLICATION, LATER, RESET, REBOOT = "none", "log", "application", "later", "reset", "reboot"
KINDS = (NONE, LOG, APPLICATION, LATER, RESET, REBOOT)

# NVIDIA's immediate actions, and what they come to here. Those that begin with WORKFLOW depend on more than the number: 48 is a double-bit error, which ends
# in a reset whatever else was reported; 45, 74 and 144 to 150 follow what was reported beside them, and where a reset is needed the driver says so (154).
ACTIONS = {
    "IGNORE": LOG, "RESTART_APP": APPLICATION, "RESET_GPU": RESET, "RESTART_BM": REBOOT, "RESTART_VM": REBOOT, "WORKFLOW_XID_48": RESET,
    "WORKFLOW_XID_45": LOG, "WORKFLOW_NVLINK_ERR": LOG, "WORKFLOW_NVLINK5_ERR": LOG, "XID_154": LOG, "CHECK_MECHANICALS": LOG, "CHECK_UVM": LOG,
    "CONTACT_SUPPORT": LOG, "UPDATE_SWFW": LOG,
}
# First and last number, NVIDIA's immediate action, what it is. Numbers that NVIDIA lists without any action, and those that no card of today reports, are not
# here: they are logged.
CATALOGUE = [
    (8, 8, "RESTART_APP", "a channel stopped"), (11, 11, "RESTART_APP", "an invalid push buffer"),
    (13, 13, "RESTART_APP", "an exception of the graphics engine"),
    (14, 14, "IGNORE", "a made-up error"), (25, 25, "RESTART_APP", "an invalid push buffer"), (31, 31, "RESTART_APP", "a page fault"),
    (32, 32, "RESTART_APP", "a corrupted push buffer"), (37, 38, "IGNORE", "an error of the driver's firmware"),
    (39, 41, "RESTART_APP", "an exception of a copy engine"), (43, 43, "IGNORE", "a program's channel was ended"),
    (44, 44, "IGNORE", "a fault while contexts were switched"), (45, 45, "WORKFLOW_XID_45", "channels were removed, mostly after another error"),
    (46, 46, "RESET_GPU", "the card stopped processing"), (48, 48, "WORKFLOW_XID_48", "a double-bit memory error"),
    (54, 54, "CHECK_MECHANICALS", "the auxiliary power is not connected"), (60, 60, "RESTART_APP", "an exception of the security processor"),
    (62, 62, "RESET_GPU", "the power management's controller halted"), (63, 63, "IGNORE", "a memory row is remapped at the next reset"),
    (64, 64, "RESET_GPU", "a memory row could not be remapped"), (66, 67, "IGNORE", "an illegal access by the driver"),
    (68, 68, "RESTART_APP", "an exception of a video decoder"), (69, 69, "RESTART_APP", "a class error of the graphics engine"),
    (70, 72, "RESTART_APP", "an exception of a copy engine"), (74, 74, "WORKFLOW_NVLINK_ERR", "an NVLink error"),
    (75, 77, "RESTART_APP", "an exception of a copy engine"), (78, 78, "UPDATE_SWFW", "a vGPU did not start"),
    (79, 79, "RESTART_BM", "it has fallen off the bus"), (80, 80, "RESTART_APP", "corrupted data for the card"),
    (82, 82, "RESTART_APP", "an exception of a JPEG engine"), (83, 84, "RESTART_APP", "an exception of a video decoder"),
    (85, 85, "RESTART_APP", "an exception of a copy engine"), (86, 86, "RESTART_APP", "an exception of the optical flow engine"),
    (88, 89, "RESTART_APP", "an exception of a video decoder"), (92, 92, "IGNORE", "many single-bit memory errors"),
    (93, 93, "IGNORE", "the infoROM is worn"), (94, 94, "RESTART_APP", "a memory error that one program alone had"),
    (95, 95, "RESET_GPU", "a memory error that was not contained"), (96, 98, "RESTART_APP", "an exception of a video decoder"),
    (99, 105, "RESTART_APP", "an exception of a JPEG engine"), (106, 107, "IGNORE", "a test message"),
    (108, 108, "IGNORE", "an error of a translation over NVLink"), (109, 109, "RESET_GPU", "switching contexts took too long"),
    (110, 110, "RESET_GPU", "a security fault"), (119, 119, "RESET_GPU", "its firmware (GSP) does not answer"),
    (120, 120, "RESET_GPU", "its firmware (GSP) failed"),
    (121, 121, "IGNORE", "a corrected error between the chips"), (126, 135, "RESTART_APP", "an exception of a copy engine"),
    (136, 136, "RESET_GPU", "an NVLink could not be trained"), (137, 137, "IGNORE", "a privilege error over NVLink"),
    (139, 139, "RESTART_APP", "an exception of the optical flow engine"), (140, 140, "RESET_GPU", "a memory error that was not recovered from"),
    (141, 141, "IGNORE", "an error of the fast path"), (142, 142, "CONTACT_SUPPORT", "an exception of a video encoder"),
    (143, 143, "RESET_GPU", "it could not be initialized"), (144, 150, "WORKFLOW_NVLINK5_ERR", "an NVLink error"),
    (151, 151, "RESTART_VM", "keys could not be exchanged"), (152, 153, "IGNORE", "an error of the deep learning accelerator"),
    (154, 154, "XID_154", "what the driver asks for changed"), (155, 155, "RESET_GPU", "an NVLink error of software"),
    (156, 156, "RESET_GPU", "a part of it is retired at the next reset"), (157, 157, "IGNORE", "a part of it could not be retired"),
    (158, 158, "RESET_GPU", "a fatal timeout"), (159, 159, "CHECK_UVM", "an error of a coherent access"), (160, 161, "IGNORE", "a memory channel was retired"),
]
RECOVERY = 154
CONTAINED = (94,)  # the program that had it computes no more, others and the card go on (NVIDIA, "GPU Memory Error Management")
# nvmlDeviceGpuRecoveryAction_t, as nvidia-ml-py 13.615 has it: code to what it asks for, and NVIDIA's name of it, by which a person finds it. 3 and 4 leave the
# work that runs alone; 5 is of a domain of several hosts, and no matter of the card. Others are not known here.
RECOVERY_CODES = {0: NONE, 1: RESET, 2: REBOOT, 3: LATER, 4: LATER, 5: LATER, 6: RESET, 7: REBOOT}
RECOVERY_NAMES = {1: "Reset", 2: "Reboot", 3: "Drain P2P", 4: "Drain and Reset", 5: "Recover IMEX Domain", 6: "Bus Reset", 7: "System Reboot"}
# What nvidia-smi and the driver's own text say, by the first that is found in it: "None", "GPU Reset Required", "PF FLR" (branch 610), "Node Reboot Required",
# "OS Reboot" (branch 610), "Drain P2P", "Drain and Reset".
RECOVERY_WORDS = (("drain", LATER), ("reboot", REBOOT), ("power cycle", REBOOT), ("reset", RESET), ("flr", RESET), ("none", NONE))

Xid = collections.namedtuple("Xid", ["pci", "number", "text"])
# kind: RESET, REBOOT or LATER; why: NVIDIA's action with its reason; number: of the Xid, None where the driver was asked.
Fault = collections.namedtuple("Fault", ["kind", "why", "number"])

# "PCI:" came with branch 343; with MIG the slice follows ("GPU-I:05"); the function of the address is left out by most drivers.
_LINE = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?:\.[0-7])?(?: [^)]*)?\): (\d{1,4})(?:, *(.*))?$")
_CHANGED = re.compile(r"recovery action changed from 0x[0-9a-f]+ \([^)]*\) to 0x([0-9a-f]{1,4}) \(([^)]*)\)", re.IGNORECASE)


# "pid=4711, name=python3": of the process, and of the thread of it that was at work. Where nobody knows it stands "<unknown>".
_PROGRAM = re.compile(r"\bpid=(\d+), name=([^,<]+)(?:,|$)")


def of_another(text, pid, name):
    """Whether the text of an Xid names a program that is surely not this one.

    :param text: of a line of the kernel's log, "" where there is none.
    :param pid: the program's process; 0 where it is not known.
    :param name: the program's.
    """
    found = _PROGRAM.search(text)
    return bool(found and pid) and int(found.group(1)) != pid and found.group(2).strip() != name


def address(text):
    """"0000:01:00" of a PCI address in any of its forms ("00000000:01:00.0", "0000:01:00.0", "0000:01:00"); "" where it is none."""
    found = re.match(r"^([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})(\.[0-7])?$", text.strip())
    return "%04x:%s:%s" % (int(found.group(1), 16), found.group(2).lower(), found.group(3).lower()) if found else ""


def of_line(line):
    """The :class:`Xid` that a line of the kernel's log tells of, its address as of :func:`address`; None where it tells of none."""
    found = _LINE.search(line)
    return Xid(address(found.group(1)), int(found.group(2)), found.group(3) or "") if found else None


def looked_up(number):
    """(NVIDIA's immediate action, what it is) of an Xid; ("", "") where the catalogue has none."""
    return next(((action, words) for first, last, action, words in CATALOGUE if first <= number <= last), ("", ""))


def kind_of(number):
    """What an Xid's number asks for, one of KINDS; LOG for one that the catalogue does not have."""
    return ACTIONS.get(looked_up(number)[0], LOG)


def kind_of_words(words, code=None):
    """What a recovery action asks for, one of KINDS.

    :param words: of nvidia-smi or the driver; "" for none.
    :param code: its number, where one was said.
    :returns: None where nothing is said ("[N/A]"); LATER where it is an action that is not known here: it is told, and ends no service.
    """
    said = words.lower().replace("_", " ")
    if code is None and (not said.strip() or "n/a" in said or "not supported" in said or "deprecated" in said or said.startswith("[")):
        return None
    return next((kind for word, kind in RECOVERY_WORDS if word in said), None) or RECOVERY_CODES.get(code, LATER)


def is_known(words):
    """Whether a recovery action is one of those whose remedy is known here."""
    said = words.lower().replace("_", " ")
    return any(word in said for word, _kind in RECOVERY_WORDS)


def changed_to(text):
    """(kind, words) that the text of Xid 154 tells of; (None, "") where it does not say."""
    found = _CHANGED.search(text)
    return (kind_of_words(found.group(2), int(found.group(1), 16)), found.group(2)) if found else (None, "")


def named(words, code=None):
    """A recovery action by NVIDIA's name, text: the words themselves where there are any, else the name of its code."""
    return words or RECOVERY_NAMES.get(code, "code %s" % code)


def worse(one, other):
    """Whether a kind asks for more than another."""
    return KINDS.index(one) > KINDS.index(other)


def fault_of_number(number):
    """The :class:`Fault` after an Xid; None where a card goes on after it."""
    action, words = looked_up(number)
    kind = kind_of(number)
    return Fault(kind, "NVIDIA's action for Xid %d (%s) is %s" % (number, words, action), number) if worse(kind, LATER) else None


def fault_of_recovery(kind, words):
    """The :class:`Fault` of a recovery action that is not None; None where there is nothing to do."""
    return Fault(kind, "the driver's recovery action is \"%s\"" % words, None) if kind in (LATER, RESET, REBOOT) else None


def fault_of_silence(words):
    """The :class:`Fault` of a card that says "GPU requires reset" or "GPU is lost" (NVML_ERROR_RESET_REQUIRED, NVML_ERROR_GPU_IS_LOST) in place of its figures;
    None for other words, which may pass."""
    said = words.lower()
    kind = RESET if "requires reset" in said else REBOOT if "is lost" in said else None
    return Fault(kind, "in place of its figures the driver says \"%s\"" % words, None) if kind else None


def told(uuid, number):
    """A line on an Xid for people."""
    action, words = looked_up(number)
    said = ": %s; NVIDIA's action is %s" % (words, action) if action else ", which NVIDIA's catalogue gives no action"
    return "card %s reports Xid %d%s" % (uuid, number, said)


def sentence(uuid, at, fault, units):
    """What a fault asks for, in one sentence with its command.

    :param uuid: of the card.
    :param at: its PCI address; "" where it is not known.
    :param fault: :class:`Fault`.
    :param units: systemd units that use the card, which have to let go of it.
    """
    names = " ".join(units)
    # Each part whatever came of the one before: a host without one of the units makes stop fail after it has stopped the others. What died three times by then
    # is started by nobody until its failures are forgotten.
    reset = "systemctl stop {0}; nvidia-smi --gpu-reset -i {1}; systemctl reset-failed {0}; systemctl start {0}".format(names, at + ".0" if at else uuid)
    see = "it works on; see what that asks for: nvidia-smi -q -i %s" % (at + ".0" if at else uuid)
    asked = {REBOOT: "it needs a restart of the host: systemctl reboot (where it stays away: power off and on)", RESET: "it needs a reset: " + reset,
             LATER: "it works on, and is to be reset when that suits: " + reset if is_known(fault.why) else see}[fault.kind]
    return "card %s: %s; %s" % (uuid, fault.why, asked)
