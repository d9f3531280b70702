"""Memory that a training doesn't need any more."""

import ctypes
import os

STEPS_BETWEEN = 10  # one time and the next


def give_back_memory() -> None:
    """Give what the C library keeps of freed memory back to the system.

    Batches have other lengths in each step, and glibc keeps the holes that those before have left: a training took one gigabyte
    more after 150 steps, and several later. Nothing happens where there is another C library.
    """
    # The library that this process runs with: to look for one by its name would start another process each time.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
