# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another program that takes VRAM in steps, by the driver's plain cuMemAlloc. It prints one line of JSON for each attempt, and holds what it has until its
standard input is closed. Sizes are MiB.

    python3 tests/gpu/filler.py --leave 8192 --step 256 --every 1 --then 9000
"""
import argparse
import ctypes
import json
import select
import sys
import time

MIB = 1 << 20
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


class Card:
    """The first visible GPU."""

    def __init__(self):
        self.driver = ctypes.CDLL("libcuda.so.1")
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._do("cuInit", 0)
        self._do("cuDeviceGet", ctypes.byref(device), 0)
        self._do("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._do("cuCtxSetCurrent", context)

    def _do(self, name, *arguments):
        result = getattr(self.driver, name)(*arguments)
        if result:
            raise OSError(result, "%s gives %d" % (name, result))

    def free(self):
        """Free bytes of the card."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._do("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def take(self, size):
        """Whether the driver gave so many bytes."""
        result = self.driver.cuMemAlloc_v2(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(size))
        if result not in (0, OUT_OF_MEMORY):
            raise OSError(result, "cuMemAlloc gives %d" % result)
        return result == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leave", type=int, required=True, help="free at the beginning, taken down to at once")
    parser.add_argument("--step", type=int, required=True)
    parser.add_argument("--every", type=float, required=True, help="seconds between two steps")
    parser.add_argument("--then", type=int, required=True, help="how much it takes after the beginning")
    parser.add_argument("--to-the-last", action="store_true", help="where no step fits, ever smaller ones, and then no more")
    parser.add_argument("--hold", type=float, default=300, help="seconds after which it ends in any case")
    chosen = parser.parse_args()
    card, ends = Card(), time.monotonic() + chosen.hold

    def tell(event, held):
        print(json.dumps({"time": time.time(), "event": event, "held": held, "free": card.free()}), flush=True)

    held, step = 0, 1024 * MIB
    while step >= 2 * MIB:
        if card.free() - step >= chosen.leave * MIB and card.take(step):
            held += step
        else:
            step //= 2
    first = held
    tell("ready", held)
    sys.stdin.readline()  # the word to begin
    step = chosen.step * MIB
    while held - first < chosen.then * MIB and time.monotonic() < ends:
        if card.take(min(step, chosen.then * MIB - (held - first))):
            held += min(step, chosen.then * MIB - (held - first))
            tell("took", held)
        else:
            tell("refused", held)
            if chosen.to_the_last:
                step //= 2
                if step < 2 * MIB:
                    break
                continue
            time.sleep(0.5)
        if select.select([sys.stdin], [], [], chosen.every)[0]:
            return
    tell("complete" if held - first >= chosen.then * MIB else "full", held)
    select.select([sys.stdin], [], [], max(ends - time.monotonic(), 0))


if __name__ == "__main__":
    main()
