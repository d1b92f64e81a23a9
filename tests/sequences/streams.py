"""Requests that run on a host while it changes: one answer after another from each model, and what became of each."""
import http.client
import json
import ssl
import threading
import time


def ended(lines):
    """Whether a stream of server-sent events is whole.

    :param lines: list of bytes.
    :returns: str: "ended", or "broken" where it stops before its end or says an error.
    """
    said = [line.strip() for line in lines if line.strip()]
    return "ended" if said and said[-1] == b"data: [DONE]" and not any(line.startswith(b'data: {"error"') for line in said) else "broken"


def judged(counts):
    """What became of requests, as the matrix calls it.

    :param counts: dict of "ended", "broken" and "refused" to how many.
    :returns: "kept" (drained requests look the same to their clients), "cut", "refused", or "none" where nothing was asked.
    """
    if not sum(counts.values()):
        return "none"
    return "cut" if counts["broken"] else "refused" if counts["refused"] else "kept"


class Streams:
    """A client for each model, from ``with`` to its end.

    :param address: str, the gateway's. :param port: int. :param key: str, a key that opens.
    :param models: dict of a model to the seconds between two of its answers; 0 for one that always answers.
    :param tokens: int, of each answer.
    """

    def __init__(self, address, port, key, models, tokens=48):
        self.address, self.port, self.key, self.models, self.tokens = address, port, key, models, tokens
        self.counts = {model: {"ended": 0, "broken": 0, "refused": 0} for model in models}
        self.notes = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(model,), daemon=True) for model in models]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=400)

    def one(self, model):
        """One answer; returns its outcome."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate is made on the host, and is not what is tested
        door = http.client.HTTPSConnection(self.address, self.port, context=context, timeout=330)
        lines = []
        try:
            door.request("POST", "/v1/completions", json.dumps({"model": model, "prompt": "A long story:", "max_tokens": self.tokens, "stream": True,
                                                                "ignore_eos": True}),
                         {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
            answer = door.getresponse()
            if answer.status != 200:
                self.notes.append("%s %s: %d %s" % (time.strftime("%H:%M:%S"), model, answer.status, answer.read(200).decode(errors="replace")))
                return "refused"
            lines = answer.readlines()
        except (OSError, http.client.HTTPException) as error:
            self.notes.append("%s %s: %s" % (time.strftime("%H:%M:%S"), model, error))
            return "broken" if lines or not isinstance(error, ConnectionRefusedError) else "refused"
        finally:
            door.close()
        if ended(lines) == "broken":
            self.notes.append("%s %s: ends with %s" % (time.strftime("%H:%M:%S"), model, b"".join(lines[-3:])[-160:].decode(errors="replace")))
        return ended(lines)

    def ask(self, model):
        """Asks until it is over."""
        while not self.over.is_set():
            self.counts[model][self.one(model)] += 1
            self.over.wait(self.models[model])
