"""Pairs of a host and an inventory, each with the whole list of problems that it must give: severity, rule and the figures that name it."""
import inspect
import re

import pytest
from hosts import ADA, BOTH, CARD_32, CARD_96, CARD_ADA, CPU_ONLY, EXECUTOR, GIB, NO_GPU, OMNI_PRIME, changed, without_driver
from support import ROOT
from untidy import UNTIDY

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import gpu, machine, memory, room
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.finding import sentence
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules.judge import RULES, judge

BARE = changed(OMNI_PRIME, gpus=[without_driver(CARD_96), without_driver(CARD_32)], kernel={"nvidia": None, "nvidia_open": None},
               engine=None, toolkit=None)
UNMOUNTED = changed(OMNI_PRIME, mounts=OMNI_PRIME["mounts"][:1], places={path: "/" for path in OMNI_PRIME["places"]})
ON_ROOT = changed(UNMOUNTED, devices={"/dev/disk/by-id/nvme-first": None})
ROOT_INVENTORY = changed(BOTH, disk_layout_volumes=[])
NO_UUID = ("warning", "gpu_exists", "no UUID can be read")


def kv(size):
    """A cache of so many bytes a token at f16, all in one layer."""
    return {"layers": [[0, size // 2, 0, False]], "window": 0}


BIG_IS_THERE = {"big": {"bytes": 300 * GIB, "kv_cache": kv(70272), "context_length": 163840}}


def broken(card, word, *keys):
    """The card, with words of nvidia-smi in place of some of its figures."""
    names = {"memory_free": "memory.free", "memory": "memory.total", "capability": "compute_cap"}
    return dict(card, unreadable={names[key]: word for key in keys}, **{key: None for key in keys})


def gpus(*cards):
    return changed(OMNI_PRIME, gpus=list(cards))


BERT = {"architecture": "bert", "pooling": None, "head": False, "template": False, "fim": False, "width": 384, "vision": None}
PAIRS = {
    # sound ones
    "the reference host": (OMNI_PRIME, BOTH, []),
    "a host without a card, CPU services": (NO_GPU, CPU_ONLY, []),
    "cards that no service uses are nobody's business": (changed(OMNI_PRIME, kernel={"nvidia": "470.1"}, toolkit="1.0.0"), CPU_ONLY, []),
    "the second run: image and models are there, little is free": (
        changed(OMNI_PRIME, images=["omni/llama-server:sm120-cuda13"],
                models=dict(BIG_IS_THERE, small={"bytes": 5 * GIB, "kv_cache": kv(57344), "context_length": 32768}),
                mounts=[dict(mount, free=GIB) for mount in OMNI_PRIME["mounts"]]), BOTH, []),
    # cards
    "GPU service, no card": (NO_GPU, BOTH, [("error", "gpu_exists", "no NVIDIA card on the PCI bus")]),
    "GPU service, only a card of another maker": (
        changed(NO_GPU, other_gpus=[{"vendor": "AMD", "pci": "0000:03:00.0", "pci_device": "744c"}]), BOTH,
        [("error", "gpu_exists", "cards of other makers: AMD (744c at 0000:03:00.0); needed an NVIDIA card: the image has CUDA's kernels and no others")]),
    "CPU services, a card of another maker": (
        changed(NO_GPU, other_gpus=[{"vendor": "Intel", "pci": "0000:00:02.0", "pci_device": "a780"}]), CPU_ONLY, []),
    "a card that has to be reset": (gpus(broken(CARD_96, "[GPU requires reset]", "capability", "memory"), CARD_32), BOTH, [
        ("error", "gpu_readable", "[GPU requires reset] for compute_cap, [GPU requires reset] for memory.total; needed its figures. Stop what uses the card, "
                                  "then: nvidia-smi --gpu-reset -i 0000:01:00.0")]),
    "another card than those that are used is broken": (gpus(CARD_96, CARD_32, broken(CARD_ADA, "[Unknown Error]", "memory")), BOTH, [
        ("warning", "gpu_readable", "card GPU-ADA NVIDIA GeForce RTX 4090")]),
    "free memory alone cannot be read": (gpus(broken(CARD_96, "[N/A]", "memory_free"), CARD_32), BOTH, [("warning", "gpu_readable", "memory.free")]),
    "a broken card, CPU services": (gpus(broken(CARD_96, "[N/A]", "memory")), CPU_ONLY, []),
    "a card fell off the bus": (gpus(CARD_96, dict(without_driver(CARD_32), unreadable={"nvidia-smi": "Unable to determine the device handle"})), BOTH, [
        ("error", "gpu_exists", "found GPU-32;"), ("warning", "gpu_readable", "Unable to determine")]),
    "a driver whose version is words": (changed(OMNI_PRIME, kernel={"nvidia": "unknown"}), BOTH, [("error", "driver_branch", "found unknown (installed)")]),
    "no driver yet": (BARE, BOTH, [NO_UUID]),
    "a UUID that is not there": (OMNI_PRIME, changed(BOTH, oracle__gpus=["GPU-96", "GPU-33"]), [
        ("error", "gpu_exists", "found GPU-33; needed one of GPU-96 (")]),
    "two UUIDs that are not there": (OMNI_PRIME, changed(BOTH, oracle__gpus=["GPU-1", "GPU-2"]), [
        ("error", "gpu_exists", "GPU-1"), ("error", "gpu_exists", "GPU-2")]),
    "a card disappeared": (gpus(CARD_96), BOTH, [("error", "gpu_exists", "found GPU-32;")]),
    "a card of another family": (gpus(CARD_ADA), changed(BOTH, oracle__gpus=["GPU-ADA"]), [
        ("error", "gpu_family", 'capability 8.9 (NVIDIA GeForce RTX 4090). Add "89"')]),
    "an image for both families": (gpus(CARD_ADA), changed(BOTH, oracle__gpus=["GPU-ADA"], golden_image_cuda_architectures=["120", "89"]), []),
    "an image for an older minor version": (gpus(CARD_ADA), changed(BOTH, oracle__gpus=["GPU-ADA"], golden_image_cuda_architectures=["86"]), []),
    "an image for another minor version of the a kind": (
        gpus(dict(CARD_96, capability="12.1")), changed(BOTH, oracle__gpus=["GPU-96"], golden_image_cuda_architectures=["120a"]),
        [("error", "gpu_family", "found 120a; needed machine code for compute capability 12.1")]),
    "an image for the family": (gpus(dict(CARD_96, capability="12.1")), changed(BOTH, oracle__gpus=["GPU-96"], golden_image_cuda_architectures=["120f"]), []),
    "PTX alone is no machine code": (OMNI_PRIME, changed(BOTH, oracle__gpus=["GPU-96"], golden_image_cuda_architectures=["120-virtual"]),
                                     [("error", "gpu_family", "120-virtual")]),
    "a chip that the table does not know": (changed(BARE, gpus=[dict(without_driver(CARD_96), capability=None, pci_device="3f00")]), BOTH,
                                            [NO_UUID, ("warning", "gpu_family", "PCI id 3f00")]),
    # drivers
    "Blackwell with 550, CUDA 12 image": (changed(OMNI_PRIME, kernel={"nvidia": "550.163.01"}), changed(BOTH, golden_image_cuda_major=12), [
        ("error", "driver_branch", "found 550.163.01 (installed); needed 570 or newer for Blackwell")]),
    "Blackwell with 570, CUDA 13 image": (changed(OMNI_PRIME, kernel={"nvidia": "570.133.20"}), BOTH, [
        ("error", "driver_branch", "580 or newer for CUDA 13. Set host_driver_branch: 580 and host_driver_upgrade: true")]),
    "Blackwell with 570, CUDA 12 image": (changed(OMNI_PRIME, kernel={"nvidia": "570.133.20"}), changed(BOTH, golden_image_cuda_major=12), []),
    "Ada with 550, CUDA 12 image": (changed(ADA, kernel={"nvidia": "550.163.01", "nvidia_open": False}), changed(
        BOTH, oracle__gpus=["GPU-ADA"], golden_image_cuda_major=12, golden_image_cuda_architectures=["89"]), []),
    "Ada with 550, CUDA 13 image": (changed(ADA, kernel={"nvidia": "550.163.01", "nvidia_open": False}), changed(
        BOTH, oracle__gpus=["GPU-ADA"], golden_image_cuda_architectures=["89"]), [("error", "driver_branch", "580 or newer for CUDA 13")]),
    "an old driver that will be replaced": (changed(OMNI_PRIME, kernel={"nvidia": "550.163.01", "nvidia_open": False}),
                                            changed(BOTH, host_driver_upgrade=True), []),
    "a driver that satisfies the inventory stays, and is too old for the image": (
        changed(OMNI_PRIME, kernel={"nvidia": "570.1"}), changed(BOTH, host_driver_upgrade=True, host_driver_branch=570), [
            ("error", "driver_branch", "found 570.1 (installed); needed 580 or newer for CUDA 13")]),
    "closed modules will be replaced by open ones": (
        changed(OMNI_PRIME, kernel={"nvidia": "580.1", "nvidia_open": False}), changed(BOTH, host_driver_upgrade=True), []),
    "a branch in the inventory that is too old": (BARE, changed(BOTH, host_driver_branch=550), [
        ("error", "driver_branch", "found 550 (host_driver_branch); needed 580 or newer for CUDA 13. Set host_driver_branch: 580."), NO_UUID]),
    "an image without CUDA asks nothing of the driver but the card": (
        changed(OMNI_PRIME, kernel={"nvidia": "570.1"}), changed(BOTH, golden_image_cuda=False), []),
    "proprietary modules under Blackwell": (changed(OMNI_PRIME, kernel={"nvidia_open": False}), BOTH, [
        ("error", "driver_open", "the open ones for Blackwell")]),
    "proprietary modules under Ada": (changed(ADA, kernel={"nvidia_open": False}), changed(
        BOTH, oracle__gpus=["GPU-ADA"], golden_image_cuda_architectures=["89"]), []),
    "Secure Boot, no driver": (changed(BARE, kernel={"secure_boot": True}), BOTH, [
        ("error", "secure_boot", "mokutil --import /var/lib/shim-signed/mok/MOK.der on Ubuntu, /var/lib/dkms/mok.pub elsewhere, then reboot"), NO_UUID]),
    "Secure Boot, modules will be signed": (changed(BARE, kernel={"secure_boot": True}), changed(BOTH, host_driver_secure_boot_signed=True), [NO_UUID]),
    "Secure Boot, the module is loaded": (changed(OMNI_PRIME, kernel={"secure_boot": True}), BOTH, []),
    "Secure Boot unknown (no EFI)": (changed(BARE, kernel={"secure_boot": None}), BOTH, [NO_UUID]),
    "nouveau has the card": (changed(BARE, kernel={"nouveau": True}), BOTH, [NO_UUID, ("warning", "nouveau", "a reboot is needed")]),
    "a container toolkit with an escape": (changed(OMNI_PRIME, toolkit="1.17.7"), BOTH, [
        ("warning", "toolkit", "found 1.17.7; needed 1.17.8 or newer (CVE-2025-23266)")]),
    "a specification of devices that somebody wrote under another driver": (
        changed(OMNI_PRIME, cdi=[{"path": "/etc/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["GPU-96", "GPU-7"], "drivers": ["570.1"]}]), BOTH, [
            ("warning", "cdi", "/etc/cdi/nvidia.yaml: found GPU-7, driver 570.1; needed cards of this host and its driver, 580.95.05. Remove it")]),
    "a specification of devices, and no driver that could be compared with": (
        changed(BARE, cdi=[{"path": "/etc/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["GPU-7"], "drivers": ["570.1"]}]), BOTH, [NO_UUID]),
    # machine
    "a kernel that does not tell its memory": (changed(OMNI_PRIME, memory={"total": None}), BOTH, [
        ("warning", "model_fits", "memory of the host: found no size that could be read; needed MemTotal")]),
    "an engine whose version is a number without end": (changed(NO_GPU, engine="9" * 5000), CPU_ONLY, []),
    "an old engine": (changed(NO_GPU, engine="20.10.24"), CPU_ONLY, [("error", "engine", "found 20.10.24; needed 25.0 or newer")]),
    "NPS4": (changed(OMNI_PRIME, cpu={"numa_nodes": 4}), BOTH, [("warning", "numa", "4 on 1 socket(s)")]),
    "two sockets, a node each": (changed(OMNI_PRIME, cpu={"sockets": 2, "numa_nodes": 2}), BOTH, []),
    "the doctrine's 192 threads": (OMNI_PRIME, changed(BOTH, executor__threads="192"), [
        ("warning", "threads", "found 192; needed at most the 96 physical cores")]),
    "more threads than the host has": (OMNI_PRIME, changed(BOTH, executor__threads="193"), [("error", "threads", "193")]),
    "as many threads as cores": (OMNI_PRIME, changed(BOTH, executor__threads="96"), []),
    "a CPU that the host has not": (OMNI_PRIME, changed(BOTH, executor__cpuset="0-47,192"), [
        ("error", "threads", "cpuset: found 0-47,192; needed CPUs 0 to 191")]),
    "CPUs that the host has": (OMNI_PRIME, changed(BOTH, executor__cpuset="96-191"), []),
    "a processor that tells nothing": (
        changed(OMNI_PRIME, cpu=dict.fromkeys(OMNI_PRIME["cpu"])), changed(BOTH, executor__threads="192", executor__cpuset="0-3"), [
            ("warning", "threads", "service executor: threads and cpuset: found 192, 0-3; needed a number of cores to compare with")]),
    "a processor that tells nothing, of which nobody asks anything": (changed(OMNI_PRIME, cpu=dict.fromkeys(OMNI_PRIME["cpu"])), BOTH, []),
    # networks
    "a route in the way": (changed(OMNI_PRIME, routes=[{"destination": "172.31.16.0/20", "device": "eth0"}]), BOTH, [
        ("error", "overlap", "network internal_brain 172.31.0.0/16: found route 172.31.16.0/20 dev eth0")]),
    "somebody's Docker network in the way": (changed(OMNI_PRIME, docker_networks=[{"name": "compose_default", "subnet": "172.30.0.0/24"}]), BOTH, [
        ("error", "overlap", "Docker network compose_default 172.30.0.0/24")]),
    "the networks' own routes and entries": (changed(OMNI_PRIME, routes=[{"destination": "172.30.0.0/16", "device": "br-omni"}],
                                                     docker_networks=[{"name": "omni-network", "subnet": "172.30.0.0/16"}]), BOTH, []),
    "a renamed network, whose former name leaves": (changed(
        OMNI_PRIME, routes=[{"destination": "172.30.0.0/16", "device": "br-former"}],
        docker_networks=[{"name": "former", "subnet": "172.30.0.0/16", "bridge": "br-former", "made_here": True}]), BOTH, []),
    "a network of the same name and subnet that somebody made": (changed(
        OMNI_PRIME, routes=[{"destination": "172.30.0.0/16", "device": "br-former"}],
        docker_networks=[{"name": "former", "subnet": "172.30.0.0/16", "bridge": "br-former", "made_here": False}]), BOTH, [
            ("error", "overlap", "172.30.0.0/16")]),
    "a network of the inventory in the subnet that another one is to have": (changed(OMNI_PRIME, docker_networks=[
        {"name": "internal_brain", "subnet": "172.30.0.0/16", "bridge": "br-brain", "made_here": True}]), BOTH, [
            ("error", "overlap", "Docker network internal_brain 172.30.0.0/16")]),
    "another IP version and a default route": (
        changed(OMNI_PRIME, routes=[{"destination": "fe80::/64", "device": "eno1"}, {"destination": "0.0.0.0/0", "device": "eno1"}]), BOTH, []),
    # room
    "everything on a 98 GB root disk": (ON_ROOT, ROOT_INVENTORY, [("error", "room", "file system /: found 60.0 GiB free; needed 316.1 GiB")]),
    "volumes that will be mounted": (UNMOUNTED, BOTH, []),
    "a volume that is too small": (changed(UNMOUNTED, devices={"/dev/disk/by-id/nvme-second": 256 * GIB}), BOTH, [
        ("error", "room", "file system /nvme/models: found 248.3 GiB free; needed 305.0 GiB: 300.0 for model big (/nvme/models), 5.0 for model small")]),
    "models that are there need no room": (changed(UNMOUNTED, devices={"/dev/disk/by-id/nvme-second": 256 * GIB}, models=BIG_IS_THERE), BOTH, []),
    "an archive is kept too": (
        changed(OMNI_PRIME, mounts=[dict(mount, free=12 * GIB) if mount["path"] == "/nvme" else mount for mount in OMNI_PRIME["mounts"]]),
        changed(BOTH, golden_image_keep_archive=True), [("error", "room", "1.1 for the image's archive (/nvme/build-cache)")]),
    "Docker 29 keeps images in containerd's root": (
        changed(OMNI_PRIME, engine="29.0.1", places={"/nvme/containerd": "/"}, mounts=[dict(OMNI_PRIME["mounts"][0], free=GIB)] + OMNI_PRIME["mounts"][1:]),
        changed(BOTH, disk_layout_volumes=[]), [("error", "room", "file system /: found 1.0 GiB free; needed 1.1 GiB: 1.1 for the image (/nvme/containerd)")]),
    # memory
    "a model above RAM and cards": (changed(OMNI_PRIME, memory={"total": 128 * GIB}), BOTH, [
        ("error", "model_fits", "service oracle: model big: found 300.0 GiB of weights and 0.0 GiB of KV cache for 8192 tokens; needed at most 256.0 GiB")]),
    "a context whose KV cache is too much": (
        changed(OMNI_PRIME, memory={"total": 172 * GIB}, models=BIG_IS_THERE), changed(BOTH, oracle__context=16384),
        [("error", "model_fits", "1.1 GiB of KV cache for 16384 tokens; needed at most 300.0 GiB: 172.0 of RAM and 128.0 of its cards")]),
    "a VPN that takes the default route in halves": (changed(OMNI_PRIME, routes=[
        {"destination": "0.0.0.0/1", "device": "tun0"}, {"destination": "128.0.0.0/1", "device": "tun0"}, {"destination": "10.8.0.0/24", "device": "tun0"}]),
        BOTH, []),
    "in quarters, and for IPv6": (changed(OMNI_PRIME, routes=[{"destination": one, "device": "wg0"} for one in (
        "0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2", "::/1", "8000::/1")]), BOTH, []),
    "half of the addresses through one device alone": (changed(OMNI_PRIME, routes=[{"destination": "128.0.0.0/1", "device": "tun0"}]), BOTH, [
        ("warning", "overlap", "route 128.0.0.0/1 dev tun0, which is wider"), ("warning", "overlap", "route 128.0.0.0/1 dev tun0, which is wider")]),
    "two halves through two devices": (changed(OMNI_PRIME, routes=[
        {"destination": "0.0.0.0/1", "device": "tun0"}, {"destination": "128.0.0.0/1", "device": "tun1"}]), BOTH, [
        ("warning", "overlap", "dev tun1"), ("warning", "overlap", "dev tun1")]),
    "a VPN with halves and the very subnet": (changed(OMNI_PRIME, routes=[
        {"destination": one, "device": "tun0"} for one in ("0.0.0.0/1", "128.0.0.0/1", "172.30.0.0/16")]), BOTH, [
        ("error", "overlap", "route 172.30.0.0/16 dev tun0")]),
    "each fits, both together do not": (changed(OMNI_PRIME, memory={"total": 176 * GIB}), BOTH, [
        ("error", "model_fits", "all services together: found 305.0 GiB")]),
    "more context than the model knows": (changed(OMNI_PRIME, models=BIG_IS_THERE), changed(BOTH, oracle__context=163841), [
        ("error", "model_context", "found 163841; needed at most 163840, what big was trained for")]),
    "a model of unknown size is said to be one": (
        changed(OMNI_PRIME, memory={"total": 8 * GIB}), changed(CPU_ONLY, bunker_services=[dict(EXECUTOR, model="big")],
                                                                model_store_extra_models=[{"name": "big", "files": [{"name": "big.gguf", "size": 0}]}]),
        [("warning", "model_fits", "model big: found no size: its files are not there, and its entry gives none; needed one")]),
    "a draft model's KV cache counts as well": (
        changed(OMNI_PRIME, memory={"total": 178 * GIB}, models=dict(BIG_IS_THERE, tiny={"bytes": GIB, "kv_cache": kv(140544), "context_length": None})),
        changed(BOTH, oracle__draft_model="tiny", oracle__context=16384),
        [("error", "model_fits", "all services together: found 309.2 GiB of weights and KV cache")]),
    "a draft model of unknown size as well": (
        OMNI_PRIME, changed(BOTH, oracle__draft_model="tiny", model_store_extra_models=[
            *BOTH["model_store_extra_models"], {"name": "tiny", "files": [{"name": "t", "size": 0}]}]),
        [("warning", "model_fits", "model tiny: found no size")]),
    "a volume whose device nobody can see": (changed(UNMOUNTED, devices=dict.fromkeys(UNMOUNTED["devices"])), BOTH, [
        ("warning", "room", "file system /nvme: found no size that could be read; needed"), ("warning", "room", "file system /nvme/models: found no size")]),
    "a model of vectors that is to chat": (
        changed(NO_GPU, models={"small": {"bytes": GIB, "kv_cache": None, "context_length": None, "facts": BERT, "projector": 0}}),
        changed(CPU_ONLY, executor__kind="chat"),
        [("error", "model_kind", "service executor: kind chat: found a file that says otherwise; needed the header of small")]),
    "a draft model that makes vectors": (
        changed(OMNI_PRIME, models=dict(BIG_IS_THERE, tiny={"bytes": GIB, "kv_cache": None, "context_length": None, "facts": BERT, "projector": 0})),
        changed(BOTH, oracle__draft_model="tiny"),
        [("error", "model_kind", "service oracle: draft_model tiny: found a file that says otherwise; needed the header of tiny")]),
    "a draft model that ranks": (
        changed(OMNI_PRIME, models=dict(BIG_IS_THERE, tiny={"bytes": GIB, "kv_cache": None, "context_length": None, "projector": 0,
                                                            "facts": dict(BERT, architecture="qwen3", pooling=4)})),
        changed(BOTH, oracle__draft_model="tiny"),
        [("error", "model_kind", "service oracle: draft_model tiny: found a file that says otherwise; needed the header of tiny")]),
    "a draft model that generates": (
        changed(OMNI_PRIME, models=dict(BIG_IS_THERE, tiny={"bytes": GIB, "kv_cache": None, "context_length": None, "projector": 0,
                                                            "facts": dict(BERT, architecture="qwen3")})),
        changed(BOTH, oracle__draft_model="tiny"), []),
    "a model of vectors whose kind nobody names": (
        changed(NO_GPU, models={"small": {"bytes": GIB, "kv_cache": None, "context_length": None, "facts": BERT, "projector": 0}}), CPU_ONLY, []),
    "a context above that of a model of vectors is an upper bound": (
        changed(NO_GPU, models={"small": {"bytes": GIB, "kv_cache": None, "context_length": 512, "facts": BERT, "projector": 0}}), CPU_ONLY, []),
    "a projector that is larger than the first card": (
        changed(OMNI_PRIME, models=dict(BIG_IS_THERE, big=dict(BIG_IS_THERE["big"], projector=33 * GIB))),
        changed(BOTH, oracle__gpus=["GPU-32", "GPU-96"]), [("error", "model_fits", "projector of big: found 33.0 GiB; needed at most 32.0 GiB")]),
    "the same projector on the larger card": (
        changed(OMNI_PRIME, models=dict(BIG_IS_THERE, big=dict(BIG_IS_THERE["big"], projector=33 * GIB))), BOTH, []),
    "a projector of the catalogue counts before it is there": (
        changed(NO_GPU, memory={"total": 6 * GIB}), dict(CPU_ONLY, model_store_catalogue=[{"name": "small", "files": [
            {"name": "small.gguf", "size": 5 * GIB}, {"name": "mmproj.gguf", "size": 2 * GIB, "role": "projector"}]}]),
        [("error", "model_fits", "7.0 GiB of weights")]),
    # on the very edge
    "exactly the context that the model knows": (changed(OMNI_PRIME, models=BIG_IS_THERE), changed(BOTH, oracle__context=163840), []),
    "exactly the memory that is needed": (changed(OMNI_PRIME, memory={"total": 177 * GIB}), BOTH, []),
    "a byte less, for the KV cache counts": (
        changed(OMNI_PRIME, memory={"total": 177 * GIB}, models={"small": {"bytes": 5 * GIB, "kv_cache": kv(2), "context_length": None}}),
        changed(BOTH, executor__context=1), [("error", "model_fits", "all services together")]),
    "one model in exactly the memory that is needed": (changed(NO_GPU, memory={"total": 5 * GIB}), CPU_ONLY, []),
    "exactly the room that is needed": (
        changed(OMNI_PRIME, images=["omni/llama-server:x"], mounts=[dict(mount, free=305 * GIB) for mount in OMNI_PRIME["mounts"]]), BOTH, []),
    "the oldest engine that will do": (changed(NO_GPU, engine="25.0.0"), CPU_ONLY, []),
    "Docker 29.0 itself": (
        changed(OMNI_PRIME, engine="29.0", places={"/nvme/containerd": "/"}, mounts=[dict(OMNI_PRIME["mounts"][0], free=GIB)] + OMNI_PRIME["mounts"][1:]),
        changed(BOTH, disk_layout_volumes=[]), [("error", "room", "the image (/nvme/containerd)")]),
    "the first Blackwell, with 550": (
        changed(gpus(dict(CARD_96, capability="10.0", name=None)), kernel={"nvidia": "550.1", "nvidia_open": False}),
        changed(BOTH, oracle__gpus=["GPU-96"], golden_image_cuda_architectures=["100"], golden_image_cuda_major=12),
        [("error", "driver_branch", "Blackwell (0000:01:00.0)"), ("error", "driver_open", "Blackwell (0000:01:00.0)")]),
    # several at once
    "the doctrine's first day": (
        changed(BARE, kernel={"secure_boot": True, "nouveau": True}, cpu={"numa_nodes": 4}, mounts=ON_ROOT["mounts"], places=ON_ROOT["places"],
                routes=[{"destination": "172.31.0.0/16", "device": "ens5"}]),
        changed(ROOT_INVENTORY, host_driver_branch=550, executor__threads="192"),
        [("error", "driver_branch", "550"), ("error", "secure_boot", "on"), ("error", "overlap", "internal_brain"), ("error", "room", "file system /"),
         NO_UUID, ("warning", "threads", "192"), ("warning", "nouveau", "loaded"), ("warning", "numa", "4 on 1")]),
}

assert not set(PAIRS) & set(UNTIDY)
PAIRS.update(UNTIDY)


def test_there_are_at_least_forty_pairs():
    assert len(PAIRS) >= 40


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name):
    host, inventory, expected = PAIRS[name]
    found = [(finding.severity, finding.rule, sentence(finding)) for finding in judge(inventory, host)]
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected], found
    for text, fragment in zip([entry[2] for entry in found], [entry[2] for entry in expected]):
        assert fragment in text


def test_each_rule_is_broken_by_a_pair_and_kept_by_another():
    broken = {rule for _host, _inventory, expected in PAIRS.values() for _severity, rule, _text in expected}
    assert broken == set(RULES)
    assert [] in [expected for _host, _inventory, expected in PAIRS.values()]


def test_no_rule_is_forgotten():
    """Every public function of the rules' files that takes an inventory and a host and yields is a rule."""
    found = {name for module in (gpu, machine, memory, room) for name, function in inspect.getmembers(module, inspect.isgeneratorfunction)
             if not name.startswith("_") and function.__module__ == module.__name__}
    assert found == set(RULES)


def test_a_lowered_error_is_a_warning_that_says_so():
    host, inventory, _expected = PAIRS["everything on a 98 GB root disk"]
    (finding,) = judge(inventory, host, lowered=["room"])
    assert finding.severity == "warning"
    assert "warning (room, lowered by preflight_lowered): file system /" in sentence(finding)
    assert judge(inventory, host, lowered=["numa"])[0].severity == "error"


@pytest.mark.parametrize("path", ["roles/preflight/meta/argument_specs.yml", "plugins/modules/judge_host.py"])
def test_each_rule_can_be_lowered(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    (choices,) = [found for found in re.findall(r"choices: \[([^]]*)\]", text) if "gpu_exists" in found]
    assert [name.strip() for name in choices.split(",")] == list(RULES)


def test_what_host_info_is_asked_for():
    assert room.questions(BOTH) == {
        "paths": ["/nvme/build-cache", "/nvme/containerd", "/nvme/docker", "/nvme/models"],
        "devices": ["/dev/disk/by-id/nvme-first", "/dev/disk/by-id/nvme-second"],
        "models": {"small": ["/nvme/models/small/small.gguf"], "big": ["/nvme/models/big/big-1.gguf", "/nvme/models/big/big-2.gguf"]},
        "sources": {},
    }


def test_what_host_info_asks_servers_for():
    inventory = changed(CPU_ONLY, model_store_catalogue=[{"name": "small", "files": [
        {"name": "a.gguf", "size": 0, "source": {"url": "https://hub.invalid/a"}}, {"name": "b.gguf", "size": 5, "source": {"url": "https://hub.invalid/b"}},
        {"name": "c.gguf", "size": 0, "source": {"file": "/root/c.gguf"}}, {"name": "d.gguf", "size": 0, "source": {"package": "d"}}]}])
    assert room.questions(inventory)["sources"] == {"/nvme/models/small/a.gguf": "https://hub.invalid/a", "/nvme/models/small/c.gguf": "/root/c.gguf"}
    assert room.questions(inventory, ask=False)["sources"] == {}
    assert room.questions(dict(inventory, bunker_bundle="/srv/bundle"))["sources"] == {
        "/nvme/models/small/%s.gguf" % name: "/srv/bundle/models/small/%s.gguf" % name for name in "acd"}
