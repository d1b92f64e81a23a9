# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory bandwidth, standard library only: what generation of tokens is bound by."""
from __future__ import annotations

import ctypes
import threading
import time

BLOCK = 64 << 20  # bytes, well above what a core's share of the last cache level holds


def measure(threads, seconds=1.0):
    """Bytes a second that all threads together read and write while they copy blocks of memory.

    memmove runs without the interpreter's lock, so the threads truly run at once. A copy reads and writes each byte once; it moves
    somewhat less than pure reading would.

    :param threads: int, usually the number of CPUs.
    :param seconds: float, how long to copy; about as long again goes into preparation.
    """
    barrier, counts = threading.Barrier(threads + 1), [0] * threads

    def work(number):
        source, target = ctypes.create_string_buffer(BLOCK), ctypes.create_string_buffer(BLOCK)
        ctypes.memset(source, 1, BLOCK)
        ctypes.memset(target, 1, BLOCK)
        barrier.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ctypes.memmove(target, source, BLOCK)
            counts[number] += 2 * BLOCK
    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    begun = time.monotonic()
    for worker in workers:
        worker.join()
    return int(sum(counts) / (time.monotonic() - begun))
