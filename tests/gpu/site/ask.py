"""Asks a service until it answers: ask.py SERVICE TOKENS SECONDS [ADDRESS]. Prints JSON: waited, refused (errors before), words, speeds in tok/s.

Through the host's gateway, which may let another service answer, or at an address such as http://172.30.0.10:8000, where only that one does.

Runs on the host, with Python's standard library alone.
"""
import http.client
import json
import pathlib
import ssl
import sys
import time
import urllib.request

service, tokens, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
address = (sys.argv[4:] or ["https://127.0.0.1:8443"])[0]
key = pathlib.Path("/etc/protocol_omni/gateway/operator.key").read_text(encoding="ascii").strip()
trusted = ssl.create_default_context(cafile="/etc/protocol_omni/gateway/self_signed.pem")
trusted.check_hostname = False
body = {"model": service, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
        "messages": [{"role": "user", "content": "What is the capital of France? Answer with one word."}]}
begun, refused = time.monotonic(), {}
while True:
    try:
        request = urllib.request.Request(address + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Authorization": "Bearer " + key, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60, context=trusted) as answer:
            said = json.load(answer)
            headers = dict(answer.headers)
        break
    except (OSError, ValueError, http.client.HTTPException) as error:
        refused[str(error)[:80]] = refused.get(str(error)[:80], 0) + 1
        if time.monotonic() - begun > most:
            said, headers = {}, {}
            break
        time.sleep(0.2)
timings = said.get("timings", {})
words = said["choices"][0]["message"]["content"][:60] if said else None
print(json.dumps({"waited": round(time.monotonic() - begun, 2), "refused": refused, "words": words, "generation": timings.get("predicted_per_second"),
                  "prompt": timings.get("prompt_per_second"), "headers": {name: value for name, value in headers.items() if name.lower().startswith("x-")}}))
