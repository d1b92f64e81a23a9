# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watcher knows, on one screen: bunker-status [STATUS_FILE]. Standard library only; exits 1 where a person is needed."""
import json
import sys
import time

GIB = 2 ** 30
LONGEST_HOLD = 86400  # as of watch.py
BAR = 40
HOLD = "/run/protocol-omni-vram-watch.hold"


def drawn(held, used, total):
    """What the service holds, what others hold, what is free."""
    if total <= 0:
        return "[" + "?" * BAR + "]"
    mine = min(round(BAR * held / total), BAR)
    other = min(round(BAR * max(used - held, 0) / total), BAR - mine)
    return "[" + "#" * mine + "+" * other + "." * (BAR - mine - other) + "]"


def size(value):
    return "unknown" if value is None else "%.1f GiB" % (value / GIB)


def speed(value):
    return "%.1f tok/s" % value if value else "not measured"


def held(path, clock):
    """Which play keeps the watcher from acting, and for how long; "" where none does.

    :param path: of the hold (tasks/hold.yml); who it is stands beside it.
    :param clock: seconds since the host was started.
    """
    try:
        with open(path, encoding="ascii") as stream:
            left = float(stream.read()) - clock
    except (OSError, ValueError):
        return ""
    if not 0 < left <= LONGEST_HOLD:
        return ""
    try:
        with open(path + ".json", encoding="utf-8") as stream:
            who = "the play %(play)s (process %(process)s on %(controller)s, since %(since)s)" % json.load(stream)
    except (OSError, ValueError, KeyError, TypeError):
        who = "a play that did not say who it is"
    return "HELD for another %s by %s: no step is taken. Where that play was interrupted: run it again, which takes over, or rm %s" % (
        "%.0f min" % (left / 60) if left >= 90 else "%.0f s" % left, who, path)


def screen(status, now, clock=None):
    """The lines.

    :param now: time of day, seconds since 1970.
    :param clock: seconds since the host was started, by which the sample's age is told: the time of day may have been set meanwhile.
    """
    age = now - status["time"] if clock is None or "clock" not in status else clock - status["clock"]
    late = age > 3 * status["interval"]
    clock, stale = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)), "  STALE: journalctl -u protocol-omni-vram-watch" if late else ""
    lines = ["%s  watched by %s, sample %.0f s old%s" % (clock, status["source"], age, stale), ""]
    for gpu in status["gpus"]:
        lines.append("%-24s %s %s free of %s" % (gpu["name"][:24], drawn(gpu["held"], gpu["used"], gpu["total"]), size(gpu["free"]), size(gpu["total"])))
        lines.append("%-24s # %s %s, + others %s" % ("", status["service"], size(gpu["held"]), size(max(gpu["used"] - gpu["held"], 0))))
    lines += ["%s  LOST" % uuid for uuid in status["lost"]]
    lines += [sentence for _uuid, sentence in sorted(status.get("faults", {}).items())]
    lines += ["%s  CANNOT BE READ: it says %s" % entry for entry in sorted(status.get("unreadable", {}).items())]
    blind = status["source"] == "unreadable"
    if blind:
        lines.append("THE CARDS CANNOT BE READ, since %s: does nvidia-smi answer?" % (
            time.strftime("%H:%M:%S", time.localtime(status["read_at"])) if status["read_at"] else "the watcher started"))
    elif not status["gpus"] and not status["lost"]:
        lines.append("no card is watched")
    lines.append("headroom %s, warns under %s, acts under %s%s" % (
        size(status["headroom"]), size(status["warn"]), size(status["act"]),
        ", gone in %.0f s at this rate" % status["time_to_zero"] if status["time_to_zero"] else ""))
    filled = status["filled"]
    if filled.get("headroom") is not None:
        lines.append("with its whole context used %s were left" % size(filled["headroom"]))
    name = status["ladder"][status["rung"]] if status["ladder"] else "unknown"
    why = ", since %s: %s" % (status["since"], status["why"]) if status["since"] else ""
    lines += ["", "rung %d of %d: %s%s" % (status["rung"], len(status["ladder"]) - 1, name, why)]
    barred = dict(status["barred"])
    for number, name in enumerate(status["ladder"]):
        left = status["predicted"][number] if number < len(status["predicted"]) else None
        lines.append("  %s %d %-28s %s" % (">" if number == status["rung"] else " ", number, name, barred.get(number) or "would leave " + size(left)))
    if status["stepping"] is not None:
        lines.append("A STEP to rung %d is on its way" % status["stepping"])
    if status["latched"]:
        lines += ["GIVEN UP: %s. Mend the cause, then" % status["latched"],
                  "  go on, from where the inventory is: ansible-playbook -i INVENTORY site.yml -e bunker_rung=0"]
    elif status["reason"]:
        lines.append(status["reason"])
    lines.append("")
    if status["gateway"]:
        lines.append("%-12s %s" % ("gateway", status["gateway"]))
    for name, service in sorted(status["services"].items()):
        lines.append("%-12s %-34s %-5s generation %s, prompt %s" % (name, service["endpoint"] + "/v1", "up" if service["up"] else "DOWN",
                                                                    speed(service["generation"]), speed(service["prompt"])))
    lines += ["RAM available %s" % size(status["memory_available"]), ""]
    lines += ["%s  %-8s %s" % (event["time"], event["event"], event["text"][:150]) for event in status["events"][-10:]]
    wrong = late or blind or bool(status.get("unreadable"))
    return lines, wrong or bool(status["latched"]) or bool(status["lost"]) or not status["services"].get(status["service"], {}).get("up")


def main(path):
    try:
        with open(path, encoding="utf-8") as stream:
            status = json.load(stream)
    except OSError as error:
        print("The watcher has written nothing: %s. See: systemctl status protocol-omni-vram-watch" % error, file=sys.stderr)
        return 1
    clock = time.clock_gettime(time.CLOCK_BOOTTIME)
    lines, wrong = screen(status, time.time(), clock)
    lines += [line for line in [held(HOLD, clock)] if line]
    print("\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "/run/protocol-omni-vram-watch/status.json"))
