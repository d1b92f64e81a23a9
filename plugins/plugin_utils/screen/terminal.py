# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal itself: a region at its lower end that is drawn over, and lines above it that stay."""
from __future__ import annotations

import io
import os

from . import style

HIDE, SHOW, NO_WRAP, WRAP, CLEAR_DOWN, CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[?7l", "\x1b[?7h", "\x1b[J", "\x1b[K"


def frame(before, lines):
    """What is written to put lines in the place of those before.

    Lines are written over, not erased first, so that nothing flickers.

    :param before: how many lines the region has now, with the cursor below the last.
    """
    up = "\x1b[%dA\r" % before if before else "\r"
    return up + "".join(line + CLEAR_LINE + "\r\n" for line in lines) + CLEAR_DOWN


def rows_of(lines, columns):
    """How many rows lines take that were written for another width."""
    return sum(max(1, -(-style.width_of(line) // columns)) for line in lines)


class Terminal:
    """A terminal by its descriptor. What cannot be written is lost: a run goes on when its window is closed."""

    def __init__(self, descriptor):
        self.descriptor, self.drawn, self.open = descriptor, [], False
        self.columns = self.size()[0]

    def size(self):
        """(columns, rows), asked each time: a window may have changed."""
        try:
            columns, rows = os.get_terminal_size(self.descriptor)
        except OSError:
            columns, rows = 0, 0
        return columns or 80, rows or 24

    def write(self, text):
        data = text.encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self.descriptor, data):]
        except OSError:
            pass

    def _before(self, columns):
        # A terminal that became narrower has broken the lines that it had.
        return rows_of(self.drawn, columns) if columns < self.columns else len(self.drawn)

    def draw(self, lines):
        columns = self.size()[0]
        lead = "" if self.open else HIDE + NO_WRAP
        self.open = True
        self.write(lead + frame(self._before(columns), lines))
        self.drawn, self.columns = list(lines), columns

    def above(self, lines):
        """Writes lines that stay, in the place of the region, which is to be drawn again."""
        before = self._before(self.size()[0])
        self.drawn = []
        self.write(("\x1b[%dA\r" % before if before else "") + CLEAR_DOWN + WRAP + "".join(line + "\r\n" for line in lines) + (NO_WRAP if self.open else ""))

    def close(self):
        """Gives the cursor back; may be called again."""
        if self.open:
            self.open = False
            self.drawn = []
            self.write(WRAP + SHOW)


class Catcher(io.TextIOBase):
    """Stands in for sys.stdout and sys.stderr: whole lines go to a function."""

    def __init__(self, taker, encoding="utf-8"):
        super().__init__()
        self.taker, self.rest, self._encoding = taker, "", encoding

    @property
    def encoding(self):
        return self._encoding

    def writable(self):
        return True

    def write(self, text):
        whole, newline, self.rest = (self.rest + text).rpartition("\n")
        if newline:
            self.taker(whole)
        return len(text)

    def flush(self):
        """Nothing: half a line waits for its end."""
