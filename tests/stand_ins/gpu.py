"""A stand-in for a card with a fixed memory, on a host that has none: what stands in for NVML (nvml.c) reads what this writes.

    gpu.py TOTAL BASE          sizes in MiB; BASE is what the service holds at rung 0

The service, a real llama-server on the CPU, is taken to hold BASE less what the options of its present rung free, of a card that others fill too:
/var/lib/stand-in-gpu/others holds how many MiB they have, and is read ten times a second. Where the service does not fit beside them, it ends as on a real
card: llama.cpp's own words for it on its standard error, and it is gone. (By SIGKILL: the first process of a container does not end of a SIGABRT from outside.)
While /run/stand-in-gpu/wedged is there the card computes nothing: the service ends as soon as it is there, however often it is started.
"""
import os
import pathlib
import signal
import sys
import time

MIB = 2 ** 20
UUID = "GPU-5747616e-d2d1-4e64-a000-000000000001"
FOLDER, OTHERS = pathlib.Path("/run/stand-in-gpu"), pathlib.Path("/var/lib/stand-in-gpu/others")
SERVICE = b"oracle"
OUT_OF_MEMORY = "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 512.00 MiB on device 0: cudaMalloc failed: out of memory"
WEDGED = "CUDA error: unspecified launch failure"
# The KV cache of SmolLM2-135M with 8192 tokens, and the logits of a micro-batch, MiB.
KV, LOGITS = 180, 96


def freed(words):
    """MiB that the options of the present rung free against 8192 tokens and a micro-batch of 512."""
    value = {word: int(words[place + 1]) for place, word in enumerate(words) if word in (b"--ctx-size", b"--ubatch-size")}
    cache = 0 if b"--no-kv-offload" in words else KV * value[b"--ctx-size"] // 8192
    return KV - cache + LOGITS * (512 - value[b"--ubatch-size"]) // 512


def find():
    """(pid, arguments) of the service's process; (0, []) where it does not run."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/llama-server") and SERVICE in words:
            return int(path.parent.name), words
    return 0, []


def write(name, text):
    new = FOLDER / (name + ".new")
    new.write_text(text, encoding="ascii")
    new.rename(FOLDER / name)


def end(pid, words):
    """Ends the service, with llama.cpp's words."""
    try:
        with open("/proc/%d/fd/2" % pid, "w", encoding="ascii") as stream:
            stream.write(words + "\n")
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def main(total, base):
    FOLDER.mkdir(exist_ok=True)
    OTHERS.parent.mkdir(exist_ok=True)
    if not OTHERS.exists():
        OTHERS.write_text("0", encoding="ascii")
    killed, pid, words = 0, 0, []
    while True:
        if not pid or not pathlib.Path("/proc/%d" % pid).exists():
            pid, words = find()
        others = int(OTHERS.read_text(encoding="ascii") or 0)
        held = base - freed(words) if pid else 0
        wedged = (FOLDER / "wedged").exists()
        if pid and (wedged or held + others > total) and pid != killed:
            killed = pid
            if end(pid, WEDGED if wedged else OUT_OF_MEMORY) and not wedged:
                with open("/run/stand-in-gpu/killed", "a", encoding="ascii") as stream:
                    stream.write("%.2f\n" % time.time())
        if not (FOLDER / "lost").exists():
            write("cards", "%s Stand-in_GPU %d %d %d %d\n" % (UUID, total * MIB, min(held + others, total) * MIB, pid, held * MIB))
        else:
            write("cards", "")
        time.sleep(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
