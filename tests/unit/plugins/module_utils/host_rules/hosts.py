"""Hosts and inventories for the tests of host_rules. Constructed: the figures are the doctrine's or a data sheet's, the UUIDs are made up."""
import copy

GIB = 1 << 30
CARD_96 = {"uuid": "GPU-96", "name": "NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "family": "Blackwell", "capability": "12.0", "memory": 96 * GIB,
           "memory_free": 95 * GIB, "pci": "0000:01:00.0", "pci_device": "2bb1", "kernel_driver": "nvidia", "driver": "580.95.05", "unreadable": {},
           "mig": False, "recovery": None}
CARD_32 = dict(CARD_96, uuid="GPU-32", name="NVIDIA GeForce RTX 5090", memory=32 * GIB, memory_free=31 * GIB, pci="0000:41:00.0", pci_device="2b85", mig=None)
CARD_ADA = dict(CARD_96, uuid="GPU-ADA", name="NVIDIA GeForce RTX 4090", family="Ada Lovelace", capability="8.9", memory=24 * GIB, pci_device="2684", mig=None)


def without_driver(card):
    """The card as the bus alone shows it."""
    return dict(card, uuid=None, name=None, memory=None, memory_free=None, kernel_driver=None, driver=None, mig=None)


OMNI_PRIME = {
    "gpus": [CARD_96, CARD_32], "slices": [], "other_gpus": [], "fabric": {"switches": [], "states": {}, "manager": None, "active": False},
    "cpu": {"model": "AMD Ryzen Threadripper PRO 9995WX", "sockets": 1, "cores": 96, "threads": 192, "online": "0-191", "allowed": "0-191",
            "quota": None, "numa_nodes": 1, "avx512": True},
    "memory": {"total": 384 * GIB, "available": 370 * GIB, "bandwidth": None},
    "mounts": [{"path": "/", "device": "/dev/nvme2n1p2", "type": "ext4", "options": ["rw"], "size": 98 * GIB, "free": 60 * GIB},
               {"path": "/nvme", "device": "/dev/nvme0n1", "type": "xfs", "options": ["rw"], "size": 3700 * GIB, "free": 3600 * GIB},
               {"path": "/nvme/models", "device": "/dev/nvme1n1", "type": "xfs", "options": ["rw"], "size": 3700 * GIB, "free": 3600 * GIB}],
    "places": {"/nvme/docker": "/nvme", "/nvme/containerd": "/nvme", "/nvme/build-cache": "/nvme", "/nvme/models": "/nvme/models"},
    "devices": {"/dev/disk/by-id/nvme-first": 3700 * GIB, "/dev/disk/by-id/nvme-second": 3700 * GIB},
    "kernel": {"release": "6.8.0-45-generic", "secure_boot": False, "nouveau": False, "nvidia": "580.95.05", "nvidia_open": True},
    "routes": [{"destination": "192.168.1.0/24", "device": "eno1"}],
    "docker_networks": [{"name": "bridge", "subnet": "172.17.0.0/16"}],
    "images": [], "engine": "28.2.2", "toolkit": "1.17.8",
    "models": {},
}
NO_GPU = dict(OMNI_PRIME, gpus=[], kernel=dict(OMNI_PRIME["kernel"], nvidia=None, nvidia_open=None), toolkit=None)
ADA = dict(OMNI_PRIME, gpus=[CARD_ADA])

ORACLE = {"name": "oracle", "model": "big", "device": "gpu", "gpus": ["GPU-96", "GPU-32"], "threads": "auto", "cpuset": "auto",
          "draft_model": "", "context": 8192,
          "micro_batch": 512, "extra_arguments": []}
EXECUTOR = {"name": "executor", "model": "small", "device": "cpu", "gpus": [], "threads": "auto", "cpuset": "auto", "draft_model": "", "context": 16384,
            "micro_batch": 512, "extra_arguments": []}
BOTH = {
    "bunker_services": [ORACLE, EXECUTOR],
    "bunker_cache_path": "/nvme/build-cache",
    "golden_image_name": "omni/llama-server", "golden_image_cuda": True, "golden_image_cuda_architectures": ["120"], "golden_image_cuda_major": 13,
    "golden_image_keep_archive": False,
    "networks_definitions": [{"name": "omni-network", "subnet": "172.30.0.0/16", "bridge": "br-omni"},
                             {"name": "internal_brain", "subnet": "172.31.0.0/16", "bridge": "br-brain"}],
    "model_store_path": "/nvme/models",
    "model_store_catalogue": [{"name": "small", "files": [{"name": "small.gguf", "size": 5 * GIB}]}],
    "model_store_extra_models": [{"name": "big", "files": [{"name": "big-1.gguf", "size": 150 * GIB}, {"name": "big-2.gguf", "size": 150 * GIB}]}],
    "container_engine_data_root": "/nvme/docker", "container_engine_containerd_root": "/nvme/containerd",
    "disk_layout_volumes": [{"device": "/dev/disk/by-id/nvme-first", "mount": "/nvme"}, {"device": "/dev/disk/by-id/nvme-second", "mount": "/nvme/models"}],
    "host_driver_branch": 580, "host_driver_upgrade": False, "host_driver_secure_boot_signed": False,
}
CPU_ONLY = dict(BOTH, bunker_services=[EXECUTOR])


def changed(document, **changes):
    """A deep copy with some values replaced; a dict value is merged, one level deep. ORACLE__context=1 changes a service."""
    document = copy.deepcopy(document)
    for key, value in changes.items():
        service, _separator, field = key.partition("__")
        if field:
            next(entry for entry in document["bunker_services"] if entry["name"] == service)[field] = value
        elif isinstance(value, dict) and isinstance(document.get(key), dict):
            document[key].update(value)
        else:
            document[key] = value
    return document
