"""The toolkit's compat library in front of the host driver's: predicted, then seen in LD_DEBUG and /proc/PID/maps. Then put right.

Needs root and /usr/local/cuda/compat. The file that it adds to /etc/ld.so.conf.d is removed at the end.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import common
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import libcuda
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.host import read, read_host
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.loader import processor_levels

COMPAT = "/usr/local/cuda/compat"
CONF = pathlib.Path("/etc/ld.so.conf.d/000-bunker-compat.conf")
SOURCE = """
#include <cstdio>
#include <cstring>
int main() {
    int *device = nullptr;
    printf("malloc %d\\n", cudaMalloc(&device, 4));
    FILE *maps = fopen("/proc/self/maps", "r");
    for (char line[4096]; fgets(line, sizeof line, maps);) if (strstr(line, "libcuda.so")) fputs(line, stdout);
}
"""


def look(name, program, environment, host):
    """Predicts, runs, compares."""
    tree = FolderTree(["/"])
    levels = processor_levels(read("/proc/cpuinfo"))
    found = libcuda.judge(libcuda.find(libcuda.follow(tree, str(program), None, environment, "/", levels)), host["kernel_module"])
    tree.close()
    done = subprocess.run([str(program)], env=dict(environment, LD_DEBUG="libs"), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          text=True, timeout=60)
    chosen = [path for path in re.findall(r"calling init: (\S+)", done.stderr) if os.path.basename(path).startswith("libcuda.so")]
    mapped = libcuda.mapped(done.stdout)
    return {"name": name, "predicted": found["path"], "real_path": found["real_path"], "origin": found["origin"],
            "shadows": found["shadows"],
            "rule": re.split(r"[=( ]", found["found_by"])[0], "ld_debug": chosen, "mapped": mapped,
            "first_call": done.stdout.splitlines()[0],
            "agree": chosen == [found["path"]] and mapped == [os.path.realpath(found["real_path"])]}


def main():
    host = read_host()
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "maps.cu").write_text(SOURCE)
    programs = {}
    for name, flags in (("plain", []), ("runpath", ["-Xlinker=--enable-new-dtags,-rpath," + COMPAT]),
                        ("rpath", ["-Xlinker=--disable-new-dtags,-rpath," + COMPAT])):
        programs[name] = folder / name
        subprocess.run(["nvcc", "-arch=sm_90", *flags, str(folder / "maps.cu"), "-o", str(programs[name])], check=True)
    usual = os.environ.get("LD_LIBRARY_PATH", "")
    subprocess.run(["ldconfig"], check=True)
    cases = [
        look("shadowed by LD_LIBRARY_PATH", programs["plain"], {"LD_LIBRARY_PATH": "%s:%s" % (COMPAT, usual)}, host),
        look("shadowed by RUNPATH", programs["runpath"], {}, host),
        look("shadowed by RPATH", programs["rpath"], {}, host),
        look("RUNPATH comes after LD_LIBRARY_PATH", programs["runpath"], {"LD_LIBRARY_PATH": usual}, host),
    ]
    try:
        CONF.write_text(COMPAT + "\n")
        subprocess.run(["ldconfig"], check=True)
        cases.append(look("shadowed by ld.so.conf.d", programs["plain"], {}, host))
    finally:
        CONF.unlink()
        subprocess.run(["ldconfig"], check=True)
    cases.append(look("fixed", programs["plain"], {}, host))
    cases.append(look("fixed, with the host's own variable", programs["plain"], {"LD_LIBRARY_PATH": usual}, host))
    for case in cases:
        wanted = ("compat", True) if case["name"].startswith("shadowed") else ("host_driver", False)
        case["agree"] = case["agree"] and (case["origin"], case["shadows"]) == wanted
    common.write(sys.argv[1], host, cases)


if __name__ == "__main__":
    main()
