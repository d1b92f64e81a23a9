"""A stand-in for a model server: speaks OpenAI's chat completions, thinks nothing. For what no model here could serve: many streams, other providers.

    model_server.py ADDRESS:PORT NAME [TOKENS_PER_SECOND] [CONTEXT] [PROMPT_TOKENS_PER_SECOND] [SLOTS]

Answers "NAME heard KEY" (KEY: the hash of what it was given to authenticate, cookies included, or "no key"), word by word where a stream is asked for;
max_tokens words. With SLOTS it answers so many at once, and says nothing to the others meanwhile.
GET /health answers 200. A token is a word, a message has two more. It refuses a prompt as llama-server does, when no token of its CONTEXT is left for the
answer, and answers /props, /metrics, /tokenize and the counting of a prompt as llama-server does; with "mute" for CONTEXT it holds 8192 and does not count.
Streams have the shape of the API that was asked: chat completions, messages or responses.

A request may order a fault: "dies": NAME closes before anything was answered, "breaks": N closes after N words of a stream, "stumbles": N ends a stream after
N words with an error in llama-server's words, "reads": S takes S seconds for the prompt of a stream, with the head of the answer before and a comment each
second, "fails": STATUS answers with an error in llama-server's words, and with "plain": TEXT in a body that is no JSON, "overflows": N says that the prompt
has N tokens too many. With "accounts": true it tells the tokens of prompt and answer where llama-server tells them, with "accounts": N in pieces of N bytes.
"hears": NAME answers with what it was sent under that name, "hears": "*" with all of its names and "hears": "headers" with its headers, names in small.
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
SLOTS = int(sys.argv[6]) if len(sys.argv) > 6 else 0
FREE = asyncio.Semaphore(SLOTS or 1 << 30)


async def request_of(reader):
    """The next request of a connection: tuple of method, path, headers, body, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
    goes_on = head[0].endswith("1.1") and headers.get("connection") != "close"
    return head[0].split()[0], head[0].split()[1], headers, await reader.readexactly(int(headers.get("content-length", 0))), goes_on


def words_of(headers, count):
    key = headers.get("authorization", "").replace("Bearer ", "") + headers.get("cookie", "")
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
    if "documents" in asked:
        return len(texts([asked["query"], *asked["documents"]]))
    if "input_prefix" in asked:
        return len(texts([asked["input_prefix"], asked["input_suffix"]]))
    given = asked.get("messages", asked.get("input", []))
    given = [given] if isinstance(given, str) else given
    more = [asked[field] for field in ("system", "instructions") if field in asked]
    return sum(2 + len(texts(message)) for message in [*more, *given])


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value):
    return chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")


def worded(path, asked, number, word):
    """One word of a stream, in the shape of the API."""
    if path == "/v1/messages":
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}}
        return chunk(b"event: content_block_delta\ndata: " + json.dumps(delta).encode() + b"\n\n")
    if path == "/v1/responses":
        delta = {"type": "response.output_text.delta", "sequence_number": number, "item_id": "i", "output_index": 0, "content_index": 0, "delta": word + " ",
                 "logprobs": []}
        return chunk(b"event: response.output_text.delta\ndata: " + json.dumps(delta).encode() + b"\n\n")
    return event({"model": asked["model"], "choices": [{"index": 0, "delta": {"content": word + " "}}]})


def used(path, asked, words):
    """What llama-server's answers say of tokens: fields of a whole answer, by API."""
    read = tokens_of(asked)
    if path == "/infill":
        return {"tokens_predicted": words, "tokens_evaluated": read, "timings": {"cache_n": 1, "prompt_n": read - 1, "predicted_n": words}}
    if path in ("/v1/embeddings", "/v1/rerank"):
        return {"usage": {"prompt_tokens": read, "total_tokens": read}}
    if path in ("/v1/messages", "/v1/responses"):
        return {"usage": {"input_tokens": read, "output_tokens": words}}
    return {"usage": {"completion_tokens": words, "prompt_tokens": read, "total_tokens": words + read},
            "timings": {"cache_n": 1, "prompt_n": read - 1, "prompt_ms": 7.5, "predicted_n": words, "predicted_ms": 12.25}}


def begun(path, asked):
    """The events before the first word of a stream that tells its tokens."""
    if path != "/v1/messages" or "accounts" not in asked:
        return b""
    start = {"type": "message_start", "message": {"id": "m", "usage": {"cache_read_input_tokens": 1, "input_tokens": tokens_of(asked) - 1, "output_tokens": 0}}}
    return b"event: message_start\ndata: " + json.dumps(start).encode() + b"\n\n"


def ended(path, asked, words):
    """The last events of a stream, without the chunks of HTTP, where it tells its tokens; else the one that :func:`last` has."""
    figures = used(path, asked, words)
    if path == "/v1/messages":
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": words}}
        return b"event: message_delta\ndata: " + json.dumps(delta).encode() + b'\n\nevent: message_stop\ndata: {"type": "message_stop"}\n\n'
    if path == "/v1/responses":
        whole_ = {"type": "response.completed", "response": {"output": [{"text": "word " * words}], **figures}}
        return b"event: response.completed\ndata: " + json.dumps(whole_).encode() + b"\n\n"
    if path == "/infill":
        return b"data: " + json.dumps({"content": "", "stop": True, **figures}).encode() + b"\n\n"
    events = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    if asked.get("stream_options", {}).get("include_usage"):
        events.append({"choices": [], "usage": figures["usage"]})
    events[-1]["timings"] = figures["timings"]
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events) + b"data: [DONE]\n\n"


def last(path):
    """The last event of a stream, in the shape of the API."""
    if path == "/v1/messages":
        return chunk(b'event: message_stop\ndata: {"type": "message_stop"}\n\n')
    if path == "/v1/responses":
        return chunk(b'event: response.completed\ndata: {"type": "response.completed", "sequence_number": 0}\n\n')
    return event(b"[DONE]")


async def stream(writer, path, asked, words):
    """A stream, whole or as far as was ordered."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    if begun(path, asked):
        writer.write(chunk(begun(path, asked)))
    for _second in range(asked.get("reads", 0)):
        await writer.drain()
        await asyncio.sleep(1)
        writer.write(chunk(b":\n\n"))
    for number, word in enumerate(words):
        if number == asked.get("breaks"):
            await asyncio.sleep(PACE)  # the head has gone out before
            raise ConnectionError
        if number == asked.get("stumbles"):
            problem = {"code": 500, "message": "It was ordered.", "type": "server_error"}
            writer.write(chunk(b"event: error\ndata: " + json.dumps(problem).encode() + b"\n\n") if path == "/v1/messages" else
                         event(json.dumps({"error": problem}, separators=(",", ":")).encode()))
            writer.write(b"0\r\n\r\n")
            return
        writer.write(worded(path, asked, number, word))
        await writer.drain()
        await asyncio.sleep(PACE)
    if "accounts" not in asked:
        writer.write(last(path) + b"0\r\n\r\n")
        return
    rest, size = ended(path, asked, len(words)), asked["accounts"]
    size = size if isinstance(size, int) and size is not True else 1 << 20
    for start in range(0, len(rest), size):
        writer.write(chunk(rest[start:start + size]))
        await writer.drain()
        await asyncio.sleep(0.002)  # pieces that come one by one
    writer.write(b"0\r\n\r\n")


def failed(asked):
    """The error that was ordered, as llama-server reports it."""
    status = b"%d Ordered" % asked["fails"]
    if "plain" in asked:
        return whole(asked["plain"].encode(), status, b"text/plain")
    problem = {"code": asked["fails"], "message": "It was ordered.", "type": "server_error"}
    if "overflows" in asked:
        problem.update(type="exceed_context_size_error", n_prompt_tokens=CONTEXT + asked["overflows"], n_ctx=CONTEXT,
                       message="request (%d tokens) exceeds the available context size (%d tokens), try increasing it" % (
                           CONTEXT + asked["overflows"], CONTEXT))
    return whole({"error": problem}, status)


def whole(value, status=b"200 OK", kind=b"application/json"):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def heard(asked, headers):
    """What of a request was to be told."""
    name = asked.get("hears", "")
    if name == "headers":
        return headers
    return sorted(asked) if name == "*" else asked.get(name)


async def told(path, body):
    """What it says of itself and of prompts; None where an answer to a prompt is wanted."""
    if path == "/health":
        return whole({})
    if path == "/props":
        return whole({"default_generation_settings": {"n_ctx": CONTEXT}, **({"total_slots": SLOTS} if SLOTS else {})})
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


async def answer(writer, path, asked, words, size, headers):
    """What was asked for, or the fault that was ordered."""
    if "fails" in asked:
        writer.write(failed(asked))
    elif asked.get("stream"):
        await stream(writer, path, asked, words)
    else:
        await asyncio.sleep(asked.get("think", 0))
        figures = used(path, asked, len(words)) if "accounts" in asked else {}
        writer.write(whole({"model": asked["model"], "path": path, "body_bytes": size, "heard": heard(asked, headers),
                            "choices": [{"index": 0, "message": {"role": "assistant", "content": " ".join(words)}}], **figures}))


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
            async with FREE:
                await answer(writer, path, asked, words, len(body), headers)
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
