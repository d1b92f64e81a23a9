"""The commands by which a service's unit asks for its GPUs before each start, taken from the role's own template."""
import pathlib
import re
import shlex

import jinja2

TEMPLATE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "inference_service" / "templates" / "unit.service.j2"


def gpu_checks(gpus):
    """Words of a command for each GPU of a service named oracle, in their order.

    :param gpus: list of UUIDs.
    """
    block = re.search(r"\{% for gpu in .*?\{% endfor %\}\n", TEMPLATE.read_text(encoding="utf-8"), re.DOTALL).group()
    text = jinja2.Template(block, trim_blocks=True).render(_inference_service_name="oracle", _inference_service_spec={"gpus": gpus})
    commands = [shlex.split(line.partition("=")[2].replace("$$", "$")) for line in text.replace("\\\n", " ").splitlines() if line.startswith("ExecStartPre=")]
    assert len(commands) == len(gpus)
    return commands
