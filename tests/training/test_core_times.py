"""A training beside other programs: torch's threads don't spin, and it says that it has to wait."""

import subprocess
import sys
from time import thread_time

import pytest

from scripts.training.core_times import CoreTimes, read_core_times

from .. import helpers


@pytest.mark.parametrize(
    "ran, waited, share",
    [(10.0, 0.0, None), (10.0, 4.0, None), (6.0, 4.0, "40%"), (10.0, 30.0, "75%"), (0.0, 0.0, None)],
)
def test_says_that_it_waits(ran, waited, share):
    found = CoreTimes(100 + ran, 50 + waited).describe_waiting(CoreTimes(100, 50))
    assert found is None if share is None else share in found


@pytest.mark.skipif(sys.platform != "linux", reason="read from Linux's files")
def test_times_of_this_process_are_read():
    before, start = read_core_times(), thread_time()
    while thread_time() - start < 0.2:
        pass
    assert read_core_times().ran - before.ran >= 0.19
    assert read_core_times().waited >= before.waited


def test_threads_are_told_before_torch_is_imported():
    code = "import os, sys, scripts.common.console, scripts.training; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=helpers.ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["passive", "False"]
