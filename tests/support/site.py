"""The one deployed site that tests/integration/site and tests/integration/destructive share."""
import json
import ssl
import subprocess

import httpx2
import openai
from support import ROOT, image
from support.hosts import Host

NAME = "bunker-test-site"


class Site(Host):
    """A host with the whole site, its gateway and its two services."""

    address = "172.29.253.30"

    def __init__(self, folder):
        # The gate of speed would judge the other worker's tests: test_throughput.py shows it, with bounds of its own.
        super().__init__(NAME, folder, dict(image.variables(), inference_service_speed_bound=2))
        self.image = image.alias()

    def door(self, key=None):
        """The site's gateway, through the client of OpenAI with the operator's key."""
        certificate = self.folder / "gateway.pem"
        certificate.write_text(self.sh("cat /etc/protocol_omni/gateway/self_signed.pem") + "\n", encoding="ascii")
        key = key or self.sh("cat /etc/protocol_omni/gateway/operator.key")
        return openai.OpenAI(base_url="https://%s:8443/v1" % self.address, api_key=key, max_retries=0, timeout=60,
                             http_client=httpx2.Client(verify=ssl.create_default_context(cafile=str(certificate)), timeout=60))

    def bench(self, program, *arguments):
        """What a program of tests/bench prints as JSON, run on the host."""
        subprocess.run(["docker", "cp", str(ROOT / "tests" / "bench") + "/.", self.host + ":/root/bench"], check=True, capture_output=True)
        code, output = self.execute(" ".join(["python3", "/root/bench/" + program, *arguments]))
        print(output)
        assert code == 0, output
        return json.loads(output.splitlines()[-1])
