# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's log, where the driver writes its Xid errors with their text: /dev/kmsg, which costs no process and has a number for each record."""
import os

RECORD = 16384  # bytes; the kernel's own limit is less
MOST = 20000  # records in one go: more than the kernel keeps


class KernelLog:
    """What was written since the last look.

    :param sequence: number of the last record that was read since the host's present start; None to begin with what is written from now on.
    :param path: of the device. One that cannot be opened reads as nothing, and ``fault`` says why.
    """

    def __init__(self, sequence=None, path="/dev/kmsg"):
        self.sequence, self.fault, self._file = sequence, "", None
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if sequence is None:
                os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            self.fault = "the kernel's log cannot be read: %s; of Xid errors only the driver's own events are seen" % error

    def read(self, containing="Xid"):
        """Lines with a word in them, oldest first. Records that the kernel has overwritten meanwhile are passed over."""
        found = []
        for _record in range(MOST if self._file is not None else 0):
            try:
                record = os.read(self._file, RECORD)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # the next one that is still there is next
            except OSError as error:
                self.fault, self._file = "the kernel's log cannot be read any more: %s" % error, None
                break
            if not record:
                break
            head, _semicolon, text = record.decode("utf-8", "replace").partition(";")
            number = head.split(",")[1] if head.count(",") >= 2 else ""
            if not number.isdigit() or (self.sequence is not None and int(number) <= self.sequence):
                continue
            self.sequence = int(number)
            line = text.split("\n", 1)[0]
            if containing in line:
                found.append(line)
        return found
