"""Writes the entry of a model of the catalogue for an inventory, with what its hub says of it: ``./bunker model [NAME]``.

    ./bunker model                          # the names that are known
    ./bunker model glm-4.7-ud-q4_k_xl       # its entry of model_store_extra_models, with hashes, sizes and addresses of one commit
    ./bunker model NAME --offline           # as the catalogue has it, with the command that obtains each hash

The headers of its files are read over the network, not the files. Exit code 1 where the hub did not say all of it, or where a header says another architecture
than the catalogue; 2 for a name that is not known.
"""
import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import draft  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates, inventory_files, resolved_origins  # noqa: E402


def known(hub):
    """Name to model of all that the catalogue has: those of the plan, and those that ./bunker init chooses among.

    :param hub: address of the model hub.
    """
    return {model["name"]: model for model in candidates.load(hub) + candidates.plan(hub)}


def entry(model, notes):
    """The text for an inventory."""
    return "".join(map(inventory_files.comment, notes)) + inventory_files.dumped({"model_store_extra_models": [draft.model_entry(model)]})


def asked(model, hub):
    """(model, notes, complaints) with what the hub says of it; model is None where its header contradicts the catalogue."""
    resolver = resolved_origins.Resolver({"hub": hub, "trust_keys": []})
    found, _facts, note = resolver.model(model)
    header = resolver.headers.get(model["name"], {})
    told = header.get("general.architecture")
    if told and told != model["architecture"]:
        return None, [], ["%s: the header of %s says general.architecture %s, the entry %s. Nothing is written: it is another conversion, or another model. "
                          "Look for a file of that architecture, or write an entry of your own." % (
                              model["name"], model["files"][0]["name"], told, model["architecture"])]
    drafts = header.get("%s.nextn_predict_layers" % told)
    notes = [note] if note else ["%s: the hub did not say all of it." % model["name"]]
    if isinstance(drafts, int) and drafts > 0:
        notes.append("Its header counts %d layer%s that drafts (MTP): the service may have speculation: mtp (docs/performance.md)." % (
            drafts, "" if drafts == 1 else "s"))
    return found, notes, resolver.said


def main(arguments):
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="./bunker model", description="Write the catalogue's entry of a model for an inventory.", allow_abbrev=False)
    parser.add_argument("name", nargs="?", help="the model; without one the names are listed")
    parser.add_argument("--hub", default=candidates.HUB, metavar="ADDRESS", help="model hub with Hugging Face's API (%(default)s)")
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    options = parser.parse_args(arguments)
    models = known(options.hub.rstrip("/"))
    if options.name is None:
        print("\n".join(models))
        return 0
    if options.name not in models:
        sys.stderr.write("%s: the catalogue has no model of that name. It has: %s.\n" % (options.name, ", ".join(models)))
        return 2
    model, complaints = models[options.name], []
    if model.get("shipped"):
        sys.stdout.write(inventory_files.comment(
            "%s: model_store_catalogue has it, and one name has one entry. Name it as the model of a service." % model["name"]))
        return 0
    notes = ["Not compared with the files: %s." % ", ".join(model["open"])] if options.offline and model.get("open") else []
    if not options.offline:
        model, notes, complaints = asked(model, options.hub.rstrip("/"))
    if model:
        sys.stdout.write(entry(model, notes))
    sys.stderr.write("".join(line + "\n" for line in complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
