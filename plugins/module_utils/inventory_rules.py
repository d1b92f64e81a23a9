# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-checks of an inventory: what no single role's argument spec can see.

Pure functions over the validated variables. Each rule yields problems; a problem names the value,
the rule it breaks and the remedy. Nothing here looks at a host.
"""
from __future__ import annotations

import collections
import difflib
import ipaddress
import re

from . import card_names, gateway_keys, shard_names
from .llama import options
from .throughput import topology

Problem = collections.namedtuple("Problem", ["value", "rule", "remedy"])


def numbered(problems):
    """Problems as lines for people: list of str."""
    return ["%d. %s: %s. %s" % (number, problem.value, problem.rule, problem.remedy) for number, problem in enumerate(problems, 1)]


SHA256 = re.compile(r"^[0-9a-f]{64}$")
SERVICE_NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
GPU_UUID = re.compile(r"^(GPU|MIG)-[0-9A-Za-z-]+$")
# An SM architecture as CMAKE_CUDA_ARCHITECTURES takes it: 120, 120a, 120f, 120-real, 120-virtual.
ARCHITECTURE = re.compile(r"^[0-9]{2,3}[af]?(-real|-virtual)?$")
# Plain names only: what systemd, fstab and a shell would expand has no place in a path.
PATH = re.compile(r"^(/[A-Za-z0-9._-]+)+$")
MOUNT_OPTION = re.compile(r"^[A-Za-z0-9_.:=/-]+$")
MEMORY = re.compile(r"^[1-9][0-9]*[bkmg]?$", re.IGNORECASE)

SIZE = re.compile(r"^[1-9][0-9]*[km]?$")
DURATION = re.compile(r"^[1-9][0-9]*[hdwy]$")
DATA_SIZE = re.compile(r"^[1-9][0-9]*[MGT]B$")
HOST_AND_PORT = re.compile(r"^[A-Za-z0-9.-]+:[1-9][0-9]{0,4}$")
# As a browser sends it (the Fetch standard's serialisation of an origin): "null" and "*" are none, and file:// has no host.
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:]+\]|[A-Za-z0-9._-]+)(:[1-9][0-9]{0,4})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
URL = re.compile(r"^(https?)://([A-Za-z0-9.-]+)(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$")
RESERVED_NAMES = ("seal", "gateway", "vram-watch", "prometheus", "node-exporter")  # units of that name are the collection's own
PROVIDER_NAME = re.compile(r"^[A-Za-z0-9._:/-]+$")
NO_KEY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the SHA-256 of nothing
# As clients write models' names, with the @ of versions; the path of one names no folder above it.
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
KEY_NAME = re.compile(r"^[A-Za-z0-9._-]+$")
PLAIN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
IMAGE_NAME = re.compile(r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$")
CAPABILITY = re.compile(r"^[1-9][0-9]?\.[0-9]$")
# "REPLACE with WHAT: COMMAND" of a sample inventory, "REPLACE: COMMAND" of one that ./bunker init wrote.
PLACEHOLDER = re.compile(r"^REPLACE(?: with|:) (.*)$", re.DOTALL)


def _duplicates(values):
    return [value for value, count in collections.Counter(values).items() if count > 1]


def unknown_variables(names, known, prefixes):
    """Variables that carry a role's prefix and that no role knows.

    :param names: iterable of variable names that the inventory sets.
    :param known: set of public variable names of all roles.
    :param prefixes: tuple of prefixes with their underscore, for example ``("networks_", "bunker_")``.
    """
    for name in sorted(names):
        if name.startswith(prefixes) and name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            remedy = "Did you mean %s?" % near[0] if near else "Remove it, or see the role's meta/argument_specs.yml."
            yield Problem(name, "no role of this collection has a variable of that name", remedy)


def placeholders(value, path):
    """Values that an inventory leaves to its user: strings "REPLACE with WHAT: COMMAND", or "REPLACE: COMMAND" where a command alone tells it.

    :param value: any JSON-like value.
    :param path: its name, for the message.
    """
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from placeholders(entry, "%s.%s" % (path, key))
    elif isinstance(value, (list, tuple)):
        for position, entry in enumerate(value):
            yield from placeholders(entry, "%s.%s" % (path, entry["name"] if isinstance(entry, dict) and "name" in entry else position))
    elif isinstance(value, str) and value.startswith("REPLACE: "):
        yield Problem(path, "nobody could tell this value yet", "Obtain it: %s" % PLACEHOLDER.match(value).group(1))
    elif isinstance(value, str) and PLACEHOLDER.match(value):
        yield Problem(path, "only you can know this value", "Write %s" % PLACEHOLDER.match(value).group(1))


def check_source(where, source, sha256):
    """The source contract: one of url, file or package (with version and filename), and a SHA-256 of the result."""
    kinds = [kind for kind in ("url", "file", "package") if source.get(kind)]
    if len(kinds) != 1:
        yield Problem("%s: source has %s" % (where, " and ".join(kinds) or "no origin"),
                      "a source is exactly one of url, file or package", "Keep one of the three.")
    if source.get("package") and not (source.get("version") and source.get("filename")):
        yield Problem("%s: package %s" % (where, source["package"]),
                      "a package source names its version and filename", "Add version and filename.")
    if not sha256:
        yield Problem("%s: no sha256" % where, "nothing is fetched that cannot be verified",
                      "Obtain it: %s" % _hash_command(source))
    elif not SHA256.match(sha256):
        yield Problem("%s: sha256 '%s'" % (where, sha256), *_wrong_hash(sha256, _hash_command(source)))


def _wrong_hash(sha256, command):
    """Rule and remedy for what is no SHA-256, or is one as other tools write it."""
    if SHA256.match(sha256.lower()):
        return "a SHA-256 is written in lower case, as sha256sum prints it; this one has upper-case letters", "Write %s." % sha256.lower()
    return "a SHA-256 is 64 lower-case hexadecimal digits", "Obtain it: %s" % command


def _hash_command(source):
    url = source.get("url") or ""
    if "/resolve/" in url:  # a model hub's large file: its pointer holds the SHA-256, 130 bytes instead of the file
        return "curl -sL %s | grep oid" % url.replace("/resolve/", "/raw/")
    if url:
        return "curl -sL %s | sha256sum" % url
    if source.get("member"):  # a path inside a wheel, which is a ZIP archive
        return "unzip -p %s %s | sha256sum" % (source.get("filename") or "FILE", source["member"])
    return "sha256sum %s" % (source.get("file") or source.get("filename") or "FILE")


def check_networks(networks):
    subnets = []
    for name in _duplicates(network["name"] for network in networks):
        yield Problem("networks_definitions: %s twice" % name, "a network's name is unique", "Rename or remove one.")
    for bridge in _duplicates(network["bridge"] for network in networks):
        yield Problem("networks_definitions: bridge %s twice" % bridge, "a bridge belongs to one network", "Rename one.")
    for network in networks:
        if len(network["bridge"]) > 15:
            yield Problem("networks_definitions: %s: bridge %s" % (network["name"], network["bridge"]),
                          "Linux takes interface names of at most 15 characters", "Shorten it.")
        try:
            subnet = ipaddress.IPv4Network(network["subnet"])
        except ValueError as error:
            yield Problem("networks_definitions: %s: subnet %s" % (network["name"], network["subnet"]),
                          "a subnet is an IPv4 network address with its prefix length (%s)" % error, "Write for example 172.30.0.0/16.")
            continue
        for other_name, other in subnets:
            if subnet.version == other.version and subnet.overlaps(other):
                yield Problem("networks_definitions: %s %s and %s %s" % (other_name, other, network["name"], subnet),
                              "networks do not overlap", "Choose another subnet for one of them.")
        subnets.append((network["name"], subnet))


def check_models(models):
    for name in _duplicates(model["name"] for model in models):
        yield Problem("model_store_catalogue: %s twice" % name, "a model's name is unique", "Rename or remove one.")
    for model in models:
        if not model["files"]:
            yield Problem("model_store_catalogue: %s has no files" % model["name"], "a model has at least one file", "Add its files.")
        for name in [model["name"]] + [entry["name"] for entry in model["files"]]:
            if not PLAIN_NAME.match(name):
                yield Problem("model_store_catalogue: %s: name '%s'" % (model["name"], name),
                              "a model and its files have plain names, none leads out of the store", "Use letters, digits, dots, dashes and underscores.")
        for entry in model["files"]:
            if entry.get("size", 0) < 0:
                yield Problem("model_store_catalogue: %s: size %d of %s" % (model["name"], entry["size"], entry["name"]),
                              "a size is a number of bytes, 0 for one that nobody knows", "Write it (stat --format %s FILE), or 0.")
        yield from _check_shards(model)
        for name in _duplicates(entry["name"] for entry in model["files"]):
            yield Problem("model_store_catalogue: %s: file %s twice" % (model["name"], name), "a file's name is unique", "Remove one.")


def _check_shards(model):
    for found, rule, remedy in shard_names.problems(model):
        yield Problem("model_store_catalogue: %s: %s" % (model["name"], found), rule, remedy)


def check_model_sources(models, used):
    """Only models that a service uses need to be obtainable: the catalogue may hold more."""
    for model in models:
        if model["name"] in used:
            for entry in model["files"]:
                yield from check_source("model %s, file %s" % (model["name"], entry["name"]), entry["source"], entry.get("sha256"))


def _check_placement(service):
    name, gpus = service["name"], service["gpus"]
    if service["device"] == "cpu" and gpus:
        yield Problem("service %s: device cpu with gpus %s" % (name, ", ".join(gpus)), "a CPU service holds no GPU",
                      "Set device: gpu or remove gpus.")
    if service["device"] == "gpu" and not gpus:
        yield Problem("service %s: device gpu without gpus" % name, "GPUs are named by UUID, their indices are not stable",
                      "Add gpus with the UUIDs of: nvidia-smi -L")
    for uuid in sorted({uuid for uuid in gpus if gpus.count(uuid) > 1}):
        yield Problem("service %s: gpus names %s %d times" % (name, uuid, gpus.count(uuid)), "a card is one card",
                      "Name it once.")
    for uuid in gpus:
        if not GPU_UUID.match(uuid) and not card_names.PCI_NAME.match(uuid):
            yield Problem("service %s: gpu %s" % (name, uuid), "a GPU is named by its UUID (GPU-… or MIG-…)", "See: nvidia-smi -L")
    if service["device"] == "cpu" and (service["tensor_split"] or service["gpu_layers"] not in ("auto", "0")):
        yield Problem("service %s: gpu_layers %s, tensor_split '%s'" % (name, service["gpu_layers"], service["tensor_split"]),
                      "a CPU service puts no layers on a GPU", "Remove both.")
    for key in ("split_mode", "tensor_overrides"):
        if service["device"] == "cpu" and service[key]:
            yield Problem("service %s: %s %s" % (name, key, service[key]), "it parts a model between GPUs and RAM, and this service has none of them",
                          "Remove it.")


def _check_numbers(service):
    name = service["name"]
    if service["threads"] != "auto" and not re.match(r"^[1-9][0-9]*$", service["threads"]):
        yield Problem("service %s: threads %s" % (name, service["threads"]), "threads is 'auto' or a positive number",
                      "Use auto: the host's physical cores.")
    if service["batch"] != "auto" and not re.match(r"^[1-9][0-9]*$", service["batch"]):
        yield Problem("service %s: batch %s" % (name, service["batch"]), "batch is 'auto' or a positive number of tokens", "Raise it, or use auto.")
    try:
        topology.expanded(service["cpuset"] if service["cpuset"] not in ("auto", "") else "0")
    except ValueError:
        yield Problem("service %s: cpuset %s" % (name, service["cpuset"]), "cpuset is 'auto', empty for all CPUs, or a list of CPUs",
                      "Write for example 0-47, or use auto.")
    for key, unit in (("context", "tokens"), ("micro_batch", "tokens"), ("start_timeout", "seconds"), ("answer_tokens", "tokens")):
        if service[key] < 1:
            yield Problem("service %s: %s %d" % (name, key, service[key]), "%s is a positive number of %s" % (key, unit), "Raise it.")
    yield from _check_port("service %s: port" % name, service["port"])
    if service["memory"] and not MEMORY.match(service["memory"]):
        yield Problem("service %s: memory %s" % (name, service["memory"]), "a memory limit is a number with b, k, m or g",
                      "Write for example 8g.")
    try:
        ipaddress.ip_address(service["address"] or "127.0.0.1")
    except ValueError:
        yield Problem("service %s: address %s" % (name, service["address"]), "the published address is an IP address of the host, or empty",
                      "Leave it empty: the gateway is the door.")


def _check_arguments(service):
    for option in sorted(_duplicates(option for option in map(options.of_word, service["extra_arguments"]) if option)):
        yield Problem("service %s: extra argument %s twice" % (service["name"], option), "llama.cpp goes by the last one alone", "Remove one.")
    for word in service["extra_arguments"]:
        option = options.of_word(word)
        if not option:
            continue
        where, field, harm = "service %s: extra argument %s" % (service["name"], option), options.field_of(option), options.harm_of(option)
        if field is not None:
            yield Problem(where, "the role sets this option itself", "Use the service's %s." % field if field else "Remove it.")
        elif harm:
            yield Problem(where, "an option that %s has no place in the bunker" % harm, "Remove it.")
        elif not options.is_alone(word):
            yield Problem("service %s: extra argument %s" % (service["name"], word), "llama.cpp takes an option and its value as two words",
                          "Write them as two entries of the list.")


def check_services(services, networks, models):
    subnets = {}
    for network in networks:
        try:
            subnets.setdefault(network["name"], ipaddress.ip_network(network["subnet"]))
        except ValueError:
            pass  # check_networks names it
    model_names = [model["name"] for model in models]
    for name in _duplicates(service["name"] for service in services):
        yield Problem("service %s twice" % name, "a service's name is unique", "Rename one.")
    endpoints = {}
    addresses = {}
    for service in services:
        name = service["name"]
        if not SERVICE_NAME.match(name):
            yield Problem("service %s" % name, "a name is lower-case letters, digits and dashes, at most 31, and starts with a letter",
                          "Rename it: it becomes the container's name and part of the unit's.")
        if name in RESERVED_NAMES:
            yield Problem("service %s" % name, "protocol-omni-%s.service is the collection's own unit" % name, "Rename it.")
        if service["model"] not in model_names:
            near = difflib.get_close_matches(service["model"], model_names, n=1)
            yield Problem("service %s: model %s" % (name, service["model"]), "a model stands in model_store_catalogue or model_store_extra_models",
                          "Did you mean %s?" % near[0] if near else "Known: %s. ./bunker model lists others and writes the entry of one." % (
                              ", ".join(sorted(model_names))))
        if service["address"]:
            # 0.0.0.0 takes the port on every address, so it collides with each of them.
            for (address, port), other in endpoints.items():
                if port == service["port"] and (address == service["address"] or "0.0.0.0" in (address, service["address"])):
                    yield Problem("services %s and %s: %s:%d" % (other, name, service["address"], port), "an address and port serve once",
                                  "Give one another port.")
            endpoints[(service["address"], service["port"])] = name
        if not service["networks"]:
            yield Problem("service %s: no networks" % name, "a service stands on at least one network", "Add one of: %s." % ", ".join(sorted(subnets)))
        for attachment in service["networks"]:
            yield from _check_attachment(name, attachment, subnets, [network["name"] for network in networks], addresses)
        yield from _check_placement(service)
        yield from _check_numbers(service)
        yield from _check_arguments(service)


def _check_attachment(service, attachment, subnets, known, addresses):
    where = "service %s: %s on %s" % (service, attachment["address"], attachment["name"])
    if attachment["name"] not in known:
        yield Problem(where, "a service joins networks of networks_definitions", "Known: %s." % ", ".join(sorted(known)))
        return
    try:
        address = ipaddress.IPv4Address(attachment["address"])
    except ValueError:
        yield Problem(where, "a service's address is an IPv4 address", "Write for example 172.30.0.10.")
        return
    subnet = subnets.get(attachment["name"])
    if subnet is not None:
        if address not in subnet:
            yield Problem(where, "an address lies in its network's subnet %s" % subnet, "Choose one inside it.")
        elif address in (subnet.network_address, subnet.broadcast_address, subnet.network_address + 1):
            yield Problem(where, "the network, gateway (first host) and broadcast addresses are taken", "Choose another inside %s." % subnet)
    if str(address) in addresses:
        yield Problem(where, "an address belongs to one service (%s has it)" % addresses[str(address)], "Choose another.")
    addresses[str(address)] = service


def check_allowances(allowances, networks, services):
    """What sealed services may reach all the same."""
    sealed = [service["name"] for service in services if service["sealed"]]
    internal = [network["name"] for network in networks if network["internal"]]
    for allowance in allowances:
        where = "networks_allowances: %s to %s" % (allowance["from"], allowance["to"])
        if services and allowance["from"] not in sealed + internal:
            yield Problem(where, "an allowance is a sealed service's or an internal network's", "Known: %s." % ", ".join(sealed + internal))
        try:
            ipaddress.IPv4Network(allowance["to"])
        except ValueError as error:
            yield Problem(where, "a destination is an IPv4 address or subnet (%s)" % error, "Write for example 172.30.0.20 or 172.30.0.0/24.")
        yield from _check_port("%s: port" % where, allowance["port"])


def _check_port(where, port):
    if not 1 <= port <= 65535:
        yield Problem("%s %d" % (where, port), "a port is between 1 and 65535", "Choose another.")


def check_gateway(inventory, services, networks):
    """The one door: who may listen, ask and answer."""
    address, tls = inventory["gateway_address"], inventory["gateway_tls"]
    try:
        if not ipaddress.ip_address(address).is_loopback and tls == "none":
            yield Problem("gateway_address %s with gateway_tls none" % address, "keys and prompts cross a network encrypted or not at all",
                          "Set gateway_tls to files or self_signed, or gateway_address to 127.0.0.1.")
    except ValueError:
        yield Problem("gateway_address %s" % address, "the gateway listens on an IP address of the host", "Write for example 127.0.0.1.")
    for name in ("gateway_tls_certificate", "gateway_tls_key"):
        if (tls == "files") != bool(inventory[name]):
            yield Problem("%s '%s' with gateway_tls %s" % (name, inventory[name], tls),
                          "a certificate and its key are named for gateway_tls: files, and only then",
                          "Name both files, or leave both empty.")
    for name in ("gateway_port", "gateway_metrics_port"):
        yield from _check_port(name, inventory[name])
    published = {service["port"] for service in services if service["address"]}
    for port in _duplicates([inventory["gateway_port"], inventory["gateway_metrics_port"], *published]):
        yield Problem("gateway: port %d twice" % port, "gateway_port, gateway_metrics_port and published ports of services differ", "Choose another.")
    for name in ("gateway_requests_per_minute", "gateway_burst", "gateway_concurrent_requests", "gateway_response_timeout",
                 "gateway_drain_wait", "gateway_comment_interval", "gateway_wrong_keys_per_minute"):
        if inventory.get(name, 1) < 1:
            yield Problem("%s %d" % (name, inventory[name]), "a limit is at least 1", "Raise it.")
    if not SIZE.match(inventory["gateway_body_limit"]):
        yield Problem("gateway_body_limit %s" % inventory["gateway_body_limit"], "a size is a number with an optional k or m", "Write for example 16m.")
    for origin in inventory["gateway_cors_origins"]:
        found = ORIGIN.fullmatch(origin)
        if not found:
            yield Problem("gateway_cors_origins: %s" % origin, "an origin is scheme, host and optional port, with no path; * and null are none",
                          "Write for example https://chat.example.com or app://obsidian.md.")
        elif found.group(1) in DEFAULT_PORTS and (origin != origin.lower() or found.group(3) == DEFAULT_PORTS[found.group(1)]):
            yield Problem("gateway_cors_origins: %s" % origin, "it is compared with what a browser sends: lower case, without the scheme's own port",
                          "Write %s." % origin.lower().removesuffix(DEFAULT_PORTS[found.group(1)]))
    yield from _check_gateway_keys(inventory["gateway_keys"])
    yield from _check_answerers(inventory, [service["name"] for service in services], networks)
    yield from _check_aliases(inventory, [service["name"] for service in services])


def check_observability(inventory, services):
    """What measures: ports that nobody else has, and values that Prometheus understands."""
    if not inventory["observability_enabled"]:
        return
    own = ("observability_prometheus_port", "observability_node_exporter_port")
    for name in own:
        yield from _check_port(name, inventory[name])
    taken = ("gateway_port", "gateway_metrics_port", "vram_watch_metrics_port")
    others = {inventory[name] for name in taken} | {service["port"] for service in services if service["address"]}
    for port in _duplicates([*(inventory[name] for name in own), *others]):
        yield Problem("observability: port %d twice" % port,
                      "%s differ from each other, from %s and from published ports" % (" and ".join(own), ", ".join(taken)), "Choose another.")
    if not 1 <= inventory["observability_scrape_interval"] <= 15:
        yield Problem("observability_scrape_interval %d" % inventory["observability_scrape_interval"],
                      "the rules wait 15 seconds and more, and want a measurement in that time", "Write 1 to 15.")
    for name, pattern, example in (("observability_retention", DURATION, "15d"), ("observability_retention_size", DATA_SIZE, "2GB")):
        if not pattern.match(inventory[name]):
            yield Problem("%s %s" % (name, inventory[name]), "a number and a unit, as Prometheus reads it", "Write for example %s." % example)
    for address in inventory["observability_alertmanagers"]:
        if not HOST_AND_PORT.match(address):
            yield Problem("observability_alertmanagers: %s" % address, "an Alertmanager is HOST:PORT", "Write for example 192.0.2.7:9093.")


def _check_gateway_keys(keys):
    hashes = [key[field] for key in keys for field in ("sha256", "previous_sha256") if key.get(field)]
    for what, values in (("name", [key["name"] for key in keys]), ("sha256", hashes)):
        for value in _duplicates(values):
            yield Problem("gateway_keys: %s %s twice" % (what, value), "a key is one holder's", "Make a key for each, or remove one.")
    for key in keys:
        yield from _check_key_hash(key["name"], "sha256", key["sha256"])
        yield from _check_previous_key(key)
        if not KEY_NAME.match(key["name"]):
            yield Problem("gateway_keys: name '%s'" % key["name"], "a name is letters, digits, dots, dashes and underscores", "Rename it.")


def _check_key_hash(name, field, value):
    if SHA256.match(value.lower()) and not SHA256.match(value):
        yield Problem("gateway_keys: %s: %s with upper-case letters" % (name, field), "a SHA-256 is written in lower case",
                      "Write it in lower case, as sha256sum prints it.")
    elif not SHA256.match(value):
        # The value is not repeated: it may be the key itself.
        yield Problem("gateway_keys: %s: %s of %d characters" % (name, field, len(value)),
                      "the inventory holds the hash of a key, 64 lower-case hexadecimal digits, never the key", "Obtain it: printf %s KEY | sha256sum")
    if value == NO_KEY:
        yield Problem("gateway_keys: %s: %s %s" % (name, field, NO_KEY), "that is the hash of an empty key",
                      "Hash the key itself: printf %s KEY | sha256sum")


def _check_previous_key(key):
    previous, until = key.get("previous_sha256", ""), key.get("previous_until", "")
    if bool(previous) != bool(until):
        alone, other = ("previous_sha256", "previous_until") if previous else ("previous_until", "previous_sha256")
        yield Problem("gateway_keys: %s: %s without %s" % (key["name"], alone, other),
                      "a key that is rotated holds besides its successor until a time", "Set both, or neither.")
    if previous:
        yield from _check_key_hash(key["name"], "previous_sha256", previous)
    if until:
        try:
            gateway_keys.seconds(until)
        except ValueError as error:
            yield Problem("gateway_keys: %s: previous_until" % key["name"], str(error), "Write for example: date -u -d '+7 days' +%Y-%m-%dT%H:%M:%SZ")


def _check_answerers(inventory, services, networks):
    for service, other in inventory["gateway_fallbacks"].items():
        # A run without any service, before the driver is there, leaves what is said of them as it is.
        if services and (service not in services or other not in services or service == other):
            yield Problem("gateway_fallbacks: %s: %s" % (service, other), "a fallback leads from one service to another", "Known: %s." % ", ".join(services))
    own = [ipaddress.ip_network("127.0.0.0/8")] + [ipaddress.ip_network(network["subnet"]) for network in networks if _is_subnet(network["subnet"])]
    for name in _duplicates(sorted(set(services)) + [provider["name"] for provider in inventory["gateway_providers"]]):
        yield Problem("gateway_providers: %s twice" % name, "a model's name leads to one service or provider", "Rename or remove one.")
    for provider in inventory["gateway_providers"]:
        where = "gateway_providers: %s: url %s" % (provider["name"], provider["url"])
        if not PROVIDER_NAME.match(provider["name"]):
            yield Problem("gateway_providers: name '%s'" % provider["name"], "a model's name is letters, digits and . _ : / -", "Rename it.")
        found = URL.match(provider["url"])
        if not found:
            yield Problem(where, "the base of an API is http(s)://HOST[:PORT]/PATH", "Write for example https://api.example.com/v1.")
        elif found.group(1) == "http" and not any(_lies_in(found.group(2), subnet) for subnet in own):
            yield Problem(where, "keys and prompts leave this host encrypted or not at all", "Use https.")


def _check_aliases(inventory, services):
    providers = [provider["name"] for provider in inventory["gateway_providers"] if provider["enabled"]]
    for alias, service in inventory.get("gateway_aliases", {}).items():
        where = "gateway_aliases: %s: %s" % (alias, service)
        if not isinstance(alias, str) or not ALIAS.fullmatch(alias) or len(alias) > 128:
            yield Problem(where, "an alias is a model's name: letters, digits and . _ : @ + - /, at most 128, a string", "Rename it; quote a number.")
        if alias in services or alias in providers:
            yield Problem(where, "an alias is a name that nobody else has", "Remove it, or rename the service or provider of that name.")
        # A run without any service, before the driver is there, leaves what is said of them as it is.
        if services and service not in services:
            near = difflib.get_close_matches(str(service), services, n=1)
            yield Problem(where, "an alias leads to a service", "Did you mean %s?" % near[0] if near else "Known: %s." % ", ".join(services))


def _is_subnet(text):
    try:
        return bool(ipaddress.IPv4Network(text))
    except ValueError:
        return False


def _lies_in(host, subnet):
    try:
        return ipaddress.ip_address(host) in subnet
    except ValueError:
        return False


def check_image(image):
    base, base_archive = image["golden_image_base"], image["golden_image_base_archive"]
    if bool(base) == bool(base_archive):
        yield Problem("golden_image_base '%s', golden_image_base_archive '%s'" % (base, base_archive),
                      "the image stands on exactly one base: a pinned upstream image or a root file system archive",
                      "Set golden_image_base to NAME@sha256:DIGEST, with the digest of: docker buildx imagetools inspect debian:trixie-slim")
    elif base and not re.search(r"@sha256:[0-9a-f]{64}$", base):
        yield Problem("golden_image_base %s" % base, "an upstream image is pinned by digest, a tag can move",
                      "Append the digest of: docker buildx imagetools inspect %s" % base.split("@")[0])
    if base_archive and not SHA256.match(image["golden_image_base_archive_sha256"]):
        yield Problem("golden_image_base_archive_sha256 '%s'" % image["golden_image_base_archive_sha256"],
                      *_wrong_hash(image["golden_image_base_archive_sha256"], "sha256sum %s" % base_archive))
    yield from check_source("golden_image_source", image["golden_image_source"], image["golden_image_source_sha256"])
    for architecture in image["golden_image_cuda_architectures"]:
        if not ARCHITECTURE.match(architecture):
            yield Problem("golden_image_cuda_architectures: %s" % architecture,
                          "an SM architecture is its number with an optional a or f", "Write for example 120.")
    yield from _check_build(image)


def _check_build(image):
    """How the image is named and built."""
    if not IMAGE_NAME.match(image["golden_image_name"]):
        yield Problem("golden_image_name %s" % image["golden_image_name"],
                      "an image's name is lower-case words, parted by / . _ or -, without a tag",
                      "Write for example omni/llama-server; the tag is golden_image_alias.")
    if not PLAIN_NAME.match(image["golden_image_alias"]):
        yield Problem("golden_image_alias %s" % image["golden_image_alias"], "a tag is letters, digits, dots, dashes and underscores",
                      "Write for example sm120-cuda13.")
    if re.match(r"^[0-9a-f]{16}$", image["golden_image_alias"]):
        yield Problem("golden_image_alias %s" % image["golden_image_alias"], "tags of 16 hexadecimal digits name images by their inputs", "Choose another.")
    if image["golden_image_jobs"] != "auto" and not re.match(r"^[1-9][0-9]*$", image["golden_image_jobs"]):
        yield Problem("golden_image_jobs %s" % image["golden_image_jobs"], "jobs is 'auto' or a positive number",
                      "Use auto: one a core, as far as memory goes.")
    for capability in image["golden_image_capabilities"]:
        if not CAPABILITY.match(capability):
            yield Problem("golden_image_capabilities: %s" % capability, "a compute capability is MAJOR.MINOR",
                          "Write for example 12.0. See: nvidia-smi --query-gpu=compute_cap --format=csv")
    for name, least in (("golden_image_build_timeout", 60), ("golden_image_keep_earlier", 0)):
        if image[name] < least:
            yield Problem("%s %d" % (name, image[name]), "at least %d" % least, "Raise it.")
    for option, value in image["golden_image_cmake_options"].items():
        if "\n" in str(value):
            yield Problem("golden_image_cmake_options: %s: %r" % (option, value), "a CMake option has a value of one line", "Write it in one line, without |.")
        if not re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", option):
            yield Problem("golden_image_cmake_options: %s" % option, "a CMake option is a name without -D",
                          "Write for example GGML_CUDA_FA_ALL_QUANTS: \"ON\".")


def check_paths(inventory):
    """Folders of the collection itself."""
    for name in ("bunker_config_path", "bunker_cache_path", "model_store_path", "observability_data_path"):
        yield from _check_path("%s %s" % (name, inventory[name]), inventory[name])
    if inventory["bunker_bundle"]:
        yield from _check_path("bunker_bundle %s" % inventory["bunker_bundle"], inventory["bunker_bundle"])


def check_engine_roots(inventory):
    """Where the engine's data shall lie; empty leaves the engine's own."""
    names = ("container_engine_data_root", "container_engine_containerd_root")
    roots = [(name, inventory[name]) for name in names if inventory[name]]
    for name, root in roots:
        if not PATH.match(root) or "/../" in root + "/":
            yield Problem("%s %s" % (name, root), "a root is an absolute path of letters, digits, dots, dashes and underscores, below /",
                          "Write for example /nvme/docker.")
    if len(roots) == 2:
        docker, containerd = (root.rstrip("/") + "/" for _name, root in roots)
        if docker.startswith(containerd) or containerd.startswith(docker):
            yield Problem("%s %s and %s %s" % (roots[0] + roots[1]), "the two roots are apart, neither lies in the other",
                          "Write for example /nvme/docker and /nvme/containerd.")
    for option in ("data-root", "graph"):
        if option in inventory["container_engine_daemon_options"]:
            yield Problem("container_engine_daemon_options: %s" % option, "the role sets this option itself", "Use container_engine_data_root.")


def check_volumes(volumes, directories, root_fill_limit):
    """The disk layout, as far as the inventory alone shows it; volume_rules judges it against the devices."""
    listing = "See: ls -l /dev/disk/by-id/"
    for key, words in (("device", "a device is one volume"), ("mount", "a mount point is one volume's")):
        for value in _duplicates(volume[key] for volume in volumes):
            yield Problem("disk_layout_volumes: %s %s twice" % (key, value), words, "Correct or remove one.")
    for volume in volumes:
        where, device = "disk_layout_volumes: %s" % volume["mount"], volume["device"]
        if not re.match(r"^/dev/disk/by-[a-z]+/[^/\s]+$", device):
            yield Problem("%s: device %s" % (where, device), "a device is named by a path that stays the same from boot to boot (/dev/disk/by-…/…)", listing)
        yield from _check_path(where, volume["mount"])
        for option in volume["options"]:
            if not MOUNT_OPTION.match(option):
                yield Problem("%s: option '%s'" % (where, option), "options is a list of mount options, one an entry", "Write for example [noatime, discard].")
        yield from _check_limit("%s: fill_limit" % where, volume["fill_limit"])
    yield from _check_limit("disk_layout_root_fill_limit:", root_fill_limit)
    for directory in directories:
        where = "disk_layout_directories: %s" % directory["path"]
        yield from _check_path(where, directory["path"])
        if not any(directory["path"].startswith(volume["mount"] + "/") for volume in volumes):
            yield Problem(where, "a folder of the layout lies below the mount point of a volume",
                          "Mount points: %s." % (", ".join(volume["mount"] for volume in volumes) or "none"))


def _check_path(where, path):
    if not PATH.match(path) or {".", ".."} & set(path.split("/")):
        yield Problem(where, "a path is absolute, of letters, digits, dots, dashes and underscores, and not /", "Write for example /nvme/models.")


def _check_limit(where, limit):
    if not 1 <= limit <= 100:
        yield Problem("%s %d" % (where, limit), "a limit is a percentage between 1 and 100", "Write for example 90.")


def check(inventory):
    """All cross-checks.

    :param inventory: dict of the collection's public variables, validated, with defaults filled in at every
        depth; ``bunker_services`` is a list of complete service definitions.
    :returns: list of :class:`Problem`, empty when the inventory can be deployed.
    """
    networks = inventory["networks_definitions"]
    models = inventory["model_store_catalogue"] + inventory["model_store_extra_models"]
    services = inventory["bunker_services"]
    problems = list(check_image(inventory))
    problems += check_paths(inventory)
    problems += check_engine_roots(inventory)
    problems += check_networks(networks)
    problems += check_models(models)
    problems += check_model_sources(models, {service[key] for service in services for key in ("model", "draft_model")})
    problems += check_services(services, networks, models)
    problems += check_allowances(inventory["networks_allowances"], networks, services)
    problems += check_gateway(inventory, services, networks)
    problems += check_observability(inventory, services)
    problems += check_volumes(inventory["disk_layout_volumes"], inventory["disk_layout_directories"], inventory["disk_layout_root_fill_limit"])
    # What a placeholder breaks besides is no second problem.
    return list(placeholders(inventory, "inventory")) + [problem for problem in problems if not re.search("REPLACE( with|:) ", problem.value)]
