"""What a driver of several cards makes of UUIDs: CUDA's order, a card that is not there, and what the unit of a service asks before each start.

    python3 tests/gpu/cards_by_uuid.py tests/gpu/results/cards_by_uuid.json      # two cards or more; as root, which hides a card from itself; jinja2

The card that is not there is one that no host has, and one of this host's whose device file is hidden in a mount namespace of its own, which the kernel
still has. No card's settings are touched.
"""
import ctypes
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

import filler
from common import ROOT, write

sys.path.insert(0, str(ROOT / "tests" / "unit" / "roles"))
from unit_of_service import gpu_checks  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import placement  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.host import read_host  # noqa: E402

NOBODYS = "GPU-00000000-0000-0000-0000-000000000000"
HOLD = 1 << 30  # bytes that a process takes of the first card that it sees


def listed():
    """UUID to minor number of the device file, in the order of the driver's indices."""
    text = subprocess.run(["nvidia-smi", "-q"], capture_output=True, text=True, check=True).stdout
    return dict(zip(re.findall(r"GPU UUID +: (\S+)", text), map(int, re.findall(r"Minor Number +: (\d+)", text))))


def used():
    """UUID to bytes in use."""
    query = ["nvidia-smi", "--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits"]
    return placement.cards_of(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


def seen_by_cuda(gpus, *before):
    """UUIDs in the order that a process with these in CUDA_VISIBLE_DEVICES sees; [] where there is none.

    :param before: words of a command that runs it.
    """
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(gpus))
    ran = subprocess.run([*before, sys.executable, __file__, "--see"], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def see():
    """The other side of :func:`seen_by_cuda`."""
    driver, count, found = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), []
    if driver.cuInit(0) == 0:
        driver.cuDeviceGetCount(ctypes.byref(count))
    for number in range(count.value):
        device, name = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetUuid_v2(ctypes.byref(name), device)
        found.append("GPU-%s" % uuid.UUID(bytes=bytes(name)))
    print(json.dumps(found))


def taken_from(gpus):
    """UUIDs of the cards that have lost memory to a process that takes some of the first one that it sees."""
    before = used()
    program = "import filler, sys; card = filler.Card(); print(card.take(%d), flush=True); sys.stdin.readline()" % HOLD
    with subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ, CUDA_VISIBLE_DEVICES=",".join(gpus)), cwd=pathlib.Path(filler.__file__).parent,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        after = used()
        holder.communicate("\n")
    return [gpu for gpu in after if after[gpu] - before[gpu] >= HOLD]


def unit_starts(gpus, *before):
    """What the unit's own commands say: "starts", or the UUID that it names."""
    for command in gpu_checks(gpus):
        ran = subprocess.run([*before, *command], capture_output=True, text=True, check=False)
        if ran.returncode:
            return re.search(r"oracle does not start: the driver shows no (GPU-[0-9a-f-]+)\.", ran.stdout).group(1)
    return "starts"


def cases(cards):
    """(what, found, expected), UUIDs written as card 0, card 1, …"""
    gpus = list(cards)
    for order in itertools.permutations(gpus, 2):
        yield "CUDA's order of %s", order, seen_by_cuda(order), list(order)
        yield "the first card of %s", order, taken_from(order), [order[0]]
        yield "the unit with %s", order, unit_starts(list(order)), "starts"
    first, second = gpus[:2]
    yield "CUDA with %s", (first, NOBODYS), seen_by_cuda([first, NOBODYS]), [first]
    yield "CUDA with %s", (NOBODYS, first), seen_by_cuda([NOBODYS, first]), []
    for order in ([first, NOBODYS], [NOBODYS, first]):
        yield "the unit with %s", order, unit_starts(order), NOBODYS
    for hidden, left in ((second, first), (first, second)):
        unshare = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /dev/nvidia%d && exec "$@"' % cards[hidden], "sh"]
        yield "the unit, the second of %s hidden", (left, hidden), unit_starts([left, hidden], *unshare), hidden
        yield "the unit, the first of %s hidden", (hidden, left), unit_starts([hidden, left], *unshare), hidden
        yield "the unit with %s alone, another one hidden", (left,), unit_starts([left], *unshare), "starts"
        yield "CUDA with %s, another one hidden", (left,), seen_by_cuda([left], *unshare), [left]


def main():
    host, cards = read_host(), listed()
    if len(cards) < 2:
        sys.exit("%d card: this needs two or more" % len(cards))
    names = {gpu: "card %d" % number for number, gpu in enumerate(cards)}
    names[NOBODYS] = "one that no host has"

    def known(value):  # the cards' identity stays on the machine
        return names.get(value, value) if isinstance(value, str) else [names.get(gpu, gpu) for gpu in value]
    found = [{"case": what % " and ".join(known(gpus)), "found": known(one), "expected": known(other), "agree": one == other}
             for what, gpus, one, other in cases(cards)]
    write(sys.argv[1], host, found)


if __name__ == "__main__":
    see() if sys.argv[1:] == ["--see"] else main()
