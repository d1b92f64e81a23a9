# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the cards, their driver and the container toolkit. Arguments as in judge.py."""
from __future__ import annotations

import re

from .. import card_names, cdi as specifications
from ..cuda_readiness.capability import machine_code_runs, parse_capability
from ..cuda_readiness.targets import BLACKWELL, BLACKWELL_BRANCH, BRANCH_OF_CUDA
from ..vram_watch import xid
from .finding import ERROR, WARNING, Finding, version

# The legacy hook's container escape was closed here (CVE-2025-23266).
TOOLKIT_MINIMUM = (1, 17, 8)
# NVIDIA's open kernel modules begin with Turing (open-gpu-kernel-modules, README.md), and so does CUDA 13 (its release notes, "Deprecated Architectures").
TURING, CUDA_FROM_TURING = 75, 13
# Kernel drivers that hold a card for a virtual machine.
PASSED_THROUGH = ("vfio-pci", "pci-stub", "xen-pciback", "pciback")


def _gpu_services(inventory):
    return [service for service in inventory["bunker_services"] if service["device"] == "gpu"]


def _cards_of_slices(host):
    """UUID of a slice (MIG) to that of its card."""
    return {part["uuid"]: part["card"] for part in host["slices"]}


def _used_gpus(inventory, host):
    """The host's cards that a service names, by UUID or by slot and model; every card where none is known by either yet."""
    cards = _cards_of_slices(host)
    wanted = {cards.get(uuid, uuid) for service in _gpu_services(inventory) for uuid in service["gpus"]}
    known = [gpu for gpu in host["gpus"] if gpu["uuid"] in wanted or card_names.of_card(gpu) in wanted]
    return known or (host["gpus"] if wanted else [])


def gpu_exists(inventory, host):
    """Every UUID that a service names is a card of the host, or a slice of one (MIG)."""
    services = _gpu_services(inventory)
    if not services:
        return
    if not host["gpus"]:
        yield _no_card(inventory, host, services)
        return
    known = {gpu["uuid"]: gpu for gpu in host["gpus"] if gpu["uuid"]}
    given_away = {gpu["pci"]: gpu["kernel_driver"] for gpu in host["gpus"] if gpu["kernel_driver"] in PASSED_THROUGH}
    if not known:
        yield _nothing_known(services, host, given_away)
        return
    for service in services:
        yield from _slices_exist(service, host["slices"], known)
        for uuid in service["gpus"]:
            if uuid not in known and not uuid.startswith("MIG-"):
                cards = ", ".join("%s (%s)" % (gpu["uuid"], gpu["name"]) for gpu in known.values())
                silent = "".join(_silent(gpu) for gpu in host["gpus"] if not gpu["uuid"] and gpu["pci"] not in given_away)
                yield Finding("gpu_exists", ERROR, "service %s" % service["name"], uuid, "one of %s" % cards,
                              silent + "%sCopy the UUID from: nvidia-smi -L. Where the card is gone for good take it out of gpus: the service is placed on "
                              "those that remain." % "".join("%s has the card at %s for a virtual machine: take it back, or name another. " % (driver, pci)
                                                             for pci, driver in given_away.items()))


def _silent(gpu):
    """What is said of a card on the bus that the driver names no UUID of."""
    see = "see what is found of it" if gpu["unreadable"] else "%s has it, see dmesg | grep -i -e nvrm -e %s" % (gpu["kernel_driver"] or "no driver", gpu["pci"])
    return "The card at %s tells no UUID now: %s. " % (gpu["pci"], see)


def _no_card(inventory, host, services):
    """The finding of a host without any card of NVIDIA: what is there, what would run all the same, and what would not."""
    others = ", ".join("%s (%s at %s)" % (card["vendor"], card["pci_device"], card["pci"]) for card in host["other_gpus"])
    names, on_cpu = (", ".join(one["name"] for one in some) for some in (
        services, [service for service in inventory["bunker_services"] if service["device"] != "gpu"]))
    return Finding("gpu_exists", ERROR, "GPU services %s" % names,
                   "no NVIDIA card on the PCI bus%s" % (", and cards of other makers: " + others if others else ""),
                   "an NVIDIA card: the image has CUDA's kernels and no others" if others else "a card",
                   "%s would not run here%s. %set device: cpu for these services: the CPU serves them, and an Executor alone is a sound stack." % (
                       names, "; %s would, on the CPU" % on_cpu if on_cpu else "", "S" if others else "Seat the card, or s"))


LOST, UNSEEN = ("is lost", "reboot", "fallen off"), "unable to determine the device handle"
SHARED = ("So it is of a card that has no memory of its own and shares the host's (GB10, Jetson), which is not supported: set device: cpu for its service. Of "
          "any other card see: dmesg | grep -i xid.")
NO_FIGURE = ("[n/a]", "n/a", "[not supported]", "not supported")


def _see_or_restart(words, see):
    """What to do about a card by nvidia-smi's own words."""
    said = words.lower()
    if "requires reset" in said:
        return "Stop what uses the card, then: nvidia-smi --gpu-reset -i ADDRESS, the one that nvidia-smi -L leaves out. Where that fails: reboot."
    return "Restart the host: systemctl reboot (where it stays away: power off and on)." if any(word in said for word in LOST) else see


def _shares_memory(unreadable):
    """Whether a driver has no figure of a card's memory, and all others: so it is of cards that have none of their own (GB10, Jetson)."""
    words = {field: word.lower() for field, word in unreadable.items()}
    return set(words) == {"memory.total", "memory.free"} and set(words.values()) <= set(NO_FIGURE)


def _nothing_known(services, host, given_away):
    """The finding of a host none of whose cards has a UUID."""
    loaded, what = host["kernel"]["nvidia"], "UUIDs of the GPUs"
    of_cards = [gpu["unreadable"]["nvidia-smi"] for gpu in host["gpus"] if "nvidia-smi" in gpu["unreadable"]]
    said = host.get("nvidia_smi") or next(iter(of_cards), "")
    addresses = ", ".join(gpu["pci"] or "?" for gpu in host["gpus"])
    if len(given_away) == len({gpu["pci"] for gpu in host["gpus"]}):
        return Finding("gpu_exists", ERROR, "GPU services %s" % ", ".join(service["name"] for service in services),
                       "%s has the cards at %s" % (" and ".join(sorted(set(given_away.values()))), addresses),
                       "NVIDIA's driver: a virtual machine was given them",
                       "Deploy into that virtual machine, or take them back: remove their ids from vfio-pci.ids in the kernel's command line and from "
                       "/etc/modprobe.d, run update-initramfs -u, and reboot.")
    if not loaded:
        return Finding("gpu_exists", WARNING, what, "no driver answers, so no UUID can be read", "UUIDs of nvidia-smi -L",
                       "host_driver installs the driver; the UUIDs are judged after it.")
    found = "driver %s loaded, and %s" % (loaded, "nvidia-smi says \"%s\"" % said if said else "no answer of nvidia-smi")
    if "no devices" in said.lower():
        return Finding("gpu_exists", ERROR, what, found, "the cards at %s" % addresses,
                       "See why it could not start them: dmesg | grep -i nvrm. A cold start helps where a card hangs; else its power, its seat, or a driver "
                       "that knows it.")
    if of_cards or any(word in said.lower() for word in ("requires reset", "is lost", UNSEEN)):
        return Finding("gpu_exists", ERROR, what, found, "UUIDs of nvidia-smi -L",
                       _see_or_restart(said, "See why it could not start them: dmesg | grep -i -e nvrm -e xid."))
    if "mismatch" in said.lower():
        return Finding("gpu_exists", WARNING, what, found, "module and libraries of one version",
                       "Restart the host; host_driver does it where host_driver_reboot is true. The UUIDs are judged after it.")
    if "valid field" in said.lower():
        return Finding("gpu_exists", WARNING, what, found, "UUIDs of nvidia-smi -L",
                       "This driver is too old to be asked: a newer one is judged once it answers.")
    if said:
        return Finding("gpu_exists", WARNING, what, found, "UUIDs of nvidia-smi -L",
                       "See why: dmesg | grep -i nvrm; ls -l /dev/nvidia*. The UUIDs are judged once it answers.")
    return Finding("gpu_exists", WARNING, what, found, "UUIDs of nvidia-smi -L", "Install the driver's own nvidia-smi; the UUIDs are judged once it answers.")


def _slices_exist(service, slices, known):
    """What is wrong with the slices that a service names, and with cards that it names although they are split."""
    there = {part["uuid"]: part for part in slices}
    named = ", ".join("%s (%s of %s)" % (part["uuid"], part["profile"], part["card"]) for part in slices)
    for uuid in service["gpus"]:
        if uuid.startswith("MIG-") and uuid not in there:
            card = next((gpu["pci"] or gpu["uuid"] for gpu in known.values() if gpu["mig"] is not None), None)
            make = "nvidia-smi -i %s -mig 1 && nvidia-smi mig -i %s -cgi PROFILE -C; it is gone after a boot." % (card, card) if card else ""
            yield Finding("gpu_exists", ERROR, "service %s" % service["name"], uuid, "one of %s" % named if named else
                          "a slice, of which the host has none" if card else "a card: none of the host's can be split (MIG)",
                          "Copy the UUID from: nvidia-smi -L. %s" % ("A slice is made with: " + make if make else "Name whole cards."))
        elif uuid in known and known[uuid]["mig"]:
            own = ", ".join("%s (%s)" % (part["uuid"], part["profile"]) for part in slices if part["card"] == uuid)
            yield Finding("gpu_exists", ERROR, "service %s" % service["name"], "%s (%s), which is split (MIG)" % (uuid, known[uuid]["name"]),
                          "one of its slices: %s" % own if own else "slices of it, of which it has none",
                          "Name a slice from nvidia-smi -L, or end the split: nvidia-smi -i %s -mig 0." % (known[uuid]["pci"] or uuid))
    if len(service["gpus"]) > 1 and any(uuid in there for uuid in service["gpus"]):
        yield Finding("gpu_exists", WARNING, "service %s" % service["name"], ", ".join(service["gpus"]),
                      "one slice alone: by NVIDIA's MIG guide CUDA enumerates a single one for a program", "Name one slice in gpus, or whole cards.")


def gpu_readable(inventory, host):
    """nvidia-smi tells the figures of each card, and the driver asks for no reset. One that a service names has to; with another the host has a fault that
    somebody should look at."""
    services = _gpu_services(inventory)
    cards = _cards_of_slices(host)
    named = {name for service in services for uuid in service["gpus"] for name in (uuid, cards.get(uuid, uuid))}
    for gpu in host["gpus"] if services else []:
        card, address = "card %s" % " ".join(filter(None, (gpu["uuid"], gpu["name"], gpu["pci"]))), gpu["pci"] or gpu["uuid"]
        reset = "Stop what uses the card, then: nvidia-smi --gpu-reset -i %s. Where that fails: reboot." % address
        if gpu["unreadable"]:
            said = ", ".join(word if field == "nvidia-smi" else "%s for %s" % (word, field) for field, word in sorted(gpu["unreadable"].items()))
            spare = {"memory.free", "name", "nvidia-smi", *(["memory.total"] if gpu["mig"] else [])}  # of a card that is split the slices' memory counts
            needed = gpu["uuid"] in named and not set(gpu["unreadable"]) <= spare
            yield Finding("gpu_readable", ERROR if needed else WARNING, card, "nvidia-smi says %s" % said, "its figures",
                          reset if "reset" in said.lower() else SHARED if _shares_memory(gpu["unreadable"]) else _see_or_restart(
                              said, "See: nvidia-smi -q -i %s; dmesg | grep -i xid." % address))
        mend = {xid.RESET: reset, xid.REBOOT: "Restart the host: systemctl reboot.",
                xid.LATER: "When it suits, stop what uses the card, then: nvidia-smi --gpu-reset -i %s." % address}
        kind = xid.kind_of_words(gpu["recovery"] or "")
        if not xid.is_known(gpu["recovery"] or ""):
            mend[xid.LATER] = "See what it asks for: nvidia-smi -q -i %s." % address
        if kind in mend:
            yield Finding("gpu_readable", ERROR if gpu["uuid"] in named and kind != xid.LATER else WARNING, card,
                          "the driver's recovery action \"%s\"" % gpu["recovery"],
                          "none" if kind == xid.LATER else "none, since it computes nothing until then", mend[kind])
    if services and host.get("nvidia_smi") and any(gpu["uuid"] for gpu in host["gpus"]):
        yield Finding("gpu_readable", WARNING, "the driver's cards", "nvidia-smi says %s" % host["nvidia_smi"], "a row for each card",
                      _see_or_restart(host["nvidia_smi"], "See: dmesg | grep -i -e nvrm -e xid."))
    for part in host["slices"]:
        if part["uuid"] in named and part["memory"] is None:
            yield Finding("gpu_readable", ERROR, "slice %s of card %s" % (part["uuid"], part["card"]), "no memory that can be read of %s" % part["profile"],
                          "its size, or nobody knows what fits",
                          "See: nvidia-smi -q -x. Where it stays silent, name a slice that shares its memory with none, such as 1g.24gb.")


def _left_behind(inventory, host, capability):
    """Why a card of such a capability cannot serve, list of str: what was before Turing."""
    if parse_capability(capability) >= TURING:
        return []
    modules = ["NVIDIA's open kernel modules drive no older card"] if _replaced(inventory, host) else []
    cuda = inventory["golden_image_cuda_major"]
    return modules + (["CUDA %d makes no code for one" % cuda] if cuda >= CUDA_FROM_TURING else [])


def gpu_family(inventory, host):
    """The image holds machine code for every card that a service uses."""
    if not inventory["golden_image_cuda"]:
        return
    built = inventory["golden_image_cuda_architectures"]
    for gpu in _used_gpus(inventory, host):
        capability = gpu["capability"]
        why = _left_behind(inventory, host, capability) if capability else []
        if why:
            yield Finding("gpu_family", ERROR, gpu["name"] or gpu["pci"], "compute capability %s%s" % (
                capability, " (%s)" % gpu["family"] if gpu["family"] else ""), "7.5 (Turing) or newer: %s" % ", and ".join(why),
                "Set device: cpu for its service, or take another card.")
            continue
        if capability is None and "compute_cap" in gpu["unreadable"]:
            continue  # gpu_readable names it
        if capability is None:
            yield Finding("gpu_family", WARNING, "compute capability of the card at %s" % gpu["pci"],
                          "PCI id %s is not in this collection's table" % gpu["pci_device"], "a known card",
                          "The build proves its machine code against the card once the driver answers.")
        elif not any(_covers(architecture, capability) for architecture in built):
            yield Finding("gpu_family", ERROR, "golden_image_cuda_architectures", ", ".join(built),
                          "machine code for compute capability %s (%s)" % (capability, gpu["name"] or gpu["pci"]),
                          "Add \"%s\"." % capability.replace(".", ""))


def _covers(architecture, capability):
    """Whether machine code for an SM architecture, as CMAKE_CUDA_ARCHITECTURES takes it, runs on a capability. Not known counts as not."""
    number, suffix, kind = re.match(r"^(\d+)([af]?)(-real|-virtual)?$", architecture).groups()
    return kind != "-virtual" and bool(machine_code_runs(int(number), suffix, parse_capability(capability)))


def _is_blackwell(gpu):
    return bool(gpu["capability"]) and parse_capability(gpu["capability"]) >= BLACKWELL


def _replaced(inventory, host):
    """Whether host_driver will install a driver: none is there, or the inventory lets one that does not satisfy it be replaced."""
    installed = host["kernel"]["nvidia"]
    if not installed or not inventory["host_driver_upgrade"]:
        return not installed
    closed = host["kernel"]["nvidia_open"] is False and any(_is_blackwell(gpu) for gpu in host["gpus"])
    return closed or version(installed)[:1] < (inventory["host_driver_branch"],)


def driver_branch(inventory, host):
    """The driver that is installed, or that host_driver will install, can run the card and the image."""
    gpus = _used_gpus(inventory, host)
    if not gpus:
        return
    replaced = _replaced(inventory, host)
    driver = str(inventory["host_driver_branch"]) if replaced else host["kernel"]["nvidia"]
    needs = []
    if inventory["golden_image_cuda"]:
        cuda = inventory["golden_image_cuda_major"]
        needs.append((BRANCH_OF_CUDA[cuda], "%d or newer for CUDA %d" % (BRANCH_OF_CUDA[cuda], cuda)))
    needs += [(BLACKWELL_BRANCH, "%d or newer for Blackwell (%s)" % (BLACKWELL_BRANCH, gpu["name"] or gpu["pci"])) for gpu in gpus if _is_blackwell(gpu)]
    unmet = max((need for need in needs if version(driver)[:1] < need[:1]), default=None)
    if unmet:
        yield Finding("driver_branch", ERROR, "NVIDIA driver", "%s%s" % (driver, " (host_driver_branch)" if replaced else " (installed)"), unmet[1],
                      "Set host_driver_branch: %d%s." % (unmet[0], "" if replaced else " and host_driver_upgrade: true"))


def driver_open(inventory, host):
    """Blackwell is driven by the open kernel modules only."""
    for gpu in _used_gpus(inventory, host):
        if host["kernel"]["nvidia_open"] is False and _is_blackwell(gpu) and not _replaced(inventory, host):
            yield Finding("driver_open", ERROR, "NVIDIA kernel modules", "the proprietary ones",
                          "the open ones for Blackwell (%s)" % (gpu["name"] or gpu["pci"]), "Set host_driver_upgrade: true, which installs the open modules.")
            return


BOARD_CARDS = ("2901", "2909", "3182")  # B200 and B300 (the PCI ID Repository: GB100 [B200], GB110 [B300 SXM6 AC])
WAITING = ("Not Started", "In Progress")  # what a driver says of the fabric of a card that has one


def _joined(gpu):
    """Whether a card is one of a board with NVSwitches, by its name: "A100-SXM4-80GB", "H100 80GB HBM3", "H200", "B200"; not "H100 PCIe" or "H200 NVL". Before
    there is a driver, by its PCI id, where the switches are none of the bus's."""
    name = gpu["name"] or ""
    return gpu["pci_device"] in BOARD_CARDS if not name else bool("SXM" in name or re.search(r"\b(H100 \d+GB HBM3|[HB][23]00)\b(?! (NVL|PCIe))", name))


def fabric(inventory, host):
    """Cards that NVSwitches join compute nothing (CUDA error 802) until the fabric manager of the driver's very version runs."""
    found, installed = host["fabric"], host["kernel"]["nvidia"]
    used = [gpu for gpu in _used_gpus(inventory, host) if found["states"].get(gpu["uuid"]) != "Completed"]  # in a virtual machine its host manages it
    waits = [gpu for gpu in used if found["states"].get(gpu["uuid"]) in WAITING]
    several = [gpu for gpu in host["gpus"] if _joined(gpu)]
    if not used or not (found["switches"] or waits or (len(several) > 1 and any(_joined(gpu) for gpu in used))):
        return
    what = "NVSwitches at %s" % ", ".join(found["switches"]) if found["switches"] else "cards %s" % ", ".join(
        sorted({gpu["name"] or gpu["pci"] for gpu in waits or several}))
    branch = inventory["host_driver_branch"] if _replaced(inventory, host) else version(installed)[0] if version(installed) else inventory["host_driver_branch"]
    named = branch < 590 or inventory.get("host_driver_origin") == "distribution"  # NVIDIA's own packages lost the branch with 590, Ubuntu's have it still
    package = "nvidia-fabricmanager-%s" % branch if named else "nvidia-fabricmanager"
    if _replaced(inventory, host):
        if not any(name.startswith("nvidia-fabricmanager") for name in inventory.get("host_driver_packages", ())):
            yield Finding("fabric", ERROR, what, "no fabric manager among host_driver_packages", "the one of the driver that will be installed",
                          "Name the driver's packages in host_driver_packages, and %s with them." % package)
    elif not (found["active"] and found["manager"] == installed):
        said = "none" if not found["manager"] else "%s%s" % (found["manager"], "" if found["active"] else ", which does not run")
        lower = "" if found["switches"] else " In a virtual machine its host does it." if waits else (
            " A board without switches (HGX with 4 cards) needs none: preflight_lowered: [fabric].")
        yield Finding("fabric", ERROR, what, "fabric manager: %s" % said, "%s, the driver's very version, running" % installed,
                      "apt-get install '%s=%s*' && systemctl enable --now nvidia-fabricmanager.%s" % (package, installed, lower))
    elif waits:
        states = " and ".join(sorted({found["states"][gpu["uuid"]] for gpu in waits}))
        yield Finding("fabric", WARNING, what, "the state %s of their fabric, and the fabric manager runs" % states,
                      "Completed: until then CUDA answers with error 802",
                      "Right after a boot wait a minute; else see: journalctl -u nvidia-fabricmanager; nvidia-smi -q | grep -A4 Fabric.")


def secure_boot(inventory, host):
    """Under Secure Boot the kernel loads signed modules only."""
    if _used_gpus(inventory, host) and host["kernel"]["secure_boot"] and not host["kernel"]["nvidia"] and not inventory["host_driver_secure_boot_signed"]:
        yield Finding("secure_boot", ERROR, "Secure Boot", "on, and no NVIDIA module is loaded", "a signed module, or Secure Boot off",
                      "Enrol the key that signs it (mokutil --import %s, then reboot and confirm at the console) and set host_driver_secure_boot_signed: true, "
                      "or switch Secure Boot off in the firmware." % " or ".join(
                          host["kernel"].get("mok_certificates") or ["/var/lib/shim-signed/mok/MOK.der on Ubuntu, /var/lib/dkms/mok.pub elsewhere"]))


def nouveau(inventory, host):
    """nouveau, or its successor, and NVIDIA's modules cannot both have a card."""
    loaded = [name for name, fact in (("nouveau", "nouveau"), ("nova_core", "nova")) if host["kernel"].get(fact)]
    if _used_gpus(inventory, host) and loaded:
        yield Finding("nouveau", WARNING, "kernel module %s" % " and ".join(loaded), "loaded", "not loaded",
                      "host_driver switches it off; a reboot is needed then.")


def toolkit(inventory, host):
    """The container toolkit is not one with a known escape."""
    if _used_gpus(inventory, host) and host["toolkit"] and version(host["toolkit"]) < TOOLKIT_MINIMUM:
        yield Finding("toolkit", WARNING, "NVIDIA container toolkit", host["toolkit"], "%d.%d.%d or newer (CVE-2025-23266)" % TOOLKIT_MINIMUM,
                      "host_driver replaces it.")


def cdi(inventory, host):
    """No specification of devices (CDI) beside host_driver's own is of other cards or another driver, or names a card that is named there."""
    services, installed = _gpu_services(inventory), host["kernel"]["nvidia"]
    there = {gpu["uuid"] for gpu in host["gpus"]} | {part["uuid"] for part in host["slices"]}
    named = {uuid for service in services for uuid in service["gpus"]} & there
    for found in host.get("cdi", ()) if services else ():
        if found["path"] == specifications.OWN or found["kind"] != "nvidia.com/gpu":
            continue
        remove = "Remove it: rm %s. host_driver has %s written at every boot." % (found["path"], specifications.OWN)
        twice = named & set(found["devices"]) if found["path"].startswith("/var/run/") else ()
        gone = ([uuid for uuid in found["devices"] if uuid not in there] if there - {None} else []) + found.get("absent", [])
        old = [version_ for version_ in found["drivers"] if installed and version_ != installed]
        if twice:
            yield Finding("cdi", ERROR, found["path"], ", ".join(sorted(twice)),
                          "one specification of a card in that folder: of a name that is there twice the engine takes neither", remove)
        elif gone or old:
            yield Finding("cdi", WARNING, found["path"], ", ".join(gone + ["driver " + one for one in old]),
                          "cards of this host%s" % (" and its driver, " + installed if installed else ""), remove)
