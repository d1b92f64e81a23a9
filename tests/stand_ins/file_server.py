"""A stand-in for whoever publishes a file: serves one, whole or in the ways that downloads go wrong. Run: file_server.py ADDRESS:PORT FILE

/whole/NAME    the file, ranges too
/cut/NAME      each connection ends after a tenth of the file
/corrupt/NAME  the last byte is another
Each request is a line on standard output: path and range.
"""
import http.server
import pathlib
import re
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the file."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        body = pathlib.Path(sys.argv[2]).read_bytes()
        way = self.path.split("/")[1]
        wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        start = int(wanted.group(1)) if wanted else 0
        print(self.path, start, flush=True)
        if way == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:start + len(body) // 10] if way == "cut" else body[start:])


if __name__ == "__main__":
    address, port = sys.argv[1].rsplit(":", 1)
    http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
