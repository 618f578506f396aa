"""Keep this process's memory and files to itself: each of ours may hold a token, and most hold a credential.

It is an outer wall only. Python cannot wipe memory, and root can read everything;
what this ends is a core file on disk, a debugger of the same user, and a file
that others may read.
"""

import os
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def confine() -> None:
    """Write no core, be read by no other process of this user, and create files for this user only.

    On Linux ``/proc/PID/environ``, ``mem`` and ``fd`` belong to root from now on, see prctl(2). A program that
    is started from here begins without the former and has to ask for it itself; limits and mask it inherits.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 -- nothing that other systems need

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
