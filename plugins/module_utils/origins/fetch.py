# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way of asking over HTTP: redirects without credentials, a wait where the server asks for one, errors that name the address."""
from __future__ import annotations

import collections
import email.utils
import functools
import http.client
import io
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

LONGEST_WAIT = 60  # seconds in all that a server may ask for; then the value stays open and the person is told
NEVER = 10 ** 9  # seconds, for more of them
REDIRECTS = 5
LARGEST = 64 << 20  # bytes of an answer
LONGEST = 300  # seconds of an answer: 2 MiB of a header come through a line of 64 kbit/s in that time
Answer = collections.namedtuple("Answer", ["status", "headers", "body", "url"])


class OriginError(Exception):
    """An origin did not say what was asked; the message names address, reason and remedy."""


class Missing(OriginError):
    """It has no such thing."""


class Unreachable(OriginError):
    """Nobody answers there; the message names the address and the reason."""


class Changed(OriginError):
    """It has something else than it said it has."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments, **_others):
        return None


class _Bounded(io.RawIOBase):
    """What comes from a server, until a time. A socket's own timeout begins anew with each byte, so one that drips has no end."""

    def __init__(self, raw, longest):
        super().__init__()
        self.raw, self.longest, self.end = raw, longest, time.monotonic() + longest

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.end is not None and time.monotonic() > self.end:
            raise TimeoutError("the head of its answer took more than %g seconds" % self.longest)
        return self.raw.readinto(buffer)

    def close(self):
        self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose head comes within a time; for its body see Fetcher._body."""

    def __init__(self, sock, *arguments, longest, **named):
        super().__init__(sock, *arguments, **named)
        self._bounded = _Bounded(self.fp.detach(), longest)
        self.fp = io.BufferedReader(self._bounded)

    def begin(self):
        super().begin()
        self._bounded.end = None


class _BoundedHeads:
    """Handlers of which the answer's head comes within ``longest`` seconds."""

    longest = LONGEST

    def do_open(self, http_class, *arguments, **named):
        def connection(*of, **further):
            made = http_class(*of, **further)
            made.response_class = functools.partial(_Response, longest=self.longest)
            return made
        return super().do_open(connection, *arguments, **named)


class _Http(_BoundedHeads, urllib.request.HTTPHandler):
    """Of addresses of http."""


class _Https(_BoundedHeads, urllib.request.HTTPSHandler):
    """Of addresses of https."""


def wait_of(headers, now=None):
    """Seconds of a Retry-After (RFC 9110, 10.2.3: seconds or a date); None where there is none that can be read."""
    said = (headers.get("Retry-After") or "").strip()
    if said.isascii() and said.isdigit():
        return int(said) if len(said) < 10 else NEVER  # Python turns no text of more than 4300 digits into a number
    try:
        return max(email.utils.parsedate_to_datetime(said).timestamp() - (time.time() if now is None else now), 0) if said else None
    except (TypeError, ValueError, OverflowError):
        return None


class Fetcher:
    """Asks origins.

    :param sleep: function of seconds.
    :param timeout: seconds for each step of an answer.
    :param longest: seconds for the head of an answer, and once more for its body.
    :param certificates: text of a PEM file with the authorities to trust; "" for those of the system.
    :raises OriginError: it holds none.
    """

    def __init__(self, sleep=time.sleep, timeout=20, longest=LONGEST, certificates=""):
        self.sleep, self.timeout, self.longest, self.waited = sleep, timeout, longest, 0.0
        # OpenSSL takes no other letters; comments have authorities' own names. A line more, for without any text the system's would be trusted.
        trusted = certificates.encode("ascii", "ignore").decode() + "\n" if certificates else None
        try:
            context = ssl.create_default_context(cafile=None if certificates else os.environ.get("SSL_CERT_FILE") or None, cadata=trusted)
        except (OSError, ValueError) as error:
            raise OriginError("%s: its file holds no certificates in PEM (%s). See what stands in it." % (
                "bunker_ca_bundle" if certificates else "SSL_CERT_FILE of the environment", error)) from error
        handlers = [_Http(), _Https(context=context)]
        for handler in handlers:
            handler.longest = longest
        self.opener = urllib.request.build_opener(_NoRedirect, *handlers)

    def get(self, url, headers=None, accepted=(200,)):
        """An :data:`Answer` of a status that is accepted.

        :raises Missing: 404 or 410.
        :raises OriginError: everything else.
        """
        return self.asked(url, headers, accepted)

    def asked(self, url, headers=None, accepted=(200,), method="GET", enough=None):
        """As :meth:`get`, by another method, or of an answer that is enough as it stands.

        :param method: "HEAD" for headers alone.
        :param enough: function of an answer; one that it is true for is taken whatever its status is, a redirect too, and no answer's body is read.
        """
        headers = dict(headers or {})
        for _turn in range(REDIRECTS + 1):
            answer = self._patiently(url, headers, method, body=enough is None)
            if enough and enough(answer):
                return answer
            if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("Location"):
                url, headers = self._redirected(url, answer.headers["Location"], headers)
                continue
            if answer.status in accepted:
                return answer
            if answer.status in (404, 410):
                raise Missing("%s: there is nothing of that name (%d). Correct the name, or see whether it has moved." % (url, answer.status))
            if answer.status in (401, 403):
                raise OriginError("%s: it wants an account (%d). Accept its conditions there and fetch the value yourself." % (url, answer.status))
            raise OriginError("%s: answered %d. Try again later." % (url, answer.status))
        raise OriginError("%s: more than %d redirects. See what stands there with a browser." % (url, REDIRECTS))

    @staticmethod
    def _redirected(url, location, headers):
        try:
            there = urllib.parse.urljoin(url, location)
            old, new = urllib.parse.urlsplit(url), urllib.parse.urlsplit(there)
        except ValueError as error:
            raise OriginError("%s: leads to what is no address (%s). See what stands there with a browser." % (url, error)) from error
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme != "https"):
            raise OriginError("%s: leads to %s, which is not encrypted. Nothing was taken from there." % (url, there))
        # Credentials are for the host that they were made for.
        return there, headers if old.netloc == new.netloc else {name: value for name, value in headers.items() if name.lower() != "authorization"}

    def _patiently(self, url, headers, method="GET", body=True):
        """An answer of any status but "later": the server is asked again after the time that it says, LONGEST_WAIT seconds in all."""
        while True:
            answer = self._once(url, headers, method, body)
            if answer.status not in (429, 503):
                return answer
            wait = wait_of(answer.headers)
            wait = 5 if wait is None else max(wait, 1)
            if self.waited + wait > LONGEST_WAIT:
                raise OriginError("%s: it limits how often it is asked (%d) and wants %d seconds more. Try again after that." % (url, answer.status, wait))
            self.sleep(wait)
            self.waited += wait

    def _once(self, url, headers, method, body):
        try:
            with self._opened(url, headers, method) as answer:
                return Answer(answer.status, answer.headers, self._body(url, answer) if body else b"", url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable("%s: cannot be reached (%s). See whether this machine reaches it: curl -sI %s" % (
                url, getattr(error, "reason", error), url)) from error

    def _opened(self, url, headers, method="GET"):
        """An answer of any status, still to be read."""
        try:
            return self.opener.open(urllib.request.Request(url, headers=headers, method=method), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            return error

    def _body(self, url, answer):
        parts, size, end = [], 0, time.monotonic() + self.longest
        while True:
            part = answer.read1(1 << 16)
            size += len(part)
            if not part:
                break
            parts.append(part)
            if size > LARGEST:
                raise OriginError("%s: its answer has more than %d MiB. See what stands there." % (url, LARGEST >> 20))
            if time.monotonic() > end:
                raise OriginError("%s: its answer took more than %g seconds. Try again later, or from another network." % (url, self.longest))
        said = answer.headers.get("Content-Length") or ""
        if said.isascii() and said.isdigit() and "Transfer-Encoding" not in answer.headers and size < int(said):
            raise OriginError("%s: its answer broke off after %d of %s bytes. Try again later." % (url, size, said))
        return b"".join(parts)
