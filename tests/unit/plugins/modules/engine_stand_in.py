"""A stand-in for the Docker engine: an HTTP server on a Unix socket that knows a few addresses by heart."""
import contextlib
import http.server
import json
import socketserver
import threading


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "a socket"

    def do_GET(self):
        known = self.server.answers.get(self.path, (404, {"message": "no such thing"}))
        status, content = known if isinstance(known, tuple) else (200, known)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def engine_at(path, answers):
    """Listens at a path, which it yields.

    :param answers: address to JSON, or to a pair of status and JSON; it may change meanwhile. Every other address is answered with 404.
    """
    with _Server(str(path), _Handler) as server:
        server.answers = answers
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield path
        finally:
            server.shutdown()
