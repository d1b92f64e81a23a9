# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the weights of a mixture of experts should lie: named placements against the doctrine's split of layers, in one run, at one budget of VRAM.

    python3 tests/gpu/placement_speed.py --binaries BUILD/bin --model /dev/shm/moe.gguf [--share 0.36] [--ratio 96:32] [--search] RESULT.json

The budget is so much of the model's bytes, over all cards that CUDA shows, in equal parts or as the ratio says. The doctrine's split gets as many whole
layers as fit; planned placements get the same budget through llama-fit-params, by the code that the role uses (plugins/module_utils/placement.py). VRAM is
read from the driver while llama-bench runs, and a placement that took more than the budget is marked so. With --search, all other reasonable placements of
the same budget are measured too: experts of the first, the last or the middle layers on the cards, and one layer split between card and RAM in each way.
The percentage of the roofline is that of the time that reading each token's weights takes, from RAM and from VRAM, at bandwidths measured before. Needs no
container engine.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

import filler  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf, memory_bandwidth, model_memory, placement  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import roofline  # noqa: E402

MIB = 1 << 20
CONTEXT, MICRO_BATCH = 8192, 512
OVERHEAD = 1.03  # of the budget: allocations are rounded, and the driver's own share differs by placement
EXPERTS = r"blk\.%d\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"
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
        with open(options.model, "rb") as stream:
            self.metadata = gguf.read_metadata(stream)
            stream.seek(0)
            self.tensors = gguf.read_tensors(stream)
        self.layers = self.metadata["deepseek2.block_count"]
        self.experts = sorted(model_memory.expert_bytes(self.tensors))

    def words(self, place, repetitions):
        return [str(self.options.binaries / "llama-bench"), "--model", str(self.options.model), "--threads", str(self.options.threads),
                "--ubatch-size", str(MICRO_BATCH), "--n-prompt", "512", "--n-gen", "48", "--repetitions", str(repetitions), "--output", "json",
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
            on_card = (int(layer.group(1)) >= first if layer else int(place["gpu_layers"]) > 0) and not placement.overridden(place, name)
            shares["gpu" if on_card else "cpu"] += per_token
        return shares["gpu"] / self.options.vram_bandwidth + shares["cpu"] / self.options.ram_bandwidth

    def planned(self, place, budgets):
        """A placement by llama-fit-params, with a target that leaves what the budget does not hold."""
        free = [total - before for total, before in zip(self.cards.total, self.cards.before)]
        kept = [max(int(one - budget), 0) for one, budget in zip(free, budgets)][:len(place["gpus"])]
        service = {"context": CONTEXT, "micro_batch": MICRO_BATCH}
        words = placement.fit_words(dict(service, extra_arguments=[]), place, str(self.options.model), 0)
        words[words.index("--fit-target") + 1] = ",".join(str(one) for one in kept)
        # llama-bench has no context but what it fills, so the plan is made for that.
        words[words.index("--ctx-size") + 1] = "1024"
        ran = subprocess.run([str(self.options.binaries / "llama-fit-params"), *words], capture_output=True, text=True, check=False,
                             env=dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(place["gpus"])))
        return placement.of_fit(place, ran.stdout)


def place_of(gpus, **values):
    return dict({"gpus": gpus, "gpu_layers": "999", "tensor_split": "", "tensor_overrides": [], "split_mode": ""}, **values)


def search(bench, gpus, budget):
    """Other placements of the budget on one card: which layers' experts are there, and how the one that fits in part is split."""
    experts, sizes = bench.experts, model_memory.expert_bytes(bench.tensors)
    size = max(sizes.values()) / MIB
    dense = sum(bytes_ for name, bytes_ in bench.tensors.items() if not model_memory.EXPERTS.match(name) and name != "token_embd.weight") / MIB
    fit = max(int((budget - dense) // size), 0)
    for count in sorted({fit, fit + 1, max(fit - 1, 0)}):
        for where, kept in (("first", experts[:count]), ("last", experts[len(experts) - count:]), ("middle", experts[(len(experts) - count) // 2:][:count])):
            others = [number for number in experts if number not in kept]
            yield "%s %d layers' experts" % (where, count), place_of(gpus, tensor_overrides=[EXPERTS % number for number in others])
            for parts in ("up|gate", "down|gate", "down", "gate", "up") if where == "first" and others else ():
                yield "%s %d and of the next all but %s" % (where, count, parts), place_of(
                    gpus, tensor_overrides=[PART % (others[0], parts)] + [EXPERTS % number for number in others[1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--share", type=float, default=0.36, help="of the model's bytes, over all cards")
    parser.add_argument("--ratio", default="", help="of the cards' budgets, such as 96:32; equal without it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--longest", type=float, default=120, help="seconds of one placement")
    parser.add_argument("--ends", type=float, default=540, help="seconds after which no further one begins")
    parser.add_argument("result", type=pathlib.Path)
    options = parser.parse_args()
    begun, cards = time.monotonic(), Cards()
    options.ram_bandwidth, options.vram_bandwidth = memory_bandwidth.measure(options.threads, 2.0), vram_bandwidth()
    bench = Bench(options, cards)
    whole = sum(bench.tensors.values()) / MIB * options.share
    ratio = [float(one) for one in options.ratio.split(":")] if options.ratio else [1.0] * len(cards.uuids)
    budgets = [whole * one / sum(ratio) for one in ratio]
    result = {"command": "placement_speed.py " + " ".join(sys.argv[1:]), "date": datetime.date.today().isoformat(), "cards": cards.names,
              "cpus": os.cpu_count(), "threads": options.threads, "model": {"file": options.model.name, "mb": round(sum(bench.tensors.values()) / 1e6),
              "layers": bench.layers, "layers_with_experts": len(bench.experts)}, "budget_mib": [round(one) for one in budgets],
              "ram_gb_per_second": round(options.ram_bandwidth / 1e9, 1), "vram_gb_per_second": round(options.vram_bandwidth / 1e9, 1), "measured": []}

    def measure(name, place):
        if time.monotonic() - begun > options.ends:
            result["measured"].append({"name": name, "failed": "no time"})
            return
        found = bench.run(name, place)
        found["within_budget"] = all(used <= budget * OVERHEAD for used, budget in zip(found["vram_mib"], budgets))
        result["measured"].append(found)
        print(json.dumps({key: value for key, value in found.items() if key not in ("generation_samples", "prompt_samples")}), flush=True)
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    # As many whole layers as the budget holds, by the model's bytes; then one more and one less, because what is computed with takes room too.
    per_layer = max(model_memory.expert_bytes(bench.tensors).values()) / MIB * 1.05
    whole_layers = int(whole // per_layer)
    split = ",".join("%g" % (100 * one / sum(ratio)) for one in ratio) if len(ratio) > 1 else ""
    for layers in (whole_layers, whole_layers + 1):
        measure("doctrine, %d layers" % layers, place_of(cards.uuids, gpu_layers=str(layers), tensor_split=split))
    open_ = place_of(cards.uuids, gpu_layers="auto")
    measure("planned", bench.planned(open_, budgets))
    if len(cards.uuids) > 1:
        measure("first_card", bench.planned(dict(open_, gpus=cards.uuids[:1]), budgets))
        measure("doctrine on the first card", place_of(cards.uuids[:1], gpu_layers=str(int(budgets[0] // per_layer))))
    measure("experts in RAM", place_of(cards.uuids[:1], tensor_overrides=["exps=CPU"]))
    if options.search:
        for name, place in search(bench, cards.uuids[:1], budgets[0]):
            measure(name, place)
    print("written to", options.result)


if __name__ == "__main__":
    main()
