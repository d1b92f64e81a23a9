"""Makes docs/models.md from roles/model_store/files/models.yml: python docs/render_models.py"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import models  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.llama import kv_cache  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates  # noqa: E402

GB, GIB, MIB = 10 ** 9, 1 << 30, 1 << 20
# The reference host: its cards as nvidia-smi tells their memory (tests/fixtures/hosts/reference.yml), what omni_prime keeps free on each, and the RAM that the
# doctrine has available of 384 GB.
CARDS = {96: 97887 * MIB, 32: 32607 * MIB}
FREE = 7 * GIB
RAM = 340 * GB
CONTEXTS = (8192, 32768)
HEAD = """# Models

Made by `python docs/render_models.py` of [models.yml](../roles/model_store/files/models.yml), which holds the doctrine's plan and a small set for one card.
`./bunker model NAME` writes the entry of one for an inventory, with hashes, sizes and addresses that its hub says, once it has compared the header's
architecture; without a name it lists them all, those of `./bunker init` too.

- **KV cache**: GiB at f16 for %d and for %d tokens, by the header (`module_utils/llama/kv_cache.py`).
- **RAM beside the cards**: what is left of weights and cache for %d tokens for the RAM of the reference host, which has %s of VRAM, of which %d GiB
  are kept free on each card, and 340 GB of RAM available (the doctrine's figure). Preflight is less strict: it refuses only what exceeds all of RAM and
  VRAM.
- **On one card**: weights, cache for %d tokens and %d GiB free, all of it.
- **Not verified**: what could not be compared with the files where this was written. A size of that kind is one of the same shape, and may be off by some
  percent. Preflight asks the hub for the sizes of what an inventory uses, and nothing is served whose hash and header are not the entry's.

| model | place | architecture | files, GB | KV cache, GiB | RAM beside the cards | on 32 GB | on 96 GB | not verified |
|---|---|---|---|---|---|---|---|---|
"""
TAIL = """
**DeepSeek-V3.2** is in the catalogue with its own architecture, `deepseek32`, and `inventory/omni_prime` still has V3-0324 as its Oracle: the field ran that,
and of V3.2 no quantized file could be shown here whose header says `deepseek32`. llama.cpp knows it since May 2026; files that were made before say
`deepseek2`, leave out the sparse attention, and are refused by their header. `./bunker model deepseek-v3.2-q4_k_m` reads the header at the hub: where it
succeeds, put what it writes into the inventory, and the Oracle's `model` to its name. Where the file has an MTP head it says so.
"""


def cache(model, context):
    """Bytes of a model's KV cache."""
    return kv_cache.size(kv_cache.of(model["header"]), kv_cache.use_of(context, 512))


def row(model):
    """A line of the table."""
    size = models.declared(model).size
    needed = size + cache(model, CONTEXTS[0])
    ram = needed - sum(CARDS.values()) + FREE * len(CARDS)
    beside = "none" if ram <= 0 else "%.0f of 340 GB" % (ram / GB) if ram <= RAM else "%.0f GB: too much" % (ram / GB)
    whole = ["yes" if needed + FREE <= CARDS[card] else "no" for card in (32, 96)]
    return "| `%s` | %s | %s | %d, %.1f | %s | %s | %s | %s |" % (
        model["name"], model["for"], model["architecture"], len(model["files"]), size / GB,
        " / ".join("%.1f" % (cache(model, context) / GIB) for context in CONTEXTS), beside, " | ".join(whole), ", ".join(model["open"]))


def render():
    """The page, as a string."""
    vram = "%.1f GiB" % (sum(CARDS.values()) / GIB)
    head = HEAD % (*CONTEXTS, CONTEXTS[0], vram, FREE // GIB, CONTEXTS[0], FREE // GIB)
    return head + "\n".join(map(row, candidates.plan())) + "\n" + TAIL


if __name__ == "__main__":
    (ROOT / "docs" / "models.md").write_text(render(), encoding="utf-8")
