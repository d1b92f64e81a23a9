"""Clients that ask through the gateway, one request after the other, and read streams to their end: load.py SECONDS|FILE SERVICE:CLIENTS...

Ends after so many seconds, or once the file is there. Prints JSON: for each service that was asked, its requests, those that failed (when and why), who
answered them, the longest time between two answers, and the tokens per second of those that it answered itself.

Runs on the host, with Python's standard library alone.
"""
import http.client
import json
import pathlib
import ssl
import statistics
import sys
import threading
import time
import urllib.request

TOKENS, LONGEST = 32, 900  # tokens of an answer; seconds after which it ends in any case
DOOR = "https://127.0.0.1:8443/v1/chat/completions"
QUESTIONS = ("Tell a story about a bunker.", "Explain why memory bandwidth limits how fast a language model writes. " * 12)


class Client(threading.Thread):
    """Asks one service on and on."""

    def __init__(self, service, number, is_over):
        super().__init__(daemon=True)
        self.service, self.number, self.is_over, self.asked = service, number, is_over, []
        self.key = pathlib.Path("/etc/protocol_omni/gateway/operator.key").read_text(encoding="ascii").strip()
        self.trusted = ssl.create_default_context(cafile="/etc/protocol_omni/gateway/self_signed.pem")
        self.trusted.check_hostname = False

    def run(self):
        count = self.number
        while not self.is_over():
            count += 1
            body = {"model": self.service, "max_tokens": TOKENS, "stream": True, "ignore_eos": True, "temperature": 0, "cache_prompt": False,
                    "messages": [{"role": "user", "content": "%d. %s" % (count, QUESTIONS[count % len(QUESTIONS)])}]}
            request = urllib.request.Request(DOOR, json.dumps(body).encode(), {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
            sent, by, fault, speed = time.time(), "", "", None
            try:
                with urllib.request.urlopen(request, timeout=300, context=self.trusted) as answer:
                    by, text = answer.headers.get("X-Bunker-Service", ""), answer.read().decode()
                fault = "" if "[DONE]" in text else "no end: " + text[-200:]
                timings = [line for line in text.splitlines() if '"predicted_per_second"' in line]
                speed = json.loads(timings[-1][len("data: "):])["timings"]["predicted_per_second"] if timings and by == self.service else None
            except (OSError, ValueError, http.client.HTTPException) as error:
                fault = "%s %s" % (type(error).__name__, str(error)[:120])
                time.sleep(0.2)
            self.asked.append((sent, time.time(), by, fault, speed))


def main():
    begun = time.time()
    mark = None if sys.argv[1].replace(".", "").isdigit() else pathlib.Path(sys.argv[1])
    longest = LONGEST if mark else float(sys.argv[1])
    wanted = [(service, int(count)) for service, count in (word.split(":") for word in sys.argv[2:])]
    clients = [Client(service, number, lambda: time.time() - begun > longest or (mark is not None and mark.exists()))
               for service, count in wanted for number in range(count)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(LONGEST + 300)
    told = {}
    for service, _count in wanted:
        rows = sorted(row for client in clients if client.service == service for row in client.asked)
        ended = sorted(row[1] for row in rows if not row[3])
        speeds = [row[4] for row in rows if row[4]]
        told[service] = {
            "requests": len(rows), "failed": [[round(row[0] - begun, 1), round(row[1] - begun, 1), row[3]] for row in rows if row[3]],
            "answered_by": {name: sum(row[2] == name and not row[3] for row in rows) for name in sorted({row[2] for row in rows})},
            "longest_pause_s": round(max((later - earlier for earlier, later in zip(ended, ended[1:])), default=0), 1),
            "generation": round(statistics.median(speeds), 1) if speeds else None, "tokens_per_second": round(TOKENS * len(ended) / (time.time() - begun), 1)}
    print(json.dumps({"begun": begun, "seconds": round(time.time() - begun, 1), "services": told}))


if __name__ == "__main__":
    main()
