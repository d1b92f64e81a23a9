"""The list of a host's state, held against what lies on the deployed host; isolated/test_gateway_state.py saves and restores it."""
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import host_state

ROOTS = "/etc/protocol_omni /var/lib/protocol_omni /etc/ansible/facts.d"


def test_each_file_of_the_host_is_in_the_list(site, second):
    found = site.sh("find $(ls -d %s 2>/dev/null) -type f" % ROOTS).splitlines()
    assert len(found) > 20 and {"carried", "derived"} <= {host_state.kind_of(path) for path in found}
    assert [path for path in found if not host_state.kind_of(path)] == []
