"""Takes a host to answering services, with a screen to watch: ./bunker deploy HOST [--plain] [options of ansible-playbook]."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import checkout_lock  # noqa: E402

SCREEN = "protocol_omni.bunker.screen"
USAGE = """Usage: ./bunker deploy HOST [--plain] [OPTIONS of ansible-playbook]

HOST is a folder of inventory/, as ./bunker init writes it, or the path of an inventory. It runs site.yml on it.
--plain writes lines for logs; so does an output that is no terminal, and -v. Further options are ansible-playbook's:
  --check --diff   show what would change, and change nothing
  --tags ROLE      that role alone
  --ask-become-pass, --private-key FILE, …"""


def known():
    """Names of the inventories."""
    return sorted(path.name for path in (ROOT / "inventory").iterdir() if path.is_dir())


def inventory(name):
    """Path of an inventory by its name or its path; None where there is none."""
    if name and "/" not in name and (ROOT / "inventory" / name).exists():
        return "inventory/%s" % name
    return name if name and os.path.exists(name) else None


def command(arguments, environment):
    """(words of ansible-playbook, its environment) for a command line.

    :raises SystemExit: the command line is wrong; with a sentence that says how.
    """
    plain, words = "--plain" in arguments, [word for word in arguments if word != "--plain"]
    if not words or words[0].startswith("-"):
        raise SystemExit(("bunker: %s stands where the host has to. " % words[0] if words else "bunker: no host is named. ")
                         + "Known: %s.\n\n%s" % (", ".join(known()), USAGE))
    name, further = words[0], words[1:]
    path = inventory(name)
    if path is None:
        raise SystemExit("bunker: there is no inventory/%s, and no file of that name. Known: %s. A new one is written by: "
                         "./bunker init [USER@]ADDRESS --name %s" % (name, ", ".join(known()), os.path.basename(name) or "NAME"))
    wanted = dict(environment, ANSIBLE_STDOUT_CALLBACK=environment.get("ANSIBLE_STDOUT_CALLBACK") or SCREEN)
    if plain:
        wanted["BUNKER_PLAIN"] = "true"
    return ["ansible-playbook", "-i", path, "site.yml", *further], wanted


if __name__ == "__main__":
    said, surroundings = command(sys.argv[1:], dict(os.environ))
    checkout_lock.take(ROOT, "./bunker deploy %s" % sys.argv[1], alone=False)
    os.execvpe(said[0], said, surroundings)
