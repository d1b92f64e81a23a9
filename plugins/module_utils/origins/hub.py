# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a model hub by its API: the commit that a branch names, and of each large file its SHA-256 and size (Hugging Face Hub's API of models)."""
from __future__ import annotations

import collections
import io
import json
import re
import urllib.parse

from .fetch import Changed, Missing, OriginError

# url: of that very commit, so that it never means another file. sha256 of a large file (Git LFS), which the hub computes itself.
File = collections.namedtuple("File", ["path", "sha256", "size", "url"])
BLOCK = 2 << 20
MOST_BLOCKS = 32  # of a header: vocabularies of 250000 entries take 10 MB
PAGES = 50


def _json(answer, kind):
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise OriginError("%s: answered no JSON. Try again later." % answer.url) from error
    if not isinstance(found, kind):
        raise OriginError("%s: answered something else than was asked. Try again later." % answer.url)
    return found


def commit(fetcher, hub, repository, revision="main"):
    """The commit that a branch or tag names now, 40 hexadecimal digits."""
    answer = fetcher.get("%s/api/models/%s/revision/%s" % (hub, repository, urllib.parse.quote(revision, safe="")))
    found = _json(answer, dict).get("sha")
    if not re.match(r"^[0-9a-f]{40}$", str(found)):
        raise OriginError("%s: names no commit. See: %s/%s" % (answer.url, hub, repository))
    return found


def listing(fetcher, hub, repository, revision, folder=""):
    """Entries of a folder, path to what the API says of it; all pages."""
    url, found = "%s/api/models/%s/tree/%s%s" % (hub, repository, revision, "/" + folder if folder else ""), {}
    for _page in range(PAGES):
        answer = fetcher.get(url)
        found.update((entry["path"], entry) for entry in _json(answer, list) if isinstance(entry, dict) and isinstance(entry.get("path"), str))
        follows = re.search(r'<([^>]+)>; *rel="next"', answer.headers.get("Link") or "")
        if not follows:
            return found
        url = urllib.parse.urljoin(url, follows.group(1))
    raise OriginError("%s: has more than %d pages. Name a folder." % (url, PAGES))


def files(fetcher, hub, repository, paths, revision="main"):
    """:data:`File` of each path, all of one commit.

    :param hub: address without a slash at its end.
    :param repository: OWNER/NAME.
    :param paths: in the repository; all in one folder.
    :raises Missing: one is not there.
    :raises OriginError: one has no SHA-256, because it is no large file, or the hub does not answer.
    """
    pinned = commit(fetcher, hub, repository, revision)
    there = listing(fetcher, hub, repository, pinned, paths[0].rpartition("/")[0])
    found = []
    for path in paths:
        if path not in there:
            near = ", ".join(sorted(name for name in there if name.endswith(".gguf"))[:8]) or "nothing of the kind"
            raise Missing("%s/%s: there is no %s at commit %s. It has: %s." % (hub, repository, path, pinned[:12], near))
        large = there[path].get("lfs")
        sha256, size = (large.get("oid"), large.get("size")) if isinstance(large, dict) else (None, None)
        if not re.match(r"^[0-9a-f]{64}$", str(sha256)) or isinstance(size, bool) or not isinstance(size, int) or size <= 0:
            raise OriginError("%s/%s: says no SHA-256 and size of %s. Fetch the file and hash it: sha256sum." % (hub, repository, path))
        found.append(File(path, sha256, size, "%s/%s/resolve/%s/%s" % (hub, repository, pinned, urllib.parse.quote(path))))
    return found


class Start(io.RawIOBase):
    """The start of a file of a hub as a stream, read in blocks as far as somebody reads: its header, without the rest.

    :param found: a :data:`File`.
    :raises Changed: what is there has another size than the API said.
    """

    def __init__(self, fetcher, found):
        super().__init__()
        self.fetcher, self.file, self.position, self.blocks = fetcher, found, 0, {}

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=io.SEEK_SET):
        self.position = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.file.size}[whence] + offset
        return self.position

    def readinto(self, buffer):
        block, offset = divmod(self.position, BLOCK)
        said = self._block(block)[offset:offset + len(buffer)] if self.position < self.file.size else b""
        buffer[:len(said)] = said
        self.position += len(said)
        return len(said)

    def _block(self, number):
        if number not in self.blocks:
            if len(self.blocks) >= MOST_BLOCKS:
                raise OSError("its header has more than %d MiB" % (MOST_BLOCKS * BLOCK >> 20))
            first, last = number * BLOCK, min((number + 1) * BLOCK, self.file.size) - 1
            answer = self.fetcher.get(self.file.url, {"Range": "bytes=%d-%d" % (first, last), "Accept-Encoding": "identity"}, accepted=(206,))
            total = re.match(r"^bytes (\d+)-(\d+)/(\d+)$", answer.headers.get("Content-Range") or "")
            if not total or int(total.group(3)) != self.file.size or int(total.group(1)) != first or len(answer.body) != last - first + 1:
                raise Changed("%s: is not the file of %d bytes that the hub's API names (%s). Ask again; do not use the hash." % (
                    self.file.url, self.file.size, answer.headers.get("Content-Range")))
            self.blocks[number] = answer.body
        return self.blocks[number]
