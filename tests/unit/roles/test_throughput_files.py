"""The program that measures finds on the host what the role brings, and needs nothing else of the collection."""
import pathlib
import shutil
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_the_program_starts_with_what_the_role_brings_and_nothing_else(tmp_path):
    tasks = yaml.safe_load((ROOT / "roles/throughput/tasks/program.yml").read_text(encoding="utf-8"))
    brought = next(task["loop"] for task in tasks if "ansible.builtin.copy" in task)
    collection = tmp_path / "ansible_collections" / "protocol_omni" / "bunker"
    for entry in brought:
        source = pathlib.Path(entry["from"].replace("{{ role_path }}", str(ROOT / "roles/throughput")).replace("{{ _throughput_source }}", str(ROOT)))
        target = collection / entry["to"]
        if source.is_dir():
            shutil.copytree(source, target / source.name)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    module = "ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs.bench.command_line"
    program = "import importlib, sys; sys.path.insert(0, %r); importlib.import_module(%r)" % (str(tmp_path), module)
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
