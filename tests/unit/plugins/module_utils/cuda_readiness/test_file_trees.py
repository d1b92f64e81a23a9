"""Trees: nothing leads outside."""
import os

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


def test_pipes_are_not_opened(root, tree):
    """Devices: tests/cuda/test_special_files.py, which makes them as root."""
    os.mkfifo(root / "pipe")
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


def test_file_systems_of_the_kernel_are_left_out():
    line = "%d %d %s / %s rw shared:1 - %s none rw\n"
    assert pseudo_devices(line % (1, 2, "0:21", "/proc", "proc") + line % (2, 2, "8:1", "/", "ext4")) == {os.makedev(0, 21)}
