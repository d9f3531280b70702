"""A training takes the cores that it may use."""

import os

import pytest
import torch

from scripts.training.threads import limit_threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux keeps a process to some cores")
def test_torch_has_a_thread_for_each_core_that_may_be_used(monkeypatch):
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        torch.set_num_threads(3)
        os.sched_setaffinity(0, {min(cores)})
        limit_threads()
        assert torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        torch.set_num_threads(3)
        limit_threads()
        assert torch.get_num_threads() == 3
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
