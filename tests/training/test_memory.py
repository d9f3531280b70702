"""A training gives memory back that it doesn't need any more."""

import sys

import psutil
import pytest

from scripts.training.memory import give_back_memory

SIZE, COUNT = 100_000, 2000  # Bytes of a block, below what glibc asks the system for one by one; 200 MB together


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_is_freed_between_what_is_kept_is_given_back():
    blocks = [bytearray(SIZE) for _ in range(COUNT)]
    full = psutil.Process().memory_info().rss
    # The last block stays, so that the heap can't shrink from its end.
    del blocks[:-1]
    give_back_memory()
    assert full - psutil.Process().memory_info().rss > 0.8 * SIZE * COUNT
