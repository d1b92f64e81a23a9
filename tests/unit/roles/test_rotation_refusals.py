"""What is no rotation and no restoration is refused on the controller, before any host is asked."""
import json
import subprocess

import pytest
from support import ROOT


@pytest.mark.parametrize("playbook, given, words", [
    ("rotate", {}, "rotate_what is missing"), ("rotate", {"rotate_what": "everything"}, "rotate_what everything"),
    ("rotate", {"rotate_what": "operator_key", "rotate_step": "switch"}, "rotate_step switch"),
    ("rotate", {"rotate_what": "operator_key", "rotate_overlap": "a day"}, "rotate_overlap a day"),
    ("rotate", {"rotate_what": "certificate", "gateway_tls": "none", "gateway_address": "127.0.0.1"}, "no certificate of its own"),
    ("restore", {}, "restore_archive is missing"),
])
def test_it_is_refused_by_name(playbook, given, words):
    given = dict(given, golden_image_base_archive_sha256="0" * 64)  # which the demo takes from its cache
    done = subprocess.run(["ansible-playbook", "-i", "inventory/demo", "playbooks/%s.yml" % playbook, "-e", json.dumps(given)],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and words in " ".join((done.stdout + done.stderr).split())
    assert "Gathering Facts" not in done.stdout
