# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's cards over time: which answer, which are lost, what they need, and when they were last read."""
import time

import gpus

from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import xid

LOST_AFTER = 3  # samples in a row that know all others and not it: one may be a driver that is just starting
TELL_EVERY = 600  # seconds between two lines on one kind of Xid of one card: some come by the thousand
PROGRAM = "llama-server"  # that the service runs
MOST_DOUBLED = 8  # times that the samples before a fault ends are doubled: with samples each five seconds, an hour
STATES = {xid.LATER: 1, xid.RESET: 2, xid.REBOOT: 3}  # as bunker_card_state has them


class Cards:
    """What is seen of them.

    :param wanted: UUIDs of the service's cards; empty for a service without any.
    :param kind: a key of gpus.SOURCES.
    :param seen: UUIDs that were seen by earlier watchers.
    :param exporter: of exporter.py.
    :param tell: callable(event, text, priority, …), for the journal.
    :param kernel: of kernel_log.py; None reads no kernel's log.
    :param units: systemd units that use the cards.
    """

    def __init__(self, wanted, kind, seen, exporter, tell, kernel=None, units=()):
        self.wanted, self.kind, self.seen, self.exporter, self.tell, self.kernel, self.units = wanted, kind, set(seen), exporter, tell, kernel, units
        self.source, self.read_at, self.blind = None, 0.0, False
        self.pid = 0  # of the service's process; 0 where it is not known
        # last: what each of the service's cards said when it was read last, UUID to gpus.Gpu; whoever starts the service anew empties it
        self.odd = {}  # those that are there and say nothing that could be read: UUID to what they say
        self._addresses = {}  # UUID to PCI address; slices of a card (MIG) have the same
        self._heard = {}  # (UUID, Xid) to how often each that tells of them did: the driver's events and the kernel's log tell of the same
        self._told = {}  # (UUID, Xid) to when it was told last
        self.forget()

    def forget(self):
        """Somebody set a rung: a card that was lost may have come back."""
        self._missing, self._never = {}, 0
        self._faults = {}  # UUID to xid.Fault
        self._answered = {}  # samples in a row at which one with a fault answered, and the driver asked for nothing
        self._away = set()  # those with a fault that were not there meanwhile: a reset takes them away
        self._relapses = {}  # UUID to how many faults of it have ended: each time it is watched twice as long before the next one has
        self._changed = {}  # UUID to (kind, words) of its last Xid 154
        self.contained = set()  # those with an error that was contained; whoever restarts the service empties it
        self.last = {}

    @property
    def name(self):
        """Of what they are read through."""
        return "unreadable" if self.blind or self.source is None else self.source.name

    @property
    def lost(self):
        """UUIDs, sorted."""
        stopped = {uuid for uuid, fault in self._faults.items() if xid.worse(fault.kind, xid.LATER)}
        return sorted(stopped | {uuid for uuid, samples in self._missing.items() if samples >= LOST_AFTER})

    @property
    def faults(self):
        """What each card with a fault needs, UUID to a sentence with its command."""
        return {uuid: xid.sentence(uuid, self._addresses.get(uuid, ""), fault, self.units) for uuid, fault in sorted(self._faults.items())}

    def _concerned(self, uuid):
        """The service's cards, and slices of cards, that an error of a card is one of."""
        return [one for one in self.wanted if one == uuid or (uuid in self._addresses and self._addresses.get(one) == self._addresses[uuid])]

    def _listen(self):
        """Xid errors since the last look. A card that was never read is called by its address."""
        heard = [("driver", uuid, number, "") for uuid, number in (self.source.errors() if self.source is not None else [])]
        for found in filter(None, map(xid.of_line, self.kernel.read() if self.kernel is not None else [])):
            whole = [uuid for uuid, at in self._addresses.items() if at == found.pci and not uuid.startswith("MIG-")]
            heard.append(("kernel", whole[0] if whole else found.pci, found.number, found.text))
        texts = {}
        for _teller, uuid, number, text in heard:
            texts.setdefault((uuid, number), []).extend([text] if text else [])
        for teller, uuid, number, text in heard:
            kind, words = xid.changed_to(text) if number == xid.RECOVERY else (None, "")
            if kind is not None:
                self._changed.update(dict.fromkeys(self._concerned(uuid), (kind, words)))
            counts = self._heard.setdefault((uuid, number), {"driver": 0, "kernel": 0})
            before = max(counts.values())
            counts[teller] += 1
            if counts[teller] <= before:
                continue  # the other one told of it
            self.exporter.count("bunker_xid_errors", gpu=uuid, xid=str(number))
            fault = xid.fault_of_number(number)
            said = texts[uuid, number]  # the driver's events do not name the program, the kernel's log does
            if number in xid.CONTAINED and not (said and all(xid.of_another(one, self.pid, PROGRAM) for one in said)):
                self.contained.update(self._concerned(uuid))
            if time.monotonic() - self._told.get((uuid, number), -TELL_EVERY) >= TELL_EVERY:
                self._told[uuid, number] = time.monotonic()
                self.tell("xid", xid.told(uuid, number), "error" if fault else "warning", gpu=uuid, xid=number)
            for one in self._concerned(uuid) if fault else []:
                self._blame(one, fault)
                self._answered.pop(one, None)
                self._away.discard(one)

    def _blame(self, uuid, fault):
        """A card has a fault; it is told where it had none, or one that asks for less."""
        known = self._faults.get(uuid)
        if known is None or xid.worse(fault.kind, known.kind):
            self._faults[uuid] = fault
            self.tell("fault", self.faults[uuid], "warning" if fault.kind == xid.LATER else "error", gpu=uuid, xid=fault.number)

    def _judge(self, found, asked, odd):
        """What the driver says that each card needs; a fault ends when a card answers and the driver asks for nothing.

        Where no driver says so (before branch 565), a card that had fallen off the bus is taken back when it answers, and one that needed a reset when it was
        away in between, or said so in place of its figures.

        :param found: UUIDs that answer; None where none could be read.
        :param asked: UUID to (words, code) of the recovery action, as the source has it.
        :param odd: UUID to what a card says in place of its figures.
        """
        for uuid in self.wanted:
            words, code = asked.get(uuid, ("", None))
            kind, words = xid.kind_of_words(words, code), xid.named(words, code)
            kind, words = (kind, words) if kind is not None else self._changed.get(uuid, (None, ""))
            fault, silence, known = xid.fault_of_recovery(kind, words), xid.fault_of_silence(odd.get(uuid, "")), self._faults.get(uuid)
            if silence and (fault is None or xid.worse(silence.kind, fault.kind)):
                fault = silence
            if fault:
                self._blame(uuid, fault)
            if known and (uuid in odd or found is not None and uuid not in found):
                self._away.add(uuid)
            back = kind is None and known is not None and (known.kind == xid.REBOOT or uuid in self._away)
            well = found is not None and uuid in found and (kind == xid.NONE or back)
            self._answered[uuid] = self._answered.get(uuid, 0) + 1 if known and well else 0
            if known and self._answered[uuid] > LOST_AFTER << min(self._relapses.get(uuid, 0), MOST_DOUBLED):
                del self._faults[uuid]
                self._relapses[uuid] = self._relapses.get(uuid, 0) + 1
                self.tell("recovered", "card %s answers, and the driver asks for nothing more" % uuid)
            self.exporter.set("bunker_card_state", STATES.get(self._faults[uuid].kind, 0) if uuid in self._faults else 0, gpu=uuid)

    def look(self, now):
        """Dict of UUID to gpus.Gpu of the service's cards that answer; None where none could be read this time.

        :param now: the time of day, seconds since 1970, for people.
        """
        asked, odd = {}, {}
        try:
            if self.source is None:
                self.source, reasons = gpus.open_source(self.kind, self.wanted)
                self.tell("source", "GPUs are read through %s%s" % (self.source.name, "".join("; " + reason for reason in reasons)))
            read = self.source.read(self.wanted)
            asked = getattr(self.source, "recovery", {})
            self._addresses.update((uuid, xid.address(at)) for uuid, at in getattr(self.source, "addresses", {}).items() if xid.address(at))
            odd = gpus.implausible(read, getattr(self.source, "odd", {}))
            found = {card.uuid: card for card in read if card.uuid not in odd}
            odd = {uuid: words for uuid, words in odd.items() if uuid in self.wanted}
            unseen = [uuid for uuid in self.wanted if uuid not in self.seen and uuid not in found and uuid not in odd]
            self._never = self._never + 1 if unseen else 0
            if self._never >= LOST_AFTER:
                odd.update((uuid, "nothing: it was never listed") for uuid in unseen)
            if odd and not set(found) & set(self.wanted):
                raise gpus.Unreadable("; ".join("card %s says %s" % entry for entry in sorted(odd.items())))
        except gpus.Unreadable as error:
            self.exporter.count("bunker_sample_failures", source=self.source.name if self.source else self.kind)
            if not self.blind:
                self.tell("unreadable", str(error), "error")
            self.blind = True
            if self.source is not None:
                self.source.close()
            self.source = None  # opened anew at the next sample: a driver may have been restarted
            self._listen()
            self._judge(None, asked, odd)
            return None
        if odd.keys() - self.odd.keys():
            self.tell("unreadable", "; ".join("card %s says %s" % entry for entry in sorted(odd.items())), "error")
        if self.blind or self.odd.keys() - odd.keys():
            self.tell("readable", "the cards answer again: %s" % ", ".join(sorted(set(found) & set(self.wanted))))
        self.blind, self.odd, self.read_at = False, odd, self.read_at if odd else now
        self.exporter.count("bunker_samples", source=self.source.name)
        self._listen()
        self._judge(found, asked, odd)
        self._missing = {uuid: self._missing.get(uuid, 0) + 1 for uuid in self.wanted if uuid in self.seen and uuid not in found and uuid not in odd}
        self.seen |= set(found)
        answered = {uuid: card for uuid, card in found.items() if uuid in self.wanted}
        self.last.update(answered)
        return answered
