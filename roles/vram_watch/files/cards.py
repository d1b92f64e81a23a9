# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's cards over time: which answer, which are lost, and when they were last read."""
import gpus

LOST_AFTER = 3  # samples in a row that know all others and not it: one may be a driver that is just starting
OFF_THE_BUS = 79  # NVIDIA's list of Xid errors


class Cards:
    """What is seen of them.

    :param wanted: UUIDs of the service's cards; empty for a service without any.
    :param kind: a key of gpus.SOURCES.
    :param seen: UUIDs that were seen by earlier watchers.
    :param exporter: of exporter.py.
    :param tell: callable(event, text, priority, …), for the journal.
    """

    def __init__(self, wanted, kind, seen, exporter, tell):
        self.wanted, self.kind, self.seen, self.exporter, self.tell = wanted, kind, set(seen), exporter, tell
        self.source, self.read_at, self.blind = None, 0.0, False
        # last: what each of the service's cards said when it was read last, UUID to gpus.Gpu; whoever starts the service anew empties it
        self.odd = {}  # those that are there and say nothing that could be read: UUID to what they say
        self._answered = {}  # samples in a row at which one answered that had been off the bus
        self.forget()

    def forget(self):
        """Somebody set a rung: a card that was lost may have come back."""
        self._missing, self._off_the_bus, self._never = {}, set(), 0
        self.last = {}

    @property
    def name(self):
        """Of what they are read through."""
        return "unreadable" if self.blind or self.source is None else self.source.name

    @property
    def lost(self):
        """UUIDs, sorted."""
        return sorted(self._off_the_bus | {uuid for uuid, samples in self._missing.items() if samples >= LOST_AFTER})

    def look(self, now):
        """Dict of UUID to gpus.Gpu of the service's cards that answer; None where none could be read this time.

        :param now: the time of day, seconds since 1970, for people.
        """
        try:
            if self.source is None:
                self.source, reasons = gpus.open_source(self.kind, self.wanted)
                self.tell("source", "GPUs are read through %s%s" % (self.source.name, "".join("; " + reason for reason in reasons)))
            read = self.source.read(self.wanted)
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
            return None
        if odd.keys() - self.odd.keys():
            self.tell("unreadable", "; ".join("card %s says %s" % entry for entry in sorted(odd.items())), "error")
        if self.blind or self.odd.keys() - odd.keys():
            self.tell("readable", "the cards answer again: %s" % ", ".join(sorted(set(found) & set(self.wanted))))
        self.blind, self.odd, self.read_at = False, odd, self.read_at if odd else now
        self.exporter.count("bunker_samples", source=self.source.name)
        for uuid, number in self.source.errors():
            self.exporter.count("bunker_xid_errors", gpu=uuid, xid=str(number))
            self.tell("xid", "card %s reports Xid %d" % (uuid, number), "error", gpu=uuid, xid=number)
            if number == OFF_THE_BUS and uuid in self.wanted:
                self._off_the_bus.add(uuid)
        self._missing = {uuid: self._missing.get(uuid, 0) + 1 for uuid in self.wanted if uuid in self.seen and uuid not in found and uuid not in odd}
        # One that was off the bus and answers for as long as it takes to be lost was reset, or came back with the driver.
        self._answered = {uuid: self._answered.get(uuid, 0) + 1 for uuid in self._off_the_bus if uuid in found}
        self._off_the_bus -= {uuid for uuid, samples in self._answered.items() if samples > LOST_AFTER}
        self.seen |= set(found)
        answered = {uuid: card for uuid, card in found.items() if uuid in self.wanted}
        self.last.update(answered)
        return answered
