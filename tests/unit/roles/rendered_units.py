"""The systemd units that the roles install, as files of a folder, with the demo's values in their templates."""
import yaml
from ansible.template import trust_as_template
from rendering import ROLES, read, templar
from support import ROOT

DEMO = ROOT / "inventory" / "demo" / "group_vars" / "all" / "bunker.yml"
# What a play would have worked out by then, of a service that has all that a unit may name: cards, a seal, fixed addresses.
SERVICE = {
    "_inference_service_name": "oracle", "_inference_service_placement": "all on the card", "_inference_service_digest": "0" * 16,
    "_inference_service_spec": {"name": "oracle", "model": "a-model", "sealed": True, "gpus": ["GPU-0"]},
    "_inference_service_addresses": ["02:42:ac:1e:00:0a"], "_inference_service_endpoint": "http://172.30.0.10:8000",
    "_inference_service_models": [{"name": "a-model", "files": [{"name": "a.gguf", "sha256": "0" * 64}]}],
    "_inference_service_resolved": {"container_arguments": ["--name", "oracle", "an-image"], "server_arguments": ["--port", "8000"]},
    "host_driver_cuda_cache_path": "/var/cache/protocol_omni/cuda", "model_store_path": "/srv/models", "bunker_config_path": "/etc/protocol_omni"}
# A door of two, which is a member as well: all that a unit of a pool may name.
POOL = {"_pool_plan": {"door": {"vrrp": True, "floats": True}, "member": {"agent": {"address": "192.0.2.10", "port": 8545, "doors": ["192.0.2.11"]}}},
        "_pool_metrics": "http://127.0.0.1:9180/metrics"}
WATCH = {"_vram_watch_service": "oracle", "_vram_watch_digest": "0" * 16}


def variables():
    """The demo's variables, and what is the same on every host: dict."""
    demo = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    shared = {name: value for role in ("preflight", "gateway", "observability", "networks", "inference_service") for name, value in
              read(role, "defaults/main.yml").items()}
    return {**shared, **{name: value for name, value in demo.items() if isinstance(value, (str, int))}, **SERVICE, **WATCH, **POOL}


def sources():
    """Every unit below roles: list of pathlib.Path, templates and plain files."""
    return sorted(path for path in ROLES.glob("*/*/*") if path.parent.name in ("files", "templates") and
                  path.name.removesuffix(".j2").rpartition(".")[2] in ("service", "timer", "socket", "path"))


def text_of(source, given=None):
    """A unit as it lies on the host: str.

    :param source: pathlib.Path, of :func:`sources`.
    :param given: dict of further variables of its template.
    """
    if source.suffix != ".j2":
        return source.read_text(encoding="utf-8")
    role = source.parents[1].name
    template = trust_as_template(source.read_text(encoding="utf-8"))
    # A backslash of a template is one on the host too: that is how the module template reads its files.
    return str(templar(role, {**variables(), **(given or {})}).template(template, escape_backslashes=False))


def name_of(source):
    """What systemd knows it by; two roles may have a unit of one name below their own folders: str."""
    return "%s-%s" % (source.parents[1].name, source.name.removesuffix(".j2"))
