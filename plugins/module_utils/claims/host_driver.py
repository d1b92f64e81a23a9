# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role host_driver, judged. Pure functions.

Their sentences stand in roles/host_driver/vars/claims.yml; the modules host_driver_info and host_info look.
"""
from __future__ import annotations

import re

from .. import kernel_modules
from ..cuda_readiness.capability import parse_capability
from ..cuda_readiness.targets import BLACKWELL  # its chips are the first that need the open modules
from .rows import not_applying, row, unseen

IDS = ("driver.branch", "driver.open", "driver.match", "driver.gpus", "driver.held", "driver.nouveau", "driver.persistence", "driver.next_boot",
       "toolkit.version", "toolkit.cdi")
NOT_LOADED = "no NVIDIA kernel module is loaded"


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``not_applicable`` (why none of them applies, "" where they do; then nothing else counts), ``branch`` (int), ``uuids`` and
        ``slices`` (of the cards and of their slices that services name), ``toolkit`` (its least version).
    :param seen: what host_driver_info returned, and as ``host`` what host_info did: of that ``gpus``, ``kernel`` and ``toolkit``.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    if wanted["not_applicable"]:
        return {name: {"does_not_apply": wanted["not_applicable"]} for name in IDS}
    kernel, toolkit = seen["host"]["kernel"], seen["host"]["toolkit"] or ""
    loaded, library, answering = kernel["nvidia"] or "", seen["library"], [gpu["uuid"] for gpu in seen["host"]["gpus"] if gpu["uuid"]]
    return {
        "driver.branch": row("%d or newer" % wanted["branch"], loaded or NOT_LOADED, loaded != "" and _numbers(loaded)[0] >= wanted["branch"]),
        "driver.open": _open(kernel, seen["host"]["gpus"]),
        "driver.match": row(library or "libraries", loaded or NOT_LOADED, library != "" and library == loaded),
        "driver.gpus": _gpus(wanted["uuids"], answering), "driver.held": _held(seen), "driver.nouveau": _nouveau(kernel, seen),
        "driver.persistence": row("active", seen["persistence"] or "unknown", seen["persistence"] == "active"),
        "driver.next_boot": _next_boot(kernel, seen),
        "toolkit.version": row("%s or newer" % wanted["toolkit"], toolkit or "none", toolkit != "" and _numbers(toolkit) >= _numbers(wanted["toolkit"])),
        "toolkit.cdi": _cdi(answering, wanted["slices"], library, seen["cdi"])}


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _blackwell(gpus):
    return any(gpu["capability"] and parse_capability(gpu["capability"]) >= BLACKWELL for gpu in gpus)


def _next_boot(kernel, seen):
    expected = "the module %s for each kernel that may boot next" % (seen["library"] or "of the libraries")
    if not seen["next_boot"]:
        return not_applying("there is no kernel on this host: it is a container, or boots one from elsewhere")
    wrong = kernel_modules.refusal(seen["next_boot"], seen["library"], _blackwell(seen["host"]["gpus"]), kernel.get("secure_boot", False))
    releases = [line.split()[1] for line in seen["next_boot"] if line.startswith("kernel ")]
    return row(expected, wrong or "built for %s" % ", ".join(releases), not wrong)


def _open(kernel, gpus):
    blackwell = _blackwell(gpus)
    observed = {True: "open", False: "proprietary"}.get(kernel["nvidia_open"], NOT_LOADED)
    # Of a chip that the table of PCI ids does not know only a driver that drives it says what it is.
    unknown = [gpu.get("pci") or "?" for gpu in gpus if not gpu["capability"] and not gpu["uuid"] and gpu.get("kernel_driver") in (None, "nvidia")]
    if unknown and not blackwell and kernel["nvidia_open"] is False:
        return row("open, unless there is no Blackwell card", "%s; not observed: what the card at %s is, which the driver does not drive" % (
            observed, ", ".join(unknown)), False)
    return row("open" if blackwell else "open or proprietary: there is no Blackwell card", observed,
               kernel["nvidia_open"] is True or (not blackwell and kernel["nvidia"]))


def _gpus(uuids, answering):
    if not uuids:
        return not_applying("no service of the inventory wants a GPU")
    return row(", ".join(uuids), ", ".join(answering) or "none answers", set(uuids) <= set(answering))


def _held(seen):
    held, unheld = seen["held"], seen["unheld"]
    if seen["dpkg"]:
        return unseen("the driver's packages held", seen["dpkg"])
    if not held + unheld:
        return not_applying("the driver was not installed from packages")
    return row("%d packages held" % len(held + unheld), "%d packages held%s" % (len(held), ", not held: %s" % ", ".join(unheld) if unheld else ""), not unheld)


def _nouveau(kernel, seen):
    if not seen["modules_listed"]:
        return unseen("not loaded", "the kernel lists no modules (/proc/modules)")
    return row("not loaded", "loaded" if kernel["nouveau"] else "not loaded", not kernel["nouveau"])


def _cdi(answering, slices, library, named):
    expected = [*answering, *slices, library or "libraries"]
    return row(", ".join(expected), ", ".join(named) or "no specification", answering and set(expected) <= set(named))
