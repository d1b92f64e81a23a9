"""A DeepSeek-V3-shaped Oracle in its container: bench.yml sweeps placements, site.yml deploys the best, and it is asked in turns with others.

Random weights (tests/gpu/moe_model.py), as many layers as the machine's disk and minutes allow. Programs beside the host hold the rest of each card
(tests/gpu/filler.py), so that every plan has to do with the same VRAM. With two cards that is 3 to 1, as on the doctrine's machine.
"""
import hashlib
import json
import os
import shlex
import subprocess
import sys

from card_host import ORACLE, ROOT, moved
from gap import filler_on

GIB, MODEL = 1 << 30, "stand-in-for-deepseek-v3"
LAYERS, BUDGETS = {1: 6, 2: 9}, {1: (14,), 2: (22, 7.7)}  # by the number of cards; GiB that the programs leave of each
ALL = {"doctrine": {"gpu_layers": "3"}, "planned": {}, "pinned": {"load_mode": "none"}, "first_card": {"cards": 1},
       "experts_over_cards": {"others": "experts"}}
SWEPT = {1: ["planned", "pinned", "doctrine"], 2: ["experts_over_cards", "first_card", "planned", "doctrine"]}
IN_TURNS, ROUNDS, PROMPT, TOKENS = {1: ["doctrine"], 2: ["first_card", "planned", "doctrine"]}, 30, 512, 48


def model(host):
    """Writes the model where the host's store has it, and its hash."""
    path = host.store() / MODEL / "model.gguf"
    path.parent.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tests" / "gpu" / "moe_model.py"), "--layers", str(LAYERS[len(host.cards)]), "--dense", "1", str(path)]
    subprocess.run(command, check=True, env=dict(os.environ, PYTHONPATH=str(host.shared / "python")), stdout=subprocess.DEVNULL)
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": digest, "gb": round(path.stat().st_size / 1e9, 1), "layers": LAYERS[len(host.cards)]}


def variables(host, **oracle):
    """Of the site with that Oracle."""
    cards = len(host.cards)
    services = [dict({key: value for key, value in service.items() if key != "ladder"}, **(dict({
        "model": MODEL, "gpus": host.uuids, "placements": SWEPT[cards], "ladder": ["kv_to_ram"], "expected_word": "word", "context": 4096}, **oracle)
        if service["name"] == "oracle" else {})) for service in host.deployed_services()]
    placements = {name: ALL[name] for name in SWEPT[cards]}
    if cards > 1:
        placements["doctrine"] = {"gpu_layers": "5", "tensor_split": "60,40"}  # whole layers, as many as each card holds
    seen = json.loads((host.folder / "seen.json").read_text(encoding="utf-8"))["model"]
    catalogue = [{"name": MODEL, "architecture": "deepseek2", "files": [
        {"name": "model.gguf", "sha256": seen["sha256"], "source": {"url": "https://nowhere.invalid/model.gguf"}}]}]
    return {"bunker_services": services, "model_store_extra_models": catalogue, "inference_service_placements": placements,
            "inference_service_vram_free": 0.5, "vram_watch_warn": 0.3, "vram_watch_act": 0.1, "inference_service_speed_bound": 0}


def words_of(host):
    """The Oracle's words of llama-server, and the CPUs that it may use."""
    words, container = host.oracle_words()
    return words, container[container.index("--cpuset-cpus") + 1] if "--cpuset-cpus" in container else ""


PLACING = ("--n-gpu-layers", "--tensor-split", "--split-mode", "--load-mode", "--override-tensor")


def placed(words, place, port):
    """A service's words with another placement, port and address."""
    found, skip = [], False
    for word in words:
        skip, dropped = word in PLACING, skip or word in PLACING
        found += [] if dropped else [word]
    return moved(found, port) + place


def plan_words(host, name):
    """Words of a placement, as the host's bench planned it or as the inventory has it."""
    fact = json.loads(host.execute("cat /var/lib/protocol_omni/throughput/state.json 2>/dev/null || cat /etc/ansible/facts.d/protocol_omni_throughput.fact"))
    plan = fact.get("plans", {}).get("oracle", {}).get(name, {}).get("placement") or dict(ALL[name], gpus=host.uuids)
    words = ["--n-gpu-layers", str(plan["gpu_layers"])]
    for option, key in (("--tensor-split", "tensor_split"), ("--load-mode", "load_mode")):
        words += [option, plan[key]] if plan.get(key) else []
    return words + (["--override-tensor", ",".join(plan["tensor_overrides"])] if plan.get("tensor_overrides") else []), plan.get("gpus", host.uuids)


def begin_native(host, words, cpus, port):
    """The same program with the same words as a plain process of the host, from the image's files."""
    host.execute("mkdir -p /root/native && docker rm -f native >/dev/null 2>&1; docker create --name native %s >/dev/null && "
                 "docker export native | tar -x -C /root/native && docker rm native >/dev/null; cd /root/native && mkdir -p models dev proc && "
                 "mount --bind /srv/models/%s models && mount --rbind /dev dev && mount -t proc proc proc && "
                 "cp -P /usr/lib/x86_64-linux-gnu/libcuda.so* /usr/lib/x86_64-linux-gnu/libnvidia-* usr/lib/x86_64-linux-gnu/" % (host.oracle_image(), MODEL))
    command = "%s chroot /root/native /usr/bin/env CUDA_VISIBLE_DEVICES=%s LD_LIBRARY_PATH=/opt/llama:/usr/lib/x86_64-linux-gnu /opt/llama/llama-server %s" % (
        "taskset -c " + cpus if cpus else "", ",".join(host.uuids), " ".join(map(shlex.quote, words)))
    host.execute("setsid %s > /root/native.log 2>&1 < /dev/null & echo $! > /root/native.pid" % command)
    return "http://127.0.0.1:%d" % port


def end_native(host):
    # By its number: a pattern would find the shell that looks for it.
    host.execute("kill -9 $(cat /root/native.pid); sleep 1; cd /root/native && umount models proc; umount -l dev", check=False)


def placements(host):
    """Sweeps placements, deploys the best, restarts it, and asks it in turns with the others and with the same as a native process."""
    cards, found = len(host.cards), {"budget_gib": BUDGETS[len(host.cards)]}
    held = [filler_on(uuid, int(leave * 1024)) for uuid, leave in zip(host.uuids, found["budget_gib"])]
    host.write_inventory()
    try:
        changed = variables(host)
        # The first deployment is by the inventory's first name; the service is stopped for the sweep, because its cards hold no second one.
        found["first"] = host.play("large_first", changed=changed)
        host.execute("systemctl stop protocol-omni-oracle", check=False)
        found["bench"] = host.play("large_bench", "protocol_omni.bunker.bench", dict(
            changed, throughput_services=["oracle"], throughput_budget=280, throughput_repetitions=2, throughput_generate=32))
        log = host.execute("cat /var/log/protocol_omni/throughput.log 2>/dev/null || ls /var/log/protocol_omni", check=False)
        found["measured"] = log.splitlines()[-60:]
        found["deployed"] = host.play("large_deployed", changed=changed)
        found["claims"] = {name: [entry["status"], str(entry.get("observed"))[:600]] for name, entry in host.report().items()
                           if name in ("oracle.placed", "oracle.placement", "oracle.libcuda", "oracle.answers", "oracle.tuned")}
        before = words_of(host)
        host.execute("systemctl restart protocol-omni-oracle")
        found["restart"] = {"serves_after": host.wait_until(True, 180), "same_words": words_of(host) == before}
    finally:
        for filler in held:
            filler.end()
    words, cpus = before
    urls = {"service": ORACLE, "native": begin_native(host, placed(words, words_of_placement(words), 18200), cpus, 18200)}
    for number, name in enumerate(IN_TURNS[cards], 18201):
        place, gpus = plan_words(host, name)
        urls[name] = host.begin_server("turn-" + name, host.oracle_image(), gpus, MODEL, placed(words, place, number),
                                       *(("--cpuset-cpus", cpus) if cpus else ()))
    try:
        found["starts"] = {name: host.wait_until(True, 180, url) for name, url in urls.items()}
        found["in_turns"] = host.answers("turns.py %d %d %d %s" % (ROUNDS, PROMPT, TOKENS, " ".join(
            "%s=%s" % (name, url) for name, url in urls.items() if found["starts"][name] is not None)))
    finally:
        found["native_log"] = host.execute("tail -n 3 /root/native.log", check=False).splitlines()
        end_native(host)
        host.execute("docker rm -f %s" % " ".join("turn-" + name for name in IN_TURNS[cards]), check=False)
    return found


def words_of_placement(words):
    """Those of a service's words that place its weights."""
    return [one for number, word in enumerate(words) if word in PLACING for one in words[number:number + 2]]


STEPS = {"model": model, "placements": placements}
