"""The SBOM and the lock of the image: what is said of it is what is in it."""
import json
import re

from support import ROOT

SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"  # roles/golden_image/defaults/main.yml


def test_the_sbom_names_what_the_image_is_made_of(site, second):
    second.assert_ok()
    site.run("playbooks/sbom.yml").assert_ok()
    cyclonedx = json.loads((site.reports / (site.host + ".cdx.json")).read_text(encoding="utf-8"))
    assert cyclonedx["bomFormat"] == "CycloneDX"
    named = {component["name"]: component.get("version") for component in cyclonedx["components"]}
    wheels = dict(re.findall(r"(?m)^(\S+)==(\S+) ", (ROOT / "roles/golden_image/files/cuda-toolchain.txt").read_text(encoding="utf-8")))
    assert named["nvidia-cublas"] == wheels["nvidia-cublas"] and named["nvidia-cuda-runtime"] == wheels["nvidia-cuda-runtime"]
    assert "llama-cpp-python 0.3.36" in named["llama.cpp"]
    assert named["libstdc++6"] == site.engine().containers.run(
        site.image, ["--show", "--showformat", "${Version}", "libstdc++6"], entrypoint="dpkg-query", remove=True,
        network_mode="none").decode()
    spdx = json.loads((site.reports / (site.host + ".spdx.json")).read_text(encoding="utf-8"))
    assert spdx["spdxVersion"].startswith("SPDX-") and {"nvidia-cublas", "llama.cpp", "libgomp1"} <= {package["name"] for package in spdx["packages"]}
    lock = (site.reports / (site.host + ".inputs.lock")).read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  (base|source|wheels|toolchain|runtime)/\S+", line) for line in lock)
    assert "%s  source/llama_cpp_python-0.3.36.tar.gz" % SHA256 in lock and sum("  wheels/" in line for line in lock) == len(wheels)
    assert site.execute("ls /var/cache/protocol_omni/sbom")[0] != 0
