"""Twelve hosts before anything is installed on them, as host_info, volume_info and setup return them. Constructed on the hosts of host_rules: figures are data
sheets' or lscpu's shapes, serial numbers are made up. ``changed`` and the cards are those of tests/unit/plugins/module_utils/host_rules/hosts.py."""
import importlib.util
import pathlib

_SPEC = importlib.util.spec_from_file_location("hosts_of_rules", pathlib.Path(__file__).parents[1] / "host_rules" / "hosts.py")
hosts = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hosts)
GIB, changed, without_driver = hosts.GIB, hosts.changed, hosts.without_driver

DEBIAN = {"name": "Debian 13", "architecture": "x86_64", "service_mgr": "systemd"}
CARD_24 = dict(hosts.CARD_96, uuid="GPU-24", name="NVIDIA GeForce RTX 4090", family="Ada Lovelace", capability="8.9", memory=24 * GIB, pci="0000:01:00.0",
               pci_device="2684", mig=None)
H200 = [dict(hosts.CARD_96, uuid="GPU-H%d" % number, name="NVIDIA H200", family="Hopper", capability="9.0", memory=141 * GIB, pci_device="2335",
             pci="0000:%x0:00.0" % (number + 1), mig=False) for number in range(8)]
MIG = dict(hosts.CARD_96, uuid="GPU-M", mig=True)
SLICES = [{"uuid": "MIG-%d" % number, "card": "GPU-M", "profile": profile, "memory": gib * GIB, "memory_free": gib * GIB, "room": "GPU-M/%d" % number}
          for number, profile, gib in ((1, "1g.24gb", 23), (2, "2g.48gb", 47))]


def disk(name, gigabytes, **values):
    """A disk as volume_info returns it; empty where nothing else is said."""
    return dict({"device": "/dev/disk/by-id/" + name, "mount": "/srv/bunker", "kind": "block", "real": "/dev/" + name, "number": "259:0",
                 "size": gigabytes * 10 ** 9, "read_only": False, "signatures": [], "partitions": [], "holders": [], "blank": True, "file_system": None,
                 "mounted_at": [], "at_mount": None, "place": "absent", "hidden": [], "fstab": [], "use": None}, **values)


SYSTEM_DISK = disk("ata-SYSTEM_0001", 512, partitions=["sda1", "sda2"], signatures=[{"type": "gpt", "offset": 512, "uuid": None, "label": None}], blank=False)
EMPTY_1, EMPTY_2 = disk("nvme-EXAMPLE_0001", 4000), disk("nvme-EXAMPLE_0002", 4001)
ROOT_ONLY = {"mounts": [{"path": "/", "device": "/dev/sda2", "type": "ext4", "options": ["rw"], "size": 500 * GIB, "free": 400 * GIB}]}
DRIVER_GONE = {"kernel": {"nvidia": None, "nvidia_open": None}, "engine": None, "toolkit": None, "places": {}, "devices": {}, "docker_networks": []}


def host(gpus=(), **values):
    """The reference host without its volumes, and with these cards."""
    found = changed(hosts.OMNI_PRIME, **DRIVER_GONE)
    found.update(ROOT_ONLY, gpus=list(gpus), places={}, devices={}, docker_networks=[])
    found["memory"] = dict(found["memory"], bandwidth=300 * 10 ** 9)
    for key, value in values.items():
        found[key] = dict(found[key], **value) if isinstance(value, dict) else value
    return found


def survey(found, *disks, system=None):
    """All that is read of a host."""
    return {"host": found, "disks": [SYSTEM_DISK, *disks], "addresses": ["127.0.0.1", "192.168.1.20"], "system": dict(DEBIAN, **(system or {}))}


DRIVEN = {"kernel": {"nvidia": "580.95.05", "nvidia_open": True}, "toolkit": "1.18.0"}
SMALL_CPU = {"model": "Intel(R) Core(TM) i5-8265U", "sockets": 1, "cores": 4, "threads": 8, "online": "0-7", "allowed": "0-7", "numa_nodes": 1, "avx512": False}
BUSY = [{"destination": one, "device": "eth0"} for one in ("172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/9", "10.128.0.0/10")]
HOSTS = {
    "no driver": survey(host([without_driver(hosts.CARD_96), without_driver(hosts.CARD_32)]), EMPTY_1, EMPTY_2),
    "Ubuntu 26.04, no driver": survey(host([without_driver(CARD_24)]), EMPTY_1, system={"name": "Ubuntu 26"}),
    "no disk to spare": survey(host([without_driver(CARD_24)])),
    "no disk to spare and a full root": survey(host([without_driver(CARD_24)], mounts=[dict(ROOT_ONLY["mounts"][0], free=6 * GIB)])),
    "one card": survey(host([CARD_24], **DRIVEN), EMPTY_1),
    "two unequal": survey(host([hosts.CARD_32, hosts.CARD_96], **DRIVEN), EMPTY_1, EMPTY_2),
    "eight equal": survey(host(H200, memory={"total": 2048 * GIB}, fabric={"switches": [], "states": {}, "manager": "580.95.05", "active": True}, **DRIVEN),
                          EMPTY_1, EMPTY_2, system={"name": "Ubuntu 24"}),
    "MIG": survey(host([MIG], slices=SLICES, memory={"total": 128 * GIB}, **DRIVEN), EMPTY_1),
    "AMD": survey(host(other_gpus=[{"vendor": "AMD", "pci": "0000:03:00.0", "pci_device": "744c"}]), EMPTY_1),
    "laptop": survey(host([dict(without_driver(CARD_24), pci="0000:02:00.0", pci_device="1d12", family="Pascal", capability="6.1")],
                          cpu=SMALL_CPU, memory={"total": 15 * GIB, "available": 9 * GIB, "bandwidth": 25 * 10 ** 9})),
    "16 GiB RAM": survey(host(cpu=SMALL_CPU, memory={"total": 16 * GIB, "available": 14 * GIB, "bandwidth": 30 * 10 ** 9}), EMPTY_1),
    "busy subnets": survey(host([CARD_24], routes=BUSY, docker_networks=[{"name": "shop", "subnet": "10.192.0.0/16"}], **DRIVEN), EMPTY_1),
    "no subnet left": survey(host([CARD_24], routes=BUSY + [{"destination": "10.192.0.0/10", "device": "tun0"}], **DRIVEN), EMPTY_1),
    "2 GiB RAM": survey(host(cpu=SMALL_CPU, memory={"total": 100 << 20, "available": 50 << 20, "bandwidth": None})),
}
