"""Images that are not for this card, live: machine code of another family alone, PTX alone, and VMM off; each the site's own with another libggml-cuda.so.

The plugins are compiled on the machine, from the image's source with the image's options but one. Whatever the rules would refuse is put into the unit by hand,
as somebody would who knows better, and taken out again.
"""
import concurrent.futures
import os
import re
import shlex
import subprocess
import time

from card_host import ANSIBLE, HERE, ORACLE, ROOT, UNIT, moved

PLUGINS = "/srv/bundle/plugins"
SMALL = "smollm2-135m-instruct-q4_1"
CUDA_CACHE = "/var/cache/protocol_omni/cuda"


# Options of each plugin that differ from the image's. The first is never used but to die, so its kernels need not be fast.
VARIANTS = {"sm120": ["-DCMAKE_CUDA_ARCHITECTURES=120", "-DGGML_CUDA_FA=OFF", "-DCMAKE_CUDA_FLAGS=-Ofc=max"],
            "ptx": ["-DCMAKE_CUDA_ARCHITECTURES=90-virtual"], "no_vmm": ["-DCMAKE_CUDA_ARCHITECTURES=90", "-DGGML_CUDA_NO_VMM=ON"]}


def plugins(host):
    """Compiles the plugins side by side, some minutes. It needs the source alone, so it may begin while the parts are still on their way."""
    source, target = host.shared / "source", host.bundle / "plugins"
    source.mkdir(exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-xf", str(host.parts / "source.tar.xz"), "-C", str(source)], check=True)
    with concurrent.futures.ThreadPoolExecutor() as builds:
        seconds = builds.map(lambda name: compiled(source, host.shared / ("build-" + name), VARIANTS[name], target / (name + ".so")), host.variants)
        return {"compiled_in": dict(zip(host.variants, seconds))}


def compiled(source, build, options, target):
    """One plugin from the source; the seconds that it took."""
    begun = time.monotonic()
    environment = dict(os.environ, LDFLAGS="-Wl,--no-as-needed", PATH="/usr/local/cuda/bin:" + os.environ["PATH"])
    configure = ["cmake", "-G", "Ninja", "-S", str(source / "vendor" / "llama.cpp"), "-B", str(build), "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
                 "-DCMAKE_INSTALL_RPATH=$ORIGIN", *role_options(), *options]
    for words in (configure, ["cmake", "--build", str(build), "--target", "ggml-cuda", "--parallel", str(os.cpu_count() or 2)]):
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(words)[:200], done.stdout[-1500:]))
    subprocess.run(["strip", "--strip-unneeded", "-o", str(target), str(build / "bin" / "libggml-cuda.so")], check=True)
    return round(time.monotonic() - begun, 1)


def role_options():
    """The golden image's options for CMake, as the role has them, but for the processors' variants: only CUDA's backend is built."""
    text = (ROOT / "roles" / "golden_image" / "vars" / "main.yml").read_text(encoding="utf-8")
    rows = re.findall(r'^  ((?:CMAKE|BUILD|GGML|LLAMA)_[A-Z_]+): "?([A-Za-z]+)"?(?: #.*)?$', text, re.MULTILINE)
    assert len(rows) > 8, "roles/golden_image/vars/main.yml is written otherwise by now"
    return ["-D%s=%s" % row for row in rows if row[0] != "GGML_CPU_ALL_VARIANTS"]


def derived(host, plugin, tag, label=""):
    """The site's image with another plugin; its ID."""
    change = "--change %s" % shlex.quote("LABEL protocol_omni.bunker.input-hash=" + label) if label else ""
    return host.execute("docker rm -f derived >/dev/null 2>&1; docker create --name derived %s >/dev/null && "
                        "docker cp -q %s/%s.so derived:/opt/llama/libggml-cuda.so && docker commit %s derived %s && docker rm derived >/dev/null"
                        % (host.oracle_image(), PLUGINS, plugin, change, tag)).split()[-1]


def put(host, image):
    """Has the Oracle's unit run an image, past all rules, and starts it."""
    host.execute("sed -i 's/sha256:[0-9a-f]\\{64\\}/%s/' %s && systemctl daemon-reload && systemctl reset-failed; systemctl restart protocol-omni-oracle"
                 % (image, UNIT), check=False)


def readiness(host, image):
    """What the module says of an image and this card."""
    said = host.execute("%s localhost -m protocol_omni.bunker.cuda_readiness -a %s 2>&1" % (
        ANSIBLE, shlex.quote("image=%s patterns=libggml-cuda.so include_host_gpus=true" % image)), check=False)
    return re.findall(r'"(?:verdict|summary|msg|reason)": "([^"]*)"', said)[:4] or said[-600:]


def other_family(host):
    """Machine code for 12.0 alone on a card of 9.0: what preflight, the gate and verify say, and what llama-server really does."""
    host.write("/root/image_names.yml", (HERE / "image_names.yml").read_text(encoding="utf-8"))
    wanted, proven = {"golden_image_cuda_architectures": ["120"]}, host.oracle_image()
    host.play("names", "/root/image_names.yml", wanted)
    digest, tag, archive = re.search(r"names: (\S+) (\S+) (\S+?)\"", (host.logs / "names.log").read_text(encoding="utf-8")).groups()
    image = derived(host, "sm120", tag, digest)
    host.execute("docker save --output %s %s" % (archive, tag))
    found = {"plugin": readiness(host, tag), "preflight": host.play("other_family", changed=wanted)}
    found["gate"] = host.play("other_family_lowered", changed=dict(wanted, preflight_lowered=["gpu_family"]))
    found["after_the_gate"] = {"alive": host.is_alive(), "image_is_the_proven_one": host.oracle_image() == proven}
    put(host, image)
    begun, seen = time.monotonic(), []
    while time.monotonic() - begun < 45 and "failed" not in seen:
        state = host.execute("systemctl is-active protocol-omni-oracle", check=False).strip()
        seen += [state] if seen[-1:] != [state] else []
        time.sleep(0.5)
    found["forced"] = {"states": seen, "alive": host.is_alive(), **host.says(lines=120)}
    host.play("forced", "protocol_omni.bunker.verify")
    found["claims"] = {name: entry for name, entry in host.not_holding().items() if name.startswith("oracle.") or name.startswith("image.")}
    put(host, proven)
    found["back"] = {"serves_after": host.wait_until(True, 60), "answer": host.ask(address=ORACLE)}
    host.execute("docker image rm %s; rm -f %s" % (tag, archive), check=False)
    return found


def first_start(host, image):
    """Seconds of a start with an empty cache of compiled kernels, of the first answer after it, and of a second start."""
    host.execute("systemctl stop protocol-omni-oracle; rm -rf %s/*" % CUDA_CACHE, check=False)
    begun = time.monotonic()
    put(host, image)
    found = {"healthy_after": host.wait_until(True, 300), "first_answer": host.ask(address=ORACLE, tokens=64)}
    found["answered_after"] = round(time.monotonic() - begun, 1)
    found["cache_mb"] = round(int(host.execute("du -sb %s | cut -f1" % CUDA_CACHE).strip()) / 1e6, 1)
    begun = time.monotonic()
    put(host, image)
    host.wait_until(True, 300)
    found["second_answer"] = host.ask(address=ORACLE, tokens=64)
    found["second_start_answered_after"] = round(time.monotonic() - begun, 1)
    return found


def ptx_only(host):
    """An image whose kernels the driver compiles at load: named so, and its first start timed against the native one."""
    proven, image = host.oracle_image(), derived(host, "ptx", "omni/ptx-only:test")
    found = {"plugin": readiness(host, image), "ptx": first_start(host, image), "native": first_start(host, proven)}
    host.execute("docker image rm omni/ptx-only:test", check=False)
    return found


def vmm(host):
    """VMM off against on, native kernels both: two containers on the card, asked in turns."""
    proven, image = host.oracle_image(), derived(host, "no_vmm", "omni/no-vmm:test")
    urls = []
    for number, (name, one) in enumerate((("on", proven), ("off", image)), 18100):
        url = host.begin_server("vmm-" + name, one, host.uuids[:1], SMALL, moved(host.oracle_words()[0], number))
        urls.append("%s=%s" % (name, url))
        host.wait_until(True, 60, url)
    found = {"in_turns": host.answers("turns.py 30 512 128 %s" % " ".join(urls)),
             "said": {name: host.execute("docker logs vmm-%s 2>&1 | grep -m 3 -i vmm" % name, check=False).splitlines() for name in ("on", "off")}}
    host.execute("docker rm -f vmm-on vmm-off; docker image rm omni/no-vmm:test", check=False)
    return found


STEPS = {"other_family": other_family, "ptx_only": ptx_only, "vmm": vmm}
