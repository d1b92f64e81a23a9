#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed of NVIDIA's driver, read without writing."""
from __future__ import annotations

DOCUMENTATION = r"""
module: host_driver_info
short_description: Read what is installed of NVIDIA's driver, and how its packages stand
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Reads the version of the driver's libraries, the packages of driver and kernels, what an interrupted installation left, what the host has of its kernel,
    the CDI specification, and the persistence daemon.
  - Changes nothing. What is not there is told as absent.
  - Cards, loaded kernel modules and the container toolkit are the matter of M(protocol_omni.bunker.host_info).
options:
  packages:
    description: Names of packages that count besides those of driver and kernels.
    type: list
    elements: str
    default: []
  cdi:
    description: The CDI specification.
    type: path
    default: /var/run/cdi/nvidia.yaml
  strict:
    description: Whether a dpkg that does not answer is an error, as before an installation.
    type: bool
    default: false
  hardware_root:
    description: Where the kernel's own files are.
    type: path
    default: /
  certificates:
    description: Paths of certificates that modules of this host are signed by.
    type: list
    elements: str
    default: []
    version_added: 0.7.0
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the driver
  protocol_omni.bunker.host_driver_info:
  register: driver
"""

RETURN = r"""
library:
  description: Version of the driver's libraries, empty where there are none.
  returned: success
  type: str
packages:
  description: The packages of driver and kernels that dpkg knows, O(packages), and whatever an installation left half done.
  returned: success
  type: list
  elements: dict
  contains:
    want: {description: "What is wanted of it, such as V(install) or V(hold).", type: str}
    status: {description: "Its state, such as V(installed).", type: str}
    name: {description: Its name., type: str}
    version: {description: Its version., type: str}
dpkg:
  description: Why dpkg told none, empty where it did.
  returned: success
  type: str
held:
  description: Names of installed packages with the driver's version that are held.
  returned: success
  type: list
  elements: str
unheld:
  description: Names of installed packages with the driver's version that are not.
  returned: success
  type: list
  elements: str
interrupted:
  description: What an interrupted installation left, in words.
  returned: success
  type: list
  elements: str
kernel:
  description: Whether the running kernel's C(modules) and its C(headers) are on this host.
  returned: success
  type: dict
next_boot:
  description:
    - What is built of NVIDIA's module for the kernels that may boot next, as M(protocol_omni.bunker.next_boot_info) tells it. Empty where no kernel is on this
      host, as in a container.
  returned: success
  type: list
  elements: str
modules_listed:
  description: Whether the kernel lists its loaded modules.
  returned: success
  type: bool
cdi:
  description: UUIDs of cards and slices and versions of libcuda that the CDI specification names, each once, sorted. Empty without one.
  returned: success
  type: list
  elements: str
persistenced:
  description: Whether there is a unit of the persistence daemon.
  returned: success
  type: bool
persistence:
  description: What systemctl says of it, such as V(active).
  returned: success
  type: str
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils import (  # noqa: E402
    cdi, commands, driver_survey, kernel_headers, next_boot_survey, small_file)

DAEMON = "nvidia-persistenced.service"
UNITS = "/lib/systemd/system"
MODULES = "/lib/modules"
UPDATES = "/var/lib/dpkg/updates"


def known(module):
    """The packages that count, and why dpkg told none."""
    status, said, error = commands.answer(module, *driver_survey.PACKAGES)
    if status != 0:
        return [], "dpkg-query: %s" % (error.strip() or "exit status %d" % status)
    return driver_survey.packages(said, module.params["packages"]), ""


def next_boot(module, packages):
    """Lines of what is built for the kernels that may boot next."""
    running, installed = os.uname().release, [package["name"] for package in packages if package["status"] == "installed"]
    kernels = kernel_headers.boots(running, installed, os.path.isdir(os.path.join(MODULES, running)))
    return next_boot_survey.seen(module, kernels, module.params["certificates"])[1] if kernels else []


def main():
    module = AnsibleModule(argument_spec={
        "packages": {"type": "list", "elements": "str", "default": []}, "cdi": {"type": "path", "default": cdi.OWN},
        "strict": {"type": "bool", "default": False}, "hardware_root": {"type": "path", "default": "/"},
        "certificates": {"type": "list", "elements": "str", "default": [], "no_log": False}}, supports_check_mode=True)
    library = driver_survey.library_version(os.path.realpath(driver_survey.library_path(commands.output(module, "ldconfig", "-p"))))
    packages, refused = known(module)
    if refused and module.params["strict"]:
        module.fail_json(msg="The packages of this host were not read: %s. Nothing further is installed. See: dpkg --audit" % refused)
    held, unheld = driver_survey.own(packages, library)
    kernel = os.path.join(MODULES, os.uname().release)
    specification = cdi.of_text(module.params["cdi"], small_file.seen(module.params["cdi"]))
    _status, state, error = commands.answer(module, "systemctl", "is-active", DAEMON)
    module.exit_json(
        changed=False, library=library, packages=packages, dpkg=refused, held=held, unheld=unheld,
        interrupted=driver_survey.interrupted(packages, os.listdir(UPDATES) if os.path.isdir(UPDATES) else []),
        kernel={"modules": os.path.isdir(kernel), "headers": os.path.exists(os.path.join(kernel, "build"))}, next_boot=next_boot(module, packages),
        modules_listed=os.path.isfile(os.path.join(module.params["hardware_root"], "proc/modules")),
        cdi=sorted(specification["devices"] + specification["drivers"]),
        persistenced=os.path.isfile(os.path.join(UNITS, DAEMON)), persistence=state.strip() or error.strip())


if __name__ == "__main__":
    main()
