"""What the clients make of registries and hubs: stand-ins on loopback answer in the shapes of the real APIs."""
import email.utils
import hashlib
import io
import json
import pathlib
import struct
import time

import pytest
from stand_in import COMMIT, INDEX, INDEX_DIGEST, WEIGHTS, WEIGHTS_SHA256, hub, pointer, registry, serving

from ansible_collections.protocol_omni.bunker.plugins.module_utils import gguf
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import fetch, keys
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import hub as hubs
from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import registry as registries

KEY = pathlib.Path(__file__).resolve().parents[4] / "fixtures" / "openpgp"
IMAGE = "%s/library/debian:trixie-slim"
REPOSITORY = "owner/model-GGUF"
FINGERPRINT = "9D47686239BDB869EE696B5EAB0E866074AD5674"  # gpg's own word of it


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slept():
    return []


@pytest.fixture
def fetcher(slept):
    return fetch.Fetcher(sleep=slept.append, timeout=5)


def digest(fetcher, server):
    return registries.digest(fetcher, IMAGE % server.address, scheme="http")


def files(fetcher, server, *paths):
    return hubs.files(fetcher, "http://" + server.address, REPOSITORY, list(paths))


# --- the registry

@pytest.mark.parametrize(("name", "expected"), [
    ("debian:trixie-slim", ("registry-1.docker.io", "library/debian", "trixie-slim")),
    ("debian", ("registry-1.docker.io", "library/debian", "latest")),
    ("docker.io/library/ubuntu:24.04", ("registry-1.docker.io", "library/ubuntu", "24.04")),
    ("docker.io/debian:12@sha256:" + "0" * 64, ("registry-1.docker.io", "library/debian", "12")),
    ("owner/image:1", ("registry-1.docker.io", "owner/image", "1")),
    ("ghcr.io/owner/image:1", ("ghcr.io", "owner/image", "1")),
    ("localhost:5000/a:b", ("localhost:5000", "a", "b")),
])
def test_an_image_has_a_registry_a_repository_and_a_tag(name, expected):
    assert registries.parts(name) == expected


def test_a_digest_with_the_token_that_the_registry_wants(fetcher):
    with serving(registry()) as server:
        assert digest(fetcher, server) == INDEX_DIGEST
    paths = [path for path, _headers in server.asked]
    assert paths[1] == "/token?service=registry.stand-in&scope=repository%3Alibrary%2Fdebian%3Apull" and len(paths) == 3
    assert "application/vnd.oci.image.index.v1+json" in server.asked[0][1]["Accept"]


def test_a_registry_without_tokens(fetcher):
    with serving({"/v2/library/debian/manifests/trixie-slim": [(200, {}, INDEX)]}) as server:
        assert digest(fetcher, server) == INDEX_DIGEST


def test_a_manifest_that_is_not_the_one_of_its_digest_is_refused(fetcher):
    with serving(registry(body=INDEX + b" ")) as server, pytest.raises(fetch.Changed, match="says that it is " + INDEX_DIGEST):
        digest(fetcher, server)


def test_an_image_that_is_not_there(fetcher):
    with serving({}) as server, pytest.raises(fetch.Missing, match=r"manifests/trixie-slim: there is nothing of that name \(404\)"):
        digest(fetcher, server)


def test_a_login_of_another_kind(fetcher):
    routes = {"/v2/library/debian/manifests/trixie-slim": [(401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")]}
    with serving(routes) as server, pytest.raises(fetch.OriginError, match="docker login"):
        digest(fetcher, server)


def test_a_token_that_is_none(fetcher):
    with serving(dict(registry(), **{"/token": [(200, {}, b"[]")]})) as server, pytest.raises(fetch.OriginError, match="gave no token"):
        digest(fetcher, server)


# --- limits, redirects, what is not reached

def test_a_limit_is_waited_for_as_long_as_the_server_says(fetcher, slept):
    limited = [(429, {"Retry-After": "7"}, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}'), (200, {}, INDEX)]
    with serving({"/v2/library/debian/manifests/trixie-slim": limited}) as server:
        assert digest(fetcher, server) == INDEX_DIGEST
    assert slept == [7]


def test_a_limit_that_takes_too_long_is_told(fetcher, slept):
    routes = {"/v2/library/debian/manifests/trixie-slim": [(429, {"Retry-After": "21600"}, b"")]}
    with serving(routes) as server, pytest.raises(fetch.OriginError, match=r"\(429\) and wants 21600 seconds more"):
        digest(fetcher, server)
    assert slept == []


def test_a_limit_without_end_is_given_up(fetcher, slept):
    with serving({"/v2/library/debian/manifests/trixie-slim": [(503, {}, b"")]}) as server, pytest.raises(fetch.OriginError, match="limits"):
        digest(fetcher, server)
    assert slept == [5] * 12


@pytest.mark.parametrize(("said", "seconds"), [("120", 120), (email.utils.formatdate(1000030, usegmt=True), 30), (email.utils.formatdate(5, usegmt=True), 0),
                                               ("soon", None), ("", None), (None, None), ("-5", None), ("²", None), ("9" * 5000, 10 ** 9),
                                               ("Fri, 31 Dec 9999 23:59:59 +99999999999999", None)])
def test_retry_after_is_seconds_or_a_date(said, seconds):
    assert fetch.wait_of({"Retry-After": said}, now=1000000) == seconds


def test_a_redirect_to_another_host_takes_no_credentials_along(fetcher):
    with serving({"/there": [(200, {}, b"x")]}) as other:
        with serving({"/here": [(307, {"Location": "http://%s/there" % other.address}, b"")], "/near": [(302, {"Location": "/here"}, b"")]}) as server:
            answer = fetcher.get("http://%s/near" % server.address, {"Authorization": "Bearer secret", "Accept": "a/b"})
    assert answer.body == b"x" and answer.url.endswith("/there")
    assert [headers.get("Authorization") for _path, headers in server.asked] == ["Bearer secret"] * 2
    assert "Authorization" not in other.asked[0][1] and other.asked[0][1]["Accept"] == "a/b"


def test_a_circle_of_redirects_ends(fetcher):
    with serving({"/a": [(302, {"Location": "/a"}, b"")]}) as server, pytest.raises(fetch.OriginError, match="more than 5 redirects"):
        fetcher.get("http://%s/a" % server.address)
    assert len(server.asked) == 6


@pytest.mark.parametrize(("url", "location"), [("https://a.example/x", "http://a.example/x"), ("http://a.example/x", "file:///etc/passwd")])
def test_a_redirect_to_where_nothing_is_encrypted_is_not_followed(fetcher, monkeypatch, url, location):
    monkeypatch.setattr(fetch.Fetcher, "_once", lambda *_words: fetch.Answer(302, {"Location": location}, b"", url))
    with pytest.raises(fetch.OriginError, match="not encrypted"):
        fetcher.get(url)


def test_nobody_answers(fetcher):
    with serving({}) as server:
        address = server.address
    with pytest.raises(fetch.OriginError, match="cannot be reached .*curl -sI http://" + address):
        fetcher.get("http://%s/x" % address)


def test_an_account_is_wanted(fetcher):
    with serving({"/x": [(403, {}, b"")]}) as server, pytest.raises(fetch.OriginError, match="wants an account"):
        fetcher.get("http://%s/x" % server.address)


def manifest(fetcher, body, headers=None):
    with serving({"/v2/library/debian/manifests/trixie-slim": [(200, headers or {}, body)]}) as server:
        return digest(fetcher, server)


ONE = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "2" * 64}, "layers": []}).encode()


@pytest.mark.parametrize("body", [b"<html>Please log in to the network.</html>", INDEX[:-20], b"[]", b"{}", b'{"errors": []}', b"[" * 100000, b"\xff"])
def test_what_is_no_manifest_is_never_pinned(fetcher, body):
    with pytest.raises(fetch.OriginError, match="is no manifest of an image"):
        manifest(fetcher, body)


def test_the_manifest_of_one_architecture_is_pinned(fetcher):
    assert manifest(fetcher, ONE) == "sha256:" + hashlib.sha256(ONE).hexdigest()


def test_an_index_without_amd64_is_refused_with_what_it_has(fetcher):
    others = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + "1" * 64, "platform": {"architecture": name, "os": "linux"}}
                                                           for name in ("arm64", "riscv64")]}).encode()
    with pytest.raises(fetch.OriginError, match="linux/amd64.*linux/arm64, linux/riscv64"):
        manifest(fetcher, others)


@pytest.mark.parametrize("said", [{"token": ["x"]}, {"token": 7}, {"token": ""}, {"access_token": None}])
def test_a_token_that_is_no_text(fetcher, said):
    with serving(dict(registry(), **{"/token": [(200, {}, json.dumps(said).encode())]})) as server, pytest.raises(fetch.OriginError, match="gave no token"):
        digest(fetcher, server)


# --- answers that break off, drip, or lead nowhere

def raw(handler, head, *parts, pause=0.0):
    """Writes bytes as they are and closes the connection."""
    handler.wfile.write(head)
    for part in parts:
        handler.wfile.write(part)
        handler.wfile.flush()
        time.sleep(pause)
    handler.close_connection = True
    raise ConnectionAbortedError  # what a handler that has answered already raises: nothing more is written


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "429 Too Many Requests"])
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"Content-Length: 100\r\n\r\nab"])
def test_an_answer_that_breaks_off_is_told(fetcher, status, framing):
    with serving({"/x": lambda handler: raw(handler, b"HTTP/1.1 %s\r\n%s" % (status.encode(), framing))}) as server:
        with pytest.raises(fetch.OriginError, match="http://%s/x: " % server.address):
            fetcher.get("http://%s/x" % server.address)


def test_an_answer_that_drips_ends(slept):
    dripping = fetch.Fetcher(sleep=slept.append, timeout=5, longest=0.5)
    with serving({"/x": lambda handler: raw(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 600, pause=0.1)}) as server:
        begun = time.monotonic()
        with pytest.raises(fetch.OriginError, match="took more than 0.5 seconds"):
            dripping.get("http://%s/x" % server.address)
    assert time.monotonic() - begun < 30


def test_a_head_that_drips_ends(slept):
    dripping = fetch.Fetcher(sleep=slept.append, timeout=5, longest=0.5)
    with serving({"/x": lambda handler: raw(handler, b"HTTP/1.1 200 OK\r\nX-A: ", *[b"x"] * 600, pause=0.1)}) as server:
        begun = time.monotonic()
        with pytest.raises(fetch.Unreachable, match="took more than 0.5 seconds"):
            dripping.get("http://%s/x" % server.address)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("location", ["http://[bad", "http://a b/", "http://h:port/", "//"])
def test_a_redirect_to_what_is_no_address_is_told(fetcher, location):
    with serving({"/x": [(302, {"Location": location}, b"")]}) as server, pytest.raises(fetch.OriginError, match="http://"):
        fetcher.get("http://%s/x" % server.address)


# --- the hub

def test_hash_and_size_of_a_file_and_an_address_that_stays(fetcher):
    with serving(hub({"model-Q4_K_M.gguf": WEIGHTS})) as server:
        found = files(fetcher, server, "model-Q4_K_M.gguf")
    assert found == [hubs.File("model-Q4_K_M.gguf", WEIGHTS_SHA256, 16384,
                               "http://%s/%s/resolve/%s/model-Q4_K_M.gguf" % (server.address, REPOSITORY, COMMIT))]


def test_shards_in_a_folder_on_two_pages(fetcher):
    routes = hub({}, folder="Q3")
    tree = "/api/models/%s/tree/%s/Q3" % (REPOSITORY, COMMIT)
    routes[tree] = [(200, {"Link": '<http://{host}%s?cursor=abc>; rel="next"' % tree}, json.dumps([pointer("Q3/a-1.gguf", b"1")]).encode()),
                    (200, {}, json.dumps([pointer("Q3/a-2.gguf", b"22")]).encode())]
    with serving(routes) as server:
        assert [one.size for one in files(fetcher, server, "Q3/a-1.gguf", "Q3/a-2.gguf")] == [1, 2]
    assert server.asked[-1][0] == tree + "?cursor=abc"


def test_a_file_that_is_not_there_is_named_with_those_that_are(fetcher):
    said = r"no model-Q5\.gguf at commit 5bd3.*has: model-Q4_K_M\.gguf"
    with serving(hub({"model-Q4_K_M.gguf": WEIGHTS})) as server, pytest.raises(fetch.Missing, match=said):
        files(fetcher, server, "model-Q5.gguf")


def test_a_repository_that_is_not_there(fetcher):
    with serving({}) as server, pytest.raises(fetch.Missing, match="revision/main"):
        files(fetcher, server, "x.gguf")


def test_a_small_file_has_no_sha256(fetcher):
    with serving(hub({"model.gguf": WEIGHTS})) as server, pytest.raises(fetch.OriginError, match=r"no SHA-256 and size of README\.md"):
        files(fetcher, server, "README.md")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"sha": "main"}', b"[]"])
def test_an_answer_that_names_no_commit(fetcher, body):
    with serving({"/api/models/%s/revision/main" % REPOSITORY: [(200, {}, body)]}) as server, pytest.raises(fetch.OriginError):
        files(fetcher, server, "x.gguf")


def a_gguf(padding):
    """A GGUF of one tensor of 4 F32, and a text of so many bytes."""
    def text(value):
        return struct.pack("<Q", len(value)) + value
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    head += text(b"general.description") + struct.pack("<I", 8) + text(b"x" * padding)
    head += text(b"blk.0.ffn_up.weight") + struct.pack("<IQIQ", 1, 4, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(16)


def test_the_header_is_read_and_the_rest_is_not(fetcher):
    content = a_gguf(100) + bytes(5 * hubs.BLOCK)
    with serving(hub({"model.gguf": content})) as server:
        found, = files(fetcher, server, "model.gguf")
        header = gguf.read_header(io.BufferedReader(hubs.Start(fetcher, found)))
    assert header.metadata["general.architecture"] == "llama" and header.tensors == {"blk.0.ffn_up.weight": 16}
    assert [headers["Range"] for path, headers in server.asked if path.startswith("/storage")] == ["bytes=0-%d" % (hubs.BLOCK - 1)]


def test_a_header_over_several_blocks(fetcher):
    content = a_gguf(2 * hubs.BLOCK)
    with serving(hub({"model.gguf": content})) as server:
        found, = files(fetcher, server, "model.gguf")
        header = gguf.read_header(io.BufferedReader(hubs.Start(fetcher, found)))
    assert header.tensors == {"blk.0.ffn_up.weight": 16}


def test_a_file_that_changed_between_the_api_and_the_storage(fetcher):
    routes = hub({"model.gguf": WEIGHTS})
    routes["/storage/model.gguf"] = hub({"model.gguf": WEIGHTS + b"more"})["/storage/model.gguf"]
    with serving(routes) as server:
        found, = files(fetcher, server, "model.gguf")
        with pytest.raises(fetch.Changed, match=r"not the file of 16384 bytes .*bytes 0-16383/16388"):
            hubs.Start(fetcher, found).read(4)


# --- keys

def test_the_fingerprint_of_the_key_at_an_address(fetcher):
    with serving({"/key.asc": [(200, {}, (KEY / "one-key.asc").read_bytes())], "/two": [(200, {}, (KEY / "two-keys.gpg").read_bytes())],
                  "/page": [(200, {}, b"<html>")]}) as server:
        one = keys.fingerprint(fetcher, "http://%s/key.asc" % server.address)
        with pytest.raises(fetch.OriginError, match="holds 2 keys"):
            keys.fingerprint(fetcher, "http://%s/two" % server.address)
        with pytest.raises(fetch.OriginError, match="is no OpenPGP key"):
            keys.fingerprint(fetcher, "http://%s/page" % server.address)
    assert one == FINGERPRINT
