"""Many clients at once that read streams through the gateway, for as long as is asked; says how many streams broke.

    gateway_streams.py URL --model NAME --key-file FILE [--certificate FILE] [--clients 200] [--seconds 60] [--tokens 100]

URL is the gateway's, with /v1. Each client asks for a stream, reads it to its end and asks again until the time is up; no stream is begun after.
A stream is whole when it ends with [DONE] and held as many events as tokens were asked for. Prints JSON. Standard library only.
"""
import argparse
import asyncio
import json
import pathlib
import ssl
import statistics
import time
import urllib.parse


async def one_stream(url, context, head, body):
    """Reads one stream: tuple of the seconds to its first event, the events, and what broke it ("" for a whole one)."""
    begun, first, events = time.monotonic(), None, 0
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    try:
        writer.write(head + body)
        status = (await reader.readline()).decode().strip()
        if " 200 " not in status:
            return None, 0, status or "closed before an answer"
        async for line in reader:
            if line.startswith(b"data: [DONE]"):
                return first, events, ""
            if line.startswith(b'data: {"error"'):
                return first, events, line.decode().strip()
            if line.startswith(b"data: "):
                first, events = first or time.monotonic() - begun, events + 1
        return first, events, "closed without [DONE]"
    except OSError as error:
        return first, events, str(error) or type(error).__name__
    finally:
        writer.close()


async def client(arguments, url, context, request, until, results):
    while time.monotonic() < until:
        try:
            results.append(await one_stream(url, context, *request))
        except OSError as error:
            results.append((None, 0, "not connected: %s" % error))
            await asyncio.sleep(0.2)


async def run(arguments):
    url = urllib.parse.urlsplit(arguments.url)
    context = ssl.create_default_context(cafile=arguments.certificate) if url.scheme == "https" else None
    body = json.dumps({"model": arguments.model, "stream": True, "max_tokens": arguments.tokens,
                       "messages": [{"role": "user", "content": "Count."}]}).encode()
    head = "POST %s/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        url.path.rstrip("/"), url.netloc, pathlib.Path(arguments.key_file).read_text(encoding="utf-8").strip(), len(body))
    results, until = [], time.monotonic() + arguments.seconds
    await asyncio.gather(*(client(arguments, url, context, (head.encode(), body), until, results) for _number in range(arguments.clients)))
    broken = [problem or "%d events" % events for _first, events, problem in results if problem or events < arguments.tokens]
    firsts = sorted(first for first, _events, _problem in results if first is not None)
    return {"clients": arguments.clients, "seconds": arguments.seconds, "streams": len(results), "broken": len(broken), "causes": sorted(set(broken))[:5],
            "events": sum(events for _first, events, _problem in results),
            "first_event_median_ms": round(1000 * statistics.median(firsts), 1) if firsts else None,
            "first_event_worst_ms": round(1000 * firsts[-1], 1) if firsts else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("--model", required=True)
    parser.add_argument("--key-file", required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=100)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
