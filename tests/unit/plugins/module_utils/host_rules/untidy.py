"""Hosts as people find them: pairs as in test_judge.py, which reads them. Constructed; the UUIDs are made up."""
from hosts import BOTH, CARD_32, CARD_96, GIB, OMNI_PRIME, changed, without_driver

SPLIT_96 = dict(CARD_96, mig=True)


def part(number, memory=23 * GIB, profile="1g.24gb", room=None, card="GPU-96"):
    """A slice of a card."""
    uuid = "MIG-%d" % number
    return {"uuid": uuid, "card": card, "profile": profile, "memory": memory, "memory_free": memory, "room": room or uuid}


def split(*parts, **changes):
    """The reference host, its large card split."""
    return changed(OMNI_PRIME, gpus=[SPLIT_96, CARD_32], slices=list(parts), **changes)


def on(*uuids, **changes):
    """The reference inventory with its Oracle on these."""
    return changed(BOTH, oracle__gpus=list(uuids), **changes)


def board(number, name, switches=(), **fabric):
    """A host with so many cards of a board, and an image for them."""
    cards = [dict(CARD_96, uuid="GPU-%d" % place, name=name, family="Hopper", capability="9.0", pci="0000:%02x:00.0" % (16 + place), mig=False)
             for place in range(number)]
    return changed(OMNI_PRIME, gpus=cards, fabric=dict({"switches": list(switches), "states": {}, "manager": None, "active": False}, **fabric))


def of_board(*numbers, **changes):
    """The reference inventory with its Oracle on cards of a board."""
    return on(*("GPU-%d" % number for number in numbers), **dict({"golden_image_cuda_architectures": ["90"]}, **changes))


def cpu(**facts):
    """The reference host with another processor."""
    return changed(OMNI_PRIME, cpu=facts)


def asks(card, words):
    """The reference host, whose driver says that its large card needs something."""
    return changed(OMNI_PRIME, gpus=[dict(card, recovery=words), CARD_32])


SWITCH = ["0000:07:00.0"]
RUNS = {"manager": "580.95.05", "active": True}
BARE_BOARD = changed(board(8, None, SWITCH), kernel={"nvidia": None, "nvidia_open": None}, gpus=[
    dict(without_driver(CARD_96), family="Hopper", capability="9.0")] * 8)

UNTIDY = {
    # MIG
    "a slice that is there": (split(part(1), part(2)), on("MIG-1"), []),
    "a slice that is not there": (split(part(1), part(2, profile="2g.48gb")), on("MIG-3"), [
        ("error", "gpu_exists", "service oracle: found MIG-3; needed one of MIG-1 (1g.24gb of GPU-96), MIG-2 (2g.48gb of GPU-96). "
                                "Copy the UUID from: nvidia-smi -L. A slice is made with: nvidia-smi -i 0000:01:00.0 -mig 1")]),
    "a slice, no card is split": (OMNI_PRIME, on("MIG-1"), [("error", "gpu_exists", "found MIG-1; needed a slice, of which the host has none")]),
    "a slice, no card can be split": (changed(OMNI_PRIME, gpus=[CARD_32]), on("MIG-1"), [
        ("error", "gpu_exists", "found MIG-1; needed a card: none of the host's can be split (MIG). Copy the UUID from: nvidia-smi -L. Name whole cards.")]),
    "slices that are gone after a boot": (split(), on("MIG-1"), [("error", "gpu_exists", "cgi PROFILE -C; it is gone after a boot")]),
    "the whole card, which is split": (split(part(1)), BOTH, [
        ("error", "gpu_exists", "found GPU-96 (NVIDIA RTX PRO 6000 Blackwell Workstation Edition), which is split (MIG); needed one of its slices: "
                                "MIG-1 (1g.24gb). Name a slice from nvidia-smi -L, or end the split: nvidia-smi -i 0000:01:00.0 -mig 0.")]),
    "the whole card, which is split into nothing": (split(), BOTH, [("error", "gpu_exists", "needed slices of it, of which it has none")]),
    "another card of the host is split": (split(part(1)), on("GPU-32"), []),
    "two slices": (split(part(1), part(2)), on("MIG-1", "MIG-2"), [("warning", "gpu_exists", "found MIG-1, MIG-2; needed one slice alone")]),
    "a slice and a card": (split(part(1)), on("MIG-1", "GPU-32"), [("warning", "gpu_exists", "found MIG-1, GPU-32; needed one slice alone")]),
    "a slice whose memory nobody says": (split(part(1, None, "1c.3g.48gb")), on("MIG-1"), [
        ("error", "gpu_readable", "slice MIG-1 of card GPU-96: found no memory that can be read of 1c.3g.48gb; needed its size")]),
    "another slice's memory is nobody's business": (split(part(1), part(2, None)), on("MIG-1"), []),
    "a slice counts in the fit": (split(part(1), memory={"total": 278 * GIB}), on("MIG-1"), [
        ("error", "model_fits", "needed at most 301.0 GiB of RAM and cards")]),  # 300 of the Oracle fit, 5 of the Executor besides do not
    "a slice is enough": (split(part(1), memory={"total": 282 * GIB}), on("MIG-1"), []),
    "a slice is no whole card in the fit": (split(part(1), memory={"total": 250 * GIB}), on("MIG-1"), [
        ("error", "model_fits", "service oracle: model big: found 300.0 GiB of weights and 0.0 GiB of KV cache for 8192 tokens; needed at most 273.0 GiB: "
                                "250.0 of RAM and 23.0 of its cards")]),
    "slices that share their memory have it once": (
        split(part(1, 47 * GIB, "1c.2g.48gb", "a"), part(2, 47 * GIB, "1c.2g.48gb", "a"), memory={"total": 250 * GIB}), on("MIG-1", "MIG-2"), [
            ("error", "model_fits", "needed at most 297.0 GiB: 250.0 of RAM and 47.0 of its cards"), ("warning", "gpu_exists", "one slice alone")]),
    "a slice under an old driver": (split(part(1), kernel={"nvidia": "570.133.20"}), on("MIG-1"), [("error", "driver_branch", "580 or newer for CUDA 13")]),
    "a slice of a card that the image has no code for": (split(part(1)), on("MIG-1", golden_image_cuda_architectures=["90"]), [
        ("error", "gpu_family", "machine code for compute capability 12.0 (NVIDIA RTX PRO 6000")]),
    "a slice of a card that needs a reset": (
        changed(split(part(1)), gpus=[dict(SPLIT_96, capability=None, unreadable={"compute_cap": "[GPU requires reset]"})]), on("MIG-1"), [
            ("error", "gpu_readable", "nvidia-smi --gpu-reset -i 0000:01:00.0")]),
    # NVSwitches
    "a board with its fabric manager": (board(8, "NVIDIA A100-SXM4-80GB", SWITCH, **RUNS), of_board(0, 1), []),
    "a board without fabric manager": (board(8, "NVIDIA A100-SXM4-80GB", SWITCH), of_board(0), [
        ("error", "fabric", "NVSwitches at 0000:07:00.0: found fabric manager: none; needed 580.95.05, the driver's very version, running. "
                            "apt-get install 'nvidia-fabricmanager-580=580.95.05*' && systemctl enable --now nvidia-fabricmanager.")]),
    "a fabric manager of another version": (board(8, "NVIDIA H100 80GB HBM3", SWITCH, manager="580.82.07", active=True), of_board(0), [
        ("error", "fabric", "found fabric manager: 580.82.07; needed 580.95.05")]),
    "a fabric manager that does not run": (board(8, "NVIDIA H100 80GB HBM3", SWITCH, manager="580.95.05"), of_board(0), [
        ("error", "fabric", "found fabric manager: 580.95.05, which does not run;")]),
    "a board under branch 590": (changed(board(8, "NVIDIA B200"), kernel={"nvidia": "590.48.01"}), of_board(0, host_driver_branch=590), [
        ("error", "fabric", "apt-get install 'nvidia-fabricmanager=590.48.01*'")]),
    "a board under branch 595 of Ubuntu's own archive": (
        changed(board(8, "NVIDIA B200"), kernel={"nvidia": "595.71.05"}), of_board(0, host_driver_branch=595, host_driver_origin="distribution"), [
            ("error", "fabric", "apt-get install 'nvidia-fabricmanager-595=595.71.05*'")]),
    "a board's cards, and no switch to be seen": (board(4, "NVIDIA A100-SXM4-40GB"), of_board(0, 1), [
        ("error", "fabric", "cards NVIDIA A100-SXM4-40GB: found fabric manager: none; needed 580.95.05, the driver's very version, running. apt-get install "
                            "'nvidia-fabricmanager-580=580.95.05*' && systemctl enable --now nvidia-fabricmanager. A board without switches (HGX with 4 cards) "
                            "needs none: preflight_lowered: [fabric].")]),
    "two cards of a board in a virtual machine, whose host manages them": (
        board(2, "NVIDIA H200", states={"GPU-0": "Completed", "GPU-1": "Completed"}), of_board(0, 1), []),
    "a board whose cards wait for somebody": (board(2, "NVIDIA H200", states={"GPU-0": "In Progress", "GPU-1": "In Progress"}), of_board(0, 1), [
        ("error", "fabric", "cards NVIDIA H200: found fabric manager: none")]),
    "one card of a board alone": (board(1, "NVIDIA H100 80GB HBM3"), of_board(0), []),
    "one card of a board, and its switch": (board(1, "NVIDIA A100-SXM4-80GB", SWITCH), of_board(0), [("error", "fabric", "NVSwitches at 0000:07:00.0")]),
    "two cards with a bridge are no board": (board(2, "NVIDIA H200 NVL"), of_board(0, 1), []),
    "two cards in slots are no board": (board(2, "NVIDIA H100 PCIe"), of_board(0, 1), []),
    "a board, CPU services": (board(8, "NVIDIA A100-SXM4-80GB", SWITCH), changed(BOTH, bunker_services=[BOTH["bunker_services"][1]]), []),
    "a board without a driver": (BARE_BOARD, of_board(0), [
        ("error", "fabric", "found no fabric manager among host_driver_packages; needed the one of the driver that will be installed. Name the driver's "
                            "packages in host_driver_packages, and nvidia-fabricmanager-580 with them."),
        ("warning", "gpu_exists", "no UUID can be read")]),
    "a board without a driver, the fabric manager comes with it": (
        BARE_BOARD, of_board(0, host_driver_packages=["nvidia-dkms-580-open", "nvidia-fabricmanager-580"]), [("warning", "gpu_exists", "no UUID can be read")]),
    # processors
    "a cpuset with CPUs that are off": (cpu(online="0-95", allowed="0-95"), changed(BOTH, executor__cpuset="0-47,96"), [
        ("error", "threads", "service executor: cpuset: found 0-47,96; needed CPUs 0 to 95. Set cpuset: auto.")]),
    "a cpuset of a host whose first CPUs are off": (cpu(online="8-95,104-191", allowed="8-95,104-191"), changed(BOTH, executor__cpuset="0-15"), [
        ("error", "threads", "found 0-15; needed CPUs of 8-95,104-191, which are online and allowed. Set cpuset: auto.")]),
    "a cpuset that this container may not use": (cpu(allowed="8-15"), changed(BOTH, executor__cpuset="0-7"), [
        ("error", "threads", "needed CPUs of 8-15, which are online and allowed")]),
    "a cpuset that it may use": (cpu(allowed="8-15"), changed(BOTH, executor__cpuset="8-11"), []),
    "threads above what the control groups allow": (cpu(quota=2.5), changed(BOTH, executor__threads="8"), [
        ("warning", "threads", "service executor: threads: found 8; needed at most 2: the control groups of this host allow 2.50 CPUs. Set threads: auto")]),
    "threads within what the control groups allow": (cpu(quota=8.0), changed(BOTH, executor__threads="8"), []),
    "half a CPU": (cpu(quota=0.5), changed(BOTH, executor__threads="2"), [("warning", "threads", "found 2; needed at most 1: the control groups")]),
    "half a CPU, and as few threads as there can be": (cpu(quota=0.5), changed(BOTH, executor__threads="1"), []),
    "a quota, and threads that are chosen by the role": (cpu(quota=2.5), BOTH, []),
    "more threads than are online": (cpu(online="0-63", allowed="0-63", cores=64), changed(BOTH, executor__threads="96"), [
        ("error", "threads", "found 96; needed at most the 64 physical cores")]),
    "two Xeons with SNC4": (cpu(sockets=2, cores=112, threads=224, numa_nodes=8, online="0-223", allowed="0-223"), BOTH, [
        ("warning", "numa", "NUMA nodes: found 8 on 2 socket(s)")]),
    "a processor that tells no list of CPUs": (cpu(online=None, allowed=None), changed(BOTH, executor__cpuset="0-191"), []),
    # what the driver asks for
    "a card that the driver wants reset": (asks(CARD_96, "Reset"), BOTH, [
        ("error", "gpu_readable", "card GPU-96 NVIDIA RTX PRO 6000 Blackwell Workstation Edition 0000:01:00.0: found the driver's recovery action \"Reset\"; "
                                  "needed none, since it computes nothing until then. Stop what uses the card, then: nvidia-smi --gpu-reset -i")]),
    "a card whose host the driver wants restarted": (asks(CARD_96, "Reboot"), BOTH, [("error", "gpu_readable", "\"Reboot\"; needed none")]),
    "a card that is to be reset when that suits": (asks(CARD_96, "Drain and Reset"), BOTH, [("warning", "gpu_readable", "\"Drain and Reset\"; needed none")]),
    "a card that needs nothing": (asks(CARD_96, "None"), BOTH, []),
    "a driver that does not say what a card needs": (asks(CARD_96, "[N/A]"), BOTH, []),
    "a card that no service uses needs a reset": (asks(CARD_96, "Reset"), on("GPU-32"), [("warning", "gpu_readable", "\"Reset\"; needed none")]),
    "a slice of a card that the driver wants reset": (
        changed(split(part(1)), gpus=[dict(SPLIT_96, recovery="Reset")]), on("MIG-1"), [("error", "gpu_readable", "\"Reset\"; needed none")]),
    "a card that needs a reset, CPU services": (asks(CARD_96, "Reset"), changed(BOTH, bunker_services=[BOTH["bunker_services"][1]]), []),
}
