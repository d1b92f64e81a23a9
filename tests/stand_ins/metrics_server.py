"""A stand-in for whatever has metrics: hands out a file at /metrics. Standard library only.

    metrics_server.py ADDRESS:PORT FILE
"""
import http.server
import pathlib
import sys
import time

(ADDRESS, PORT), FILE = sys.argv[1].split(":"), pathlib.Path(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    """NOW in the file becomes the present time, as a watcher's last sample has it."""

    def do_GET(self):
        """Answers GET /metrics, and nothing else."""
        found = self.path == "/metrics"
        page = FILE.read_text(encoding="utf-8").replace("NOW", str(time.time())).encode() if found else b"not here"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format, *args):
        """Keeps quiet."""


http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Handler).serve_forever()
