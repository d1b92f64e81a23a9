"""Two inventories of a host (host_inventory.py), compared: what one has and the other has not, or otherwise."""
import json
import re

OWN = (
    ("file", r"/etc/protocol_omni/gateway/(operator|self_signed|next|previous|trust)\..*", "keys and certificates are made on each host"),
    ("file", r"/etc/protocol_omni/services/.*\.proven", "it names what ran before"),
)
"""(kind, pattern of the name, why): that it is there is compared, not what it is."""
LEFT_OUT = (
    ("file", r"/var/lib/protocol_omni(/.*)?", "what the watcher and the measurements have learned so far"),
    ("file", r"/var/lib/protocol-omni-gateway/.*", "what keys have used"),
    ("file", r"/etc/protocol_omni/gateway/self_signed\.for-.*", "called after the host's name and address"),
    ("file", r"/etc/logrotate\.d/.*", "the distribution's own, whose packages stay once installed"),
    ("account", r"protocol-omni-observability", "it owns the measurements, which stay"),
    ("group", r"protocol-omni-observability", "it owns the measurements, which stay"),
    ("file", r"/etc/ansible/facts\.d/.*", "what was measured and to which rung a service was taken"),
    ("file", r"/etc/systemd/system/.*\.wants/(prometheus|nginx).*", "the distribution's own, whose packages stay once installed"),
    ("unit", r"(prometheus|nginx).*", "the distribution's own, whose packages stay once installed"),
    ("unit", r"docker-[0-9a-f]{64}\.scope|protocol-omni-.*@.*", "named by a start"),
    ("account", r"(?!protocol-omni).*", "the distribution's own"),
    ("group", r"(?!protocol-omni).*", "the distribution's own"),
    ("image", r"(?!omni/).*", "what a build leaves in the engine"),
    ("listener", r"127\.0\.0\.11:.*", "the engine's resolver inside of a container"),
)
"""(kind, pattern of the name, why): not compared at all."""


def elsewhere(inventory, address, name):
    """An inventory as of any host: its own address and name are words, so that two hosts can be compared.

    :param inventory: dict, of host_inventory.py. :param address: str, the host's own. :param name: str, the host's.
    """
    return json.loads(json.dumps(inventory).replace(address, "ADDRESS").replace(name, "HOST"))


def matches(rows, kind, name):
    """Whether one of the rows is about a thing."""
    return any(kind == of and re.fullmatch(pattern, name) for of, pattern, _why in rows)


def compared(inventory):
    """What of an inventory is compared: dict of "KIND NAME" to what it is, ``None`` where only its being there counts."""
    return {"%s %s" % (kind, name): None if matches(OWN, kind, name) else value
            for kind, things in inventory.items() for name, value in things.items() if not matches(LEFT_OUT, kind, name)}


def what_differs(first, second, limit=300):
    """What of one thing is other, in few words."""
    if isinstance(first, dict) and isinstance(second, dict):
        return "; ".join("%s: %s" % (name, what_differs(first.get(name), second.get(name), limit)) for name in sorted(set(first) | set(second))
                         if first.get(name) != second.get(name))[:limit * 2]
    if isinstance(first, list) and isinstance(second, list):
        return ("without %s, with %s" % ([one for one in first if one not in second], [one for one in second if one not in first]))[:limit]
    return ("%s, not %s" % (second, first))[:limit]


def difference(wanted, found):
    """How a host is other than it should be.

    :param wanted: dict, of host_inventory.py on the host as it should be.
    :param found: dict, of the host that is judged.
    :returns: list of str: "missing: THING", "besides: THING", "other: THING: what"; empty where they are alike.
    """
    wanted, found = compared(wanted), compared(found)
    return (["missing: " + name for name in sorted(set(wanted) - set(found))] + ["besides: " + name for name in sorted(set(found) - set(wanted))] +
            ["other: %s: %s" % (name, what_differs(wanted[name], found[name])) for name in sorted(set(wanted) & set(found)) if wanted[name] != found[name]])
