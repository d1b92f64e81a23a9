"""Processors as people have them, as lscpu --json --extended=CPU,CORE,SOCKET,NODE,CACHE,ONLINE tells of them (util-linux 2.38 to 2.40). Constructed after their
makers' descriptions and the kernel's way to number CPUs; the numbers are what counts."""
import json


def rows(cpus, places, online=lambda _cpu: True):
    """lscpu's text.

    :param places: function of a CPU's number to (core, socket, node, first-level cache, second-level cache, last-level cache).
    """
    found = []
    for cpu in range(cpus):
        if online(cpu):
            core, socket, node, first, second, last = places(cpu)
            caches = "%s:%s:%s:%s" % (first, first, second, last)
            found.append({"cpu": cpu, "core": core, "socket": socket, "node": node, "l1d:l1i:l2:l3": caches, "online": True})
        else:  # of what is off the kernel tells its number alone
            found.append({"cpu": cpu, "core": None, "socket": None, "node": None, "l1d:l1i:l2:l3": "-", "online": False})
    return json.dumps({"cpus": found})


def amd(sockets, cores, ccd, nodes=1, siblings=2, online=lambda _cpu: True):
    """All cores of all sockets first, then their siblings."""
    total = sockets * cores

    def place(cpu):
        core = cpu % total
        return core, core // cores, core // (cores // nodes), core, core, core // ccd
    return rows(total * siblings, place, online)


def i9_14900k(cpu):
    """Eight cores with two threads side by side, then sixteen with one, four of which share a second-level cache. One last-level cache for all."""
    return (cpu // 2, 0, 0, cpu // 2, cpu // 2, 0) if cpu < 16 else (cpu - 8, 0, 0, cpu - 8, 8 + (cpu - 16) // 4, 0)


def xeon_snc4(cpu):
    """Two sockets of 56 cores, each cut into four NUMA nodes by its firmware, with one last-level cache; siblings come last."""
    core = cpu % 112
    return core, core // 56, core // 14, core, core, core // 56


def kvm(cpu):
    """Each CPU a socket of its own, with all its caches, as QEMU has it where nobody says otherwise."""
    return cpu, cpu, 0, cpu, cpu, cpu


def altra(cpu):
    """ARM: no siblings, a last-level cache that lscpu does not show."""
    return cpu, 0, 0, cpu, cpu, "-"


TEXTS = {
    "two EPYC 9654": amd(2, 96, 8),
    "two EPYC 9654, NPS4": amd(2, 96, 8, nodes=4),
    "Threadripper 9995WX": amd(1, 96, 8),
    "Threadripper 9995WX, SMT switched off": amd(1, 96, 8, online=lambda cpu: cpu < 96),
    "Threadripper 9995WX, a CCD switched off": amd(1, 96, 8, online=lambda cpu: cpu % 96 >= 8),
    "Ryzen 9950X3D": amd(1, 16, 8),
    "i9-14900K": rows(32, i9_14900k),
    "Core Ultra 9 285K": rows(24, lambda cpu: (cpu, 0, 0, cpu, cpu if cpu < 8 else 8 + (cpu - 8) // 4, 0)),
    "two Xeon 8480+, SNC4": rows(224, xeon_snc4),
    "a virtual machine with a thread a core": rows(16, kvm),
    "a virtual machine whose cores are told": rows(16, lambda cpu: (cpu // 2, 0, 0, cpu // 2, cpu // 2, 0)),
    "every second CPU is off": rows(16, lambda cpu: (cpu // 2, 0, 0, cpu // 2, cpu // 2, 0), online=lambda cpu: cpu % 2 == 0),
    "Ampere Altra": rows(128, altra),
    "a node without CPUs before it": rows(8, lambda cpu: (cpu, 0, 2, cpu, cpu, 0)),
    "one CPU": rows(1, lambda cpu: (0, 0, 0, 0, 0, 0)),
    "numbers as texts, by an older lscpu": amd(1, 8, 8).replace('"online": true', '"online": "yes"'),
}
