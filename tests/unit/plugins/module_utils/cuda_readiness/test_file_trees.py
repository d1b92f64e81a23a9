"""Trees: nothing leads outside, and layers lie over one another as overlayfs lays them."""
import os
import stat

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree, pseudo_devices


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "root" / "folder").mkdir(parents=True)
    (tmp_path / "root" / "file").write_text("inside")
    return tmp_path / "root"


@pytest.fixture
def tree(root):
    tree = FolderTree([str(root)])
    yield tree
    tree.close()


def text(tree, path):
    return tree.read_text(path)


def test_links_stay_inside(root, tree):
    for name, target in (("up", "../../../../secret"), ("absolute", "/secret"), ("through", "folder/../../secret"), ("folder/far", "../../../secret")):
        (root / name).symlink_to(target)
        assert tree.resolve("/" + name) == (None, None), name
    (root / "secret").write_text("inside too")
    for name in ("up", "absolute", "through", "folder/far"):
        assert text(tree, "/" + name) == "inside too", name
    assert text(tree, "/../../../secret") == "inside too"


def test_circles_and_long_chains_end(root, tree):
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "self").symlink_to("self/x")
    assert tree.resolve("/a") == tree.resolve("/self") == (None, None)
    (root / "folder" / "back").symlink_to("..")
    assert len(list(tree.walk())) == 1


def test_pipes_and_devices_are_not_opened(root, tree):
    os.mkfifo(root / "pipe")
    os.mknod(root / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert [path for path, _node in tree.walk()] == ["/file"]
    assert text(tree, "/pipe") is None
    with pytest.raises(OSError, match="not a regular file"):
        with tree.open("/pipe"):
            pass


def test_a_folder_that_becomes_a_link_is_not_followed(root, tree):
    """What a running container may do between our look and our access."""
    (root / "folder" / "file").write_text("x")
    os.rename(root / "folder", root / "moved")
    (root / "folder").symlink_to("..")
    with pytest.raises(OSError):
        with tree.open("/folder/secret"):
            pass


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
    assert text(tree, "/both") == "up"
    assert tree.resolve("/gone/low") == tree.resolve("/opaque/low") == tree.resolve("/replaced/low") == (None, None)
    tree.close()


def test_file_systems_of_the_kernel_are_left_out():
    line = "%d %d %s / %s rw shared:1 - %s none rw\n"
    assert pseudo_devices(line % (1, 2, "0:21", "/proc", "proc") + line % (2, 2, "8:1", "/", "ext4")) == {os.makedev(0, 21)}
