"""A stand-in for a program that answers HTTP on the host's loopback."""
import contextlib
import http.server
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        known = self.server.answers.get(self.path, (404, "no such page"))
        status, text = known if isinstance(known, tuple) else (200, known() if callable(known) else known)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@contextlib.contextmanager
def http_at(answers):
    """Listens on a port of loopback; yields the server, with ``port`` and ``asked`` (the addresses that were asked for, in their order).

    :param answers: address to text, to what makes it, or to a pair of status and text. Every other address is answered with 404.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.answers, server.asked, server.port = answers, [], server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
