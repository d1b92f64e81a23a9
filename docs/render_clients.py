"""Makes docs/clients.md from tests/results/clients.json, which test_gateway_real_clients.py writes: python docs/render_clients.py"""
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
FEATURES = {"stream": "stream", "usage": "usage", "tools": "tools", "schema": "JSON schema", "counting": "counting", "embeddings": "embeddings",
            "overflow": "overflow", "broken": "broken stream"}
HEAD = """# Clients

Made by `python docs/render_clients.py` of [clients.json](../tests/results/clients.json), which
`./bunker test --full tests/integration/isolated/test_gateway_real_clients.py` writes: each cell is a call of the client as its package is, through the
gateway with TLS and a key, to the golden image's llama-server with a model of random weights. What is asked stands in
[ask.py](../tests/clients/ask.py).

- **stream**: an answer in pieces. **usage**: the client's own figures of tokens read and written, of a stream where it has them there.
- **tools**: a call of a function. **JSON schema**: an object of the client's own class.
- **counting**: the tokens of a prompt, asked of the server. **embeddings**: two vectors.
- **overflow**: a prompt beyond the context raises what the client has for that. **broken stream**: the service is killed in the middle of its answer, and
  the client raises, with the gateway's words; it does not take half an answer for a whole one.

"""
TAIL = """
Clients of Python are told of a `self_signed` gateway by `SSL_CERT_FILE=/etc/protocol_omni/gateway/self_signed.pem`, those of Node.js by
`NODE_EXTRA_CA_CERTS`. What errors look like on the wire: [gateway](gateway.md).
"""


def render(found):
    """The page, as a string.

    :param found: dict of clients, as the record has them.
    """
    lines = ["| client | version | %s |" % " | ".join(FEATURES.values()), "|---" * (len(FEATURES) + 2) + "|"]
    reasons = []

    def shown(cell):
        if "reason" not in cell:
            return "yes" if cell["holds"] else "**no**"
        if cell["reason"] not in reasons:
            reasons.append(cell["reason"])
        return "– (%d)" % (reasons.index(cell["reason"]) + 1)

    for client, one in found.items():
        lines.append("| %s | %s | %s |" % (client, one["version"], " | ".join(shown(one["cells"][feature]) for feature in FEATURES)))
    raised = ["| client | a prompt that is too long |", "|---|---|"]
    raised += ["| %s | `%s` |" % (client, one["cells"]["overflow"]["said"].split(":", maxsplit=1)[0]) for client, one in found.items()]
    notes = ["(%d) %s." % (number, reason) for number, reason in enumerate(reasons, 1)]
    return HEAD + "\n".join([*lines, "", "  \n".join(notes), "", *raised]) + "\n" + TAIL


if __name__ == "__main__":
    record = json.loads((ROOT / "tests" / "results" / "clients.json").read_text(encoding="utf-8"))
    (ROOT / "docs" / "clients.md").write_text(render(record["clients"]), encoding="utf-8")
