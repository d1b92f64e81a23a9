# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the weights of a mixture of experts should lie: named placements against the doctrine's split of layers, in one run, at one budget of VRAM.

    python3 tests/gpu/placement_speed.py --binaries BUILD/bin --model /dev/shm/moe.gguf [--share 0.36] [--ratio 96:32] [--search] [--pairs 30] RESULT.json

The budget is so much of the model's bytes, over all cards that CUDA shows, in equal parts or as the ratio says. The doctrine's split gets as many whole
layers as fit; planned placements get the same budget through llama-fit-params, by the code that the role uses (plugins/module_utils/placement.py). VRAM is
read from the driver while llama-bench runs, and a placement that took more than the budget is marked so. With --search, all other reasonable placements of
the same budget are measured too: experts of the first, the last or the middle layers on the card, whole layers or parts of many, in each way. With --pairs,
servers are asked in turns (in_turns.py): with the doctrine's split, with the plan and with the plan and --load-mode none; after a search, with the plan and
with the three best that it found; over several cards, with the plan, with that for the first card and with that which has experts alone on the others.
The percentage of the roofline is that of the time that reading each token's weights takes, from RAM and from VRAM, at
bandwidths measured before. Needs no container engine.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "bench"), str(ROOT / "tests")]

import filler  # noqa: E402
import in_turns  # noqa: E402
from support import provenance  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, memory_bandwidth, model_memory, placement  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import roofline  # noqa: E402

MIB = 1 << 20
CONTEXT, MICRO_BATCH = 8192, 512
OVERHEAD = 1.03  # of the budget: allocations are rounded, and the driver's own share differs by placement
PARTS = ["up", "gate", "down"]
PART = r"blk\.%d\.ffn_(%s)_exps=CPU"


class Cards:
    """The cards that CUDA shows, by nvidia-smi."""

    def __init__(self):
        rows = self._ask("uuid", "name", "memory.used", "memory.total")
        shown = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        rows = [row for row in rows if not shown or row[0] in shown]
        self.uuids, self.names = [row[0] for row in rows], [row[1] for row in rows]
        self.before, self.total = [int(row[2]) for row in rows], [int(row[3]) for row in rows]

    @staticmethod
    def _ask(*columns):
        done = subprocess.run(["nvidia-smi", "--query-gpu=" + ",".join(columns), "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True)
        return [[field.strip() for field in line.split(",")] for line in done.stdout.splitlines()]

    def used(self):
        """MiB that were not taken before, of each card."""
        rows = dict(self._ask("uuid", "memory.used"))
        return [int(rows[uuid]) - before for uuid, before in zip(self.uuids, self.before)]


def vram_bandwidth():
    """Bytes a second that copying within the first card reads and writes."""
    import ctypes
    card, size, times = filler.Card(), 2 << 30, []
    source, target = ctypes.c_uint64(), ctypes.c_uint64()
    for one in (source, target):
        if card.driver.cuMemAlloc_v2(ctypes.byref(one), ctypes.c_size_t(size)):
            raise SystemExit("no 4 GiB of VRAM are free")
    for _turn in range(6):
        begun = time.perf_counter()
        for _copy in range(10):
            card.driver.cuMemcpyDtoD_v2(target, source, ctypes.c_size_t(size))
        card.driver.cuCtxSynchronize()
        times.append(time.perf_counter() - begun)
    for one in (source, target):
        card.driver.cuMemFree_v2(one)
    return 2 * size * 10 / min(times)


class Bench:
    """llama-bench with placements, and what it took."""

    def __init__(self, options, cards):
        self.options, self.cards = options, cards
        self.metadata, self.tensors = gguf.read_model([options.model])
        self.layers = self.metadata["deepseek2.block_count"]
        self.experts = sorted(model_memory.expert_bytes(self.tensors))

    def words(self, place, repetitions):
        return [str(self.options.binaries / "llama-bench"), "--model", str(self.options.model), "--threads", str(self.options.threads),
                "--ubatch-size", str(MICRO_BATCH), "--n-prompt", str(in_turns.PROMPT), "--n-gen", str(in_turns.GENERATE),
                "--repetitions", str(repetitions), "--output", "json",
                *placement.bench_words(place)]

    def run(self, name, place, repetitions=3):
        """One placement: speeds, MiB of VRAM, and where it stands."""
        peak, done = [0] * len(self.cards.uuids), threading.Event()

        def look():
            while not done.wait(0.15):
                peak[:] = [max(one, other) for one, other in zip(peak, self.cards.used())]
        looking = threading.Thread(target=look)
        looking.start()
        begun = time.monotonic()
        environment = dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(place["gpus"]))
        try:
            ran = subprocess.run(self.words(place, repetitions), capture_output=True, text=True, env=environment, timeout=self.options.longest, check=False)
        except subprocess.TimeoutExpired:
            ran = None
        finally:
            done.set()
            looking.join()
        found = {"name": name, "placement": {key: value for key, value in place.items() if key != "gpus" and value}, "cards": len(place["gpus"]),
                 "vram_mib": peak, "seconds": round(time.monotonic() - begun, 1)}
        if ran is None or ran.returncode:
            return dict(found, failed=(ran.stderr[-300:] if ran else "longer than %d s" % self.options.longest))
        for entry in json.loads(ran.stdout):
            what = "generation" if entry["n_gen"] else "prompt"
            found[what], found[what + "_samples"] = round(statistics.median(entry["samples_ts"]), 2), [round(one, 2) for one in entry["samples_ts"]]
        found["limit"] = round(1 / self.seconds_a_token(place), 1)
        found["percent_of_roofline"] = round(100 * found["generation"] / found["limit"], 1)
        return found

    def seconds_a_token(self, place):
        """That reading its weights takes, from where they lie."""
        first = max(self.layers + 1 - int(place["gpu_layers"]), 0)
        shares = {"gpu": 0.0, "cpu": 0.0}
        for name, size in self.tensors.items():
            per_token = roofline.bytes_per_token(self.metadata, {name: size, **({} if name != "token_embd.weight" else {"output.weight": 1})})
            layer = roofline.LAYER.match(name)
            on_card = (int(layer.group(1)) >= first if layer else int(place["gpu_layers"]) > 0) and placement.overridden(place, name) != "CPU"
            shares["gpu" if on_card else "cpu"] += per_token
        return shares["gpu"] / self.options.vram_bandwidth + shares["cpu"] / self.options.ram_bandwidth

    def planned(self, place, budgets):
        """A placement by llama-fit-params, with a target that leaves what the budget does not hold."""
        free = [total - before for total, before in zip(self.cards.total, self.cards.before)]

        def fit(place, _kept):
            kept = [max(int(one - budget), 0) for one, budget in zip(free, budgets)][:len(place["gpus"])]
            service = {"context": CONTEXT, "micro_batch": MICRO_BATCH}
            words = placement.fit_words(dict(service, extra_arguments=[]), place, str(self.options.model), kept)
            # llama-bench has no context but what it fills, so the plan is made for that.
            words[words.index("--ctx-size") + 1] = "1024"
            ran = subprocess.run([str(self.options.binaries / "llama-fit-params"), *words], capture_output=True, text=True, check=False,
                                 env=dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(place["gpus"])))
            return ran.stdout, ""
        cards = {uuid: int(budget * MIB) for uuid, budget in zip(self.cards.uuids, budgets)}
        return placement.planned(place, 0, fit, cards, model_memory.expert_matrices(self.tensors))


def whole_layer(bench):
    """MiB of a layer with its experts, and of what is computed with for it."""
    return max(model_memory.expert_bytes(bench.tensors).values()) / MIB * 1.05


def place_of(gpus, **values):
    return dict({"gpus": gpus, "gpu_layers": "999", "tensor_split": "", "tensor_overrides": [], "split_mode": "", "load_mode": ""}, **values)


def search(bench, gpus, budget, base):
    """Other placements of the budget on one card: each layer's experts are three matrices, and as many of these as fit are on the card, in each of these
    orders: first, last or middle layers first; whole layers, or one of the three of all layers; beginning with each of the three.

    :param base: MiB of VRAM that is taken with all experts in RAM.
    """
    sizes, layers = model_memory.expert_bytes(bench.tensors), bench.experts
    fit, seen = max(int((budget * OVERHEAD - base) // (max(sizes.values()) / MIB / len(PARTS))), 0), []
    middle = layers[len(layers) // 2]
    for where, order in (("first", layers), ("last", layers[::-1]), ("middle", sorted(layers, key=lambda layer: abs(layer - middle)))):
        for turn in range(len(PARTS)):
            parts = PARTS[turn:] + PARTS[:turn]
            by_layer, by_part = [(layer, part) for layer in order for part in parts], [(layer, part) for part in parts for layer in order]
            for by, matrices in (("by layer", by_layer), ("by part", by_part)):
                in_ram = {}
                for layer, part in sorted(matrices[fit:]):
                    in_ram.setdefault(layer, []).append(part)
                overrides = [PART % (layer, "|".join(found)) for layer, found in sorted(in_ram.items())]
                if overrides not in seen:
                    seen.append(overrides)
                    yield "%s layers, %s, %s" % (where, by, " ".join(parts)), place_of(gpus, tensor_overrides=overrides)


def whole_layers_over(bench, gpus, budgets):
    """Ways to use several cards without a plan: layers as each card holds them, and on the first card alone."""
    layer = whole_layer(bench)
    whole = [int(budget // layer) for budget in budgets]
    yield "layers as each card holds them", place_of(gpus, gpu_layers=str(sum(whole) + 1), tensor_split=",".join(map(str, whole[:-1] + [whole[-1] + 1])))
    yield "layers on the first card", place_of(gpus[:1], gpu_layers=str(whole[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--share", type=float, default=0.36, help="of the model's bytes, over all cards")
    parser.add_argument("--ratio", default="", help="of the cards' budgets, such as 96:32; equal without it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--pairs", type=int, default=0, help="rounds in which each server is asked once")
    parser.add_argument("--only", nargs="+", help="over several cards: names of those that are measured, such as planned; all without it")
    parser.add_argument("--longest", type=float, default=120, help="seconds of one placement")
    parser.add_argument("--ends", type=float, default=540, help="seconds after which no further one begins")
    parser.add_argument("result", type=pathlib.Path)
    options = parser.parse_args()
    begun, cards = time.monotonic(), Cards()
    if options.only and len(cards.uuids) < 2:
        parser.error("--only %s: it is for several cards, and CUDA shows %d" % (" ".join(options.only), len(cards.uuids)))
    options.ram_bandwidth, options.vram_bandwidth = memory_bandwidth.measure(options.threads, 2.0), vram_bandwidth()
    bench = Bench(options, cards)
    whole = sum(bench.tensors.values()) / MIB * options.share
    shares = [float(one) for one in options.ratio.split(":")] if options.ratio else [1.0] * len(cards.uuids)
    budgets = [whole * one / sum(shares) for one in shares]
    places = {}
    command = "python3 tests/gpu/placement_speed.py " + " ".join(sys.argv[1:])
    result = {"provenance": provenance.made("tests/gpu/results/%s" % options.result.name, command=command), "cards": cards.names,
              "cpus": os.cpu_count(), "threads": options.threads, "model": {"file": options.model.name, "mb": round(sum(bench.tensors.values()) / 1e6),
              "layers": bench.layers, "layers_with_experts": len(bench.experts)}, "budget_mib": [round(one) for one in budgets],
              "ram_gb_per_second": round(options.ram_bandwidth / 1e9, 1), "vram_gb_per_second": round(options.vram_bandwidth / 1e9, 1), "measured": []}

    def is_asked_for(name):
        return not options.only or name in options.only

    def measure(name, place):
        if not is_asked_for(name):
            return None
        if time.monotonic() - begun > options.ends:
            result["measured"].append({"name": name, "failed": "no time"})
            return None
        found, places[name] = bench.run(name, place), place
        found["within_budget"] = all(used <= budget * OVERHEAD for used, budget in zip(found["vram_mib"], budgets))
        result["measured"].append(found)
        print(json.dumps({key: value for key, value in found.items() if key not in ("generation_samples", "prompt_samples")}), flush=True)
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        return found

    def plan(name, gpus, **values):
        """A planned placement; where it takes more than the budget, another one with that much less."""
        wanted = list(budgets)
        for turn in range(3 if is_asked_for(name) else 0):  # llama-fit-params takes seconds
            found = measure(name, bench.planned(place_of(gpus, gpu_layers="auto", **values), wanted))
            if not found or found["within_budget"]:
                break
            wanted = [want - max(used - budget, 0) for want, used, budget in zip(wanted, found["vram_mib"], budgets)]
            found["name"] += ", turn %d" % (turn + 1)

    # As many whole layers as the budget holds, by the model's bytes; then one more and one less, because what is computed with takes room too.
    whole_layers = int(whole // whole_layer(bench))
    split = ",".join("%g" % (100 * one / sum(shares)) for one in shares) if len(shares) > 1 else ""
    for layers in (whole_layers, whole_layers + 1):
        measure("doctrine, %d layers" % layers, place_of(cards.uuids, gpu_layers=str(layers), tensor_split=split))
        if len(cards.uuids) > 1:
            break
    plan("planned", cards.uuids)
    bare = measure("experts in RAM", place_of(cards.uuids[:1], tensor_overrides=["exps=CPU"]))
    others = []
    if len(cards.uuids) > 1:
        plan("first_card", cards.uuids[:1])
        plan("experts_over_cards", cards.uuids, others="experts")
        others = whole_layers_over(bench, cards.uuids, budgets)
    else:
        measure("pinned", dict(places["planned"], load_mode="none"))
    if options.search and len(cards.uuids) == 1:
        others = search(bench, cards.uuids, budgets[0], bare["vram_mib"][0])
    for name, place in others:
        measure(name, place)
    if options.pairs:
        fitting = [found for found in result["measured"] if found.get("generation") and found["within_budget"]]

        def best(names):
            return sorted((found for found in fitting if names(found["name"])), key=lambda found: -found["generation"])
        if options.search:
            asked = {name: places[name] for name in ["planned", *(one["name"] for one in best(lambda name: " layers, by " in name)[:3])]}
        elif len(cards.uuids) > 1:
            asked = {name: places[name] for name in ("planned", "first_card", "experts_over_cards") if name in places}
        else:
            doctrine = best(lambda name: name.startswith("doctrine,"))[0]["name"]
            asked = {name: places[name] for name in (doctrine, "planned", "pinned")}
        result["in_turns"] = {"rounds": options.pairs, "servers": in_turns.ask(bench, asked, options.pairs)}
        print(json.dumps(result["in_turns"]), flush=True)
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("written to", options.result)


if __name__ == "__main__":
    main()
