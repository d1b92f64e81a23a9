"""Who is at work with this checkout: ./bunker deploy reads its files while it runs, and ./bunker upgrade puts others in their place.

Deployments share the lock, an upgrade has it alone. The kernel ends it with the processes that hold it. The hosts have a lock of their own (play_lock), which
also keeps plays of other checkouts and machines apart.
"""
import fcntl
import os
import pathlib
import subprocess
import time

HELD = "BUNKER_CHECKOUT_HELD"
"""In the environment of what an upgrade calls: the lock is its caller's."""


def path(root):
    """Where the lock is, in the checkout's own git folder; None without one, where nothing could be checked out either."""
    try:
        done = subprocess.run(["git", "-C", str(root), "rev-parse", "--git-path", "bunker.lock"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return pathlib.Path(root, done.stdout.strip()) if done.returncode == 0 else None


def take(root, who, alone):
    """Takes the lock for this process and what it becomes.

    :param root: the checkout.
    :param who: the command, for whoever is refused because of it.
    :param alone: whether nobody else may have it.
    :returns: the file descriptor that holds it, None where there is nothing to lock or the caller has it.
    :raises SystemExit: somebody else has it; with a sentence that says who and what to do.
    """
    file = path(root)
    if file is None or os.environ.get(HELD):
        return None
    held = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(held, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(held, 500).decode("utf-8", "replace").strip() or "somebody"
        os.close(held)
        raise SystemExit("bunker: %s: this checkout is in use by %s. An upgrade puts other files in the place of those that a deployment reads, so nothing was "
                         "changed. Wait for its end, or take another checkout: git worktree add FOLDER" % (who, holder)) from None
    os.ftruncate(held, 0)
    os.pwrite(held, ("%s (process %d, since %s)\n" % (who, os.getpid(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))).encode("utf-8"), 0)
    os.set_inheritable(held, True)
    return held
