"""The build of the image. Under faults: each ends with its reason and remedy, nothing half-made is used, and the next run ends well. Twice: the same bytes.

One story on one host, in the order of this file. The image is a reduced one (no CUDA), as its name says: what is disturbed is not the compiler.
"""
import re
import threading
import time

import pytest
from ansible_collections.protocol_omni.bunker.plugins.lookup.package_index import LookupModule
from support import ROOT, image
from support.hosts import Host, bare

LOG = "/var/log/protocol_omni/golden-image-build.log"
NAME = image.REDUCED["golden_image_name"]
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"  # roles/golden_image/defaults/main.yml
VARIABLES = {
    "disk_layout_volumes": [{"device": "/dev/disk/by-id/stand-in-disk-1", "mount": "/nvme"}],
    "disk_layout_directories": [{"path": "/nvme/docker", "mode": "0710"}],
    "container_engine_data_root": "/nvme/docker",
    "preflight_lowered": ["room"],  # the disk is small, so that it can be filled
    **image.REDUCED,
    "golden_image_jobs": "1",  # slower, so that the middle can be hit
}


class Faulty(Host):
    """The host, its build and what disturbs it."""

    def build(self, **variables):
        return self.run("tests/host/image_on_volumes.yml", extra_vars=dict(VARIABLES, **variables))

    def build_and_disturb(self, disturb, cancel=None):
        """Builds anew; in the middle of the compilation calls ``disturb`` with this host."""
        self.sh("if command -v docker >/dev/null; then docker builder prune --all --force; fi; rm -f %s" % LOG)
        result = []
        running = threading.Thread(target=lambda: result.append(
            self.run("tests/host/image_on_volumes.yml", extra_vars=VARIABLES, cancel=cancel)))
        running.start()
        deadline = time.monotonic() + 300
        while running.is_alive() and time.monotonic() < deadline and not self.compiled(40):
            time.sleep(0.1)
        assert self.compiled(40) and running.is_alive(), self.execute("tail -n 5 %s" % LOG)[1]
        disturb(self)
        running.join(timeout=300)
        return result[0]

    def compiled(self, steps):
        """Whether the compiler has come so far."""
        return any(int(step) >= steps for step in re.findall(r" \[(\d+)/\d+\] ", self.execute("cat %s" % LOG)[1]))

    def images(self):
        """The names of what was built; an unproven one is none that anything could use."""
        return sorted(name for name in self.sh("docker image ls --format '{{.Repository}}:{{.Tag}}'").split() if name.startswith(NAME))

    def assert_sound(self):
        """The image is whole: its server runs and finds its backends."""
        run = "docker run --rm --network none %s:reduced " % NAME
        found = self.sh("%s --list-devices 2>&1; %s --version 2>&1" % (run, run))
        assert "version" in found


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    image.provide()  # its compiler cache makes these builds short
    host = Faulty("bunker-test-build", tmp_path_factory.mktemp("build"))
    with bare(host.host):
        host.disk("stand-in-disk-1", "7G")
        host.sh("mkdir -p /srv/cache && ln -s /var/cache/protocol_omni/ccache /srv/cache/ccache && cat > /root/file_server.py",
                (ROOT / "tests" / "stand_ins" / "file_server.py").read_text(encoding="utf-8"))
        host.sh("systemd-run --quiet --unit=stand-in-publisher --property=StandardOutput=file:/root/requests python3 /root/file_server.py 127.0.0.1:8900 "
                "/var/cache/protocol_omni/sources/%s.tar.gz" % SHA256)
        yield host


def published(way):
    return {"golden_image_source": {"url": "http://127.0.0.1:8900/%s/llama.cpp.tar.gz" % way}}


def test_a_download_that_is_cut_says_so_and_what_came_is_kept(faulty):
    failed = faulty.build(**published("cut"))
    assert failed.rc != 0
    assert "gave up after 5 attempts" in failed.failures[-1] and "the next run goes on from there" in failed.failures[-1]
    assert faulty.images() == []
    assert faulty.sh("ls /srv/cache/sources") == "%s.tar.gz.part" % SHA256


def test_what_comes_corrupted_after_that_is_deleted_and_named(faulty):
    failed = faulty.build(**published("corrupt"))
    assert failed.rc != 0
    assert "expected is %s. It was deleted" % SHA256 in failed.failures[-1]
    assert faulty.images() == []
    assert faulty.sh("ls /srv/cache/sources") == ""
    starts = [int(line.split()[1]) for line in faulty.sh("cat /root/requests").splitlines()]
    assert len(starts) == 6 and starts == sorted(set(starts))  # each request went on where the one before had stopped, the next run's too


def test_the_next_run_ends_well(faulty):
    faulty.build(**published("whole")).assert_ok()
    faulty.assert_sound()
    faulty.sh("docker image rm %s" % " ".join(faulty.images()))


def test_a_bundle_that_can_build_makes_another_image_without_index_mirror_and_source(faulty):
    """What the build would fetch comes from the bundle: package index and source lead nowhere, and the stage that asks the mirror does not run."""
    faulty.build().assert_ok()
    faulty.run("tests/host/bundle_inputs.yml", extra_vars=VARIABLES).assert_ok()
    assert faulty.sh("cd /srv/cache/bundle/inputs && ls").split() == ["base.tar", "packages", "source.tar.gz", "wheels"]
    faulty.sh("docker image rm %s; docker builder prune --all --force; mkdir -p /srv/cache/bundle/images; rm -rf /srv/cache/sources; mv %s %s.before"
              % (" ".join(faulty.images()), LOG, LOG))
    nowhere = {"bunker_bundle": "/srv/cache/bundle", "golden_image_source": {"url": "https://nowhere.invalid/llama.cpp.tar.gz"},
               "bunker_package_index": "https://nowhere.invalid/simple", "golden_image_base_archive": "/srv/cache/base.tar",
               "golden_image_labels": {"made-of": "a bundle"}}
    built = faulty.run("tests/host/image_alone.yml", extra_vars={**VARIABLES, **nowhere}).assert_ok()
    assert "Build the image" in built.changed
    faulty.assert_sound()
    log = faulty.sh("cat %s" % LOG)
    assert "install toolchain" in log and "[packages " not in log and "nowhere.invalid" not in log
    assert faulty.sh("docker image inspect --format '{{index .Config.Labels \"made-of\"}}' %s:reduced" % NAME) == "a bundle"
    faulty.sh("docker image rm %s; rm -rf /srv/cache/bundle" % " ".join(faulty.images()))


def kill(pattern):
    """Kills the newest process of the host whose command line matches, by its number."""
    def disturb(host):
        host.sh(r"for process in /proc/[0-9]*; do tr '\0' ' ' < $process/cmdline 2>/dev/null | grep -q -E '%s' && victim=${process#/proc/}; done; "
                "kill -KILL $victim" % pattern)
    return disturb


def fill(host):
    host.sh("cat /dev/zero > /nvme/filler || true")


def stop_engine(host):
    host.sh("systemctl stop docker.socket docker.service")


@pytest.mark.parametrize("disturb, cause, remedy", [
    pytest.param(kill(r"^(docker|[^ ]*docker-buildx) buildx build"), "It was killed", "Run again", id="client", marks=pytest.mark.full),
    pytest.param(kill("^cmake --build"), "It was killed", "golden_image_jobs", id="compiler", marks=pytest.mark.full),
    pytest.param(fill, "The disk of the engine is full", "docker builder prune", id="disk", marks=pytest.mark.full),
    pytest.param(stop_engine, "The engine stopped during the build", "systemctl status docker", id="engine", marks=pytest.mark.full),
])
def test_a_build_that_is_disturbed_says_why_and_the_next_run_ends_well(faulty, disturb, cause, remedy):
    failed = faulty.build_and_disturb(disturb)
    assert failed.rc != 0
    message = failed.failures[-1]
    assert "The image was not built. %s" % cause in message and remedy in message and LOG in message
    faulty.sh("rm -f /nvme/filler")
    if disturb is not stop_engine:
        assert faulty.images() == []
    faulty.build().assert_ok()
    faulty.assert_sound()
    assert len(faulty.images()) == 2  # by its inputs and by its alias, none that is unproven
    faulty.sh("docker image rm %s" % " ".join(faulty.images()))


@pytest.mark.full
def test_a_play_that_is_interrupted_leaves_a_build_that_the_next_one_waits_for(faulty):
    interrupted = threading.Event()

    def interrupt(host):
        host.sh("kill -STOP $(pidof ninja)")  # with a warm cache the build would be done before the play is gone
        interrupted.set()

    broken = faulty.build_and_disturb(interrupt, cancel=interrupted.is_set)
    assert broken.rc != 0
    processes = faulty.sh(r"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '")
    assert "buildx build" in processes  # it goes on without the play
    faulty.sh("systemd-run --quiet --on-active=20 /bin/sh -c 'kill -CONT %s'" % faulty.sh("pidof ninja").strip())
    faulty.build().assert_ok()
    faulty.assert_sound()
    assert len(faulty.images()) == 2
    assert faulty.build().assert_ok().changed == set()


OBJECTS = ["ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/%s.cu.o" % name for name in ("acc", "mean", "softcap")]
OPTIONS = {"CMAKE_BUILD_TYPE": "Release", "BUILD_SHARED_LIBS": "ON", "GGML_BACKEND_DL": "ON", "GGML_NATIVE": "OFF", "GGML_CUDA": "ON", "GGML_CUDA_NCCL": "OFF",
           "CMAKE_CUDA_ARCHITECTURES": "120", "CUDAToolkit_ROOT": "/opt/cuda", "LLAMA_BUILD_UI": "OFF", "LLAMA_USE_PREBUILT_UI": "OFF", "LLAMA_OPENSSL": "OFF"}


@pytest.mark.full
def test_two_cold_builds_of_a_cpu_backend_and_some_cuda_files_give_the_same_bytes(faulty):
    """A reduced build by the image's own recipe; the whole one takes too long for every test run and is ./bunker reproduce."""
    faulty.sh("docker builder prune --all --force; mkdir -p /root/recipe; ln -f /srv/cache/sources/%s.tar.gz /root/recipe/source.tar.gz" % SHA256)
    for path in (ROOT / "roles" / "golden_image" / "files").iterdir():
        faulty.sh("cat > /root/recipe/%s" % path.name, path.read_text(encoding="utf-8"))
    faulty.sh("cd /root/recipe; touch packages.lock inputs.lock inputs.cdx.json; cat > pip.conf", "[global]\nindex-url = %s\n" % LookupModule.resolve("auto"))
    base = faulty.sh("docker image ls --format '{{.Repository}}:{{.Tag}}' protocol-omni/base")
    secret = "--secret id=ca_bundle,src=/etc/protocol_omni/ca-bundle.pem" if faulty.execute("test -e /etc/protocol_omni/ca-bundle.pem")[0] == 0 else ""
    found = []
    for jobs in (1, 3):
        arguments = {"BASE_IMAGE": base, "SOURCE_ARCHIVE": "source.tar.gz", "SOURCE_FOLDER": "vendor/llama.cpp", "COMPILER_CACHE": "off", "JOBS": str(jobs),
                     "TARGETS": " ".join(["ggml-base", "ggml-cpu", *OBJECTS]), "CMAKE_OPTIONS": " ".join("-D%s=%s" % option for option in OPTIONS.items())}
        faulty.sh("cd /root/recipe; docker buildx build --progress plain --target compile --secret id=pip_config,src=pip.conf %s %s --tag twice:%d . "
                  "> /root/twice.log 2>&1"
                  % (secret, " ".join("--build-arg '%s=%s'" % argument for argument in arguments.items()), jobs))
        assert " CACHED" not in "".join(line for line in faulty.sh("cat /root/twice.log").splitlines() if "[compile 4/" in line)
        found.append(faulty.sh("docker run --rm --network none twice:%d bash -c 'cd /build; find . -name \"*.o\" -o -name \"*.so\" | sort "
                               "| xargs sha256sum'" % jobs))
    assert all(name in found[0] for name in OBJECTS) and "libggml-cpu.so" in found[0] and "libggml-base.so" in found[0]
    assert found[0] == found[1]
    held = faulty.sh("docker run --rm --network none twice:1 bash -c 'grep -r -l -a /src/llama.cpp /build --include=\"*.o\" --include=\"*.so\" || true'")
    assert held == ""  # no path of the build
    faulty.sh("docker image rm twice:1 twice:3; rm -r /root/recipe")


@pytest.mark.full
def test_a_lock_is_heeded_to_the_letter(faulty, tmp_path):
    faulty.build().assert_ok()
    faulty.run("playbooks/sbom.yml", extra_vars=VARIABLES).assert_ok()
    lock = (faulty.reports / (faulty.host + ".inputs.lock")).read_text(encoding="utf-8")
    path = tmp_path / "inputs.lock"
    path.write_text(re.sub(r"(?m)^[0-9a-f]{8}(\S+  toolchain/ccache_)", r"00000000\1", lock), encoding="utf-8")
    forged = faulty.build(golden_image_lock=str(path))
    assert forged.rc != 0 and "a package is not the one that golden_image_lock names" in forged.failures[-1] and "ccache_" in forged.failures[-1]
    path.write_text(re.sub(r"(?m)^\S+  source/", "%s  source/" % ("0" * 64), lock), encoding="utf-8")
    other = faulty.build(golden_image_lock=str(path))
    assert other.rc != 0 and other.changed == set() and "does not name %s  source/" % SHA256 in other.failures[-1]
    path.write_text(lock, encoding="utf-8")
    faulty.build(golden_image_lock=str(path)).assert_ok()
    inside = faulty.sh("docker run --rm --network none --entrypoint cat %s:reduced /usr/share/protocol_omni/inputs.lock" % NAME)
    assert sorted(inside.split("\n")) == sorted(lock.strip().split("\n"))
