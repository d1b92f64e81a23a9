"""Stands in for NVIDIA's container toolkit on a machine that cannot install it, in front of real cards and the real driver.

    nvidia-ctk --version
    nvidia-ctk system create-device-nodes …                     # nothing: the device files are there
    nvidia-ctk cdi generate --output=PATH                       # a CDI specification of every card that nvidia-smi names
    nvidia-ctk hook create-symlinks --link TARGET::PATH …       # what the specification has the runtime call: links in the container's root

Libraries are mounted under their versioned names, and links lead to them, as NVIDIA's own specification has it.
"""
import json
import os
import pathlib
import subprocess
import sys

LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
NAMES = {"libcuda.so": "libcuda.so.1", "libnvidia-ml.so": "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so": "libnvidia-ptxjitcompiler.so.1",
         "libnvidia-nvvm.so": "libnvidia-nvvm.so.4", "libnvidia-gpucomp.so": ""}


def specification():
    """The CDI specification as a dict."""
    version = pathlib.Path("/proc/driver/nvidia/version").read_text(encoding="ascii").split("x86_64")[1].split()[0]
    said = subprocess.run(["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True).stdout
    cards = [line.split(", ") for line in said.split("\n") if line]
    mounts, links = [], []
    for name, link in NAMES.items():
        path = LIBRARIES / ("%s.%s" % (name, version))
        if path.exists():
            mounts.append({"hostPath": str(path), "containerPath": str(path), "options": ["ro", "nosuid", "nodev", "bind"]})
            links += ["--link", "%s::%s" % (path.name, LIBRARIES / link)] if link else []
    mounts.append({"hostPath": "/usr/bin/nvidia-smi", "containerPath": "/usr/bin/nvidia-smi", "options": ["ro", "nosuid", "nodev", "bind"]})
    control = [{"path": path} for path in ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools") if os.path.exists(path)]
    return {
        "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
        "devices": [{"name": name, "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia%s" % index}]}}
                    for index, uuid in cards for name in (index, uuid)],
        "containerEdits": {"deviceNodes": control, "mounts": mounts, "hooks": [
            {"hookName": "createContainer", "path": "/usr/bin/nvidia-ctk", "args": ["nvidia-ctk", "hook", "create-symlinks"] + links}]}}


def create_symlinks(words):
    """Makes the links in the root of the container whose state the runtime gives on standard input."""
    bundle = pathlib.Path(json.load(sys.stdin)["bundle"])
    root = bundle / json.loads((bundle / "config.json").read_text(encoding="utf-8"))["root"]["path"]
    for word in words:
        if word != "--link":
            target, path = word.split("::")
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(target)


def main(words):
    if words == ["--version"]:
        print("NVIDIA Container Toolkit CLI version 1.18.0 (a stand-in of protocol_omni.bunker's tests)")
    elif words[:2] == ["cdi", "generate"] and words[2].startswith("--output="):
        path = pathlib.Path(words[2].split("=", 1)[1])
        path.with_suffix(".part").write_text(json.dumps(specification(), indent=1), encoding="ascii")
        path.with_suffix(".part").replace(path)
    elif words[:2] == ["hook", "create-symlinks"]:
        create_symlinks(words[2:])
    elif words[:2] != ["system", "create-device-nodes"]:
        sys.exit("nvidia-ctk (stand-in): %s is not known here" % " ".join(words))


if __name__ == "__main__":
    main(sys.argv[1:])
