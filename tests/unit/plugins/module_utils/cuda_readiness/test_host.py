"""Reading the host, on what a real one printed."""
import pathlib

from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import host, libcuda

FIXTURES = pathlib.Path(__file__).resolve().parents[5] / "tests" / "fixtures"


def read(name):
    return (FIXTURES / name).read_text(encoding="utf-8")


def test_the_kernel_modules_version():
    assert host.kernel_module_version(read("proc-driver-nvidia-version")) == "580.159.04"
    assert host.kernel_module_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6\n") == "535.54.03"
    assert host.kernel_module_version("") is None


def test_the_drivers_cuda_version():
    assert host.parse_cuda_version(read("nvidia-smi/q.xml")) == (13, 0)
    assert host.parse_cuda_version("no driver") is None


def test_drivers_from_610_on_name_the_cuda_version_of_their_libraries_apart():
    """By hand after the report; no such driver was at hand."""
    xml = "<nvidia_smi_log><driver_version>610.12</driver_version><cuda_umd_version>13.4</cuda_umd_version><kmd_version>610.12</kmd_version></nvidia_smi_log>"
    assert host.parse_cuda_version(xml) == (13, 4)
    assert host.cuda_of_driver("580.95.05") == (13, 0)
    assert host.cuda_of_driver("570.10") == (12, 8)
    assert host.cuda_of_driver("700.1") is None


def test_the_gpus():
    row = read("nvidia-smi/query-gpu.csv").splitlines()[1].split(", ")
    assert host.parse_query(", ".join(row[1:4]) + "\nNo devices were found\n") == [
        {"uuid": "GPU-00000000-0000-0000-0000-000000000000", "name": "NVIDIA H200", "capability": "9.0"}]


def test_what_a_process_has_mapped():
    maps = read("proc-pid-maps-libcuda.txt") + "7f00-7f01 r--p 0 fe:10 42   /opt/libcudart.so.13\n7f00-7f01 r--p 0 fe:10 42   /opt/libcuda.so (deleted)\n"
    assert libcuda.mapped(maps) == ["/usr/local/nvidia/lib64/libcuda.so.580.159.04", "/opt/libcuda.so"]


def test_whose_a_libcuda_is():
    def whose(version, path="/usr/lib/libcuda.so.1", stub=False, module="580.159.04"):
        return libcuda.classify(version, stub, path, module)
    assert whose("580.159.04") == "host_driver"
    assert whose("580.95.05") == "compat"
    assert whose("580.95.05", module=None) == "unknown"
    assert whose("580.95.05", "/usr/local/cuda/compat/libcuda.so.580.95.05", module=None) == "compat"
    assert whose(None) == "unknown"
    assert whose(None, stub=True) == "stub"
