"""Reads a host over SSH and writes inventory/NAME for it: ./bunker init [USER@]ADDRESS [options], further options as ansible-playbook has them."""
import argparse
import ipaddress
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
NO_VALUE = re.compile(r"^(-[vkKbCD]+|--ask-(become-)?pass|--verbose|--become|.*=.*|--)$")  # words of ansible-playbook that the host may follow
# How the host is reached: needed by site.yml too. Values of -e are not said again, as they may be passwords.
REACH = re.compile(r"^(-[kK]+|--ask-(become-)?pass|--(private-key|key-file|(ssh|scp|sftp)-(common|extra)-args|become-method)(=.*)?)$")
TAKEN = dict(dict.fromkeys(("all", "ungrouped"), "Ansible means all hosts by it, or those of no group"),
             **dict.fromkeys(("demo", "omni_prime"), "the collection ships that inventory"))


def reach(further):
    """Of words for ansible-playbook those that say how the host is reached, as a shell takes them."""
    said = []
    for place, word in enumerate(further):
        if REACH.match(word):
            said += further[place:place + (1 if NO_VALUE.match(word) else 2)]
    return shlex.join(said)


def greeting(words, environment):
    """The words of ssh by which it asks about a host key that it does not know, as a play cannot ask. It logs in to nothing.

    :param words: of :func:`command`.
    """
    reached, further, said = json.loads(words[5])["init_connection"], words[6:], []
    for name in ("ANSIBLE_SSH_COMMON_ARGS", "ANSIBLE_SSH_EXTRA_ARGS"):
        said += shlex.split(environment.get(name, ""))
    for option in ("--ssh-common-args", "--ssh-extra-args"):
        for place, word in enumerate(further):
            name, _is, value = word.partition("=")
            if name == option:
                said += shlex.split(value or " ".join(further[place + 1:place + 2]))
    port = ["-p", str(reached["ansible_port"])] if "ansible_port" in reached else []
    user = ["-l", reached["ansible_user"]] if "ansible_user" in reached else []
    return ["ssh", *said, "-o", "PreferredAuthentications=none", "-o", "ConnectTimeout=10", *port, *user, reached["ansible_host"], "true"]


def greet(words, environment):
    """Lets ssh ask a person; what else it says the play says better. Nobody is asked where no terminal is, or where Ansible takes any key."""
    if not sys.stdin.isatty() or environment.get("ANSIBLE_HOST_KEY_CHECKING", "true").lower() in ("false", "no", "0", "off"):
        return
    try:
        subprocess.run(greeting(words, environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except (OSError, ValueError):
        pass  # no ssh here, or a quote that is left open: the play names it


def wrong(options, name, arguments, further):
    """What is wrong with a command line, a sentence each."""
    before = [word for word in arguments[:arguments.index(options.host)] if word in further and word.startswith("-") and not NO_VALUE.match(word)]
    if before:
        yield "%s stands before the host, so that its value would be taken for the host. Write: ./bunker init HOST %s VALUE" % (before[0], before[0])
    if options.port is not None and not 1 <= options.port <= 65535:
        yield "--port %d: a port is 1 to 65535." % options.port
    try:
        ipaddress.ip_address(options.gateway_address or "127.0.0.1")
    except ValueError:
        yield "--gateway-address %s: it is an IP address of the host. See on the host: ip -brief address" % options.gateway_address
    if options.base and not re.match(r"^[^@\s]+@sha256:[0-9a-f]{64}$", options.base):
        yield "--base %s: it is NAME@sha256:DIGEST or /PATH/ON/THE/HOST.tar@sha256:HASH. See: sha256sum FILE" % options.base
    if options.ca_bundle and not os.path.isfile(options.ca_bundle):
        yield "--ca-bundle %s: it is a file of this machine, with certificates of authorities. Without the option SSL_CERT_FILE counts." % options.ca_bundle
    for key in options.trust_key:
        if not re.match(r"^[0-9A-F]{40}$", key):
            yield "--trust-key %s: a fingerprint has 40 hexadecimal digits. See: gpg --show-keys FILE" % key
    if name in TAKEN:
        yield "name %s: %s. Give another one: --name NAME" % (name, TAKEN[name])


def command(arguments):
    """The words of ansible-playbook for a command line.

    :raises SystemExit: the command line is wrong.
    """
    parser = argparse.ArgumentParser(prog="./bunker init", description="Look at a host over SSH, change nothing on it, and write inventory/NAME for it.",
                                     epilog="Further options go to ansible-playbook, such as --ask-become-pass or --private-key FILE.", allow_abbrev=False)
    parser.add_argument("host", metavar="[USER@]ADDRESS")
    parser.add_argument("--name", help="name in the inventory; without one it is made of the address")
    parser.add_argument("--port", type=int, help="SSH port of the host")
    parser.add_argument("--format-disk", action="append", default=[], metavar="PATH", help="an EMPTY disk that site.yml may format; may be given again")
    parser.add_argument("--allow-reboot", action="store_true", help="site.yml may reboot the host where the driver needs it")
    parser.add_argument("--upgrade-driver", action="store_true", help="site.yml may replace an NVIDIA driver that is too old")
    parser.add_argument("--gateway-address", default="", metavar="IP", help="address of the host on which the gateway listens; 127.0.0.1 without one")
    parser.add_argument("--trust-key", action="append", default=[], metavar="FINGERPRINT", help="key of a package repository that you have compared")
    parser.add_argument("--oracle", metavar="MODEL", help="model of the service on the cards; without it, the best of the catalogue that fits")
    parser.add_argument("--executor", metavar="MODEL", help="model of the service on the CPU")
    parser.add_argument("--base", default="", metavar="BASE", help="what the image stands on: NAME@sha256:DIGEST, or /PATH/ON/THE/HOST.tar@sha256:HASH")
    parser.add_argument("--ca-bundle", default=os.environ.get("SSL_CERT_FILE", ""), metavar="FILE",
                        help="authorities that the host needs besides its own, where a proxy opens TLS; without it, what SSL_CERT_FILE names here")
    parser.add_argument("--yes", action="store_true", help="ask nothing: what no option allows is not allowed")
    parser.add_argument("--update", action="store_true", help="show the difference, and write files anew that nobody has edited")
    parser.add_argument("--offline", action="store_true", help="ask no registry and no hub: hashes stay to be filled in")
    options, further = parser.parse_known_args(arguments)
    options.trust_key = [re.sub(r"[\s:]|^0[xX]", "", key).upper() for key in options.trust_key]
    user, _at, address = options.host.rpartition("@")
    address = re.sub(r"^\[([0-9A-Fa-f:.%A-Za-z]+)\]$", r"\1", address)
    name = options.name or re.sub(r"[^A-Za-z0-9_-]+", "-", address).strip("-").lower()
    for sentence in wrong(options, name, arguments, further):
        parser.error(sentence)
    if not re.match(r"^[A-Za-z0-9_.:%-]+$", address) or address.startswith("-") or not re.match(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", name):
        parser.error("%s, name %s: a host is [USER@]ADDRESS, a name letters, digits, dashes and underscores. Write for example root@192.0.2.7." % (
            options.host, name))
    connection = {"ansible_host": address, **({"ansible_user": user} if user else {}), **({"ansible_port": options.port} if options.port else {})}
    answers = {"gateway_address": options.gateway_address, "base": options.base, "ca_bundle": options.ca_bundle and os.path.abspath(options.ca_bundle),
               "models": {name: getattr(options, name) for name in ("oracle", "executor") if getattr(options, name)}}
    for given, value in (("format_disk", "format_disks"), ("allow_reboot", "allow_reboot"), ("upgrade_driver", "upgrade_driver"),
                         ("trust_key", "trust_keys")):
        if getattr(options, given) or options.yes:
            answers[value] = getattr(options, given)
    variables = dict(connection, init_answers=answers, init_ask=not options.yes, init_folder=str(ROOT / "inventory" / name), init_update=options.update,
                     init_offline=options.offline, init_connection=connection, init_options=reach(further))
    return ["ansible-playbook", "-i", name + ",", str(ROOT / "playbooks" / "init.yml"), "-e", json.dumps(variables), *further]


if __name__ == "__main__":
    words = command(sys.argv[1:])
    greet(words, os.environ)
    os.execvp(words[0], words)
