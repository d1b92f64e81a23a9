"""What NVIDIA's cuobjdump sees in a file: the reference that our reading is held against."""
import re
import subprocess

BLOCK = re.compile(r"^Fatbin (elf|ptx|nvvm) code:\n=+\narch = sm_(\d+)([af]?)\ncode version = \[(\d+),(\d+)\]\n((?:.+\n)*)", re.MULTILINE)
KINDS = {"elf": "cubin", "ptx": "ptx", "nvvm": "lto"}


def run(program, *arguments, timeout=None):
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False).stdout


def dump(program, path):
    """Every entry of every container, from the full dump: (kind, sm, suffix, version, compressed) in its order."""
    entries = []
    for kind, sm, suffix, major, minor, rest in BLOCK.findall(run(program, "-all", path)):
        entries.append((KINDS[kind], int(sm), suffix, (int(major), int(minor)), "compressed" in rest.splitlines()))
    return entries


def complaint(program, path):
    """Where cuobjdump gives up on a file: its words, else ""."""
    match = re.search(r"^cuobjdump fatal +: (.*?)(?: in '.*')?$", run(program, "-all", "-lelf", path), re.MULTILINE)
    return match.group(1) if match else ""


def listed(program, path, timeout=None):
    """The machine code and PTX that -lelf and -lptx list: two lists of targets such as sm_90a, in their order.

    The list drops the f of machine code.
    """
    cubins = re.findall(r"^ELF file +\d+: .*?\.?(sm_\d+a?)f?\.cubin$", run(program, "-all", "-lelf", path, timeout=timeout), re.MULTILINE)
    ptx = re.findall(r"^PTX file +\d+: .*?\.?(sm_\d+[af]?)\.ptx$", run(program, "-all", "-lptx", path, timeout=timeout), re.MULTILINE)
    return cubins, ptx
