"""Processors as lscpu tells of them (util-linux 2.38, --json --extended=CPU,CORE,SOCKET,NODE,CACHE,ONLINE)."""
import json

from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import topology


def lscpu(sockets, cores, ccd, nodes, siblings=2):
    """The text for a machine of AMD's numbering: all cores of all sockets first, then their siblings.

    :param cores: of a socket.
    :param ccd: cores that share a last-level cache.
    :param nodes: NUMA nodes of a socket.
    """
    rows, total = [], sockets * cores
    for cpu in range(total * siblings):
        core = cpu % total
        rows.append({"cpu": cpu, "core": core, "socket": core // cores, "node": core // (cores // nodes),
                     "l1d:l1i:l2:l3": "%d:%d:%d:%d" % (core, core, core, core // ccd), "online": True})
    return json.dumps({"cpus": rows})


# What a virtual machine printed for two cores of an EPYC, as it is.
TWO_CORES = """
{"cpus": [
      {"cpu": 0, "core": 0, "socket": 0, "node": 0, "l1d:l1i:l2:l3": "0:0:0:0", "online": true},
      {"cpu": 1, "core": 1, "socket": 0, "node": 0, "l1d:l1i:l2:l3": "1:1:1:0", "online": true}]}
"""
# The same without --json, by an older util-linux, and with a CPU that is switched off.
TABLE = """
CPU CORE SOCKET NODE L1d:L1i:L2:L3 ONLINE
  0    0      0    0 0:0:0:0       yes
  1    1      0    0 1:1:1:0       yes
  2    -      -    - -             no
"""
TELLS_NOTHING = """
{"cpus": [{"cpu": 0, "core": null, "socket": null, "node": null, "l1d:l1i:l2:l3": null, "online": true},
          {"cpu": 1, "core": null, "socket": null, "node": null, "l1d:l1i:l2:l3": "-", "online": true},
          {"cpu": 2, "core": "-", "socket": "-", "node": "-", "l1d:l1i:l2:l3": "-", "online": "yes"},
          {"cpu": 3, "online": "yes"}]}
"""
THREADRIPPER = topology.parse(lscpu(1, 96, 8, 1))
THREADRIPPER_NPS4 = topology.parse(lscpu(1, 96, 8, 4))
TWO_EPYCS = topology.parse(lscpu(2, 64, 8, 1))
PAIR = topology.parse(TWO_CORES)
OPAQUE = topology.parse(TELLS_NOTHING)
