"""Trees with what only root can make: devices, and layers with overlayfs's own marks, which lie over one another as overlayfs lays them."""
import os
import stat

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree


def test_devices_are_not_opened(tmp_path):
    (tmp_path / "file").write_text("inside")
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    tree = FolderTree([str(tmp_path)])
    assert [path for path, _node in tree.walk()] == ["/file"]
    assert tree.read_text("/null") is None
    with pytest.raises(OSError, match="not a regular file"):
        with tree.open("/null"):
            pass
    tree.close()


def test_layers(tmp_path):
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for folder in ("kept", "opaque", "replaced", "gone"):
        (lower / folder).mkdir(parents=True)
        (lower / folder / "low").write_text("low")
    for folder in ("kept", "opaque"):
        (upper / folder).mkdir(parents=True)
        (upper / folder / "up").write_text("up")
    (upper / "replaced").write_text("a file now")
    (lower / "both").write_text("low")
    (upper / "both").write_text("up")
    os.mknod(upper / "gone", stat.S_IFCHR, 0)
    os.setxattr(upper / "opaque", "trusted.overlay.opaque", b"y")
    tree = FolderTree([str(upper), str(lower)])
    assert sorted(path for path, _node in tree.walk()) == ["/both", "/kept/low", "/kept/up", "/opaque/up", "/replaced"]
    assert tree.read_text("/both") == "up"
    assert tree.resolve("/gone/low") == tree.resolve("/opaque/low") == tree.resolve("/replaced/low") == (None, None)
    tree.close()
