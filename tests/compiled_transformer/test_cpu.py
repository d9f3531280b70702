"""The cores that a process may use."""

import os

import pytest

from scripts.compiled_transformer.cpu import available_cores, get_threads


@pytest.mark.parametrize(
    "content, cores", [("150000 100000", 2), ("400000 100000", 4), ("1000 100000", 1), ("max 100000", 9), (None, 9)]
)
def test_threads_stay_within_the_quota_of_a_container(tmp_path, monkeypatch, content, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(9)), raising=False)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.CPU_QUOTA", tmp_path / "cpu.max")
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert available_cores() == cores
    assert get_threads({"threads": None}) == cores
    assert get_threads({"threads": 3}) == 3
