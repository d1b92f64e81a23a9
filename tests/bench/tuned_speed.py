"""How fast a service is with what was measured best, against the doctrine's command line, llama.cpp's own defaults and every other number of threads.

    tuned_speed.py --image omni/llama-server:TAG --model /srv/models/NAME/FILE.gguf --threads 2 [--cpuset 0-1] [--rounds 30] [--result FILE]

Run it on the host as root, with paired.py beside it, while nothing else is at work: each round runs llama-bench once in each way, in an order of its own, so
that what disturbs the machine disturbs all of them. Prints JSON: tokens per second of each way (medians) and, for each other way, the ratio of the tuned one to
it, the median over the rounds with its 95 % interval. Ways: "tuned" (the options above), "doctrine" (--threads 192, of the doctrine's Executor), "default" (no
option) and each number of threads up to twice the CPUs, anywhere and each on a CPU of its own. Of a slow way fewer tokens are asked for, in fewer rounds.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import statistics
import subprocess
import time

from paired import ratio

DOCTRINE = ["--threads", "192"]
SLOW_ROUNDS = 5  # of a way that takes more than SLOW seconds
SLOW = 20


def ways_of(threads, cpuset, cpus):
    """Name to (options of the engine, options of llama-bench)."""
    placed = ["--cpuset-cpus", cpuset] if cpuset else []
    ways = {"tuned": (placed, ["--threads", str(threads)]), "doctrine": ([], DOCTRINE), "default": ([], [])}
    for count in range(1, 2 * cpus + 1):
        ways["%d anywhere" % count] = ([], ["--threads", str(count)])
        if count <= cpus:
            ways["%d, one CPU each" % count] = ([], ["--threads", str(count), "--cpu-mask", hex((1 << count) - 1), "--cpu-strict", "1"])
    return ways


def once(image, model, way, prompt, generate):
    """One llama-bench: ({"generation", "prompt"} in tokens per second, seconds that it took)."""
    begun = time.monotonic()
    done = subprocess.run(["docker", "run", "--rm", "--pull", "never", "--network", "none", "--volume", "%s:/models:ro" % model.parent, *way[0],
                           "--entrypoint", "/opt/llama/llama-bench", image, "--model", "/models/" + model.name, "--n-gpu-layers", "0",
                           "--n-prompt", str(prompt), "--n-gen", str(generate), "--repetitions", "1", "--output", "json", *way[1]],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("llama-bench %s ends with %d: %s" % (" ".join(way[1]), done.returncode, done.stderr[-500:]))
    return {"generation" if entry["n_gen"] else "prompt": entry["avg_ts"] for entry in json.loads(done.stdout)}, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--image", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--cpuset", default="")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--result", type=pathlib.Path)
    arguments = parser.parse_args()
    ways = ways_of(arguments.threads, arguments.cpuset, os.cpu_count())
    found, seconds = {name: {} for name in ways}, {}
    for number in range(arguments.rounds):
        order = [name for name in ways if number < SLOW_ROUNDS or seconds[name] < SLOW]
        random.Random(number).shuffle(order)
        for name in order:
            few = 8 if name == "doctrine" else 1  # its threads wait for each other: a whole request would take minutes
            found[name][number], seconds[name] = once(arguments.image, arguments.model, ways[name], arguments.prompt // few, arguments.generate // few)
    against = {}
    for name in ways:
        if name != "tuned":
            against[name] = {what: ratio([(found["tuned"][number][what], found[name][number][what]) for number in found[name]])
                             for what in ("generation", "prompt")}
    speeds = {name: {what: round(statistics.median(one[what] for one in found[name].values()), 3) for what in ("generation", "prompt")} for name in ways}
    swept = {name: one for name, one in speeds.items() if name not in ("tuned", "default", "doctrine")}
    best = max(swept, key=lambda name: swept[name]["generation"])
    result = {"command": "tuned_speed.py --model %s --threads %d --cpuset '%s' --rounds %d" % (
        arguments.model.name, arguments.threads, arguments.cpuset, arguments.rounds), "date": datetime.date.today().isoformat(), "cpus": os.cpu_count(),
        "model_mb": round(arguments.model.stat().st_size / 1e6, 1), "tokens_per_second": speeds, "tuned_to": against, "best_of_sweep": best,
        "tuned_to_best": against[best]}
    text = json.dumps(result, indent=1)
    if arguments.result:
        arguments.result.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
