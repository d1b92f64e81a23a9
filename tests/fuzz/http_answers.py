"""What the gateway may answer, read from the bytes of a connection and judged: what :func:`judge` says of an answer is a fault."""
import dataclasses
import json
import re

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})(?: [^\r\n]*)?\r\n")
REFUSED = {400, 401, 403, 404, 405, 408, 413, 414, 429, 431}
NO_KEY = {400, 401, 404, 405, 408, 413, 414, 429, 431}  # where none was right
INNER = re.compile(rb"traceback|stack|\.lua|/etc/|/usr/|/run/|nginx|<html", re.IGNORECASE)
TYPES = {"invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error", "not_found_error", "request_too_large",
         "service_unavailable", "api_error", "overloaded_error", "timeout_error"}


@dataclasses.dataclass
class Answer:
    """status: int, 0 for a body without a head. headers: list of (name in small, value). body: bytes. closes: bool, the connection ends with it."""
    status: int
    headers: list
    body: bytes
    closes: bool

    def header(self, name):
        return next((value for known, value in self.headers if known == name), "")


class Unreadable(Exception):
    """What came is no answer of HTTP."""


def _chunked(data, at):
    """The body in chunks that begins there, and where it ends; None where it is not whole yet."""
    body = b""
    while True:
        ends = data.find(b"\r\n", at)
        if ends < 0:
            return None
        digits = data[at:ends]
        if not re.fullmatch(rb"[0-9a-f]+", digits):
            raise Unreadable("a chunk of %r" % digits[:40])
        size, at = int(digits, 16), ends + 2
        if len(data) < at + size + 2:
            return None
        body, at = body + data[at:at + size], at + size + 2
        if data[at - 2:at] != b"\r\n":
            raise Unreadable("a chunk without an end")
        if not size:
            return body, at


def read(data, at, asked, ended):
    """The answer that begins there.

    :param data: bytes that came. asked: http_requests.Asked. ended: bool, nothing more comes.
    :returns: (Answer, where it ends), or None where it is not whole yet.
    :raises Unreadable: where it is none.
    """
    if asked.bare and not b"HTTP/1.1 ".startswith(bytes(data[at:at + 9])):
        return (Answer(0, [], bytes(data[at:]), True), len(data)) if ended and len(data) > at else None
    head = data.find(b"\r\n\r\n", at)
    if head < 0:
        if len(data) > at and ended:
            raise Unreadable("half a head: %r" % bytes(data[at:at + 100]))
        return None
    status = STATUS.match(data, at)
    if not status:
        raise Unreadable("no head: %r" % bytes(data[at:at + 100]))
    code, lines, at = int(status[1]), bytes(data[status.end():head]).split(b"\r\n"), head + 4
    if code == 100:
        return read(data, at, asked, ended)
    headers = [(name.decode("latin-1").lower(), value.strip().decode("latin-1")) for name, _colon, value in (line.partition(b":") for line in lines)]
    answer = Answer(code, headers, b"", ("connection", "close") in headers)
    if asked.head or code in (204, 304):
        return answer, at
    if answer.header("transfer-encoding") == "chunked":
        found = _chunked(data, at)
        if found:
            answer.body, at = found
        return found and (answer, at)
    if not answer.header("content-length"):
        answer.body = bytes(data[at:])
        return (answer, len(data)) if ended else None
    size = int(answer.header("content-length"))
    answer.body = bytes(data[at:at + size])
    return (answer, at + size) if len(data) >= at + size else None


def in_shape(body, api):
    """What is wrong with the body of an error: str, "" where it is in the shape of the API that was asked ("": of any)."""
    try:
        said = json.loads(body.decode("utf-8"))
    except ValueError as error:
        return "an error that is no JSON (%s)" % error
    problem = said.get("error") if isinstance(said, dict) else None
    if not isinstance(problem, dict) or not isinstance(problem.get("message"), str) or not problem["message"]:
        return "an error without a message"
    anthropic = said.get("type") == "error"
    if api and anthropic != (api == "messages"):
        return "an error in the words of another API"
    if not anthropic and {"code", "param", "type"} - set(problem):
        return "an error without code, param or type"
    return "" if problem.get("type") in TYPES else "an error of an unknown type %r" % problem.get("type")


def judge(asked, answer, keys):
    """What an answer does that it may not: str, "" for nothing.

    :param asked: http_requests.Asked. answer: Answer. keys: list of str, which no answer may tell.
    """
    status, body = answer.status, answer.body
    if any(key.encode() in body or key in value for key in keys for _name, value in answer.headers or [("", "")]):
        return "tells a key"
    if INNER.search(body) and not answer.header("content-type").startswith("text/html"):
        return "tells of its inside"
    if not status:
        return in_shape(body, "") if asked.bare else "no head"
    if asked.ordered:
        return "" if status == asked.ordered and asked.mark.encode() in body and not in_shape(body, asked.api) else "not the error that was ordered"
    if status >= 500:
        return "%d without a reason" % status
    if asked.served and (status != 200 or asked.mark.encode() not in body):
        return "not served its own answer"
    if status in (200, 204):
        return _may_have(asked, answer)
    if status not in (REFUSED if asked.right else NO_KEY):
        return "a status that is not ours"
    if asked.head:
        return ""
    if answer.header("content-type") != "application/json":
        return "an error of the type %r" % answer.header("content-type")
    return in_shape(body, "" if asked.unsure or asked.open else asked.api)


def _may_have(asked, answer):
    """Whether this request may be answered at all, and with that."""
    mark = re.search(rb"(?:right|wrong|hidden)-\d+-\d+", answer.body)
    if not asked.right and (mark or answer.header("x-bunker-service")):
        return "served without a right key"
    if not asked.right and not asked.open:
        return "answered without a right key"
    if mark and mark[0] != asked.mark.encode():
        return "another's answer (%s)" % mark[0].decode()
    if not asked.right and answer.status == 200 and b'"object":"list"' in answer.body:
        return "models told without a right key"
    return ""
