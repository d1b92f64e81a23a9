"""What clients send to the gateway, mostly nonsense: conversations by a seed, each some requests on one connection.

A request carries a mark: "right-C-N" where its key is right, else "wrong-C-N", and "hidden-C-N" stands in requests that lie hidden in others. C is the
conversation, N the request. The keys are drawn anew for each host, so they are no part of the seed: the same seed is the same conversation but for them.
"""
import dataclasses
import json
import random

GENERATE = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
PATHS = GENERATE + ["/v1/chat/completions/input_tokens", "/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1/embeddings", "/v1/rerank",
                    "/rerank", "/reranking", "/infill", "/v1/infill", "/tokenize"]
MODELS = ["oracle", "executor", "gpt-4o"]
WORDS = ["why", "wärme", "\U0001f600", "a\nb", '"', "\\", "\0", "data: [DONE]", "{", "]"]
ENDS = b"\r\n\r\n"
LENGTHS = (1, 4, 8, 16, 32)  # requests of a conversation


@dataclasses.dataclass
class Asked:
    """One request.

    mark: str. right: bool, its key. family: str, what is wrong with it. api: whose words an error must have ("openai", "messages"; "" either). head: bool, its
    answer has no body. bare: bool, its answer may have no head (HTTP/0.9). served: bool, a service must answer. open: bool, anybody may ask that. ordered: int,
    the status that the service was ordered to answer with. unsure: bool, the gateway may wait for more, or read several requests or none in it.
    """
    raw: bytes
    mark: str
    right: bool = True
    family: str = "plain"
    api: str = ""
    head: bool = False
    bare: bool = False
    served: bool = False
    open: bool = False
    ordered: int = 0
    unsure: bool = False


class Writer:
    """Writes the requests of one conversation.

    :param seed: str. number: int, of the conversation. key: str, one that is right.
    """

    def __init__(self, seed, number, key):
        self.choices, self.number, self.key, self.count = random.Random("%s-%d" % (seed, number)), number, key, 0

    def conversation(self):
        """list of Asked. One that may end the connection is the last."""
        pick = self.choices
        length = pick.choice(LENGTHS)
        found = [self.one(pick.choice(CALM)) for _number in range(length - 1)]
        return found + [self.one(pick.choice(WILD if pick.random() < .7 else CALM))]

    def one(self, family):
        self.count += 1
        asked = family(self)
        asked.family = family.__name__
        return asked

    def mark(self, kind="right"):
        return "%s-%d-%d" % (kind, self.number, self.count)

    def authorization(self):
        """A header with the right key."""
        header = self.choices.choice([b"Authorization: Bearer %s", b"authorization: bearer %s", b"X-Api-Key: %s", b"AUTHORIZATION:Bearer   %s  "])
        return header % self.key.encode()

    def body(self, path, mark, **more):
        """A sound body for a path, as a dict."""
        pick = self.choices
        words = " ".join(pick.choice(WORDS) for _number in range(pick.randint(0, 20)))
        asked = {"model": pick.choice(MODELS), "user": mark, "max_tokens": pick.randint(1, 9)}
        asked.update({
            "/v1/completions": {"prompt": words}, "/v1/responses": {"input": words}, "/v1/embeddings": {"input": [words]}, "/tokenize": {"content": words},
        }.get(path.replace("/input_tokens", ""), {"messages": [{"role": "user", "content": words}]}))
        if pick.random() < .1:
            asked["stream"] = True
        return {**asked, **more}

    def request(self, path, body, *headers, line=b"", key=True):
        """A request with a body: bytes. The order of its headers is drawn."""
        lines = [b"Host: door", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers] + ([self.authorization()] if key else [])
        self.choices.shuffle(lines)
        return b"\r\n".join([line or b"POST %s HTTP/1.1" % path.encode(), *lines]) + ENDS + body

    def hidden(self):
        """A request without a right key, to hide in another: bytes."""
        body = json.dumps(self.body("/v1/chat/completions", self.mark("hidden"))).encode()
        return b"POST /v1/chat/completions HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer none\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def spoken(path):
    return "messages" if path.startswith("/v1/messages") else "openai"


def plain(write):
    path, mark = write.choices.choice(GENERATE), write.mark()
    ordered = write.choices.choice([400, 404, 429, 500, 501]) if write.choices.random() < .05 else 0
    body = write.body(path, mark, **({"fails": ordered} if ordered else {}))
    data = json.dumps(body, ensure_ascii=write.choices.random() < .5).encode()
    return Asked(write.request(path, data), mark, api=spoken(path), served=not ordered, ordered=ordered)


def in_chunks(write):
    """A body in chunks, as HTTP allows: extensions, zeros before a size, trailers."""
    path, mark = write.choices.choice(GENERATE), write.mark()
    left, pieces = json.dumps(write.body(path, mark)).encode(), []
    while left:
        size = write.choices.randint(1, len(left))
        pieces.append(write.choices.choice([b"%x", b"%X", b"000%x", b"%x;a=b", b'%x;a="b\\"c"']) % size + b"\r\n" + left[:size] + b"\r\n")
        left = left[size:]
    trailer = write.choices.choice([b"", b"", b"X-Sum: 1\r\n", b"Authorization: Bearer none\r\n", b"Content-Length: 5\r\n"])
    raw = b"POST %s HTTP/1.1\r\nHost: door\r\n%s\r\nTransfer-Encoding: %s\r\n\r\n" % (
        path.encode(), write.authorization(), write.choices.choice([b"chunked", b"Chunked", b"CHUNKED"]))
    return Asked(raw + b"".join(pieces) + b"0\r\n" + trailer + b"\r\n", mark, api=spoken(path), served=not trailer)


def wrong_key(write):
    pick, key, path, mark = write.choices, write.key.encode(), write.choices.choice(PATHS), write.mark("wrong")
    headers = pick.choice([
        [], [b"Authorization: Bearer"], [b"Authorization:"], [b"Authorization: Bearer " + key[:-1]], [b"Authorization: Bearer " + key + b"0"],
        [b"Authorization: Bearer " + key.upper()], [b"Authorization: Basic " + key], [b"Authorization: " + key], [b"Authorization: Bearer " + key + b" " + key],
        [b"X-Api-Key: Bearer " + key], [b"X-Api-Key: " + key[1:]], [b"Cookie: Authorization=" + key + b"; key=" + key], [b"X_Api_Key: " + key],
        [b"Authorization: Bearer " + b"0" * 64], [b"X-Api-Key: \xff\xfe"], [b"Authorization: Bearer none", b"X-Api-Key: none"], [b"X-Api-Key: " + b"k" * 4000],
        [b"Proxy-Authorization: Bearer " + key], [b"X-Api-Key: " + key, b"X-Api-Key: " + key], [b"Authorization: Bearer none\x0b" + key]])
    target = path + (pick.choice(["?key=", "?Authorization=Bearer%20", "?x-api-key="]) + write.key if pick.random() < .2 else "")
    body = json.dumps(write.body(path, mark)).encode()
    return Asked(write.request(target, body, *headers, key=False), mark, right=False, api=spoken(path))


ODD = [None, True, 0, -1, 1e308, 10 ** 30, "", "x", [], {}, [None], {"type": "image"}, [[[[]]]], "\ud7ff", {"": {"": ""}}, ["a"] * 300]


def odd_members(write):
    """JSON that no client means: values of other types, where the gateway looks."""
    pick, mark, path = write.choices, write.mark(), write.choices.choice(PATHS)
    body = write.body(path, mark)
    for name in pick.sample(["model", "messages", "stream", "n", "n_cmpl", "prompt", "input", "text", "tools", "system", "instructions", "response_format",
                             "functions", "chat_template_kwargs", "max_tokens", "logit_bias", "temperature", "stream_options"], pick.randint(1, 4)):
        body[name] = pick.choice(ODD)
    if pick.random() < .3:
        body["text"] = {"format": pick.choice([
            {"type": "json_schema", "schema": pick.choice(ODD)}, {"type": "json_object"}, {"type": pick.choice(ODD)}, pick.choice(ODD)])}
    if pick.random() < .3:
        body["messages"] = [{"role": "user", "content": pick.choice(ODD)}, pick.choice(ODD)]
    return Asked(write.request(path, json.dumps(body).encode()), mark, api=spoken(path))


def json_bombs(write):
    """Bodies that are hard on who reads them, and those that are no JSON by a hair."""
    pick, mark, path = write.choices, write.mark(), write.choices.choice(GENERATE)
    deep = pick.choice([10, 500, 999, 1000, 1001, 20000])
    own = b'"model":"oracle","user":"%s"' % mark.encode()
    body = pick.choice([
        lambda: b'{%s,"x":%s1%s}' % (own, b"[" * deep, b"]" * deep), lambda: b'{%s,"messages":%s1%s}' % (own, b'{"content":' * deep, b"}" * deep),
        lambda: b'{%s,"tools":%s%s}' % (own, b"[" * deep, b"]" * deep), lambda: b'{%s,"text":{"format":{"type":"json_schema","schema":%s1%s}}}' % (
            own, b'{"a":' * deep, b"}" * deep),
        lambda: b"[" * deep, lambda: b'{"a":' * deep, lambda: b'{%s,"n":%s}' % (own, b"9" * deep), lambda: b'{%s,"max_tokens":1e%d}' % (own, deep),
        lambda: b'{%s,"n":-0,"m":%s}' % (own, pick.choice([b"NaN", b"Infinity", b"-Infinity", b"0x10", b"01", b"+1", b".5", b"1.", b"1e", b"nan", b"tru"])),
        lambda: b'{"model":"executor",%s,"user":"%s"}' % (own, mark.encode()), lambda: b'{%s,"mod\\u0065l":"executor"}' % own,
        lambda: b'{%s,"messages":[],"messages":{"a":1},"stream":true,"stream":false}' % own,
        lambda: b'{%s,"x":"%s"}' % (own, pick.choice([
            b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0", b"\x01", b"\n", b"\\ud800", b"\\udc00\\ud800", b"\\u0000", b"\\x41",
            b"\\u12"])),
        lambda: b"\xef\xbb\xbf{%s}" % own, lambda: b"{%s}\0" % own, lambda: b"{%s}{}" % own, lambda: b"{%s" % own, lambda: b"{%s,}" % own, lambda: b"",
        lambda: b" " * deep + b"{%s}" % own, lambda: json.dumps({"model": "oracle", "user": mark}).encode("utf-16"),
        lambda: b'{%s,%s}' % (own, b",".join(b'"k%d":%d' % (number, number) for number in range(deep))),
        lambda: b'{%s,"logit_bias":"\\"}]{[","b\\\\":"\\\\\\"","c":{"d":"}"}}' % own,
        lambda: b'{%s,"prompt":"%s"}' % (own, b"word " * deep * 5), lambda: b'{%s,"input":[%s]}' % (own, b"1," * deep + b"1")])()
    return Asked(write.request(path, body), mark, api=spoken(path))


def odd_paths(write):
    """Paths and methods that are well formed and lead nowhere, or to the few things that anybody may ask."""
    pick, mark = write.choices, write.mark("wrong")
    path = pick.choice(["/", "/health", "/health/", "/chat", "/metrics", "/drain?service=oracle&seconds=9", "/services", "/usage", "/bunker-refusal", "/v1",
                        "/v1/", "/v1/models", "/v1/models/", "/v1/models/oracle", "/v1/models/%F0%9F%98%80", "/v1/modelsx", "/v1/slots", "/slots", "/props",
                        "/v1//chat//completions", "/v1/./models", "/x/../v1/models", "/v1/chat/completions/", "/V1/MODELS", "/v1/models?" + "a=b&" * 300,
                        "/v1/chat/completions#x", "/v1/models/" + "m" * 3000, "/tokenize/", "/infill?x", "/v1/%6dodels", "http://door/v1/models",
                        "/v1/models/%ff%fe", "/v1/models/%0d%0aX:y", "/v1/models/..%2f..%2fetc", "/favicon.ico", "/.env", "/index.php"])
    method = pick.choice(["GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "MKCOL"])
    right = pick.random() < .5
    headers = [b"Host: door"] + ([write.authorization()] if right else []) + pick.choice([
        [], [b"Origin: https://page"], [b"Origin: null", b"Access-Control-Request-Headers: " + b"x," * 500], [b"Range: bytes=0-1"], [b"If-None-Match: *"],
        [b'If-Match: "x"'], [b"If-Match: *"], [b"If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"], [b"If-Modified-Since: never", b"If-Range: x"],
        [b"Upgrade: websocket", b"Connection: upgrade"], [b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"], [b"X-Forwarded-For: 127.0.0.1"],
        [b"X-Original-URL: /drain", b"X-Rewrite-URL: /metrics"], [b"Accept-Encoding: gzip, br"], [b"TE: trailers"], [b"Via: 1.1 x"]])
    raw = b"\r\n".join([b"%s %s HTTP/1.1" % (method.encode(), path.encode()), *headers]) + ENDS
    return Asked(raw, mark, right=right, head=method == "HEAD", open=True)


def smuggled(write):
    """A request whose length is said in two ways, or in a way that somebody may read otherwise, with a request hidden behind it."""
    pick, path = write.choices, write.choices.choice(GENERATE)
    right = pick.random() < .7
    mark, hidden = write.mark("right" if right else "wrong"), write.hidden()
    body = json.dumps(write.body(path, mark)).encode()
    length, chunks = b"%d" % len(body), b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    sizes, inside = pick.choice([
        ([b"Content-Length: " + length, b"Transfer-Encoding: chunked"], chunks), ([b"Transfer-Encoding: chunked", b"Content-Length: 4"], chunks),
        ([b"Content-Length: " + length, b"Content-Length: " + length], body), ([b"Content-Length: " + length, b"Content-Length: 0"], body),
        ([b"Content-Length: 0", b"Content-Length: " + length], body), ([b"Content-Length: %s, %s" % (length, length)], body),
        ([b"Content-Length: +" + length], body), ([b"Content-Length: -1"], body), ([b"Content-Length: 0x%x" % len(body)], body),
        ([b"Content-Length: 00" + length], body), ([b"Content-Length: " + length + b" "], body), ([b"Content-Length: " + length + b"\t"], body),
        ([b"Content-Length: 18446744073709551616"], body), ([b"Content-Length: 9223372036854775807"], body), ([b"Content-Length: "], body),
        ([b"Content-Length: %s\x0b" % length], body), ([b"Content-Length : " + length], body), ([b"Content-Length:\r\n " + length], body),
        ([b"X: y\r\n Content-Length: " + length], body), ([b"X: y\r\n\tTransfer-Encoding: chunked"], chunks), ([b"Content_Length: " + length], body),
        ([b"Transfer-Encoding: chunked, identity"], chunks), ([b"Transfer-Encoding: identity"], body), ([b"Transfer-Encoding: gzip, chunked"], chunks),
        ([b"Transfer-Encoding: xchunked"], chunks), ([b"Transfer-Encoding:\x0bchunked"], chunks), ([b"Transfer-Encoding: chunked\x00"], chunks),
        ([b"Transfer-Encoding : chunked", b"Content-Length: " + length], body), ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], chunks),
        ([b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"], chunks), ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], chunks),
        ([b"Transfer_Encoding: chunked", b"Content-Length: " + length], body), ([b"X: y\rTransfer-Encoding: chunked", b"Content-Length: " + length], body),
        ([b"X: y\nTransfer-Encoding: chunked", b"Content-Length: " + length], body), ([b"Content-Length: %d" % (len(body) + len(hidden))], body)])
    lines = [b"Host: door", *sizes] + ([write.authorization()] if right else [])
    version = pick.choice([b"1.1", b"1.1", b"1.0"])
    ends = pick.choice([b"\r\n", b"\r\n", b"\n"])
    raw = ends.join([b"POST %s HTTP/%s" % (path.encode(), version), *lines, b"", b""]) + inside + hidden
    return Asked(raw, mark, right=right, unsure=True)


def bad_chunks(write):
    pick, path, mark = write.choices, write.choices.choice(GENERATE), write.mark()
    body = json.dumps(write.body(path, mark)).encode()
    size = b"%x" % len(body)
    inside = pick.choice([
        b"0x" + size + b"\r\n" + body, b"+" + size + b"\r\n" + body, b"-" + size + b"\r\n" + body, b" " + size + b"\r\n" + body, size + b" \r\n" + body,
        size + b"\n" + body, size + b"\r" + body, b"f" * 16 + b"\r\n" + body, b"f" * 17 + b"\r\n" + body, b"7fffffffffffffff\r\n" + body, b"\r\n" + body,
        b"g\r\n" + body, size + b";" + b"e" * 20000 + b"\r\n" + body, b"0" * 5000 + size + b"\r\n" + body, b"1\r\n" + body, size + b"\r\n" + body[:-1],
        size + b";\0\r\n" + body, size + b";a\nb\r\n" + body, b"%x\r\n%s" % (len(body) + 2, body), b""])
    ends = pick.choice([b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n", b"\n0\n\n", b"\r\n00000\r\n\r\n", b"\r\n0\r\nA: b\r\n" * 50 + b"\r\n", b"\r\n-0\r\n\r\n"])
    raw = b"POST %s HTTP/1.1\r\nHost: door\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n" % (path.encode(), write.authorization()) + inside + ends
    return Asked(raw + (write.hidden() if pick.random() < .5 else b""), mark, unsure=True)


def header_bombs(write):
    pick, path = write.choices, write.choices.choice(GENERATE)
    right = pick.random() < .5
    mark = write.mark("right" if right else "wrong")
    many = pick.choice([88, 95, 101, 500])
    more = pick.choice([
        lambda: [b"X-%d: y" % number for number in range(many)], lambda: [b"X: " + b"y" * pick.choice([8000, 8190, 33000])],
        lambda: [b"Cookie: " + b"a=b; " * 3000], lambda: [b"X" * 9000 + b": y"], lambda: [b": y"], lambda: [b"no colon"], lambda: [b"X\0: y"],
        lambda: [b"X: a\0b"], lambda: [b"X: a\rb"], lambda: [b" X: y"],
        lambda: [b"X y: z"], lambda: [b"\xff\xfe: \xff"], lambda: [b"X:"] * many, lambda: [b"X: \x7f\x1b[2J"], lambda: [b"Host: other"], lambda: [b"Host:"],
        lambda: [b"Expect: 100-continue"], lambda: [b"Expect: nothing"], lambda: [b"Connection: close, close"],
        lambda: [b"Connection: Content-Length, Authorization"],
        lambda: [b"Authorization: Bearer none"], lambda: [b"Range: bytes=" + b"0-," * 2000 + b"1-"], lambda: [b"Content-Type: text/html\t; x"],
        lambda: [b"Accept: \xe2\x80\xae", b"User-Agent: " + b"\xff" * 100], lambda: [b"Accept: a", b"Accept: b", b"Content-Type: c"],
        lambda: [b"Anthropic-Version: " + b"9" * 5000], lambda: [b"Content-Encoding: gzip"],
        lambda: [b'If-Match: "x"', b"If-None-Match: *"], lambda: [b"If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"], lambda: [b"Upgrade: h2c"],
        lambda: [b"Connection: close"], lambda: [b"Connection: Upgrade, HTTP2-Settings"], lambda: [b"Keep-Alive: timeout=99999999"]])()
    return Asked(write.request(path, json.dumps(write.body(path, mark)).encode(), *more, key=right), mark, right=right, unsure=True)


def odd_lines(write):
    """First lines of a request that are none."""
    pick, mark = write.choices, write.mark("wrong")
    right = pick.random() < .5
    line = pick.choice([
        b"GET /v1/models", b"GET  /v1/models  HTTP/1.1", b"get /v1/models HTTP/1.1", b"GET /v1/models HTTP/1.0", b"GET /v1/models HTTP/1.2",
        b"GET /v1/models HTTP/2.0",
        b"GET /v1/models HTTP/9.9", b"GET /v1/models HTTP/1.11", b"GET /v1/models HTTP/1.1 x", b"GET /v1/models http/1.1", b"GET\t/v1/models\tHTTP/1.1",
        b"GET /v1/models\0 HTTP/1.1", b"GET /v1/%00 HTTP/1.1", b"GET /v1/%zz HTTP/1.1", b"GET /v1/\xff\xfe HTTP/1.1", b"GET /../../etc/passwd HTTP/1.1",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"GET /" + b"%41" * 12000 + b" HTTP/1.1", b"X" * 300 + b" / HTTP/1.1", b"TRACE /v1/models HTTP/1.1",
        b"CONNECT door:443 HTTP/1.1", b"CONNECT / HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET * HTTP/1.1", b"GET http:// HTTP/1.1", b"GET http://a b/ HTTP/1.1",
        b"GET ftp://x/v1/models HTTP/1.1", b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00\x01", b"", b"\r\n\r\n\r\nGET /v1/models HTTP/1.1",
        b"GET /a/../../b HTTP/1.1", b"GET /v1/models?\x01\x02 HTTP/1.1", b"GET /v1/mod els HTTP/1.1", b"SSTP_DUPLEX_POST / HTTP/1.1",
        b"G\xc3\x84T / HTTP/1.1", b"GET //////v1/models HTTP/1.1",
        b"GET /v1/messages/%2e%2e/models HTTP/1.1", b"HEAD /v1/models HTTP/1.0", b"POST /v1/messages HTTP/1.0"])
    host = pick.choice([[b"Host: door"], [], [b"Host: a b"], [b"Host: door:99999999"], [b"Host: [::"]])
    raw = b"\r\n".join([line, *host, *([write.authorization()] if right else [])])
    return Asked(raw + ENDS, mark, right=right, bare=True, head=line.startswith(b"HEAD"), open=True, unsure=True)


def damaged(write):
    """A plain request in which some bytes are changed, but for its mark: so one with a right key may come through, and one without may not."""
    pick, path = write.choices, write.choices.choice(PATHS)
    right = pick.random() < .6
    mark = write.mark("right" if right else "wrong")
    raw = write.request(path, json.dumps(write.body(path, mark)).encode(), *([] if right else [b"Authorization: Bearer none"]), key=right)
    parts = raw.split(mark.encode())
    for _number in range(pick.randint(1, 6)):
        place = pick.randrange(len(parts))
        data = parts[place]
        at, size = pick.randrange(len(data) + 1), pick.choice([1, 1, 1, 2, 8, 30])
        parts[place] = pick.choice([
            lambda: data[:at] + bytes(pick.randrange(256) for _byte in range(size)) + data[at + size:], lambda: data[:at] + data[at + size:],
            lambda: data[:at] + data[at:at + size] * 2 + data[at + size:],
            lambda: data[:at] + pick.choice([b"\r\n", b"\n", b"\0", b":", b" ", b'"', b"\\", b"{"]) + data[at:]])()
    return Asked(mark.encode().join(parts), mark, right=right, unsure=True, bare=True, open=True)


CALM = [plain, plain, in_chunks, wrong_key, wrong_key, odd_members, odd_members, json_bombs, json_bombs, odd_paths]
WILD = [smuggled, smuggled, bad_chunks, header_bombs, odd_lines, damaged, damaged]
