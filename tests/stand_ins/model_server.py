"""A stand-in for a model server: speaks OpenAI's chat completions, thinks nothing. For what no model here could serve: many streams, other providers.

    model_server.py ADDRESS:PORT NAME [TOKENS_PER_SECOND]

Answers "NAME heard KEY" (KEY: the hash of what it was given to authenticate, or "no key"), word by word where a stream is asked for; max_tokens words.
GET /health answers 200. Standard library only, one process.
"""
import asyncio
import hashlib
import json
import sys

(ADDRESS, PORT), NAME = sys.argv[1].split(":"), sys.argv[2]
PACE = 1 / float(sys.argv[3] if len(sys.argv) > 3 else 20)


async def request_of(reader):
    """The next request of a connection: tuple of method, path, headers, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
    return head[0].split()[0], head[0].split()[1], headers, await reader.readexactly(int(headers.get("content-length", 0)))


def words_of(headers, count):
    key = headers.get("authorization", "").replace("Bearer ", "")
    heard = hashlib.sha256(key.encode()).hexdigest() if key else "no key"
    return ("%s heard %s" % (NAME, heard)).split(" ") + ["word"] * max(0, count - 3)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value):
    return chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")


async def serve(reader, writer):
    try:
        while True:
            _method, path, headers, body = await request_of(reader)
            if path == "/health":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                continue
            asked = json.loads(body)
            words = words_of(headers, asked.get("max_tokens", 3))
            if asked.get("stream"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                for word in words:
                    writer.write(event({"model": asked["model"], "choices": [{"index": 0, "delta": {"content": word + " "}}]}))
                    await writer.drain()
                    await asyncio.sleep(PACE)
                writer.write(event(b"[DONE]") + b"0\r\n\r\n")
            else:
                answer = json.dumps({"model": asked["model"], "path": path, "body_bytes": len(body), "usage": {"completion_tokens": len(words)},
                                     "choices": [{"index": 0, "message": {"role": "assistant", "content": " ".join(words)}}]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
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
