# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""filler.py as a process of its own, for whoever measures beside it."""
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

PROGRAM = pathlib.Path(__file__).resolve().parent / "filler.py"


class Filler:
    """filler.py, and what it says: ``lines``, a dict each. It is ready when this returns.

    :param environment: dict, what it gets besides this process's own, such as CUDA_VISIBLE_DEVICES.
    :param leave: MiB that it leaves free at once.
    :param step: MiB of each step after begin().
    :param every: seconds between two steps.
    :param then: MiB that it takes after begin().
    :param more: further words of filler.py.
    """

    def __init__(self, environment, leave, step, every, then, *more):
        sizes = ["--leave", str(int(leave)), "--step", str(step), "--every", str(every), "--then", str(int(then))]
        self.process = subprocess.Popen([sys.executable, str(PROGRAM), *sizes, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **environment))
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("ready", 60)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def times(self, event):
        """When it said so: list of seconds since the epoch."""
        return [line["time"] for line in list(self.lines) if line["event"] == event]

    def wait(self, event, seconds):
        """Whether it said so in time, or before it ended."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self.process.poll() is None:
            if self.times(event):
                return True
            time.sleep(0.05)
        return bool(self.times(event))

    def begin(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        """Ends it; what it held is free after that."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
