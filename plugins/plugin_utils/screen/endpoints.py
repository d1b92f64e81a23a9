# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of a host: where services answer, and one call that can be pasted."""
from __future__ import annotations

import re
import shlex

QUESTION = "What is the capital of France?"
CPU = "CPU only"  # the placement of a service without cards
NO_GPU = "No GPU here: every service computes on the CPU. What is claimed of GPUs is not proven by this run."
LOOPBACK = re.compile(r"^https?://(127\.|localhost|\[::1\])")


def on_host(variables, reading=False):
    """The words that run a command as root on a host as the play did, as a shell takes them.

    :param variables: the host's variables.
    :param reading: the command has no input. Without saying so it would swallow the lines that are pasted after it.
    """
    name = str(variables.get("ansible_host") or variables.get("inventory_hostname") or "")
    connection = str(variables.get("ansible_connection") or "ssh").rpartition(".")[2]
    user, port = variables.get("ansible_user"), variables.get("ansible_port")
    root = "" if user == "root" else "sudo "
    if connection == "local":
        return root
    if connection in ("docker", "docker_api"):
        return "docker exec %s%s " % ("" if reading else "-i ", shlex.quote(name))
    target = shlex.quote("%s@%s" % (user, name) if user else name)
    return "ssh %s%s%s %s" % ("-n " if reading else "", "-p %s " % shlex.quote(str(port)) if port else "", target, root)


def model_to_ask(gateway, services):
    """The model of an example: the Oracle where it answers, else the first that chats. None where none does.

    :param services: the fact ``bunker_service_results``; one without a ``kind`` chats.
    """
    chatting = [name for name in gateway["models"] if (services.get(name) or {}).get("kind", "chat") in ("chat", "vision")]
    return "oracle" if "oracle" in chatting else chatting[0] if chatting else None


def example(gateway, services, host, variables):
    """Lines of a shell that ask a question through the door; [] where nothing chats.

    A door that only the host itself can reach is asked there.
    """
    model = model_to_ask(gateway, services)
    if model is None:
        return []
    near = str(variables.get("ansible_connection") or "ssh").rpartition(".")[2] == "local"
    key, certificate = shlex.quote(gateway["key_file"]), gateway.get("certificate") or ""
    inside = not near and bool(LOOPBACK.match(gateway["url"]))
    read = "" if inside else on_host(variables, reading=True)
    lines, authority = ["key=$(%scat %s)" % (read, key)], ""
    if certificate and not inside:
        file = "%s.pem" % re.sub(r"[^A-Za-z0-9_.-]", "-", host)
        lines += ["%scat %s \\" % (read, shlex.quote(certificate)), "  > %s" % file]
        authority = "--cacert %s " % file
    elif certificate:
        authority = "--cacert %s " % shlex.quote(certificate)
    lines += ["curl -s %s-H \"Authorization: Bearer $key\" \\" % authority, "  -H 'Content-Type: application/json' \\",
              "  %s \\" % shlex.quote(gateway["url"] + "/chat/completions"),
              "  -d '{\"model\": \"%s\", \"messages\": [" % re.sub(r"[^A-Za-z0-9._:/-]", "", model),
              "       {\"role\": \"user\", \"content\": \"%s\"}]}'" % QUESTION]
    return ["%ssh <<'END'" % on_host(variables)] + lines + ["END"] if inside else lines


def endpoints(gateway, services, look):
    """Lines that say who answers where, and how fast."""
    found = []
    if gateway:
        found.append("%s%s" % (look.paint("door".ljust(10), "bold"), look.text(gateway["url"])))
        for word, value in (("models", ", ".join(gateway["models"])), ("key", "%s (a file of the host)" % gateway["key_file"]),
                            ("certificate", "%s (of the host)" % gateway["certificate"] if gateway.get("certificate") else "")):
            if value:
                found += ["  " + look.paint((word if number == 0 else "").ljust(12), "dim") + line for number, line in enumerate(
                    look.wrap(value, look.width - 14))]
    for name, service in sorted(services.items()):
        found.append(look.paint(look.cut(name, 24).ljust(10), "bold") + look.text("%s/v1" % service["endpoint"]))
        speeds = ["%s tok/s %s" % (service[key], word) for key, word in (("generation_speed", "generation"), ("prompt_speed", "prompt"))
                  if service.get(key) is not None]
        for line in look.wrap(" · ".join([str(service.get("model", "")), str(service.get("placement", ""))] + speeds), look.width - 2):
            found.append("  " + look.paint(line, "dim"))
    if services and all(service.get("placement") == CPU for service in services.values()):
        found += [look.paint(line, "warn") for line in look.wrap(NO_GPU, look.width)]
    return found
