"""A copy of a working tree, for tests that change it."""
import shutil
import subprocess


def git(tree, *words):
    return subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=True).stdout


def copy(tree, to):
    """The files of a working tree that git tracks or would track, links as links, as a repository of their own: some tests ask git.

    :param tree: pathlib.Path.
    :param to: pathlib.Path, an empty folder.
    """
    for name in filter(None, git(tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")):
        source, target = tree / name, to / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git(to, "init", "--quiet")
    git(to, "add", "--all")
