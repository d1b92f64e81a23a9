"""Makes docs/claims.md from the roles' vars/claims.yml and docs/not_yet.yml: python docs/render_claims.py"""
import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
ORDER = ["preflight", "host_driver", "disk_layout", "container_engine", "golden_image", "networks", "model_store", "inference_service", "gateway",
         "vram_watch", "observability", "throughput", "pool"]


def cell(text):
    """One cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def render():
    """The page, as a string."""
    lines = [
        "# Claims",
        "",
        "Made by `python docs/render_claims.py`; edit the roles' `vars/claims.yml` and `docs/not_yet.yml` instead.",
        "`playbooks/verify.yml` observes every claim of the first table and fails when one fails or is missing.",
        "`SERVICE` stands for the name of each service. Where \"doctrine\" is empty, the claim is this collection's own.",
        "",
        "| claim | role | sentence | doctrine | observed by |",
        "|---|---|---|---|---|",
    ]
    for role in ORDER:
        catalogue = yaml.safe_load((ROOT / "roles" / role / "vars" / "claims.yml").read_text(encoding="utf-8"))
        for claim_id, entry in catalogue["_%s_claims" % role].items():
            lines.append("| `%s` | %s | %s | %s | %s |" % (
                claim_id, role, cell(entry["sentence"]), cell(entry["doctrine"]), cell(entry["observed_by"])))
    lines += ["", "## Not yet", "", "| sentence or figure | doctrine | why there is no claim |", "|---|---|---|"]
    for entry in yaml.safe_load((ROOT / "docs" / "not_yet.yml").read_text(encoding="utf-8")):
        lines.append("| %s | %s | %s |" % (cell(entry["sentence"]), cell(entry["doctrine"]), cell(entry["reason"])))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "claims.md").write_text(render(), encoding="utf-8")
