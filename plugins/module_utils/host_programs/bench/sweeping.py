# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep with its state on disk: what to measure next is throughput/sweep.py's business, what was measured is written before the next one begins."""
# pylint: disable=ansible-bad-function  # a program by itself: there is no module whose functions it could call
from __future__ import annotations

import os
import subprocess
import time

from ... import gguf, memory_bandwidth, model_memory, placement, small_file
from ...llama import kinds
from ...throughput import reading, roofline, speculation, sweep, topology
from .containers import OutOfTime, cards_by, planned, remove_containers
from .measurements import TIDY, measure_alone, measure_served, measure_together
from .words import calmer, evidence, titled, told, unsteady


class Bench:
    """A sweep with its state on disk."""

    def __init__(self, plan, path):
        self.plan, self.path = plan, path
        self.begun = time.monotonic()
        self.deadline = self.begun + plan["budget"] - TIDY
        self.host = reading.host()
        identity = {"host": self.host["fingerprint"], "image": plan["image"], "work": [plan["repetitions"], plan["prompt"], plan["generate"]]}
        state = {} if plan["fresh"] else small_file.record(path)
        self.state = state if state.get("identity") == identity else {"identity": identity, "results": [], "services": {}, "plans": {}}
        self._forget([service["name"] for service in plan["services"] if self.state["services"].get(service["name"], service) != service])
        self.state["services"].update({service["name"]: service for service in plan["services"]})
        self.skipped = set()

    def _forget(self, names):
        """Drops what was measured of services that are others by now; what was measured of the rest stays, whether this run is about them or not."""
        self.state["results"] = [found for found in self.state["results"]
                                 if not set(names) & (set(found["settings"]) if found["kind"] == "together" else {found["service"]})]

    def say(self, words):
        left = max(int(self.deadline - time.monotonic()), 0)
        print("%s, %d:%02d left" % (words, left // 60, left % 60), flush=True)

    def prepare(self):
        """The world of the sweep: what the host and the models are."""
        if not self.state.get("bandwidth"):
            cores = topology.physical(self.host["cpus"])
            self.state["bandwidth"] = memory_bandwidth.measure(len(cores), self.plan["seconds"]["bandwidth"])
            self.say("memory bandwidth, copying with %d threads: %.1f GB/s" % (len(cores), self.state["bandwidth"] / 1e9))
        services, self.state["left_out"] = [], {}
        for service in self.plan["services"]:
            try:
                metadata, tensors = gguf.read_model([os.path.join(service["folder"], name) for name in service["files"]])
            except gguf.GGUFError as error:
                self.state["left_out"][service["name"]] = "its model cannot be read: %s" % error
                continue
            kind = kinds.of_service(service, kinds.facts_of(metadata, tensors))
            if kind not in kinds.TEXT:
                self.state["left_out"][service["name"]] = "its kind is %s: it generates nothing that could be measured" % kind
                continue
            if service["device"] == "gpu" and self._runs(service["name"]):
                self.state["left_out"][service["name"]] = "it runs, and its cards hold no second one: systemctl stop protocol-omni-%s" % service["name"]
                continue
            places, failed = self._places(service, model_memory.expert_matrices(tensors))
            for name, why in failed.items():
                self.say("%s: placement %s: %s" % (service["name"], name, why))
            if service["device"] == "gpu" and not places:
                self.state["left_out"][service["name"]] = "no placement of it could be planned: " + "; ".join(failed.values())
                continue
            service = dict(service, placements=places)
            ways = speculation.possible(service["speculations"], metadata, service["draft_folder"])
            services.append(dict(service, bytes=sum(tensors.values()), per_token=roofline.bytes_per_token(metadata, tensors), ways=ways,
                                 prompts=len(service["sample_prompts"])))
        self.world = {"cpus": self.host["cpus"], "node_memory": self.host["node_memory"], "bandwidth": self.state["bandwidth"], "services": services,
                      "together": self.plan["seconds"]["together"], "repetitions": self.plan["repetitions"], "prompt": self.plan["prompt"],
                      "generate": self.plan["generate"]}
        small_file.write_record(self.path, self.state)

    def _places(self, service, matrices):
        """(placements of a service that are known, why others are not). What was measured was measured with a plan: it is kept with the results."""
        if service["device"] == "cpu":
            return {}, {}
        cards, kept = cards_by("memory.total"), self.state["plans"].setdefault(service["name"], {})
        made_for = {name: placement.identity(service, place, self.plan["image"], service["weights"], cards, service["free"])
                    for name, place in service["placements"].items() if placement.is_planned(place)}
        if any(kept[name]["made_for"] != made_for.get(name) for name in kept):
            self._forget([service["name"]])
            kept.clear()
        missing = {name: place for name, place in service["placements"].items() if name in made_for and name not in kept}
        found, failed = planned(self.plan, service, missing, matrices, self.deadline)
        kept.update({name: {"made_for": made_for[name], "placement": place} for name, place in found.items()})
        known = {name: kept[name]["placement"] if name in kept else place for name, place in service["placements"].items() if name not in failed}
        return known, failed

    def _runs(self, name):
        done = subprocess.run(["docker", "inspect", "--format", "{{.State.Running}}", name], capture_output=True, text=True, check=False)
        return done.stdout.strip() == "true"

    def sweep(self):
        """Measures until nothing is left to be measured, or no time for it.

        :returns: why it ended.
        """
        results = self.state["results"]
        while True:
            step = sweep.next_step(self.world, results, self.skipped)
            if step is None:
                return "no time for %d more" % len(self.skipped) if self.skipped else "everything was measured"
            seconds = sweep.estimate(self.world, results, step)
            if time.monotonic() + seconds > self.deadline:
                self.skipped.add(sweep.key(step))
                continue
            try:
                if step["kind"] == "alone":
                    found = measure_alone(self.plan, self.world, step, self.deadline)
                elif step["kind"] == "served":
                    found = measure_served(self.plan, self.world, step, self.deadline)
                else:
                    found = measure_together(self.plan, self.world, results, step, self.deadline)
            except OutOfTime:
                remove_containers()
                return "the time was over within a measurement, which does not count"
            # Somebody else was at work: what that left is no measure of these settings. Once more, and the calmer one counts.
            if step["kind"] == "alone" and unsteady(found) and time.monotonic() + found["seconds"] + TIDY < self.deadline:
                try:
                    found = calmer(found, measure_alone(self.plan, self.world, step, self.deadline))
                except OutOfTime:
                    remove_containers()
            results.append(dict(found, estimated=round(seconds, 1), date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))
            small_file.write_record(self.path, self.state)
            self.say("%d: %s: %s" % (len(results), titled(step), told(found)))

    def conclude(self, ended):
        """What is best, and where it stands: written into the state."""
        chosen = sweep.chosen(self.world, self.state["results"], self.plan["serve"])
        services = {}
        for service in self.world["services"]:
            found = chosen.get(service["name"])
            if not found:
                continue
            if service["device"] == "cpu":
                place = roofline.placed(found["alone"]["mean"], service["per_token"], self.state["bandwidth"], service["bytes"], self.host["cache"])
            else:
                place = {"limit": None, "percent": None, "reason": "a part of its weights is read from VRAM, whose bandwidth is another"}
            found["settings"]["plan"] = self.state["plans"].get(service["name"], {}).get(found["settings"]["placement"], {})
            services[service["name"]] = dict(found, model=service["hash"], model_name=service["model"], bytes=service["bytes"],
                                             per_token=service["per_token"], roofline=place)
        date = time.strftime("%Y-%m-%d", time.gmtime())
        for name, one in services.items():
            one["evidence"] = evidence(name, one, [other for other in services if other != name], date)
        self.state["result"] = {"date": date, "host": self.host["fingerprint"], "image": self.plan["image"], "image_tag": self.plan["image_tag"],
                                "serve": self.plan["serve"], "bandwidth": self.state["bandwidth"], "cache": self.host["cache"], "services": services,
                                "left_out": self.state["left_out"], "ended": ended, "seconds": round(time.monotonic() - self.begun)}
        small_file.write_record(self.path, self.state)
        for name, one in services.items():
            print("%s: %s" % (name, one["evidence"]), flush=True)
        for name, reason in self.state["left_out"].items():
            print("%s: not measured: %s" % (name, reason), flush=True)
        self.say("%s: %d measurements in %d s" % (ended, len(self.state["results"]), self.state["result"]["seconds"]))
