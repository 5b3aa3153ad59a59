"""Becomes another program: drops root where it is told to, asks to die with the parent, then replaces itself.

Run by path with ``python -I -S``, so it may import nothing but the standard library; ``local/process.py`` and
``openssh.py`` write its command line. The work is done here and not in ``preexec_fn``, because the parent may have
threads.

    launch.py MODE UID GID SIGNAL PARENT PROGRAM ARGUMENT...

MODE is ``keep`` (stay who you are), ``switch`` (become UID and GID) or ``namespace`` (a user namespace in which the
caller is UID and GID).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_CLONE_NEWUSER = 0x10000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_WATCH_INTERVAL_S = 0.5


def main(words: list[str]) -> None:
    """Does what the module says; it returns only by raising OSError."""
    mode, uid, gid, death_signal, parent, program, *arguments = words
    if mode == "switch":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    elif mode == "namespace":
        _enter_namespace(int(uid), int(gid))
    # After the change of user: the kernel forgets the death signal whenever the credentials change.
    if sys.platform == "linux":
        _check(_libc().prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))
    else:
        _watch(int(parent))
    if os.getppid() != int(parent):  # it died before the signal was asked for
        sys.exit("the parent is gone")
    os.execv(program, [program, *arguments])  # noqa: S606  # no shell is wanted


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _check(_libc().unshare(_CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _watch(owner: int) -> None:
    """Leaves a process behind that ends this one when the owner is gone (macOS has no death signal)."""
    server = os.getpid()
    if os.fork():
        return
    os.closerange(0, 256)  # or the server's pipes would never end
    while os.getppid() == server:
        if not _alive(owner):
            os.kill(server, signal.SIGKILL)
        time.sleep(_WATCH_INTERVAL_S)
    os._exit(0)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main(sys.argv[1:])
