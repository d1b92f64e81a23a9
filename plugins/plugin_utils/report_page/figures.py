# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures: memory maps, speeds, layers of the image, earlier runs."""
from __future__ import annotations

from .drawing import computes_on
from .markup import Html, size, table, tag

BAR = 400


def bar_of(parts, whole, words):
    """A bar whose parts are told in words beside it.

    :param parts: pairs of a class and an amount.
    :param whole: what the bar's length stands for.
    """
    found, left = [tag("rect", x=0, y=0, width=BAR, height=18, class_="empty")], 0.0
    for kind, amount in parts:
        wide = min(BAR - left, BAR * max(0, amount) / whole) if whole else 0
        found.append(tag("rect", x="%.1f" % left, y=0, width="%.1f" % wide, height=18, class_=kind))
        left += wide
    return tag("svg", tag("title", words), *found, viewBox="0 0 %d 18" % BAR, role="img", class_="bar", preserveAspectRatio="none")


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def memory(report):
    """VRAM of each card and RAM of the host, and who has it."""
    machine, services = report.get("machine") or {}, report.get("services") or {}
    keys, rows = [card.get("uuid") or card.get("pci") or "" for card in machine.get("gpus") or []], []
    for key, card in zip(keys, machine.get("gpus") or []):
        users = [name for name, service in sorted(services.items()) if key in computes_on(service, keys)]
        name = "VRAM of %s" % (card.get("name") or key)
        if not (_number(card.get("memory")) and _number(card.get("memory_free"))):
            rows.append((name, "", "not known: no driver tells it"))
            continue
        used = card["memory"] - card["memory_free"]
        words = "%s of %s used, %s free%s" % (size(used), size(card["memory"]), size(card["memory_free"]), "; for " + ", ".join(users) if users else "")
        rows.append((name, bar_of([("part0", used)], card["memory"], words), words))
    ram = machine.get("memory") or {}
    if _number(ram.get("total")):
        held = [(name, service["memory"]) for name, service in sorted(services.items()) if _number(service.get("memory"))]
        others = max(0, ram["total"] - ram["available"] - sum(amount for _name, amount in held)) if _number(ram.get("available")) else 0
        parts = [("part%d" % (number % 4), amount) for number, (_name, amount) in enumerate(held)] + [("others", others)]
        words = ", ".join(["%s %s" % (name, size(amount)) for name, amount in held] + ["others %s" % size(others), "of %s" % size(ram["total"])])
        rows.append(("RAM", bar_of(parts, ram["total"], words), words))
    if not rows:
        return Html("")
    return tag("section", tag("h2", "Memory"), table("Memory when the claims were proven", ("where", "how full", "in figures"), rows),
               tag("p", "RAM of a service is what its process has resident, a mapped model file among it.", class_="small"), id="memory", aria_label="Memory")


def speeds(report, throughput):
    """How fast each service is, and how near to what the memory's bandwidth allows."""
    services = report.get("services") or {}
    measured = ((throughput or {}).get("result") or {}).get("services") or {}
    most = {key: max([service.get(key) or 0 for service in services.values()] or [0]) for key in ("generation_speed", "prompt_speed")}
    rows = []
    for name, service in sorted(services.items()):
        for key, word in (("generation_speed", "generation"), ("prompt_speed", "prompt")):
            if _number(service.get(key)):
                words = "%s tok/s" % service[key]
                rows.append(("%s, %s" % (name, word), bar_of([("part0" if key == "generation_speed" else "part1", service[key])], most[key], words), words))
    for name, found in sorted(measured.items()):
        roofline, mean = found.get("roofline") or {}, (found.get("alone") or {}).get("mean")
        if _number(roofline.get("limit")) and _number(mean):
            words = "%.1f tok/s of the %.1f that the memory's bandwidth allows" % (mean, roofline["limit"])
            rows.append(("%s, best measured" % name, bar_of([("part2", mean)], roofline["limit"], words), words))
        elif _number(mean):
            rows.append(("%s, best measured" % name, "", "%.1f tok/s; %s" % (mean, roofline.get("reason") or "no limit is known")))
    if not rows:
        return Html("")
    return tag("section", tag("h2", "Speed"), table("Speed in tokens a second", ("what", "bar", "in figures"), rows),
               tag("p", "Bars of generation, and of prompts, are to the fastest service; of the best measured, to the bandwidth's limit.", class_="small"),
               id="speed", aria_label="Speed")


def image(report, beside):
    """The layers of the image, and files that lie beside the report."""
    found, parts = report.get("image") or {}, []
    layers = [layer for layer in found.get("layers") or [] if _number(layer.get("size"))]
    if found.get("name"):
        whole = ", %s" % size(found["size"]) if _number(found.get("size")) else ""
        parts.append(tag("p", "Image ", tag("code", found["name"]), " ", tag("code", found.get("id")), whole))
    if layers:
        most = max(layer["size"] for layer in layers) or 1
        parts.append(table("Layers of the image, the newest first", ("made by", "bar", "size"), [
            (tag("code", str(layer.get("made_by", ""))[:200]), bar_of([("part0", layer["size"])], most, size(layer["size"])), size(layer["size"]))
            for layer in layers if layer["size"] > 0]))
    links = [tag("li", tag("a", words, href="./" + name)) for name, words in beside]
    if not any(".cdx." in name or ".spdx." in name for name, _words in beside):
        parts.append(tag("p", "No SBOM lies beside this report. It is written by: ", tag("code", "ansible-playbook -i INVENTORY playbooks/sbom.yml")))
    if links:
        parts.append(tag("ul", *links))
    return tag("section", tag("h2", "Image and SBOM"), *parts, id="image", aria_label="Image and SBOM")


def _told(found):
    """Speeds of a service in a run."""
    return " and ".join("%s tok/s %s" % (value, key.partition("_")[0]) for key, value in sorted(found.items())) or "not measured"


def history(report, now):
    """The last runs, the newest first.

    :param now: the summary of this run.
    """
    runs = [now] + list(reversed(report.get("history") or []))
    names = sorted({name for run in runs for name in run.get("speeds") or {}})
    rows = []
    for run in runs:
        whole = sum(run.get(word) or 0 for word in ("fails", "holds", "does not apply"))
        words = "%s fail, %s hold, %s do not apply" % (run.get("fails"), run.get("holds"), run.get("does not apply"))
        fast = ["%s: %s" % (name, _told(run["speeds"][name])) for name in names if name in (run.get("speeds") or {})]
        rows.append((run.get("date") or "not dated", bar_of([("bad", run.get("fails") or 0), ("good", run.get("holds") or 0)], whole, words), words,
                     ", ".join(run.get("failing") or []) or "nothing", "; ".join(fast)))
    lost = [tag("p", report["history_lost"], class_="note")] if report.get("history_lost") else []
    head = ("when (UTC)", "bar", "claims", "what failed", "speed")
    return tag("section", tag("h2", "Last runs"), *lost, table("Runs on this host, the newest first", head, rows), id="history", aria_label="Last runs")
