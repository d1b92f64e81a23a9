"""What watching costs: the same streams with the watcher running and with it halted, in turns, in one run.

    watching_cost.py --service http://172.30.0.10:8000/v1 --model oracle [--rounds 30]

Run it as root on the host, with gateway_overhead.py and paired.py beside it, while nothing else asks. A round is two streams of at least a sampling interval
each; for one of them the watcher's process is stopped by a signal (well within its watchdog's patience). Prints JSON: the processor time that the watcher used
while it was watching, children included, as percent of one core; its resident memory in MB; and the ratio of tokens per second watched to unwatched, the
median over the rounds with its 95 % interval. Standard library only.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import time

from gateway_overhead import Way
from paired import interval_of_median

UNIT = "protocol-omni-vram-watch.service"


def processor_seconds(pid):
    """Of the watcher since it started, with the processes that it started and that have ended (proc_pid_stat(5): utime, stime, cutime, cstime)."""
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Bytes."""
    lines = pathlib.Path("/proc/%d/status" % pid).read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--service", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=512)
    arguments = parser.parse_args()
    pid = int(subprocess.run(["systemctl", "show", "--property", "MainPID", "--value", UNIT], capture_output=True, text=True, check=True).stdout)
    way = Way(arguments.service, arguments.model, arguments.tokens)
    used, watched_for, ratios = 0.0, 0.0, []
    for number in range(-1, arguments.rounds):
        speeds = {}
        # Each goes first every other time; the first round warms up and is not counted.
        for watching in (True, False) if number % 2 else (False, True):
            os.kill(pid, signal.SIGCONT if watching else signal.SIGSTOP)
            try:
                before, begun = processor_seconds(pid), time.monotonic()
                speeds[watching] = way.ask()[1]
                if watching and number >= 0:
                    used, watched_for = used + processor_seconds(pid) - before, watched_for + time.monotonic() - begun
            finally:
                os.kill(pid, signal.SIGCONT)
        if number >= 0:
            ratios.append(speeds[True] / speeds[False])
    print(json.dumps({
        "rounds": arguments.rounds, "watched_seconds": round(watched_for), "percent_of_a_core": round(100 * used / watched_for, 3),
        "resident_mb": round(resident(pid) / 1e6, 1), "speed_ratio": round(statistics.median(ratios), 4), "speed_ratio_95": interval_of_median(ratios)}))


if __name__ == "__main__":
    main()
