#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Will this binary, image or container run on that GPU, and with whose libcuda?"""
from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_readiness
short_description: Tell whether CUDA device code runs on a GPU, and which libcuda it gets
version_added: 0.1.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the CUDA device code (cubins, PTX, LTO-IR) of files, of a Docker image or of a running container, in whatever section it lies, and says for
    each GPU whether it runs natively, after compilation at load, or not at all.
  - Finds the C(libcuda.so.1) that each of them would get, as the glibc loader finds it, and whether it is the host driver's.
  - Nothing is run or started. It needs neither a GPU nor the CUDA toolkit, only Python's standard library. It reads through links inside the given
    root only and never leaves it.
  - Without Ansible, C(PYTHONPATH=plugins/module_utils python3 -m cuda_readiness.command_line --help).
options:
  path:
    description:
      - A file or a folder. With O(root) as the host sees it, within that root; with O(image) or O(container) a path inside.
      - Exactly one of O(path), O(root), O(image) and O(container) says what is looked at.
    type: path
  root:
    description: A root file system. Libraries and links are looked up inside it. V(/) where only O(path) is given.
    type: path
  image:
    description: A Docker image by name or ID. It is not started. What was found is remembered under its ID in O(cache_path).
    type: str
  container:
    description: A running Docker container by name or ID, as its first process sees it. Needs root on the engine's own host.
    type: str
  patterns:
    description: Only files whose name matches one of these globs, or whose whole path does where a pattern holds a slash.
    type: list
    elements: str
    default: ["*"]
  capabilities:
    description: Compute capabilities, such as V(12.0). The default is that of the host's GPUs, as nvidia-smi lists them.
    type: list
    elements: str
  include_host_gpus:
    description: Add the capabilities of the host's GPUs to O(capabilities).
    type: bool
    default: false
  driver_cuda:
    description: The CUDA version of the driver, such as V(13.0). The default is the host's; where there is no driver it counts as not known.
    type: str
  program:
    description: The program that loads the files, a path inside the root. The default is an image's entry point and a container's own program.
    type: str
  environment:
    description: Environment of that program, of which C(LD_LIBRARY_PATH) and C(LD_PRELOAD) matter. Added to that of the image or container.
    type: dict
    default: {}
  require:
    description:
      - V(native) fails unless every file with kernels has machine code for every capability; V(jit) accepts compilation at load too.
      - Both fail where no file holds a kernel, or no capability is known, and where something could not be read, since that is no proof.
    type: str
    choices: [native, jit]
  unreadable:
    description: Globs of files, or of paths where a glob holds a slash, that may be unreadable, whole or in part, although O(require) is set.
    type: list
    elements: str
    default: []
    version_added: 0.6.0
  require_host_libcuda:
    description: Fail unless every file that asks for C(libcuda.so.1) gets the host driver's, and a running container has mapped that one.
    type: bool
    default: false
  modules:
    description: Return every module and entry, not only counts. Some libraries hold tens of thousands.
    type: bool
    default: false
  docker_host:
    description: The Docker engine's socket.
    type: str
    default: unix:///var/run/docker.sock
  cache_path:
    description: Folder for what was found in images. Not written in check mode.
    type: path
    default: /var/cache/protocol_omni/cuda_readiness
  scratch_path:
    description: Folder with room for twice an image, where the engine's store (containerd's) hands it out only as an archive.
    type: path
    default: /var/tmp
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Refuse an image that has no machine code for an RTX PRO 6000 and an RTX 5090
  protocol_omni.bunker.cuda_readiness:
    image: omni/llama-server:sm120-cuda13
    patterns: [libggml-cuda.so]
    capabilities: ["12.0"]
    require: native

- name: See which files of an environment would die on this host's GPUs
  protocol_omni.bunker.cuda_readiness:
    path: /opt/venv/lib/python3.12/site-packages
  register: readiness

- name: Make sure that the running Oracle uses the host driver's libcuda
  protocol_omni.bunker.cuda_readiness:
    container: oracle
    path: /opt/llama
    require_host_libcuda: true
"""

RETURN = r"""
verdicts:
  description: For each capability the verdict of all files together, that of the worst.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(native) machine code for it; V(jit) PTX, compiled at load, slow; V(unknown); V(ptx_too_new) error 222; V(none) error 209; V(does_not_load) a library
          that it needs is not there, as seen from the image's entry point, the container's program or O(program).
        - Null where no file holds a kernel for it.
      type: str
    reason:
      description: One sentence.
      type: str
    files:
      description: Paths of the files that are as bad as the verdict.
      type: list
      elements: str
files:
  description: Every file that holds device code or needs libcuda.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path inside the root.
      type: str
    size:
      description: Bytes.
      type: int
    kind:
      description: V(elf), V(object), V(archive), V(cubin), V(fatbin) or V(ptx).
      type: str
    architectures:
      description: Targets of its machine code, such as V(sm_120a).
      type: list
      elements: str
    ptx:
      description: Targets of its PTX, each with C(target) such as V(compute_120) and C(isa), the PTX ISA version.
      type: list
      elements: dict
    compression:
      description: V(none), V(lz4), V(zstd).
      type: list
      elements: str
    counts:
      description: Numbers of C(modules), C(relocatable) modules (input of the device linker), C(cubin), C(ptx), C(lto), C(other), C(stubs) (cubins without
        machine code), C(empty_ptx), and C(not_looked_into) (compressed, and no library here to decode it).
      type: dict
    verdicts:
      description: For each capability C(verdict), C(reason), C(spoilers) (the modules that are as bad; at most 5 without O(modules)) and their number,
        C(spoilers_total).
      type: dict
    modules:
      description: Every module with C(form), C(offset), C(section), C(member), C(relocatable), C(verdicts) and C(entries). Only with O(modules).
      type: list
      elements: dict
    libcuda:
      description: V(needed) where DT_NEEDED names libcuda.so.1, V(opened) where its name stands in the data, else empty.
      type: str
    imports_vmm:
      description: It expects C(cuMemCreate) from libcuda, CUDA's virtual memory management.
      type: bool
    rocm:
      description: It holds device code for AMD GPUs.
      type: bool
    missing:
      description: What it needs and the loader does not find there, but for what comes with the host's driver. Empty where no program is known.
      type: list
      elements: str
    problems:
      description: What is damaged in it, each with its place.
      type: list
      elements: str
libcuda:
  description: For each file that asks for libcuda.so.1 (the first 64) what it would get.
  returned: success
  type: list
  elements: dict
  contains:
    requester:
      description: The file that asks.
      type: str
    real_path:
      description: The file that it gets, links followed. Null where there is none.
      type: str
    version:
      description: Version in its name.
      type: str
    origin:
      description: V(host_driver) the version of the kernel module; V(compat) another version; V(stub); V(unknown); V(missing).
      type: str
    found_by:
      description: The rule of the loader, with the variable, the object or the line of ld.so.conf that leads there.
      type: str
    shadows:
      description: It hides the host driver's, which would have come later.
      type: bool
    others:
      description: The files that would have come later.
      type: list
      elements: dict
    reason:
      description: One sentence.
      type: str
mapped:
  description: The libcuda files that the processes of a running container have mapped, each with C(path), C(version), C(stub) and C(origin).
  returned: success
  type: list
  elements: dict
problems:
  description: What is odd or could not be read, each with file and place. It never hides the verdict on the rest.
  returned: success
  type: list
  elements: str
unread:
  description: Those of RV(problems) behind which device code may lie that was not read.
  returned: success
  type: list
  elements: str
host:
  description: C(gpus), C(kernel_module) (its version) and C(driver_cuda) of the host; null where there is none.
  returned: success
  type: dict
image_id:
  description: ID of the image, or of the container's image.
  returned: success
  type: str
from_memory:
  description: The image was not read again.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import capability as rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.docker_engine import DEFAULT_HOST, EngineError
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.host import read_host
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.readiness import DEFAULT_CACHE, TargetError, report, unaccounted

ACCEPTED = {"native": ("native",), "jit": ("native", "jit")}


def refusals(result, capabilities, require, require_host_libcuda, unreadable=()):
    """Why the requirements are not met: a list of sentences."""
    reasons = []
    if require and not capabilities:
        reasons.append("require is '%s', but the host has no GPU that nvidia-smi lists. Name the compute capabilities, such as ['12.0']" % require)
    for verdict in result["verdicts"].values() if require else ():
        if verdict["verdict"] not in ACCEPTED[require]:
            reasons.append(verdict["reason"])
    left = unaccounted(result, unreadable) if require else []
    if left:
        reasons.append("Not all could be read, and what was not is no proof: %s%s. Replace the files, or name them in unreadable."
                       % ("; ".join(left[:5]), "; and %d more" % (len(left) - 5) if len(left) > 5 else ""))
    if require_host_libcuda:
        if not result["libcuda"] and not result["mapped"]:
            reasons.append("No file there asks for libcuda.so.1.")
        reasons += [found["reason"] for found in result["libcuda"] if found["origin"] != "host_driver"]
        reasons += ["%s is mapped, and its origin is %s, not the host driver." % (found["path"], found["origin"])
                    for found in result["mapped"] if found["origin"] != "host_driver"]
    return reasons


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"}, "root": {"type": "path"}, "image": {"type": "str"}, "container": {"type": "str"},
            "patterns": {"type": "list", "elements": "str", "default": ["*"]},
            "capabilities": {"type": "list", "elements": "str"}, "driver_cuda": {"type": "str"}, "include_host_gpus": {"type": "bool", "default": False},
            "program": {"type": "str"}, "environment": {"type": "dict", "default": {}},
            "require": {"type": "str", "choices": ["native", "jit"]}, "require_host_libcuda": {"type": "bool", "default": False},
            "unreadable": {"type": "list", "elements": "str", "default": []},
            "modules": {"type": "bool", "default": False}, "docker_host": {"type": "str", "default": DEFAULT_HOST},
            "cache_path": {"type": "path", "default": DEFAULT_CACHE}, "scratch_path": {"type": "path", "default": "/var/tmp"},
        },
        mutually_exclusive=[["root", "image", "container"]], required_one_of=[["path", "root", "image", "container"]], supports_check_mode=True)
    given = module.params
    host = read_host()
    try:
        of_host = {gpu["capability"] for gpu in host["gpus"]} if given["include_host_gpus"] or not given["capabilities"] else set()
        capabilities = sorted({rules.parse_capability(text) for text in of_host.union(given["capabilities"] or [])})
        driver_cuda = rules.parse_cuda_version(given["driver_cuda"]) if given["driver_cuda"] else host["driver_cuda"]
        result = report(
            path=given["path"], root=given["root"], image=given["image"], container=given["container"], patterns=given["patterns"],
            program=given["program"], environment={name: str(value) for name, value in given["environment"].items()}, capabilities=capabilities,
            driver_cuda=driver_cuda, kernel_module=host["kernel_module"], modules=given["modules"], docker_host=given["docker_host"],
            cache_path=given["cache_path"], scratch_path=given["scratch_path"], remember=not module.check_mode)
    except (ValueError, TargetError, EngineError) as error:
        module.fail_json(msg=str(error))
    host["driver_cuda"] = "%d.%d" % host["driver_cuda"] if host["driver_cuda"] else None
    result.update(changed=False, host=host)
    reasons = refusals(result, capabilities, given["require"], given["require_host_libcuda"], given["unreadable"])
    if reasons:
        module.fail_json(msg=" ".join(reasons), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
