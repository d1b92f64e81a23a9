# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for a terminal of a width, with or without colour and Unicode."""
from __future__ import annotations

import re
import unicodedata

PAINT = {"good": "32", "bad": "1;31", "warn": "33", "now": "1;36", "dim": "2", "bold": "1"}
MARKS = {"done": "✓", "fails": "✗", "running": "●", "waiting": "·", "left": "–", "dot": "·", "more": "…", "rule": "─"}
PLAIN_MARKS = {"done": "ok", "fails": "XX", "running": ">>", "waiting": "..", "left": "--", "dot": "-", "more": "...", "rule": "-"}
SPELLED = str.maketrans({"·": "-", "…": "...", "–": "-", "—": "-", "×": "x", "→": "->", "±": "+-", "≥": ">=", "≤": "<=",
                         "\u201c": '"', "\u201d": '"', "\u2019": "'", "\u2018": "'",
                         "µ": "u", "²": "2", "°": " deg"})
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
PAINTED = re.compile(r"\x1b\[[0-9;]*m")


def clean(text):
    """The text without what would move a cursor, colour or turn the line: escapes, controls, and marks of direction. Tabs become blanks."""
    text = ESCAPES.sub("", str(text)).replace("\t", "    ")
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def last_part(line):
    """What a terminal would show of a line that a program wrote over with carriage returns."""
    return clean(line.rstrip("\r\n").rpartition("\r")[2])


def width_of(text):
    """Columns that a text takes, without its colours. East Asian letters take two, combining marks none."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in PAINTED.sub("", text))


def clock(seconds):
    """Seconds as people read them: 0:07, 12:30, 1:02:03."""
    seconds = max(0, int(seconds))
    if seconds < 3600:
        return "%d:%02d" % divmod(seconds, 60)
    return "%d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)


class Style:
    """How lines look.

    :param width: columns; fewer than 24 are taken for 24, and the terminal cuts them off.
    :param colour: whether escapes for colour are written.
    :param unicode: whether letters outside ASCII are.
    """

    def __init__(self, width=80, colour=True, unicode=True):
        self.width, self.colour, self.unicode = max(24, width), colour, unicode
        self.marks = MARKS if unicode else PLAIN_MARKS
        self.mark_width = max(len(self.marks[name]) for name in ("done", "fails", "running", "waiting", "left"))

    def text(self, value):
        """A value as it can be written: clean, and in ASCII where that is asked for."""
        text = clean(value)
        return text if self.unicode else text.translate(SPELLED).encode("ascii", "replace").decode("ascii")

    def paint(self, text, name):
        return "\x1b[%sm%s\x1b[0m" % (PAINT[name], text) if self.colour and name and text else text

    def mark(self, name, paint=None):
        return self.paint(self.marks[name].ljust(self.mark_width), paint)

    def cut(self, text, columns):
        """One line of at most so many columns; what is cut off is seen to be."""
        text = " ".join(self.text(text).split())
        if width_of(text) <= columns:
            return text
        more = self.marks["more"] if columns > len(self.marks["more"]) else ""
        kept, used = [], len(more)
        for letter in text:
            used += width_of(letter)
            if used > columns:
                break
            kept.append(letter)
        return "".join(kept).rstrip() + more

    def fill(self, text, columns):
        """Cut, and with blanks to the full width."""
        text = self.cut(text, columns)
        return text + " " * (columns - width_of(text))

    def wrap(self, text, columns):
        """Lines of at most so many columns; breaks between words, and within one that is longer."""
        columns, lines = max(8, columns), []
        for paragraph in self.text(text).split("\n"):
            line = ""
            for word in paragraph.split():
                while word:
                    joined = line + " " + word if line else word
                    if width_of(joined) <= columns:
                        line, word = joined, ""
                    elif line:
                        lines.append(line)
                        line = ""
                    else:
                        head = self._head(word, columns)
                        lines.append(head)
                        word = word[len(head):]
            lines.append(line)
        return lines

    @staticmethod
    def _head(word, columns):
        for place in range(1, len(word) + 1):
            if width_of(word[:place]) > columns:
                return word[:max(1, place - 1)]
        return word

    def rule(self, columns=None):
        return self.paint(self.marks["rule"] * (columns or self.width), "dim")
