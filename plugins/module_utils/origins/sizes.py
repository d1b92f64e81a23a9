# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says of a file's size before its first byte (RFC 9110, 8.6, 9.3.2 and 14.4). Runs on the host, which will fetch it."""
from __future__ import annotations

import re
import urllib.parse

from .fetch import OriginError, Unreachable

LINKED = "X-Linked-Size"  # of Hugging Face's hub, on its redirect: the size of the large file that it leads to
LARGEST = 1 << 60  # bytes; no file has as many
REFUSALS = (400, 403, 405, 500, 501)  # of servers that answer GET and do not know HEAD, or have signed an address for GET alone


def _number(text):
    text = (text or "").strip()
    return int(text) if re.match(r"^[1-9][0-9]{0,18}$", text) and int(text) < LARGEST else None


def _of(answer):
    """Bytes of the file that an answer is about, None where it does not say."""
    # Of a part (206) the length is the part's: what the whole has, its range alone says, or nobody ("bytes 0-0/*"). Units are read in any case (14.1).
    whole = re.match(r"^bytes .*/([0-9]+)$", answer.headers.get("Content-Range") or "", re.IGNORECASE)
    # Of what is packed on its way (8.4) it is the package's; whoever asks here takes nothing packed, so such a server would send no file that is to be had.
    packed = (answer.headers.get("Content-Encoding") or "identity").strip().lower() != "identity"
    length = "" if answer.status == 206 or packed else answer.headers.get("Content-Length")
    return _number(answer.headers.get(LINKED)) or _number(whole.group(1) if whole else length)


def _is_page(answer):
    return (answer.headers.get("Content-Type") or "").lower().startswith("text/html")


def of_address(fetcher, url):
    """Bytes of the file that an address leads to. No body is read.

    :raises OriginError: nobody says it; the message names the address and the reason.
    """
    def enough(answer):
        return answer.status in REFUSALS or (answer.status < 400 and bool(_number(answer.headers.get(LINKED))))

    answer = fetcher.asked(url, method="HEAD", enough=enough)
    # Also one that says nothing of the length of what it makes while it sends, or 0 (9.3.2 lets it leave out what only the body would tell).
    if answer.status in REFUSALS or not (_of(answer) or _is_page(answer)):
        answer = fetcher.asked(url, {"Range": "bytes=0-0"}, accepted=(200, 206), enough=lambda one: one.status < 400 and bool(_number(one.headers.get(LINKED))))
    if _is_page(answer):
        raise OriginError("%s: answers with a page, not with a file. See what stands there with a browser." % answer.url)
    size = _of(answer)
    if not size:
        raise OriginError("%s: says no size. Give the file's size in the inventory." % answer.url)
    return size


def of(fetcher, addresses):
    """What is said of each of several files. A server that cannot be reached is tried once.

    :param addresses: dict of a name to an address; other ones than those of http and https are not asked.
    :returns: dict of the name to dict of ``bytes`` (int, None where nobody says) and ``said`` (why nobody does, "" otherwise).
    """
    found, silent = {}, {}
    for name, url in addresses.items():
        try:
            parts = urllib.parse.urlsplit(url)
            account, _at, server = parts.netloc.rpartition("@")
        except ValueError as error:
            found[name] = {"bytes": None, "said": "%s: is no address (%s). Correct it." % (url, error)}
            continue
        if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
            found[name] = {"bytes": None, "said": "%s: is no address of http or https and is not asked. Give the file's size in the inventory." % (
                "%s://%s%s" % (parts.scheme, server, parts.path) if account else url)}
            continue
        if account:
            found[name] = {"bytes": None, "said": "%s://%s%s: has an account in its address and is not asked. Give the file's size in the inventory." % (
                parts.scheme, server, parts.path)}
            continue
        try:
            found[name] = {"bytes": None, "said": silent[server]} if server in silent else {"bytes": of_address(fetcher, url), "said": ""}
        except OriginError as error:
            found[name] = {"bytes": None, "said": str(error)}
            if isinstance(error, Unreachable):
                silent[server] = str(error)
    return found
