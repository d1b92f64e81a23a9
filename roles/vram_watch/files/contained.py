# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an error that a card has contained (Xid 94) the program that had it computes no more, and the card does: it is drained and restarted."""
import threading
import time

import service

EVERY = 900  # seconds between two restarts of a service: a card that has one error after another is no reason for a storm


class Contained:
    """Restarts one service. What it does takes minutes, so a thread does it.

    :param name: of the service.
    :param unit: its systemd unit.
    :param endpoint: its address.
    :param drain: seconds that running answers get.
    :param longest: seconds that it may take to answer again.
    :param tell: callable(event, text, priority, …), for the journal.
    :param held: callable(), whether a play changes the services now.
    :param began: when the last restart was begun, seconds as of begin(); None where there was none.
    """

    def __init__(self, name, unit, endpoint, drain, longest, tell, held, began=None):
        self.name, self.unit, self.endpoint, self.drain, self.longest, self.tell, self.held = name, unit, endpoint, drain, longest, tell, held
        self.thread, self.began, self._result = None, began, ""

    def goes_on(self):
        """Whether a restart was on its way until now; tells what came of one that has ended."""
        going = self.thread is not None
        if self.thread is not None and not self.thread.is_alive():
            self.thread = None
            if self._result:
                self.tell("unrestarted", "%s: %s" % (self.name, self._result), "error")
            else:
                self.tell("restarted", "%s answers again after a contained error" % self.name)
        return going

    def begin(self, container, now, cards):
        """Begins a restart, where the last one is long enough ago.

        :param container: ID of the one that had the error.
        :param now: seconds.
        :param cards: UUIDs of the cards that reported it.
        :returns: whether it was begun.
        """
        if self.began is not None and now - self.began < EVERY:
            return False
        self.began, self._result = now, "the restart broke off"
        self.tell("contained", "%s is drained and restarted: an error was contained on %s; what had it computes no more" % (
            self.name, ", ".join(sorted(cards))), "warning")
        self.thread = threading.Thread(target=self._run, args=(container,), daemon=True)
        self.thread.start()
        return True

    def _run(self, container):
        service.keep_out(self.name, self.drain + self.longest)
        try:
            service.wait_until_idle(self.endpoint, self.drain)
            self._result = self._restart(container)
        finally:
            service.let_in(self.name)

    def _restart(self, container):
        """Why the service does not answer anew, "" where it does."""
        if self.held():
            self.began = None  # as soon as the play has ended it is looked at anew
            return "a play changes the services by now; it is not restarted meanwhile"
        if service.container(self.name)[0] == container:  # it may have died of it meanwhile, and systemd has started it
            refused = service.restart(self.unit)
            if refused:
                return refused
        end = time.monotonic() + self.longest
        while not self._answers(container):
            if time.monotonic() >= end:
                return "it does not answer within %d s of its restart" % self.longest
            time.sleep(1)
        return ""

    def _answers(self, container):
        return service.container(self.name)[0] not in (container, "", None) and service.ask(self.endpoint + "/health") is not None
