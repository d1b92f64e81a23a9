"""What servers say of the size of a file before its first byte: stand-ins on loopback answer as a model hub, its storage, and simpler servers do."""
import pytest
from stand_in import serving

from ansible_collections.protocol_omni.bunker.plugins.module_utils.origins import fetch, sizes

# Of a key that was thrown away, for CN=stand-in.
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % "\n".join((
    "MIIBfTCCASOgAwIBAgIUTyjJAA7csoo5JWnbXlnglGI/iWUwCgYIKoZIzj0EAwIw",
    "EzERMA8GA1UEAwwIc3RhbmQtaW4wIBcNMjYxMTMwMTAzNTU4WhgPMjEyNjExMDYx",
    "MDM1NThaMBMxETAPBgNVBAMMCHN0YW5kLWluMFkwEwYHKoZIzj0CAQYIKoZIzj0D",
    "AQcDQgAEpN0Ih5VtgETlLYILPt5EMYXPuqegELBEhqieo57jRWoJFUMxx/M33NLi",
    "e35GXpj9/QIElL/DTnDb46wkTOiNLqNTMFEwHQYDVR0OBBYEFBNx6KAo86Zlqll0",
    "i862AA05hZuWMB8GA1UdIwQYMBaAFBNx6KAo86Zlqll0i862AA05hZuWMA8GA1Ud",
    "EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgP5E9fYlgE7iGzkEWWdAy6uCH",
    "/wr9ZIwO18IXDbu7JgsCIQD8rqAg6wcZRgReuHuMNWv3jhIAfRIPwa3BirWJjoKj",
    "2Q=="))
FILE = 49_123_456_789  # bytes, of a file that nobody sends


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def asked(server, *paths):
    """What is said of each path: a list of (bytes or None, words)."""
    found = sizes.of(fetch.Fetcher(sleep=lambda _seconds: None, timeout=5), {path: "http://%s%s" % (server.address, path) for path in paths})
    return [(found[path]["bytes"], found[path]["said"]) for path in paths]


def head(status, **headers):
    """A route that answers HEAD, as a server does that has the file, and refuses to send it."""
    def answer(handler):
        assert handler.command == "HEAD", "nobody asked for a byte of it"
        return status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, None
    return answer


def test_a_hub_says_it_on_the_redirect_and_its_storage_is_not_asked():
    routes = {"/owner/m/resolve/main/a.gguf": head(302, Location="http://{host}/storage/a", X_Linked_Size=FILE, Content_Length=1337),
              "/storage/a": head(200, Content_Length=FILE)}
    with serving(routes) as server:
        assert asked(server, "/owner/m/resolve/main/a.gguf") == [(FILE, "")]
        assert [path for path, _headers in server.asked] == ["/owner/m/resolve/main/a.gguf"]


def test_a_redirect_is_followed_to_who_has_the_file():
    with serving({"/a": head(302, Location="/b", Content_Length=0), "/b": head(200, Content_Length=FILE)}) as server:
        assert asked(server, "/a") == [(FILE, "")]


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_the_question_is_asked_for_one_byte(status):
    def answer(handler):
        if handler.command == "HEAD":
            return status, {}, None
        assert handler.headers["Range"] == "bytes=0-0"
        return 206, {"Content-Range": "bytes 0-0/%d" % FILE}, b"G"
    with serving({"/a": answer}) as server:
        assert asked(server, "/a") == [(FILE, "")]


def test_a_server_without_ranges_is_believed_by_its_headers_and_not_read():
    def answer(handler):
        return (405, {}, None) if handler.command == "HEAD" else (200, {"Content-Length": str(FILE)}, b"G")
    with serving({"/a": answer}) as server:
        assert asked(server, "/a") == [(FILE, "")]


def refusing_head(status, **headers):
    """A route that knows no HEAD, and answers a GET with one byte in these headers."""
    def answer(handler):
        return (405, {}, None) if handler.command == "HEAD" else (status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, b"G")
    return answer


@pytest.mark.parametrize("said", [None, "bytes 0-0/*", "bytes 0-0"])
def test_the_length_of_a_part_is_not_the_files_size(said):
    with serving({"/a": refusing_head(206, Content_Length=1, **({"Content_Range": said} if said else {}))}) as server:
        ((size, words),) = asked(server, "/a")
        assert size is None and "says no size" in words


def test_the_unit_of_a_range_is_read_in_any_case():
    with serving({"/a": refusing_head(206, Content_Range="Bytes 0-0/%d" % FILE)}) as server:
        assert asked(server, "/a") == [(FILE, "")]


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP"])
def test_the_length_of_what_is_packed_on_the_way_is_not_the_files_size(coding):
    with serving({"/a": [(200, {"Content-Length": "500", "Content-Encoding": coding}, None)]}) as server:
        ((size, words),) = asked(server, "/a")
        assert size is None and "says no size" in words


def test_what_is_expressly_not_packed_has_its_size():
    with serving({"/a": head(200, Content_Length=FILE, Content_Encoding="identity")}) as server:
        assert asked(server, "/a") == [(FILE, "")]


@pytest.mark.parametrize("headers", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "0"}])
def test_a_server_whose_head_says_no_size_is_asked_for_one_byte(headers):
    def answer(handler):
        return (200, headers, None) if handler.command == "HEAD" else (206, {"Content-Range": "bytes 0-0/%d" % FILE}, b"G")
    with serving({"/a": answer}) as server:
        assert asked(server, "/a") == [(FILE, "")]


@pytest.mark.parametrize(("answer", "words"), [
    (lambda _handler: (200, {"Transfer-Encoding": "chunked"}, None), "says no size"),
    ([(200, {"Content-Length": "many"}, None)], "says no size"),
    ([(200, {"Content-Length": "-5"}, None)], "says no size"),
    ([(200, {"Content-Length": "0"}, None)], "says no size"),
    ([(200, {"Content-Length": "9" * 40}, None)], "says no size"),
    (head(200, Content_Length=5120, Content_Type="text/html; charset=utf-8"), "a page"),
    (head(200, Content_Length=5120, Content_Type="Text/HTML"), "a page"),
    (head(404), "nothing of that name (404)"),
    (head(401), "wants an account (401)"),
    (head(302, Location="ftp://a.invalid/a"), "not encrypted"),
])
def test_what_nobody_says_is_told_with_its_address(answer, words):
    with serving({"/a": answer}) as server:
        ((size, said),) = asked(server, "/a")
        assert size is None and words in said and "http://%s/a" % server.address in said


def test_a_server_that_cannot_be_reached_is_tried_once():
    tried = []

    class Nobody(fetch.Fetcher):
        def _opened(self, url, headers, method="GET"):
            tried.append(url)
            raise OSError("no route to host")

    found = sizes.of(Nobody(), {"a": "https://hub.invalid/1", "b": "https://hub.invalid/2", "c": "https://other.invalid/3"})
    assert tried == ["https://hub.invalid/1", "https://other.invalid/3"]
    assert "no route to host" in found["a"]["said"] and found["b"] == {"bytes": None, "said": found["a"]["said"]} and found["c"]["bytes"] is None


def test_an_address_that_is_none_is_said_to_be_one():
    found = sizes.of(fetch.Fetcher(), {"a": "http://[hub/1"})
    assert found["a"]["bytes"] is None and "http://[hub/1" in found["a"]["said"]


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1:1/m.gguf", "data:,x", "m.gguf", ""])
def test_an_address_of_another_protocol_is_not_asked(address):
    found = sizes.of(fetch.Fetcher(timeout=1), {"a": address})
    assert found["a"]["bytes"] is None and "http" in found["a"]["said"] and "size in the inventory" in found["a"]["said"]


def test_an_account_in_an_address_is_neither_sent_nor_told():
    class Nobody(fetch.Fetcher):
        def _opened(self, url, headers, method="GET"):
            raise AssertionError("it was asked")

    found = sizes.of(Nobody(), {"a": "https://alice:secret@hub.invalid/m.gguf?download=true"})
    assert found["a"]["bytes"] is None and "hub.invalid/m.gguf" in found["a"]["said"] and "secret" not in found["a"]["said"]


@pytest.mark.parametrize("text", ["no certificate", "\u7121", "\ufffd\ufffd"])
def test_a_bundle_without_authorities_is_told_and_nobody_elses_are_trusted(text):
    with pytest.raises(fetch.OriginError, match="bunker_ca_bundle"):
        fetch.Fetcher(certificates=text)


@pytest.mark.parametrize("text", ["# F\u0151tan\u00fas\u00edtv\u00e1ny\n" + CERTIFICATE, "\ufeff" + CERTIFICATE, CERTIFICATE + "# \udce9"])
def test_authorities_with_their_own_names_in_comments_are_read(text):
    assert fetch.Fetcher(certificates=text).opener


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_the_environment_without_authorities_is_told_by_its_own_name(tmp_path, monkeypatch, content):
    if content:
        (tmp_path / "ca.pem").write_text(content, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(fetch.OriginError, match="^SSL_CERT_FILE"):
        fetch.Fetcher()
