"""Stand-ins on loopback for a container registry and a model hub, in the shapes of their real APIs (OCI Distribution Specification 1.1 and Docker's token
authentication; Hugging Face Hub's /api/models). Each answers one image and one repository, and remembers what it was asked."""
import contextlib
import hashlib
import http.server
import json
import threading

COMMIT = "5bd3a6f5e1b0c7a89d2f4e6b8a9c0d1e2f3a4b5c"
INDEX = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
    {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "1" * 64, "size": 1021,
     "platform": {"architecture": "amd64", "os": "linux"}}]}).encode()
INDEX_DIGEST = "sha256:" + hashlib.sha256(INDEX).hexdigest()
WEIGHTS = bytes(range(256)) * 64
WEIGHTS_SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers by the server's ``routes``: path to a function of the handler, or a list of (status, headers, body) that are given one after the other."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.path, dict(self.headers)))
        route = self.server.routes.get(path, [(404, {}, b'{"error":"not found"}')])
        try:
            status, headers, body = route(self) if callable(route) else route.pop(0) if len(route) > 1 else route[0]
        except ConnectionError:  # the route has written by itself, as a server does that breaks off, or nobody reads any more
            self.close_connection = True
            return
        self.send_response(status)
        length = {} if body is None or "Content-Length" in headers else {"Content-Length": str(len(body))}  # None: an answer of headers alone
        for name, value in dict(headers, **length).items():
            self.send_header(name, value.replace("{host}", "127.0.0.1:%d" % self.server.server_port))
        self.end_headers()
        self.wfile.write(body or b"")
        self.close_connection = self.close_connection or "Content-Length" in headers

    do_HEAD = do_GET

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def serving(routes):
    """A server of these routes on loopback; yields it, with ``address`` ("127.0.0.1:PORT") and ``asked``, a list of (path, headers)."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        server.routes, server.asked, server.address = routes, [], "127.0.0.1:%d" % server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def registry(body=INDEX, digest=INDEX_DIGEST, token="t0ken"):
    """Routes of a registry that wants a token, as Docker Hub does for anybody."""
    def manifest(handler):
        if handler.headers.get("Authorization") != "Bearer " + token:
            challenge = 'Bearer realm="http://{host}/token",service="registry.stand-in",scope="repository:library/debian:pull"'
            return 401, {"WWW-Authenticate": challenge, "Content-Type": "application/json"}, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
        return 200, {"Docker-Content-Digest": digest, "Content-Type": "application/vnd.oci.image.index.v1+json"}, body
    return {"/v2/library/debian/manifests/trixie-slim": manifest, "/token": [(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())]}


def pointer(path, content):
    """A large file as the hub's tree lists it."""
    return {"type": "file", "oid": "f" * 40, "size": len(content), "path": path,
            "lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


def ranged(content):
    """A route that serves parts of a file, as a hub's storage does."""
    def answer(handler):
        first, _dash, last = handler.headers.get("Range", "bytes=0-%d" % (len(content) - 1)).removeprefix("bytes=").partition("-")
        part = content[int(first):int(last) + 1]
        return 206, {"Content-Range": "bytes %s-%d/%d" % (first, int(first) + len(part) - 1, len(content))}, part
    return answer


def hub(files, folder="", repository="owner/model-GGUF"):
    """Routes of a hub with one repository of these large files (path to content); each file is served by another path, to which the hub redirects."""
    base, tree = "/api/models/" + repository, [{"type": "file", "oid": "e" * 40, "size": 1519, "path": "README.md"}]
    tree += [pointer(path, content) for path, content in files.items()]
    routes = {base + "/revision/main": [(200, {}, json.dumps({"id": repository, "sha": COMMIT, "gated": False}).encode())],
              base + "/tree/%s%s" % (COMMIT, "/" + folder if folder else ""): [(200, {}, json.dumps(tree).encode())]}
    for path, content in files.items():
        routes["/%s/resolve/%s/%s" % (repository, COMMIT, path)] = [(302, {"Location": "http://{host}/storage/" + path, "X-Repo-Commit": COMMIT}, b"")]
        routes["/storage/" + path] = ranged(content)
    return routes
