"""Two cards behind one service, and two services with a card each: what is said and done when one card is not there, or is another one."""
import time

from card_host import ORACLE


def both(host):
    """The site with an Oracle over both cards."""
    host.write_inventory()
    found = host.play("both")
    return dict(found, others=host.not_holding(), apps=host.apps())


def one_gone(host):
    """The second card is no longer shown to its service: while it serves, at a start, and back again."""
    found = {"serving": host.wait_until(True, 60)}
    hidden = "/dev/nvidia%d" % host.cards[1]
    host.execute("mkdir -p /root/smi && cp /usr/bin/nvidia-smi /root/smi/real && printf '#!/bin/sh\\n/root/smi/real \"$@\" | grep -v %s\\n' > /root/smi/one && "
                 "chmod 755 /root/smi/one" % host.uuids[1])
    host.execute("mv %s %s.away" % (hidden, hidden))
    found["device_file_gone_while_serving"] = {"alive": host.is_alive(), "answer": host.ask(address=ORACLE, seconds=20)}
    host.execute("mount --bind /root/smi/one /usr/bin/nvidia-smi; systemctl restart protocol-omni-oracle", check=False)
    time.sleep(15)
    found["at_start"] = dict(host.says(), alive=host.is_alive(), gateway=host.ask(seconds=10))
    host.execute("umount /usr/bin/nvidia-smi; mv %s.away %s; systemctl reset-failed; systemctl restart protocol-omni-oracle" % (hidden, hidden), check=False)
    found["back"] = {"serves_after": host.wait_until(True, 120), "answer": host.ask(address=ORACLE)}
    return found


SWAPPED = """
import json
path = "/var/run/cdi/nvidia.yaml"
spec = json.load(open(path))
WHAT
json.dump(spec, open(path, "w"))
"""
REORDERED = "spec['devices'].reverse()"
OTHER_CARD = """
nodes = {one["name"]: one["containerEdits"] for one in spec["devices"]}
for one in spec["devices"]:
    if one["name"] == "SECOND":
        one["containerEdits"] = nodes["FIRST"]
"""


def cdi(host):
    """A specification with the cards in another order, and one that gives another card under the second's UUID: right or refused, never the wrong card."""
    found = {}
    for name, what in (("another order", REORDERED), ("the first card under the second's UUID",
                       OTHER_CARD.replace("SECOND", host.uuids[1]).replace("FIRST", host.uuids[0]))):
        host.write("/root/swap.py", SWAPPED.replace("WHAT", what))
        host.execute("python3 /root/swap.py; systemctl reset-failed; systemctl restart protocol-omni-oracle", check=False)
        serves = host.wait_until(True, 120)
        host.play("cdi", "protocol_omni.bunker.verify")
        found[name] = {"serves_after": serves, **host.says(), "others": host.not_holding(),
                       "claims": {name: [entry["status"], str(entry.get("observed"))[:400]] for name, entry in host.report().items()
                                  if name in ("oracle.placement", "oracle.placed", "toolkit.cdi")}}
        host.execute("systemctl restart protocol-omni-cdi; systemctl reset-failed; systemctl restart protocol-omni-oracle", check=False)
        host.wait_until(True, 120)
    return found


def each_its_own(host):
    """Two services, a card each, and one gateway: both answer, each on its own card; a rung of one does not touch the other."""
    services = host.deployed_services()
    oracle = next(service for service in services if service["name"] == "oracle")
    executor = next(service for service in services if service["name"] == "executor")
    small = {"model": "smollm2-135m-instruct-q4_1", "context": 8192, "ladder": ["kv_to_ram"]}
    second = dict({key: value for key, value in oracle.items() if key not in ("networks", "placements", "expected_word", "placement")}, **small, name="second",
                  gpus=host.uuids[1:], port=8004, networks=[{"name": "omni-network", "address": "172.30.0.30"}])
    first = dict({key: value for key, value in oracle.items() if key not in ("placements", "expected_word", "placement")}, **small, gpus=host.uuids[:1])
    found = {"deployed": host.play("each_its_own", changed={"bunker_services": [first, second, executor]})}
    found["answers"] = {name: host.ask(name) for name in ("oracle", "second", "executor")}
    found["apps"] = host.apps()
    before = host.execute("docker inspect --format '{{.State.Pid}}' second").strip()
    found["rung"] = host.play("rung_of_one", "protocol_omni.bunker.contingency", {"contingency_service": "oracle", "contingency_rung": 1})
    found["second_untouched"] = host.execute("docker inspect --format '{{.State.Pid}}' second").strip() == before
    return found


STEPS = {"both": both, "one_gone": one_gone, "cdi": cdi, "each_its_own": each_its_own}
