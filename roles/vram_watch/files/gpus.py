# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells of the GPUs: NVML, nvidia-smi where there is no NVML, or nothing."""
import dataclasses
import re
import subprocess

MIB = 2 ** 20
RESET_REQUIRED = 16  # NVML_ERROR_RESET_REQUIRED of nvml.h


class Unreadable(Exception):
    """The GPUs could not be read this time; the message says why."""


@dataclasses.dataclass
class Gpu:
    """A card; sizes are bytes. ``processes`` is pid to bytes, None where the driver does not tell how many."""

    uuid: str
    name: str
    total: int
    used: int
    free: int
    processes: dict


def number(text):
    """A whole number that was printed; None for anything else, or more than a card could mean."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def words_of(error):
    """What an error of NVML says of a card. nvidia-ml-py has "GPU requires restart" for NVML_ERROR_RESET_REQUIRED, which a restart is not."""
    return "[GPU requires reset]" if error.value == RESET_REQUIRED else str(error)


def implausible(cards, odd=()):
    """What cards say that cannot be: dict of UUID to words.

    :param cards: list of Gpu.
    :param odd: dict of UUID to words of those that were found to say nothing that could be read.
    """
    found, seen = dict(odd), set()
    for card in cards:
        if card.uuid in seen:
            found[card.uuid] = "two different things: it is listed twice"
        elif card.total <= 0 or card.free < 0 or card.used < 0 or card.free > card.total:
            found[card.uuid] = "that it has %d bytes, of which %d are used and %d free" % (card.total, card.used, card.free)
        seen.add(card.uuid)
    return found


class Nvml:
    """NVML through nvidia-ml-py: no process is started for a sample.

    ``addresses`` has the PCI address of each card, by UUID; ``recovery`` what the driver says that each needs: (words, code). Cards of which a driver tells
    neither are not in them. A slice of a card (MIG) has its card's; it is read where it is wanted.
    """

    name = "nvml"

    def __init__(self):
        import pynvml  # not at the top: hosts without a GPU need it not
        self._nvml = pynvml
        self.addresses, self.recovery = {}, {}
        self._events, self._lost = None, set()
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise Unreadable("NVML: %s" % error) from error
        self._watch_errors()

    def _watch_errors(self):
        """Xid errors are events of the driver; cards that do not support them are left out."""
        nvml = self._nvml
        try:
            self._events = nvml.nvmlEventSetCreate()
            for index in range(nvml.nvmlDeviceGetCount()):
                try:
                    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(index), nvml.nvmlEventTypeXidCriticalError, self._events)
                except nvml.NVMLError_NotSupported:
                    pass
        except nvml.NVMLError:
            self._events = None

    def close(self):
        """Before it is opened anew."""
        try:
            if self._events is not None:
                self._nvml.nvmlEventSetFree(self._events)
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass  # it is gone already

    def _look_at(self, card, uuid):
        """Where a card is, and what it needs; older drivers know no such question."""
        nvml = self._nvml
        try:
            if uuid not in self.addresses:
                bus = nvml.nvmlDeviceGetPciInfo(card).busId
                self.addresses[uuid] = bus.decode("ascii", "replace") if isinstance(bus, bytes) else bus
            (field,) = nvml.nvmlDeviceGetFieldValues(card, [nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
            if field.nvmlReturn == nvml.NVML_SUCCESS:
                self.recovery[uuid] = ("", int(field.value.uiVal))
        except (nvml.NVMLError, AttributeError, UnicodeDecodeError):
            pass

    def read(self, wanted=()):
        """All cards that answer.

        :param wanted: UUIDs; what other cards answer is of no matter.
        :raises Unreadable: NVML does not answer at all, or not of a wanted card that it still knows.
        """
        nvml, found, odd = self._nvml, [], []
        self.odd, self.recovery = {}, {}
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            raise Unreadable("NVML: %s" % error) from error
        for index in range(count):
            uuid = ""
            try:
                card = nvml.nvmlDeviceGetHandleByIndex(index)
                uuid = nvml.nvmlDeviceGetUUID(card)
                self._look_at(card, uuid)
                memory = nvml.nvmlDeviceGetMemoryInfo(card)
                found.append(Gpu(uuid, nvml.nvmlDeviceGetName(card), memory.total, memory.used, memory.free,
                                 {process.pid: process.usedGpuMemory for process in nvml.nvmlDeviceGetComputeRunningProcesses(card)}))
            except nvml.NVMLError as error:
                if error.value not in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_NOT_FOUND):
                    odd.append("NVML, card %d: %s" % (index, words_of(error)))
                    self.odd.update({uuid: words_of(error)} if uuid else {})
        for uuid in wanted:
            if uuid.startswith("MIG-"):
                try:
                    found.append(self._slice(uuid))
                except nvml.NVMLError as error:
                    if error.value not in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_NOT_FOUND):
                        odd.append("NVML, slice %s: %s" % (uuid, words_of(error)))
                        self.odd[uuid] = words_of(error)
        # One that does not even tell its name may be any of those that are wanted and not here.
        if len(odd) > len(self.odd) and not set(wanted) <= {card.uuid for card in found} | set(self.odd):
            raise Unreadable("; ".join(odd))
        return found

    def _slice(self, uuid):
        """A slice of a card, as if it were one."""
        nvml = self._nvml
        part = nvml.nvmlDeviceGetHandleByUUID(uuid)
        card = nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part))
        for known in (self.addresses, self.recovery):
            if card in known:
                known[uuid] = known[card]
        memory = nvml.nvmlDeviceGetMemoryInfo(part)
        return Gpu(uuid, nvml.nvmlDeviceGetName(part), memory.total, memory.used, memory.free,
                   {process.pid: process.usedGpuMemory for process in nvml.nvmlDeviceGetComputeRunningProcesses(part)})

    def errors(self):
        """Xid errors since the last call: list of (UUID, number)."""
        nvml, found = self._nvml, []
        while self._events is not None and len(found) < 100:
            try:
                event = nvml.nvmlEventSetWait_v2(self._events, 0)
                found.append((nvml.nvmlDeviceGetUUID(event.device), event.eventData))
            except nvml.NVMLError as error:
                if error.value not in (nvml.NVML_ERROR_TIMEOUT, nvml.NVML_ERROR_GPU_IS_LOST):
                    self._events = None
                break
        return found


class NvidiaSmi:
    """nvidia-smi: two or three processes for each sample. It tells of no Xid errors; the kernel's log does (kernel_log.py)."""

    name = "nvidia-smi"

    def __init__(self):
        self.odd, self.addresses, self.recovery, self._more, self._beside = {}, {}, {}, True, []
        self.read()

    @staticmethod
    def _said(what):
        """(whether it failed, what it printed)."""
        try:
            done = subprocess.run(["nvidia-smi", what, "--format=csv,noheader,nounits"], capture_output=True, text=True, errors="replace", timeout=20,
                                  check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreadable("nvidia-smi: %s" % error) from error
        return done.returncode != 0, done.stdout + (done.stderr if done.returncode else "")

    def _ask(self, what, most=None):
        """Rows of an answer. A card that does not answer makes it fail, and the others are told all the same; what is said beside them is kept then.

        :param most: number of the field that may have commas itself.
        """
        failed, said = self._said(what)
        # Among them may stand warnings, of a damaged infoROM for example, which are of no card.
        rows = [line for line in said.splitlines() if line.startswith(("GPU-", "MIG-"))]
        if failed and not (rows or self._beside):
            raise Unreadable("nvidia-smi: %s" % said.strip()[:200])
        self._beside += [line.strip() for line in said.splitlines() if line.strip() and line not in rows] if failed else []
        found, wanted = [[field.strip() for field in row.split(",")] for row in rows], what.count(",") + 1
        for row in found:
            behind = len(row) - wanted
            if most is not None and behind > 0:
                row[most:most + behind + 1] = [", ".join(row[most:most + behind + 1])]
        if any(len(row) != wanted for row in found):
            raise Unreadable("nvidia-smi: %s" % said.strip()[:200])
        return found

    def _silent(self, found):
        """What is said of cards without a row: dict of UUID to words, and list of those whose card is not known. A card that is called lost is left out."""
        silent, unknown = {}, []
        for line in self._beside:
            at = re.search(r"[0-9a-f]{4,8}:([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", line.lower())
            uuid = next((uuid for uuid, bus in self.addresses.items() if at and bus.lower().endswith(at.group(1))), "")
            if "is lost" not in line.lower() and uuid not in found:
                silent.update({uuid: line[:120]} if uuid else {})
                unknown += [] if uuid else [line]
        return silent, unknown

    def close(self):
        """There is nothing to close."""

    def _look_at_all(self):
        """Where each card is, and what it needs. A field that a driver before branch 570 does not know makes the whole query fail: it is asked once."""
        self.recovery = {}
        try:
            for uuid, bus, words in self._ask("--query-gpu=uuid,pci.bus_id,gpu_recovery_action") if self._more else []:
                self.addresses[uuid], self.recovery[uuid] = bus, (words, None)
        except Unreadable:
            self._more = False

    def read(self, wanted=()):
        """All cards that say how much they have; what others say in place of figures ("[N/A]", "[GPU requires reset]") stands in ``odd``. One that it calls
        lost is left out, as NVML has it.

        Sizes come in MiB.

        :raises Unreadable: it does not answer, or a card twice, or it says something of a card of which nobody knows which it is, and one is missing.
        """
        found, self.odd, self._beside = {}, {}, []
        for uuid, name, *sizes in self._ask("--query-gpu=uuid,name,memory.total,memory.used,memory.free", 1):
            if uuid in found or uuid in self.odd:
                raise Unreadable("nvidia-smi: it lists card %s twice" % uuid)
            numbers = [number(size) for size in sizes]
            if None not in numbers:
                found[uuid] = Gpu(uuid, name, *(size * MIB for size in numbers), {})
            elif not any("is lost" in size.lower() for size in sizes):
                self.odd[uuid] = " ".join(dict.fromkeys(size[:40] for size in sizes if number(size) is None))
        silent, unknown = self._silent({*found, *self.odd})
        self.odd.update(silent)
        if unknown and not set(wanted) <= {*found, *self.odd}:  # any of those that are wanted and not here
            raise Unreadable("nvidia-smi: %s" % "; ".join(unknown)[:200])
        self._look_at_all()
        for uuid, pid, used in self._ask("--query-compute-apps=gpu_uuid,pid,used_memory"):
            if uuid in found and number(pid) is not None:
                found[uuid].processes[number(pid)] = number(used) * MIB if number(used) is not None else None
        return list(found.values())

    def errors(self):
        return []


class Nothing:
    """A host without GPUs."""

    name = "none"
    odd = {}

    def close(self):
        """There is nothing to close."""

    def read(self, wanted=()):
        return []

    def errors(self):
        return []


SOURCES = {"nvml": [Nvml], "nvidia-smi": [NvidiaSmi], "none": [Nothing], "auto": [Nvml, NvidiaSmi, Nothing]}


def open_source(kind, wanted=()):
    """The first source of that kind that answers.

    :param kind: a key of :data:`SOURCES`.
    :param wanted: UUIDs of cards that there must be; then "auto" does not end at nothing.
    :returns: (source, list of why the ones before it did not answer).
    :raises Unreadable: none does.
    """
    reasons = []
    for source in SOURCES[kind]:
        if source is Nothing and kind == "auto" and wanted:
            continue
        try:
            return source(), reasons
        except Unreadable as error:
            reasons.append(str(error))
    raise Unreadable("; ".join(reasons))
