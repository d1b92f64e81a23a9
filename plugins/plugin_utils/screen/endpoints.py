# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of a host: where services answer, and one call that can be pasted."""
from __future__ import annotations

import re
import shlex

QUESTION = "What is the capital of France?"
LOOPBACK = re.compile(r"^https?://(127\.|localhost|\[::1\])")


def on_host(variables):
    """The words that run a command on a host as the play did, as a shell takes them; empty for the machine itself.

    :param variables: the host's variables.
    """
    name = str(variables.get("ansible_host") or variables.get("inventory_hostname") or "")
    connection = str(variables.get("ansible_connection") or "ssh").rpartition(".")[2]
    if connection == "local":
        return ""
    if connection in ("docker", "docker_api"):
        return "docker exec -i %s" % shlex.quote(name)
    user, port = variables.get("ansible_user"), variables.get("ansible_port")
    target = shlex.quote("%s@%s" % (user, name) if user else name)
    return "ssh %s%s" % ("-p %s " % shlex.quote(str(port)) if port else "", target)


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
    reach, local = on_host(variables), bool(LOOPBACK.match(gateway["url"]))
    body = ["  -d '{\"model\": \"%s\", \"messages\": [" % model.replace("'", "").replace('"', ""),
            "       {\"role\": \"user\", \"content\": \"%s\"}]}'" % QUESTION]
    ask = ["-H \"Authorization: Bearer $key\" \\", "  -H 'Content-Type: application/json' \\",
           "  %s \\" % shlex.quote(gateway["url"] + "/chat/completions")] + body
    key, certificate = shlex.quote(gateway["key_file"]), gateway.get("certificate") or ""
    if local or not reach:
        authority = "--cacert %s " % shlex.quote(certificate) if certificate else ""
        lines = ["key=$(%scat %s)" % ("" if reach else "sudo ", key)] + [("curl -s %s" % authority) + ask[0]] + ask[1:]
        return ["%s sh <<'END'" % reach] + lines + ["END"] if reach else lines
    lines = ["key=$(%s cat %s)" % (reach, key)]
    authority = ""
    if certificate:
        file = "%s.pem" % re.sub(r"[^A-Za-z0-9_.-]", "-", host)
        lines.append("%s cat %s > %s" % (reach, shlex.quote(certificate), file))
        authority = "--cacert %s " % file
    return lines + ["curl -s %s%s" % (authority, ask[0])] + ask[1:]


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
        speeds = ["%s tok/s %s" % (service[key], word) for key, word in (("generation_speed", "generated"), ("prompt_speed", "of a prompt"))
                  if service.get(key) is not None]
        for line in look.wrap(" · ".join([str(service.get("model", "")), str(service.get("placement", ""))] + speeds), look.width - 2):
            found.append("  " + look.paint(line, "dim"))
    return found
