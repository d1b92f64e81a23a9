"""Proves, from a pod on a host of a cluster, what can be proven there of that host's services: the claims of docs/kubernetes.md.

    claims.py WANTED KEYS

WANTED is a JSON list of services, KEYS a file with the key that they take. Prints a line a claim and ends with 1 where one fails. Standard library only.
"""
import json
import os
import socket
import sys
import urllib.error
import urllib.request

PATIENCE = 120  # seconds for an answer
SHORT = 5  # seconds for an attempt that must fail
OUTSIDE = ("1.1.1.1", 443)  # somebody who always answers, where one may ask
CHATS = ("chat", "vision")


def address(variable):
    """Where Kubernetes says that a Service is, by the variables of the pod: (address, port); (None, None) for one that came after the pod."""
    return os.environ.get(variable + "_SERVICE_HOST"), os.environ.get(variable + "_SERVICE_PORT")


def asked(url, body, key):
    """Status and text of an answer."""
    headers = dict({"Content-Type": "application/json"}, **{"Authorization": "Bearer " + key} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)


def of_service(service, key):
    """Claims of a service: rows of name, whether it holds, and what was seen."""
    where, port = address(service["variable"])
    if not where:
        return [("%s.answers" % service["name"], False, "no Service of it was there when this pod began: apply the host's file first")]
    url = "http://%s:%s/v1/" % ("[%s]" % where if ":" in where else where, port)
    if service["kind"] in CHATS:
        path, body = "chat/completions", {"model": service["name"], "temperature": 0, "max_tokens": service["tokens"],
                                          "messages": [{"role": "user", "content": service["question"]}]}
        status, text = asked(url + path, body, key)
        good = status == 200 and service["word"].lower() in text.lower()
    else:  # of another kind it is shown that it is there, and not that it answers well
        path, body = "models", None
        status, text = asked(url + path, body, key)
        good = status == 200 and '"%s"' % service["name"] in text
    rows = [("%s.answers" % service["name"], good, "%d %s" % (status, text[:300]))]
    refused = asked(url + "chat/completions", {"messages": []}, "")[0]
    return rows + [("%s.key" % service["name"], refused == 401, "without a key: %d" % refused)]


def reaches(host, port):
    """Whether somebody takes a connection."""
    try:
        socket.create_connection((host, port), timeout=SHORT).close()
    except OSError:
        return False
    return True


def resolvers(text):
    """Addresses of name servers, of resolv.conf's text."""
    return [words[1] for words in (line.split() for line in text.splitlines()) if len(words) > 1 and words[0] == "nameserver"]


def sealed(targets):
    """Claims of the policies: each of these, name to (address, port), is out of reach. They count where services answered: who reaches nobody shows nothing."""
    return [("pod.sealed.%s" % name, not reaches(*target), "%s port %s" % target) for name, target in sorted(targets.items())]


def main(wanted, keys):
    with open(wanted, encoding="utf-8") as stream:
        services = json.load(stream)
    with open(keys, encoding="utf-8") as stream:
        key = stream.read().strip()
    targets = {"outside": OUTSIDE}
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        targets["cluster"] = (os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"]))
    with open("/etc/resolv.conf", encoding="utf-8") as stream:
        targets.update({"names.%s" % server: (server, 53) for server in resolvers(stream.read())})
    rows = [row for service in services for row in of_service(service, key)] + sealed(targets)
    for name, good, seen in rows:
        print("%s %s: %s" % ("holds" if good else "FAILS", name, " ".join(seen.split())))
    return 0 if all(good for _name, good, _seen in rows) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
