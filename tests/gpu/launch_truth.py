"""Builds small programs for many targets, predicts for each whether it runs on this host's first GPU, then runs it."""
import concurrent.futures
import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

import common
import samples
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import capability as rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import ByteSource
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.device_code import read_device_code
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.host import read_host
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.verdict import judge_file

# What a launch gives for each verdict. 500 (symbol not found) stands where 209 would: in programs of the device linker, and where the entry that
# the driver picks has no kernel.
OUTCOMES = {"native": {"ok"}, "jit": {"ok"}, "none": {"209", "500"}, "ptx_too_new": {"222"}, None: {"500"}}
PTX_ALONE = {"none": {"218"}}  # CUDA_ERROR_INVALID_PTX, where the driver is given the text itself


def programs():
    """Recipes of executables."""
    code, one = samples.code, samples.one
    every = samples.PLAIN + samples.ACCELERATED + samples.FAMILY
    result = [one("sass_" + target, *code("sm_" + target)) for target in every]
    result += [one("ptx_" + target, *code("compute_" + target)) for target in every]
    for mode in samples.COMPRESSION:
        result.append(one("jit_" + mode, "-compress-mode=" + mode, *code("sm_75", "compute_75")))
        result.append(one("none_" + mode, "-compress-mode=" + mode, *code("sm_80", "sm_120a", "compute_120")))
    for first, second in (("sm_80", "compute_80"), ("sm_80", "compute_100"), ("sm_90a", "sm_80"), ("sm_100f", "compute_90a"),
                          ("sm_120f", "compute_89"), ("sm_86", "sm_90"), ("sm_75", "compute_90"), ("sm_103a", "compute_103f"),
                          ("compute_75", "compute_120"), ("sm_90", "sm_90a")):
        result.append(one("mixed_%s_%s" % (first, second), *code(first, second)))
    for targets in (["sm_80"], ["sm_90"], ["sm_90a"], ["compute_80"], ["sm_80", "compute_80"], ["sm_80", "compute_90"], ["sm_80", "compute_120"],
                    ["sm_120f"], ["sm_100", "compute_90"], ["sm_90", "compute_90"]):
        result.append(one("relocatable_" + "_".join(targets), "-rdc=true", *code(*targets)))
    result += [one("only_80", *code("sm_90", "sm_80"), source="only_80.cu"), one("only_80_ptx", *code("sm_90", "compute_80"), source="only_80.cu"),
               one("only_80_two_ptx", *code("compute_90", "compute_80"), source="only_80.cu")]
    return result


def modules():
    """Recipes of bare modules, which the driver loads without the runtime."""
    result = [samples.one("sm_%s.cubin" % target, "-cubin", "-arch=sm_" + target) for target in ("80", "86", "90", "90a", "100a", "120f")]
    return result + [samples.one("compute_%s.ptx" % target, "-ptx", "-arch=compute_" + target) for target in ("75", "90", "90a", "100", "120f")]


def launch(path):
    """ok, or the number of the error."""
    done = subprocess.run([str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    match = re.match(r"(?:launch|malloc|copy) (\d+)", done.stdout)
    return "ok" if done.stdout.startswith("ok 42") else match.group(1) if match else "exit %d: %s" % (done.returncode, done.stdout[:200])


class Driver:
    """The driver's own loader, cuModuleLoadData."""

    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")
        context, device = ctypes.c_void_p(), ctypes.c_int()
        for result in (self.library.cuInit(0), self.library.cuDeviceGet(ctypes.byref(device), 0),
                       self.library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), self.library.cuCtxSetCurrent(context)):
            assert result == 0, result

    def load(self, path):
        module = ctypes.c_void_p()
        result = self.library.cuModuleLoadData(ctypes.byref(module), path.read_bytes() + b"\0")
        return "ok" if result == 0 else str(result)


def main():
    host = read_host()
    capability = rules.parse_capability(host["gpus"][0]["capability"])
    folder = pathlib.Path(tempfile.mkdtemp())
    samples.write_sources(folder)
    recipes = programs() + modules()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda sample: samples.build(sample, "nvcc", folder), recipes))
    # PTX of an ISA that this driver is too old for: nothing here compiles to one, so the number is raised by hand.
    for version in ("9.1", "9.3"):
        newer = folder / ("isa_%s.ptx" % version)
        newer.write_text(re.sub(r"(?m)^\.version .*$", ".version " + version, (folder / "compute_90.ptx").read_text()))
        paths.append(newer)
    predicted = {path: predict(path, capability, host["driver_cuda"]) for path in paths}  # all, before the first runs
    driver = Driver()
    cases = []
    for path in paths:
        verdict = predicted[path]["verdict"]
        bare = path.suffix in (".cubin", ".ptx")
        outcome = driver.load(path) if bare else launch(path)
        wanted = dict(OUTCOMES, **(PTX_ALONE if path.suffix == ".ptx" else {})).get(verdict, ())
        cases.append({"name": path.name, "verdict": verdict, "reason": predicted[path]["reason"], "outcome": outcome, "agree": outcome in wanted})
    common.write(sys.argv[1], host, cases)


def predict(path, capability, driver_cuda):
    with open(path, "rb") as stream:
        return judge_file(read_device_code(ByteSource.of_file(stream.fileno()), str(path)), capability, driver_cuda)


if __name__ == "__main__":
    main()
