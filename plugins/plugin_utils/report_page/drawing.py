# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drawing of what runs: who is asked where, who answers, and what it computes on."""
from __future__ import annotations

from ..screen import style
from .markup import tag

BOX, GAP, HIGH = 270, 60, 92
LEFT, MIDDLE, RIGHT = 10, 10 + BOX + GAP, 10 + 2 * (BOX + GAP)
LETTERS, TITLE = 32, 25  # of a line, and of a box's first one, which is larger
WIDTH = RIGHT + BOX + 10


def _box(left, top, lines, kind):
    words = [tag("text", style.Style().cut(line, LETTERS if number else TITLE), x=left + 12, y=top + 22 + number * 17, class_="title" if number == 0 else None)
             for number, line in enumerate(lines)]
    return tag("g", tag("rect", x=left, y=top, width=BOX, height=HIGH, rx=8, class_="box %s" % kind), *words)


def _arrow(left, top, right, bottom):
    half = (left + right) // 2
    return tag("path", d="M%d %d C%d %d %d %d %d %d" % (left, top, half, top, half, bottom, right - 4, bottom), class_="arrow", marker_end="url(#tip)")


def hardware(report):
    """What services compute on: pairs of a key and lines. Cards by UUID, and the CPU as "cpu"."""
    machine = report.get("machine") or {}
    found = []
    for card in machine.get("gpus") or []:
        key = card.get("uuid") or card.get("pci") or ""
        vram = "%.0f GiB VRAM" % (card["memory"] / 2 ** 30) if isinstance(card.get("memory"), (int, float)) else "VRAM not known"
        found.append((key, [str(card.get("name") or "GPU").replace("NVIDIA ", "").replace("GeForce ", ""), key, vram]))
    cpu, memory = machine.get("cpu") or {}, machine.get("memory") or {}
    cores = "%s cores, %s threads" % (cpu.get("cores", "?"), cpu.get("threads", "?"))
    ram = "%.0f GiB RAM" % (memory["total"] / 2 ** 30) if isinstance(memory.get("total"), (int, float)) else "RAM not known"
    return found + [("cpu", ["CPU", cpu.get("model") or "not known", cores, ram])]


def silent(report):
    """Services that the claims speak of and that nobody has seen answer: names."""
    services = report.get("services") or {}
    named = {claim["id"].partition(".")[0] for claim in report.get("claims") or [] if claim.get("role") == "inference_service"}
    return sorted(named - set(services) - {"services"})


def seal(report):
    """(class, words) of the seal, by the claims that speak of it."""
    of_seal = [claim.get("status") for claim in report.get("claims") or [] if claim["id"] == "networks.sealed"
               or claim["id"].endswith((".isolated", ".sealed_inside")) and not claim.get("see")]
    if "fails" in of_seal:
        return "seal broken", "seal: A CLAIM OF IT FAILS"
    if "holds" in of_seal:
        return "seal", "seal: services answer, initiate nothing"
    return "seal broken", "seal: nobody has looked"


def computes_on(service, keys):
    """Keys of hardware that a service computes on."""
    if service.get("device", "gpu" if str(service.get("placement", "")).startswith("GPU") else "cpu") == "cpu":
        return ["cpu"]
    named = [key for key in keys if key != "cpu" and key in str(service.get("placement", ""))]
    return named or [key for key in keys if key != "cpu"][:1]


def sentences(report):
    """The drawing in words, for those who cannot see it."""
    services, gateway = report.get("services") or {}, report.get("gateway") or {}
    found = ["Clients ask the gateway at %s." % gateway["url"]] if gateway.get("url") else []
    for name, service in sorted(services.items()):
        found.append("%s answers at %s with the model %s, %s." % (name, service.get("endpoint"), service.get("model"), service.get("placement")))
    found += ["%s was not seen to answer." % name for name in silent(report)]
    if services:
        found.append("%s." % seal(report)[1].capitalize())
    return " ".join(found) or "Nothing runs."


def svg(report):
    """The drawing."""
    services, gateway, metal = sorted((report.get("services") or {}).items()), report.get("gateway") or {}, hardware(report)
    missing = silent(report)
    rows = max(1, len(services) + len(missing), len(metal))
    high = 60 + rows * (HIGH + 20)
    middle = [60 + number * (HIGH + 20) for number in range(rows)]
    tip = tag("path", d="M0 0 L8 4 L0 8 z", class_="tip")
    parts = [tag("defs", tag("marker", tip, id="tip", viewBox="0 0 8 8", refX=7, refY=4, markerWidth=8, markerHeight=8, orient="auto"))]
    door = (high - HIGH) // 2 + 15
    if gateway.get("url"):
        parts.append(_box(LEFT, door, ["gateway", gateway["url"], "a key, %d models" % len(gateway.get("models") or [])], "door"))
    if services or missing:
        parts.append(tag("rect", x=MIDDLE - 20, y=30, width=BOX + 40, height=(len(services) + len(missing)) * (HIGH + 20) + 14, rx=12, class_=seal(report)[0]))
        parts.append(tag("text", seal(report)[1], x=MIDDLE - 10, y=22, class_="label"))
    keys = [key for key, _lines in metal]
    for number, (name, service) in enumerate(services):
        top = middle[number] - 12
        networks = ["%s %s" % (network.get("name"), network.get("address")) for network in service.get("networks") or []]
        parts.append(_box(MIDDLE, top, ([name, str(service.get("model", ""))] + (networks or [str(service.get("endpoint", ""))]))[:4], "service"))
        if name in (gateway.get("models") or []):
            parts.append(_arrow(LEFT + BOX, door + HIGH // 2, MIDDLE, top + HIGH // 2))
        for key in computes_on(service, keys):
            parts.append(_arrow(MIDDLE + BOX, top + HIGH // 2, RIGHT, middle[keys.index(key)] - 12 + HIGH // 2))
    for number, name in enumerate(missing, len(services)):
        parts.append(_box(MIDDLE, middle[number] - 12, [name, "was not seen to answer"], "missing"))
    for number, (_key, lines) in enumerate(metal):
        parts.append(_box(RIGHT, middle[number] - 12, lines, "metal"))
    return tag("svg", tag("title", "What runs on %s" % report.get("host", ""), id="drawing-title"), tag("desc", sentences(report), id="drawing-words"), *parts,
               viewBox="0 0 %d %d" % (WIDTH, high), role="img", aria_labelledby="drawing-title drawing-words", class_="drawing")


def section(report):
    return tag("section", tag("h2", "What runs"), tag("div", svg(report), class_="wide", tabindex="0", role="region", aria_label="Drawing of what runs"),
               tag("p", sentences(report), class_="small"), id="runs", aria_label="What runs")
