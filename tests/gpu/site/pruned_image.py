"""The deployed image against the same with cuBLAS pruned for this card, live: the same tokens, and as many a second.

The image's own libcublas and libcublasLt go through roles/golden_image/files/prune-device-code on the host, as the build has it with golden_image_prune, into
a derived image. Two containers, whole and pruned, are asked in turns: with the words of the Oracle, and without flash attention, where each layer's attention
is two products that cuBLAS computes. A third one logs which functions of cuBLAS were called, so that a look says whether there was anything to compare.
"""
import collections
import json
import re
import sys

from card_host import HERE, ROOT, moved, smi

sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code  # noqa: E402

FOLDER, TAG = "/root/pruned", "omni/pruned:test"
LIBRARIES = "libcublas.so.* libcublasLt.so.*"
SMALL = "smollm2-135m-instruct-q4_1"
WAYS = {"as_deployed": [], "without_flash_attention": ["--flash-attn", "off"]}
TURNS, SAME = "turns.py 30 512 128", "same_tokens.py 10 512 32"
LOGGED = ("--env", "CUBLAS_LOGINFO_DBG=1", "--env", "CUBLAS_LOGDEST_DBG=stdout")


def pruned(host):
    """The step: what was emptied, and for each of WAYS how whole and pruned compare."""
    whole, image, found = host.oracle_image(), *derived(host)
    try:
        for number, (way, more) in enumerate(WAYS.items()):
            found[way] = asked(host, {"whole": whole, "pruned": image}, more, 18100 + 10 * number)
    finally:
        host.execute("docker rm -f pruned-whole pruned-pruned pruned-calls; docker image rm %s; rm -rf %s" % (TAG, FOLDER), check=False)
    return found


def derived(host):
    """(ID of an image with pruned libraries, what was emptied of each)."""
    capabilities = sorted(set(smi("--query-gpu=compute_cap", "--format=csv,noheader").split()))
    names = ",".join(removable_device_code.names(capabilities))
    host.execute("rm -rf %s; mkdir %s" % (FOLDER, FOLDER))
    host.write(FOLDER + "/prune-device-code", (ROOT / "roles" / "golden_image" / "files" / "prune-device-code").read_text(encoding="utf-8"))
    host.execute("docker rm -f pruned >/dev/null 2>&1; docker create --name pruned %s >/dev/null && set -o pipefail && cd %s && "
                 "docker cp -q pruned:/opt/llama - | tar -x --wildcards 'llama/libcublas*'" % (host.oracle_image(), FOLDER))
    said = host.execute("cd %s/llama && sha256sum %s && python3 ../prune-device-code %s %s && sha256sum %s" % (FOLDER, LIBRARIES, names, LIBRARIES, LIBRARIES))
    image = host.execute("docker cp -q %s/llama/. pruned:/opt/llama/ && docker commit pruned %s && docker rm pruned >/dev/null" % (FOLDER, TAG)).split()[-1]
    return image, {"capabilities": capabilities, **emptied(said)}


def emptied(said):
    """Of what derived() had the host say: {"libraries": prune-device-code's lines, "sha256": file to its hash before and after}.

    :raises RuntimeError: a library is as it was, so that there would be nothing to compare.
    """
    rows, hashes = [json.loads(line) for line in said.splitlines() if line.startswith("{")], collections.defaultdict(list)
    for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", said, re.MULTILINE):
        hashes[name].append(digest)
    same = [name for name, pair in hashes.items() if len(set(pair)) != 2]
    if same or not rows or {row["file"] for row in rows} != set(hashes):
        raise RuntimeError("nothing was emptied of %s: %s" % (", ".join(same) or "libraries that nobody names", said[-1500:]))
    return {"libraries": rows, "sha256": dict(hashes)}


def begun(host, name, image, words, *options):
    """A server's address, once it is healthy."""
    url = host.begin_server("pruned-" + name, image, host.uuids[:1], SMALL, words, *options)
    seconds = host.wait_until(True, 120, url)
    if seconds is None:
        raise RuntimeError("pruned-%s does not serve: %s" % (name, host.execute("docker logs pruned-%s 2>&1 | tail -n 20" % name, check=False)))
    return url


def asked(host, images, more, port):
    """Servers with the Oracle's words and more, one of each image: in turns, for the same tokens, and what of cuBLAS they call."""
    host.write("/root/same_tokens.py", (HERE / "same_tokens.py").read_text(encoding="utf-8"))
    words = [*host.oracle_words()[0], *more]
    servers = " ".join("%s=%s" % (name, begun(host, name, image, moved(words, port + number))) for number, (name, image) in enumerate(images.items()))
    found = {"in_turns": host.answers("%s %s" % (TURNS, servers)), "tokens": host.answers("%s %s" % (SAME, servers))}
    host.execute("docker rm -f %s" % " ".join("pruned-" + name for name in images), check=False)
    url = begun(host, "calls", images["pruned"], moved(words, port + len(images)), *LOGGED)
    host.answers("same_tokens.py 1 512 2 one=%s" % url)
    found["calls"] = calls(host.execute("docker logs pruned-calls 2>&1 | grep -a cublas", check=False))
    host.execute("docker rm -f pruned-calls", check=False)
    return found


def calls(log):
    """Function of cuBLAS to how often its log has it: ``I! cuBLAS (v13.0) function cublasStatus_t cublasGemmEx(...) called:``."""
    return dict(collections.Counter(re.findall(r"function cublasStatus_t (cublas\w+)\(", log)).most_common())


def pruned_site(host):
    """The site with golden_image_prune: the build empties what no card of this host runs, and the image is proven, deployed and asked.

    :raises RuntimeError: claims other than expected_claims.json has them, image.pruned excepted, which has to hold.
    """
    before = host.oracle_image()
    host.write_inventory()
    play = host.play("pruned_site", changed={"golden_image_prune": True})
    report, others = host.report(), host.not_holding()
    claim = {key: report.get("image.pruned", {}).get(key) for key in ("status", "expected", "observed")}
    others.pop("image.pruned", None)
    after = host.oracle_image()
    found = {"play": play, "claim": claim, "others": others, "another_image": before != after,
             "bytes": {"whole": compressed(host, before), "pruned": compressed(host, after)},
             "answers": [host.ask(tokens=200) for _number in range(10)]}
    if others or claim["status"] != "holds" or before == after:
        raise RuntimeError(json.dumps(found))
    return found


def compressed(host, image):
    """Bytes of an image's archive as compressed as a bundle or registry would have it: program to bytes, "" for the archive itself."""
    programs = {"": "cat", "gzip -6": "gzip -6", **({"zstd -3": "zstd -3 -T0"} if host.execute("command -v zstd", check=False).strip() else {})}
    return {name: int(host.execute("docker save %s | %s | wc -c" % (image, program))) for name, program in programs.items()}


STEPS = {"pruned": pruned, "pruned_site": pruned_site}
