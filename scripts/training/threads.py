"""Threads that a training computes with."""

import os

import torch

from ..compiled_transformer.cpu import available_cores


def limit_threads() -> None:
    """Have torch compute with as many threads as this container may use cores, where OMP_NUM_THREADS says nothing else.

    torch would start one for each core of the host.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cores())
