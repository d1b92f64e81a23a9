"""Makes docs/clients.md from tests/results/clients.json, which test_gateway_real_clients.py writes: python docs/render_clients.py"""
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
FEATURES = {"stream": "stream", "usage": "usage", "tools": "tools", "schema": "JSON schema", "counting": "counting", "embeddings": "embeddings",
            "overflow": "overflow", "broken": "broken stream"}
HEAD = """# Clients

Made by `python docs/render_clients.py` of [clients.json](../tests/results/clients.json), which
`./bunker test --full tests/integration/isolated/test_gateway_real_clients.py` writes: each cell is a call of the client as its package is, through the
gateway with TLS and a key, to SERVER,
with a model of random weights. What is asked stands in [ask.py](../tests/clients/ask.py), for clients of Node.js in [ask.mjs](../tests/clients/npm/ask.mjs).

- **stream**: an answer in pieces. **usage**: the client's own figures of tokens read and written, of a stream where it has them there.
- **tools**: of two functions the one that is asked for by name is called, streamed where the client does that; its result goes back, and the model answers. The
  agents (pydantic-ai, openai-agents, AI SDK) do it all by themselves. llama-server makes and reads the call by its own grammar; the model is one of
  [told_models.py](../tests/support/told_models.py), whose weights are made to call, for random ones never do.
- **JSON schema**: an object of the client's own class.
- **counting**: the tokens of a prompt, asked of the server. **embeddings**: two vectors.
- **overflow**: a prompt beyond the context raises what the client has for that. **broken stream**: the service is killed in the middle of its answer, and
  the client raises, with the gateway's words; it does not take half an answer for a whole one.

"""
# Of a record in which no client called a function.
OLDER = """- This record is older than such a model, and than the clients of Node.js: no call was run, and none of those was asked.

"""
TAIL = """
Clients of Python are told of a `self_signed` gateway by `SSL_CERT_FILE=/etc/protocol_omni/gateway/self_signed.pem`, those of Node.js by
`NODE_EXTRA_CA_CERTS`. Those with rustls, Codex among them, take no certificate of an authority from a server, and until 0.6.0 the gateway's own was one:
[rotate](day-two.md) it once. What errors look like on the wire: [gateway](gateway.md).
"""


AGENTS = """
## Programs that write code

Each was run once with the model that calls ([run.py](../tests/clients/agents/run.py) has their configuration): it offers its tools, the model calls one, the
program runs it and sends the result, and the model answers. It says its sentence only where a result came back.

"""


def told(agents):
    """The part about programs, as a string.

    :param agents: dict of programs, as the record has them.
    """
    lines = ["| program | version | calls its tool and answers |", "|---|---|---|"]
    lines += ["| %s | %s | %s |" % (one["how"], one["version"], "yes" if one["cells"]["tools"]["holds"] else "**no**") for one in agents.values()]
    return AGENTS + "\n".join(lines) + "\n"


def render(found, agents=None, server=None):
    """The page, as a string.

    :param found: dict of clients, as the record has them.
    :param agents: dict of programs, likewise.
    :param server: words for what answered; None for the golden image's llama-server.
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
    table = "\n".join([*lines, "", "  \n".join(notes), "", *raised]) + "\n"
    uncalled = found and all("reason" in one["cells"]["tools"] for one in found.values())
    head = HEAD[:-1] + OLDER if uncalled else HEAD
    return head.replace("SERVER", server or "the golden image's llama-server") + table + (told(agents) if agents else "") + TAIL


if __name__ == "__main__":
    record = json.loads((ROOT / "tests" / "results" / "clients.json").read_text(encoding="utf-8"))
    (ROOT / "docs" / "clients.md").write_text(render(record["clients"], record.get("agents"), record.get("server")), encoding="utf-8")
