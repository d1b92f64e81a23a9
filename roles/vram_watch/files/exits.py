# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exits of the service that nobody asked for, and whether they were for lack of VRAM."""
import service


class Exits:
    """What was last seen of its container.

    :param name: the service.
    :param unit: its systemd unit, whose journal has the container's log.
    :param container: ID of the container that was last seen running; "" for none.
    :param cursor: of the journal, up to which it was read.
    :param exporter, tell: as for cards.Cards.
    """

    def __init__(self, name, unit, container, cursor, exporter, tell):
        self.name, self.unit, self.container, self.cursor, self.exporter, self.tell = name, unit, container, cursor, exporter, tell
        self._was_up, self._words = False, ""

    def look(self, running, up):
        """What became of it since the last look: "oom" where it exited for lack of VRAM, else "".

        Words about memory alone are no exit: llama.cpp tries again with less when a buffer could not be had at load. They count once the container that
        wrote them is gone.

        :param running: ID of its container; "" where none runs, None where the engine does not answer.
        :param up: whether it is healthy.
        """
        if running is None:
            return ""
        gone = bool(self.container) and running != self.container
        if gone:
            self.exporter.count("bunker_exits", service=self.name)
            self.tell("exit", "%s exited" % self.name, "warning")
        if gone or not up or not self._was_up:
            text, self.cursor = service.journal(self.unit, self.cursor)
            found = service.OUT_OF_MEMORY.search(text)
            self._words = found.group(0) if found else self._words
        event = "oom" if self._words and (gone or not running) else ""
        if event:
            self.exporter.count("bunker_oom_exits", service=self.name)
            self.tell("oom", self._words, "error")
        if event or up:
            self._words = ""
        self.container, self._was_up = running, up
        return event

    def pass_over(self, running):
        """Whatever became of it until now was asked for."""
        if running is not None:
            self.container = running
        self.cursor = service.journal(self.unit, self.cursor)[1]
        self._was_up, self._words = False, ""
