# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of the role vram_watch, judged. Pure functions.

Their sentences stand in roles/vram_watch/vars/claims.yml; the module vram_watch_info looks.
"""
from __future__ import annotations

import re

from .rows import not_applying, row

GIB = 1 << 30
# A container that has one of these has the engine's socket, whatever is mounted into it later.
_SOCKET = re.compile(r"/|/(?:var|(?:var/)?run(?:/(?:docker|containerd))?)/?|.*(?:docker|containerd)[.]sock", re.DOTALL)
_PLAY = re.compile(r"playbook: .*contingency[.]yml")


def results(wanted, seen):
    """Each claim of the role with what was expected and observed of it.

    :param wanted: dict of ``service`` (the watched one's name, "" for none), ``asked`` (vram_watch_service, for the reason where there is none),
        ``cards`` (whether it has any), ``interval`` (seconds), ``fill_context`` (bool) and ``metrics_port``.
    :param seen: what vram_watch_info returned.
    :returns: dict of claim id to observation, as module claim takes them.
    """
    status = seen["status"]
    found = dict(_of_cards(wanted, status, seen), ladder=_ladder(seen["play"], status), metrics=_metrics(wanted["metrics_port"], seen))
    if not wanted["service"]:
        found = dict.fromkeys(found, not_applying("the inventory has no service to watch (vram_watch_service %s)" % wanted["asked"]))
    elif not wanted["cards"]:  # its watcher reads none: the status file is fresh, and says nothing of a gap
        found.update(dict.fromkeys(("samples", "headroom", "full_context"), not_applying("the watched service has no card; its memory is RAM")))
    elif not wanted["fill_context"]:
        found["full_context"] = not_applying("vram_watch_fill_context is false")
    return {"vram_watch." + name: row for name, row in dict(found, engine_socket=_engine_socket(seen)).items()}


def gives_socket(source):
    """Whether a path of the host, mounted, gives a container the engine's socket, by itself or in a folder."""
    return _SOCKET.fullmatch(source) is not None


def _gib(number):
    return "%s GiB" % round((number or 0) / GIB, 2)


def _of_cards(wanted, status, seen):
    unit, source, act, headroom = "%(state)s %(enabled)s" % seen, status.get("source"), status.get("act") or 0, status.get("headroom")
    age, filled = seen["now"] - int(status.get("read_at") or 0), status.get("filled") or {}
    left = filled.get("headroom")
    return {
        "samples": row("active enabled, a sample of the cards within %d s" % (3 * wanted["interval"]),
                       "%s, the cards were last read %d s ago, through %s" % (unit.strip() or "no unit", age, source or "nothing"),
                       unit == "active enabled" and age <= 3 * wanted["interval"] + 1 and (source or "none") != "none"),
        "headroom": row("at least %s" % _gib(act), "%s at rung %s" % (_gib(headroom), status.get("rung", "unknown")),
                        headroom is not None and act > 0 and headroom >= act),
        "full_context": row("at least %s left" % _gib(act),
                            "%s left after %s tokens" % (_gib(left), filled.get("tokens")) if left is not None
                            else filled.get("ended") or "not filled since its start", left is not None and act > 0 and left >= act)}


def _ladder(play, status):
    latched = status.get("latched", "no status")
    return row("the play can be read, and it has not given up", "%s; %s" % (play["said"] or "ansible-playbook said nothing", latched or "has not given up"),
               play["rc"] == 0 and _PLAY.search(play["said"]) and latched == "")


def _metrics(port, seen):
    expected, observed = "127.0.0.1:%d" % port, " ".join(seen["listening"])
    return row(expected, "%s, %d series" % (observed or "nothing listens", seen["series"]), observed == expected and seen["series"] > 0)


def _engine_socket(seen):
    having = [container["name"] for container in seen["containers"] if any(map(gives_socket, container["sources"]))]
    return row("none has it", "not seen: %s" % seen["engine"] if seen["engine"] else " ".join(having) or "none has it", not having and not seen["engine"])
