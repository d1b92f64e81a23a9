"""Faults of a deployed site on a card: what the user is told, seconds until it serves again, what was lost; and the doctrine's shadowed libcuda."""
import pathlib
import time

from card_host import EXECUTOR, ORACLE, docker

# What is done to the host, and what brings it back where it does not come by itself.
FAULTS = {
    "the server killed": ("kill -9 $(docker inspect --format '{{.State.Pid}}' oracle)", ""),
    "the engine killed": ("systemctl kill --signal=KILL docker.service", ""),
    "the card's device file gone": ("mv /dev/nvidia%(card)d /dev/nvidia%(card)d.away; systemctl restart protocol-omni-oracle",
                                    "mv -f /dev/nvidia%(card)d.away /dev/nvidia%(card)d"),
    "nvidia-smi hangs": ("mount --bind /root/hanging-smi /usr/bin/nvidia-smi; systemctl restart protocol-omni-oracle", "umount /usr/bin/nvidia-smi"),
    "a CDI specification of another card": ("sed -i 's/GPU-[0-9a-f]*/GPU-00000000/g' /var/run/cdi/nvidia.yaml; systemctl restart protocol-omni-oracle",
                                            "systemctl restart protocol-omni-cdi"),
    "a CDI specification of another driver": ("sed -i 's/so[.][0-9.]*/so.999.99.99/g' /var/run/cdi/nvidia.yaml; systemctl restart protocol-omni-oracle",
                                              "systemctl restart protocol-omni-cdi"),
}
# Seconds that a fault which does not go by itself is left: one more start within them, three would be the end of it. The unit waits 30 s for nvidia-smi.
WAITS = {"nvidia-smi hangs": 45}


def states(host):
    """Of the units that matter."""
    units = "protocol-omni-oracle protocol-omni-executor protocol-omni-gateway protocol-omni-vram-watch docker"
    return dict(zip(units.split(), host.execute("systemctl is-active %s" % units, check=False).split()))


def provoke(host, name, harm, mend):
    """One fault: when the Oracle was down, what is said meanwhile, when it served again, and what clients saw at the gateway."""
    numbers = {"card": host.cards[0]}
    host.begin_load("oracle:1")
    time.sleep(2)
    host.execute("%s" % (harm % numbers), check=False)
    found = {"down_after": host.wait_until(False, 30)}
    if mend:
        time.sleep(WAITS.get(name, 13))
        found.update(host.says(), meanwhile=states(host))
        host.execute(mend % numbers, check=False)
    found.update(serves_after=host.wait_until(True, 90), answer=host.ask(address=ORACLE, seconds=60), afterwards=states(host))
    if found["serves_after"] is None:
        host.execute("systemctl reset-failed; systemctl start protocol-omni-oracle protocol-omni-executor", check=False)
        found["by_hand"] = host.wait_until(True, 60)
    found["clients"] = host.end_load()["oracle"]
    return found


def faults(host):
    """Each fault in turn."""
    host.write("/root/hanging-smi", "#!/bin/sh\nexec sleep 60\n")
    host.execute("chmod 755 /root/hanging-smi")
    found = {}
    for name, (harm, mend) in FAULTS.items():
        host.execute("systemctl reset-failed; systemctl start protocol-omni-oracle protocol-omni-executor", check=False)
        host.wait_until(True, 60)
        host.wait_until(True, 90, EXECUTOR)  # or there is nobody who could stand in
        found[name] = provoke(host, name, harm, mend)
    return {"faults": found}


def restarted(host):
    """The host restarted: seconds until its Oracle and its gateway answer."""
    begun = time.monotonic()
    docker("restart", "--time", "30", host.name)
    stopped = time.monotonic()
    host.wait_for_systemd()
    host.wait_until(True, 120)
    return {"stop_s": round(stopped - begun, 1), "serves_after": round(time.monotonic() - stopped, 1), "answer": host.ask(), "states": states(host)}


SHADOW = """
import json
path = "/var/run/cdi/nvidia.yaml"
spec = json.load(open(path))
edits, inside = spec["containerEdits"], "/usr/lib/x86_64-linux-gnu/"
edits["mounts"].append({"hostPath": "/opt/compat/NAME", "containerPath": inside + "NAME", "options": ["ro", "nosuid", "nodev", "bind"]})
edits["hooks"][0]["args"] = ["NAME::" + inside + "libcuda.so.1" if word.endswith("/libcuda.so.1") else word for word in edits["hooks"][0]["args"]]
json.dump(spec, open(path, "w"))
"""


def shadowed(host):
    """CUDA's compat library takes the name libcuda.so.1 in the Oracle's container: what the claim says, then and after it is gone."""
    compat, = pathlib.Path("/usr/local/cuda/compat").glob("libcuda.so.[0-9]*.*")
    host.execute("mkdir -p /opt/compat; systemctl reset-failed protocol-omni-oracle", check=False)
    docker("cp", str(compat), "%s:/opt/compat/%s" % (host.name, compat.name))

    def seen():
        host.execute("systemctl restart protocol-omni-oracle", check=False)
        answer = host.ask(seconds=60, address=ORACLE)
        host.play("shadowed", "protocol_omni.bunker.verify")
        return {"answer": answer, "claim": {name: host.report()["oracle.libcuda"].get(name) for name in ("status", "expected", "observed")}}
    docker("exec", host.name, "python3", "-c", SHADOW.replace("NAME", compat.name))
    found = {"library": compat.name, "there": seen()}
    host.execute("systemctl restart protocol-omni-cdi")
    return dict(found, gone=seen())


STEPS = {"faults": faults, "restarted": restarted, "shadowed": shadowed}
