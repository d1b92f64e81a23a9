# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs it: one measurement at a time on a host, and no container is left behind."""
# pylint: disable=ansible-bad-function  # a program by itself: there is no module whose functions it could call
from __future__ import annotations

import fcntl
import json
import os
import signal
import sys

from .containers import interrupted, remove_containers
from .sweeping import Bench


def main(plan_path, state_path):
    with open(plan_path, encoding="utf-8") as stream:
        plan = json.load(stream)
    os.makedirs(os.path.dirname(state_path), mode=0o755, exist_ok=True)
    with open(state_path + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another measurement runs on this host.", flush=True)
            return 3
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, interrupted)
        remove_containers()
        try:
            bench = Bench(plan, state_path)
            bench.prepare()
            bench.conclude(bench.sweep())
        finally:
            remove_containers()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
