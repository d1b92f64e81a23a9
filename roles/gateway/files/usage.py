# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tokens each key of the gateway had read and written, by model.

    bunker-usage [--days N] [--json] [--socket PATH] [--file PATH]

As root of the host: asks the gateway through its control socket; where that is down, reads the file that it left. Days are of UTC. Python 3.9, its standard
library; exits 1 where neither can be read.
"""
import argparse
import datetime
import json
import socket
import sys

SOCKET, FILE = "/run/protocol-omni-gateway/control.sock", "/var/lib/protocol-omni-gateway/usage.json"
FIELDS = ("requests", "read", "written", "estimated")


def asked(path):
    """What the gateway itself says: dict with ``rows`` and ``limits``.

    :param path: of its control socket.
    :raises OSError: nobody answers there.
    :raises ValueError: what answers is not the gateway.
    """
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(path)
        control.sendall(b"GET /usage HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: control.recv(65536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def left(path):
    """What the gateway wrote when it was last up: as of :func:`asked`, without limits.

    :raises OSError: there is no such file.
    :raises ValueError: it is no JSON.
    """
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def summed(rows, today, days):
    """Rows by key, model and who answered: list of dict with FIELDS and ``today`` (tokens of this day).

    :param rows: list of dict, one for each day besides.
    :param today: str, YYYY-MM-DD.
    :param days: int, how many days with this one; 0 for all that there ever were.
    """
    first = (datetime.date.fromisoformat(today) - datetime.timedelta(days=days - 1)).isoformat() if days else ""
    found = {}
    for row in rows:
        if days and (row["day"] == "earlier" or row["day"] < first):
            continue
        place = row["key"], row["model"], row["service"]
        sums = found.setdefault(place, dict(zip(("key", "model", "service"), place), today=0, **dict.fromkeys(FIELDS, 0)))
        for field in FIELDS:
            sums[field] += row[field]
        sums["today"] += row["read"] + row["written"] if row["day"] == today else 0
    return [found[place] for place in sorted(found)]


def table(rows, limits, today):
    """Lines for people."""
    heads = ["key", "model", "requests", "read", "written", "estimated", "today"]
    cells = [[row["key"], row["model"] + (" (by %s)" % row["service"] if row["service"] != row["model"] else ""),
              *("{:,}".format(row[field]) for field in heads[2:])] for row in rows]
    widths = [max(len(line[place]) for line in [heads, *cells]) for place in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(zip(line, widths))).rstrip()
             for line in [heads, *cells]]
    for key in sorted(limits):
        spent = sum(row["today"] for row in rows if row["key"] == key)
        lines.append("%s: %s of %s tokens of %s%s" % (key, "{:,}".format(spent), "{:,}".format(limits[key]), today,
                                                      ", used up" if spent >= limits[key] else ""))
    return lines if rows or limits else ["No key has asked yet."]


def main(arguments):
    parser = argparse.ArgumentParser(prog="bunker-usage", description="Tokens that each key of the gateway had read and written, by model.")
    parser.add_argument("--days", type=int, default=0, help="the last N days with today (UTC), at most 31; without it all that there ever were")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--socket", default=SOCKET, help="the gateway's control socket")
    parser.add_argument("--file", default=FILE, help="what it leaves when it ends")
    options = parser.parse_args(arguments)
    if not 0 <= options.days <= 31:
        parser.error("--days %d: 1 to 31 days are kept one by one. Leave it out for all of them." % options.days)
    try:
        known = asked(options.socket)
    except (OSError, ValueError) as silent:
        try:
            known = left(options.file)
        except (OSError, ValueError) as unread:
            print("bunker-usage: neither the gateway (%s: %s) nor its file (%s: %s) tells. Are you root? systemctl status protocol-omni-gateway" % (
                options.socket, silent, options.file, unread), file=sys.stderr)
            return 1
        print("The gateway does not answer (%s); this is what it left in %s." % (silent, options.file), file=sys.stderr)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    rows, limits = summed(known["rows"] or [], today, options.days), known.get("limits") or {}  # an empty table of Lua is {}
    if options.json:
        print(json.dumps({"day": today, "rows": rows, "limits": limits}, indent=2))
    else:
        print("\n".join(table(rows, limits, today)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
