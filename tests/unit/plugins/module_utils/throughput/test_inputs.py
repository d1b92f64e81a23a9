"""What a host has to do with a process's speed, read from trees that are laid out as the kernel lays them out."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import inputs


@pytest.fixture
def host(tmp_path):
    def write(path, text):
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.lstrip("/")).write_text(text, encoding="ascii")
    write.root = tmp_path
    return write


def version_1(host, shown="/"):
    """Process 7 in /docker/a, below a mount that shows ``shown``."""
    mount = str(host.root / "cgroup/cpu,cpuacct")
    host("/proc/7/cgroup", "9:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n")
    host("/proc/self/mountinfo", "30 25 0:26 %s %s rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
         "31 25 0:27 / /elsewhere rw - cgroup cgroup rw,memory\n" % (shown, mount))
    for path in ("", "docker", "docker/a"):
        host("/cgroup/cpu,cpuacct/%s/cpu.cfs_quota_us" % path, "-1\n")
        host("/cgroup/cpu,cpuacct/%s/cpu.cfs_period_us" % path, "100000\n")


def version_2(host):
    host("/proc/7/cgroup", "0::/system.slice/a.scope\n")
    host("/proc/self/mountinfo", "30 25 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n" % (host.root / "cgroup"))
    for path in ("system.slice", "system.slice/a.scope"):
        host("/cgroup/%s/cpu.max" % path, "max 100000\n")


def quota(host):
    return inputs.cpu_quota(7, str(host.root / "proc"))


def test_no_limit_anywhere(host):
    version_1(host)
    assert quota(host) is None


@pytest.mark.parametrize("path", ["", "docker/", "docker/a/"])
def test_a_limit_of_the_group_or_of_any_above_it(host, path):
    version_1(host)
    host("/cgroup/cpu,cpuacct/%scpu.cfs_quota_us" % path, "140000\n")
    assert quota(host) == pytest.approx(1.4)


@pytest.mark.parametrize("mountinfo", ["30 25 0:26 / / rw - cgroup2 cgroup2 rw\n",
                                       "30 25 0:26 /\n", "30 25 0:26 / . rw - cgroup2\n", " - \n", "30 25 0:26 / / rw\n"])
def test_a_mount_that_is_none_ends(host, mountinfo):
    version_2(host)
    host("/proc/self/mountinfo", mountinfo)
    assert quota(host) is None


@pytest.mark.parametrize("text", ["", "max", "100000", "100000 0", "²00000 100000", "9" * 5000 + " 100000", "-1 100000"])
def test_a_limit_that_cannot_be_read_is_none(host, text):
    version_2(host)
    host("/cgroup/system.slice/a.scope/cpu.max", text.replace("²", "x"))
    assert quota(host) is None


def test_the_tightest_limit_counts(host):
    version_1(host)
    host("/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "100000\n")
    host("/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "150000\n")
    assert quota(host) == pytest.approx(1.0)


def test_a_mount_that_shows_a_part_of_the_tree(host):
    """As in a container whose control groups are the host's: its own group is the root of what it sees."""
    version_1(host, shown="/docker/a")
    host("/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "70000\n")
    assert quota(host) == pytest.approx(0.7)


def test_version_2(host):
    version_2(host)
    assert quota(host) is None
    host("/cgroup/system.slice/cpu.max", "120000 100000\n")
    assert quota(host) == pytest.approx(1.2)


def test_a_process_that_has_ended_has_no_limit(host):
    version_2(host)
    assert inputs.cpu_quota(8, str(host.root / "proc")) is None


def test_what_is_there_is_told_and_nothing_else(host):
    version_2(host)
    host("/proc/sys/kernel/osrelease", "6.8.0\n")
    host("/proc/cpuinfo", "processor\t: 0\nmicrocode\t: 0xa10113e\n")
    host("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    host("/cgroup/system.slice/a.scope/cpu.max", "140000 100000\n")
    assert inputs.of_host(7, str(host.root)) == {
        "kernel": "6.8.0", "microcode": "0xa10113e", "transparent huge pages": "madvise", "CPU quota": "1.40 CPUs"}
    assert "CPU quota" not in inputs.of_host(None, str(host.root))
