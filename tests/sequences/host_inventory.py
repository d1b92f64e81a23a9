"""All that a host has, as lines that can be compared: containers, networks, images, volumes, units, files, tables, routes, listeners, accounts.

Runs on the host, ``python3 host_inventory.py`` as root, and prints JSON: an object of kind to an object of name to what it is. What is bound to a time, a
start or a process is left out where it is read: counters, handles, identifiers of containers, interfaces of containers, bytecode. Standard library alone.
"""
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import sys

FOLDERS = (
    "/etc/protocol_omni", "/etc/docker", "/etc/systemd/system", "/etc/systemd/network", "/etc/ansible/facts.d", "/etc/cdi", "/etc/sysctl.d", "/etc/modprobe.d",
    "/etc/tmpfiles.d", "/etc/logrotate.d", "/usr/local/bin", "/usr/local/lib/protocol_omni", "/usr/local/sbin", "/opt/protocol_omni", "/var/lib/protocol_omni",
    "/var/lib/protocol-omni-gateway")
UNITS = ("protocol-omni-*", "docker*", "containerd*", "nginx*", "prometheus*")
WITH_OWN_KEYS = ("/etc/protocol_omni/gateway/routes.json",)  # the hash of the operator's key, which each host makes: hashes in it are not compared
OURS = ("bunker", "protocol_omni", "omni")


def table_name(line):
    """The family and name of the table that a line of ``nft list ruleset`` begins, or ``""``."""
    found = re.match(r"table (\S+) (\S+) \{", line)
    return " ".join(found.groups()) if found else ""


def tables(ruleset):
    """nftables' tables.

    :param ruleset: str, of ``nft list ruleset``.
    :returns: dict of "FAMILY NAME" to its lines, list of str. Counters are zero. The engine's tables are sorted: it orders rules by the starts of containers.
    """
    found, name = {}, ""
    for line in ruleset.splitlines():
        name = table_name(line) or name
        text = re.sub(r"packets \d+ bytes \d+", "packets 0 bytes 0", line.strip())
        text = re.sub(r"\bexpires \w+", "expires", text)
        if name and text and not text.startswith("#") and "127.0.0.11" not in text:  # the engine's resolver inside of a container, by ports of each start
            found.setdefault(name, []).append(text)
    return {name: lines if name.split()[1].startswith(OURS) else sorted(lines) for name, lines in found.items()}


def routes(text):
    """Routes of all tables.

    :param text: str, of ``ip route show table all``.
    :returns: dict of the route to "", without those of a container's own interface and without what only says that a link is down.
    """
    lines = [re.sub(r"\s+", " ", line.replace(" linkdown", "")).strip() for line in text.splitlines()]
    return {line: "" for line in lines if line and not re.search(r"\bdev veth", line)}


def links(text):
    """The host's interfaces but those of containers, with their addresses.

    :param text: str, of ``ip -brief address``.
    :returns: dict of name to its IPv4 addresses; a bridge is up or down as a container is on it, so that is left out.
    """
    found = {}
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].startswith("veth"):
            found[words[0].split("@", maxsplit=1)[0]] = [word for word in words[2:] if re.match(r"\d+\.", word)]
    return found


def listeners(text):
    """Who listens.

    :param text: str, of ``ss --no-header --listening --tcp --numeric --processes``.
    :returns: dict of "ADDRESS:PORT" to the names of the programs; a port that the kernel chose (32768 and more) is no number.
    """
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3:
            address, port = words[3].rsplit(":", 1)
            found["%s:%s" % (address, port if int(port) < 32768 else "a free port")] = sorted(set(re.findall(r'\("([^"]+)"', line)))
    return found


def containers(inspected):
    """The engine's containers.

    :param inspected: list of dicts, of ``docker inspect``.
    :returns: dict of name to what it was made from and where it is: image, command, environment, labels, mounts, limits, networks with fixed addresses, state.
    """
    found = {}
    for one in inspected:
        host, config = one["HostConfig"], one["Config"]
        networks = {name: {"address": (value.get("IPAMConfig") or {}).get("IPv4Address", ""),
                           "aliases": sorted(alias for alias in value.get("Aliases") or [] if not one["Id"].startswith(alias))}
                    for name, value in one["NetworkSettings"]["Networks"].items()}
        found[one["Name"].lstrip("/")] = {
            "image": one["Image"], "command": config.get("Cmd"), "entrypoint": config.get("Entrypoint"), "environment": sorted(config.get("Env") or []),
            "labels": config.get("Labels"), "user": config.get("User"), "networks": networks, "state": one["State"]["Status"],
            "host": {name: value for name, value in sorted(host.items()) if value and name not in ("ContainerIDFile", "NetworkMode")}}
    return found


def networks(inspected):
    """The engine's networks; what is on them, containers say."""
    return {one["Name"]: {"driver": one["Driver"], "internal": one["Internal"], "options": one["Options"], "labels": one["Labels"],
                          "subnets": [part.get("Subnet") for part in one["IPAM"]["Config"] or []]} for one in inspected}


def images(text):
    """Names of images to their identifiers.

    :param text: str, lines of "REPOSITORY:TAG ID".
    :returns: dict; those without a name are counted, under their identifier.
    """
    return {name if "<none>" not in name else "without a name " + identifier: identifier for name, identifier in map(str.split, text.splitlines())}


def units(files, running):
    """systemd's units.

    :param files: str, of ``systemctl list-unit-files``: name, enablement, preset.
    :param running: str, of ``systemctl list-units --all``: name, load, active, sub.
    :returns: dict of name to "ENABLEMENT, ACTIVE".
    """
    found = {}
    for line in files.splitlines():
        words = line.split()
        if len(words) > 1:
            found[words[0]] = [words[1], "not loaded"]
    for line in running.splitlines():
        words = line.replace("●", " ").split()
        if len(words) > 3:
            found.setdefault(words[0], ["no file", ""])[1] = words[2]
    return {name: ", ".join(value) for name, value in found.items()}


def account(number, of):
    """The name of a user or group, or its number where it has none."""
    try:
        return of(number)[0]
    except KeyError:
        return str(number)


def file_line(path):
    """What a path is: kind, mode, owner, and of a file its hash, of a link its target."""
    status = os.lstat(path)
    words = [oct(stat.S_IMODE(status.st_mode))[2:], account(status.st_uid, pwd.getpwuid), account(status.st_gid, grp.getgrgid)]
    if stat.S_ISLNK(status.st_mode):
        return "link to " + os.readlink(path)
    if stat.S_ISDIR(status.st_mode):
        return " ".join(["folder", *words])
    if not stat.S_ISREG(status.st_mode):
        return " ".join(["special", *words])
    with open(path, "rb") as file:
        content = file.read()
    if path in WITH_OWN_KEYS:
        content = re.sub(rb"[0-9a-f]{64}", b"HASH", content)
    return " ".join(["file", *words, hashlib.sha256(content).hexdigest()])


def files(folders):
    """Everything below folders, bytecode excepted.

    :param folders: iterable of str; one that is not there has nothing.
    :returns: dict of path to :func:`file_line`.
    """
    found = {}
    for top in folders:
        if os.path.lexists(top):
            found[top] = file_line(top)
        for folder, below, names in os.walk(top):
            below[:] = [name for name in below if name != "__pycache__"]
            for name in below + [name for name in names if not name.endswith(".pyc")]:
                found[os.path.join(folder, name)] = file_line(os.path.join(folder, name))
    return found


def said(*command):
    """What a program prints.

    :raises RuntimeError: where it fails: a part of the host that was not read must not look like one that has nothing.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip()))
    return done.stdout


def inspect(what, listing):
    """The engine's own description of all of a kind."""
    names = said("docker", *listing, "--quiet").split()
    return json.loads(said("docker", what, "inspect", *names)) if names else []


def read():
    """All of this host.

    :returns: dict of kind to dict of name to what it is.
    :raises RuntimeError: where a program fails.
    """
    return {
        "container": containers(inspect("container", ["ps", "--all", "--no-trunc"])),
        "network": networks(inspect("network", ["network", "ls"])),
        "image": images(said("docker", "image", "ls", "--all", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")),
        "volume": {name: "" for name in said("docker", "volume", "ls", "--quiet").split()},
        "unit": units(said("systemctl", "list-unit-files", "--no-legend", "--plain", *UNITS),
                      said("systemctl", "list-units", "--all", "--no-legend", "--plain", *UNITS)),
        "file": files(FOLDERS),
        "table": tables(said("nft", "list", "ruleset")),
        "route": routes(said("ip", "route", "show", "table", "all")),
        "rule": {line: "" for line in said("ip", "rule").splitlines()},
        "link": links(said("ip", "-brief", "address")),
        "listener": listeners(said("ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes")),
        "account": {line.split(":")[0]: line.split(":")[-2] for line in said("getent", "passwd").splitlines()},
        "group": {line.split(":")[0]: line.split(":")[-1] for line in said("getent", "group").splitlines()},
    }


if __name__ == "__main__":
    json.dump(read(), sys.stdout, indent=1, sort_keys=True)
