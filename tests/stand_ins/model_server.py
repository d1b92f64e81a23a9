"""A stand-in for a model server: speaks OpenAI's chat completions, thinks nothing. For what no model here could serve: many streams, other providers.

    model_server.py ADDRESS:PORT NAME [TOKENS_PER_SECOND] [CONTEXT] [PROMPT_TOKENS_PER_SECOND]

Answers "NAME heard KEY" (KEY: the hash of what it was given to authenticate, or "no key"), word by word where a stream is asked for; max_tokens words.
GET /health answers 200. A token is a word, a message has two more. It refuses a prompt as llama-server does, when no token of its CONTEXT is left for the
answer, and answers /props, /metrics, /tokenize and the counting of a prompt as llama-server does; with "mute" for CONTEXT it holds 8192 and does not count.
Standard library only, one process.
"""
import asyncio
import hashlib
import json
import sys

(ADDRESS, PORT), NAME = sys.argv[1].split(":"), sys.argv[2]
PACE = 1 / float(sys.argv[3] if len(sys.argv) > 3 else 20)
MUTE = sys.argv[4:5] == ["mute"]
CONTEXT = 8192 if MUTE or len(sys.argv) < 5 else int(sys.argv[4])
SPEED = float(sys.argv[5]) if len(sys.argv) > 5 else 0


async def request_of(reader):
    """The next request of a connection: tuple of method, path, headers, body, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
    goes_on = head[0].endswith("1.1") and headers.get("connection") != "close"
    return head[0].split()[0], head[0].split()[1], headers, await reader.readexactly(int(headers.get("content-length", 0))), goes_on


def words_of(headers, count):
    key = headers.get("authorization", "").replace("Bearer ", "")
    heard = hashlib.sha256(key.encode()).hexdigest() if key else "no key"
    return ("%s heard %s" % (NAME, heard)).split(" ") + ["word"] * max(0, count - 3)


def texts(value):
    """All words of a prompt: a text, a list of messages or of parts."""
    if isinstance(value, str):
        return value.split()
    parts = value if isinstance(value, list) else [value.get("content", value.get("text", ""))]
    return [word for part in parts for word in texts(part)]


def tokens_of(asked):
    """How many tokens a request's prompt has."""
    if "prompt" in asked:
        return len(texts(asked["prompt"]))
    given = asked.get("messages", asked.get("input", []))
    given = [given] if isinstance(given, str) else given
    more = [asked[field] for field in ("system", "instructions") if field in asked]
    return sum(2 + len(texts(message)) for message in [*more, *given])


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value):
    return chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")


def whole(value, status=b"200 OK"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def told(path, body):
    """What it says of itself and of prompts; None where an answer to a prompt is wanted."""
    if path == "/health":
        return whole({})
    if path == "/props":
        return whole({"default_generation_settings": {"n_ctx": CONTEXT}})
    if path == "/metrics" and SPEED:
        return whole(b"# HELP of a stand-in\nllamacpp:prompt_tokens_total %g\nllamacpp:prompt_seconds_total 10\n" % (SPEED * 10))
    if path == "/metrics":
        return whole({}, b"501 Not Implemented")
    if MUTE and (path == "/tokenize" or path.endswith("_tokens")):
        await asyncio.sleep(3600)
    if path == "/tokenize":
        return whole({"tokens": list(range(len(texts(json.loads(body)["content"]))))})
    if path.endswith("_tokens"):
        return whole({"input_tokens": tokens_of(json.loads(body))})
    if (path.startswith("/v1/chat") or path == "/v1/completions") and tokens_of(json.loads(body)) >= CONTEXT:
        return whole({"error": {"type": "exceed_context_size_error", "n_ctx": CONTEXT}}, b"400 Bad Request")
    return None


async def serve(reader, writer):
    try:
        goes_on = True
        while goes_on:
            _method, path, headers, body, goes_on = await request_of(reader)
            said = await told(path, body)
            if said:
                writer.write(said)
                await writer.drain()
                continue
            asked = json.loads(body)
            if asked.get("dies") == NAME:
                break
            words = words_of(headers, asked.get("max_tokens", 3))
            if asked.get("stream"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                for word in words:
                    writer.write(event({"model": asked["model"], "choices": [{"index": 0, "delta": {"content": word + " "}}]}))
                    await writer.drain()
                    await asyncio.sleep(PACE)
                writer.write(event(b"[DONE]") + b"0\r\n\r\n")
            else:
                await asyncio.sleep(asked.get("think", 0))
                writer.write(whole({"model": asked["model"], "path": path, "body_bytes": len(body), "usage": {"completion_tokens": len(words)},
                                    "choices": [{"index": 0, "message": {"role": "assistant", "content": " ".join(words)}}]}))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, ADDRESS, PORT, limit=1 << 26, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
