"""A stand-in for a model server that holds the gateway to its word: it judges every byte that reaches it, counts, and answers at once.

    recording_server.py ADDRESS:PORT NAME [CONTEXT]

For tests/fuzz/gateway_http.py. A request of a client is well formed, alone on its connection, has no header but those that the gateway lets through, and
carries the mark of a request that had a right key ("right-1-2"); one that a client hid in another ("hidden-1-2") or that had no right key ("wrong-1-2")
must not come. What is not so is a fault. The answer tells the mark, so that a client sees whether it got its own. "fails": STATUS orders an error,
"stream": true a stream. GET /recorded tells counts and the first faults. Standard library only, one process.
"""
import asyncio
import json
import re
import sys

(ADDRESS, PORT), NAME = sys.argv[1].split(":"), sys.argv[2]
CONTEXT = int(sys.argv[3]) if len(sys.argv) > 3 else 4096
SLOTS = 2  # beyond it the gateway moves the bytes of streams itself
MARK, FORBIDDEN = re.compile(rb"right-\d+-\d+"), re.compile(rb"(?:wrong|hidden)-\d+-\d+")
PATHS = {"/v1/chat/completions", "/v1/chat/completions/input_tokens", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/responses/input_tokens",
         "/v1/messages", "/v1/messages/count_tokens", "/infill", "/v1/rerank", "/tokenize"}
HEADERS = {"host", "connection", "content-length", "content-type", "accept", "anthropic-version", "anthropic-beta", "user-agent"}
KEPT = 20  # faults
SEEN = {"clients": 0, "counted": 0, "looks": 0, "faults": 0, "first": []}


def fault(what, data):
    SEEN["faults"] += 1
    if len(SEEN["first"]) < KEPT:
        SEEN["first"].append("%s got %s: %r" % (NAME, what, data[:600]))


def headers_of(lines):
    """What stands in the lines of a head: list of (name in small, value), or the line that is none."""
    found = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not re.fullmatch(rb"[A-Za-z-]+", name) or re.search(rb"[\x00-\x08\x0a-\x1f]", value):
            return line
        found.append((name.decode().lower(), value.strip().decode("latin-1")))
    return found


def problem_of(method, path, version, headers, body):
    """Why a request of a client should not have come: str, or nothing."""
    names = [name for name, _value in headers]
    if (method, version) != ("POST", "HTTP/1.1") or path not in PATHS:
        return "another request line"
    if set(names) - HEADERS or len(names) != len(set(names)):
        return "other headers"
    if FORBIDDEN.search(body):
        return "a request that had no right key"
    if not MARK.search(body):
        return "a request without a mark"
    if not re.match(rb"\s*\{", body):
        return "a body that is no object"
    return ""


def answer(path, headers, body):
    """What a client gets: bytes."""
    mark = (MARK.search(body) or [b"none"])[0].decode()
    ordered = re.search(rb'"fails": ?(\d{3})\b', body)
    if ordered:
        return whole({"error": {"code": int(ordered[1]), "message": "It was ordered. " + mark, "type": "server_error"}}, ordered[1] + b" Ordered")
    if re.search(rb'"stream": ?true', body) and path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"):
        word = {"mark": mark, "choices": [{"index": 0, "delta": {"content": "word "}}]}
        events = (b"data: " + json.dumps(word).encode() + b"\n\n") * 3
        end = {"/v1/messages": b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
               "/v1/responses": b'event: response.completed\ndata: {"type": "response.completed"}\n\n'}.get(path, b"data: [DONE]\n\n")
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (events, end))
        return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    return whole({"mark": mark, "by": NAME, "type_of_body": headers.get("content-type", ""), "bytes": len(body)})


def whole(value, status=b"200 OK"):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def told(method, path, version, body):
    """The answer to a question of the gateway's own, which speaks HTTP/1.0, or of who wants the record: bytes; nothing for a client's request."""
    if (method, path) == ("GET", "/recorded"):
        return whole(SEEN)
    if version != "HTTP/1.0":
        return None
    SEEN["looks"] += method == "GET"
    if path == "/props":
        return whole({"default_generation_settings": {"n_ctx": CONTEXT}, "total_slots": SLOTS})
    if method == "GET":
        return whole({}, b"200 OK" if path == "/health" else b"501 Not Implemented")
    SEEN["counted"] += 1
    return whole({"input_tokens": len(body) // 4, "tokens": list(range(len(body) // 4))})


class Connection(asyncio.Protocol):
    """One connection: a request, an answer, and no byte behind it."""

    def connection_made(self, transport):
        self.transport, self.data, self.wanted, self.done = transport, bytearray(), None, False

    def data_received(self, data):
        self.data += data
        if self.done:
            fault("bytes behind a request", bytes(self.data))
        elif self.wanted is None:
            self._read_head()
        if not self.done and self.wanted is not None and len(self.data) >= self.wanted:
            self._answer()

    def _read_head(self):
        ends = self.data.find(b"\r\n\r\n")
        if ends < 0:
            return
        lines = bytes(self.data[:ends]).split(b"\r\n")
        self.line, self.headers, self.begins = lines[0].decode("latin-1").split(" "), headers_of(lines[1:]), ends + 4
        lengths = [] if isinstance(self.headers, bytes) else [value for name, value in self.headers if name == "content-length"]
        if len(self.line) != 3 or isinstance(self.headers, bytes) or len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            fault("a head that cannot be read", bytes(self.data))
            self.done = True
            self.transport.close()
            return
        self.wanted = self.begins + int((lengths or ["0"])[0])

    def _answer(self):
        self.done = True
        body = bytes(self.data[self.begins:self.wanted])
        if len(self.data) > self.wanted:
            fault("bytes behind a request", bytes(self.data))
        method, path, version = self.line
        said = told(method, path, version, body)
        if said is None:
            SEEN["clients"] += 1
            problem = problem_of(method, path, version, self.headers, body)
            if problem:
                fault(problem, bytes(self.data))
            said = answer(path, dict(self.headers), body)
        self.transport.write(said)
        self.transport.close()


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, ADDRESS, int(PORT), backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
