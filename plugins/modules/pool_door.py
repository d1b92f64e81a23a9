#!/usr/bin/python
# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a door of a pool thinks of a member: asked, and waited for."""
from __future__ import annotations

DOCUMENTATION = r"""
module: pool_door
short_description: Ask a door of a pool about a member, and wait until it thinks so
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
extends_documentation_fragment:
  - protocol_omni.bunker.attributes
description:
  - Asks the HAProxy of a door on its socket, every half second, until what O(until) names is true of the member. Runs on the door.
  - Changes nothing. A member is held back, and let in again, by a file on its own host (see the role P(protocol_omni.bunker.pool#role)).
options:
  socket:
    description: Socket of the door's HAProxy.
    type: path
    required: true
  member:
    description: Name of the member.
    type: str
    required: true
  until:
    description:
      - V(spare) - each model of the member that others have too has another member that answers. Asked once.
      - V(held) - the door sends it nobody new, and no request runs there any more. Requests that run after O(patience) are told, and no failure.
      - V(answering) - the door sends it requests of all of its models.
    type: str
    required: true
    choices: [spare, held, answering]
  patience:
    description: Seconds for V(answering), and for the requests of V(held).
    type: int
    default: 60
  notice:
    description: Seconds that the door has to notice that the member is held back.
    type: int
    default: 30
requirements:
  - root on its host
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Wait until nobody is sent to north
  protocol_omni.bunker.pool_door:
    socket: /run/protocol-omni-pool/admin.sock
    member: north
    until: held
  delegate_to: south
"""

RETURN = r"""
running:
  description: Requests that ran there at last.
  returned: success
  type: int
states:
  description: What the door thought of it at last, backend by backend.
  returned: success
  type: str
sole:
  description: Backends that have no other member.
  returned: success
  type: list
  elements: str
"""

import time  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import survey, turn  # noqa: E402

PAUSE = 0.5  # seconds between two questions


def waited(ask, holds, seconds):
    """What the door says once something holds of it, or after so many seconds: (str, whether it holds)."""
    end = time.monotonic() + seconds
    while True:
        text = ask()
        if holds(text) or time.monotonic() >= end:
            return text, holds(text)
        time.sleep(PAUSE)


def judged(params, ask):
    """What the door says at last.

    :param ask: function that asks it: str.
    :raises ValueError: it is not as it should be; says what to do.
    """
    member, text = params["member"], ask()
    if not text:
        raise ValueError("%s: the door's HAProxy does not answer there. Look why: journalctl -u protocol-omni-pool.service; playbooks/pool.yml starts it."
                         % params["socket"])
    if not turn.states(text, member):
        raise ValueError("The door knows no member %s. Run playbooks/pool.yml, which tells it of the inventory's." % member)
    if params["until"] == "spare":
        for backend, others in turn.alone(text, member).items():
            raise ValueError("%s is the last that answers for %s (%s): without it, nobody would. Mend one of the others first, so nothing was changed on %s."
                             % (member, backend, others, member))
    elif params["until"] == "held":
        text, found = waited(ask, lambda said: said and turn.held(said, member), params["notice"])
        if not found:
            raise ValueError("The door still sends requests to %s after %d s (%s): it does not hear that it is held back. Look there: systemctl status "
                             "protocol-omni-pool-agent.service" % (member, params["notice"], turn.states(text, member) or "it does not answer"))
        text, _ended = waited(ask, lambda said: said and not turn.running(said, member), params["patience"])
    else:
        text, found = waited(ask, lambda said: turn.answering(said, member), params["patience"])
        if not found:
            raise ValueError("The door sends nobody to %s after %d s (%s). Its gateway tells more: journalctl -u protocol-omni-gateway.service"
                             % (member, params["patience"], turn.states(text, member) or "it does not answer"))
    return text


def main():
    module = AnsibleModule(argument_spec={
        "socket": {"type": "path", "required": True}, "member": {"type": "str", "required": True},
        "until": {"type": "str", "required": True, "choices": ["spare", "held", "answering"]},
        "patience": {"type": "int", "default": 60}, "notice": {"type": "int", "default": 30}}, supports_check_mode=True)
    member = module.params["member"]
    try:
        text = judged(module.params, lambda: survey.statistics(module.params["socket"]))
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, running=turn.running(text, member), states=turn.states(text, member), sole=turn.sole(text, member))


if __name__ == "__main__":
    main()
