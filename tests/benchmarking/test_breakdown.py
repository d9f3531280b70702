"""Shares of the time, the wordpieces and the peak."""

import pytest

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.breakdown import compare_with_peak, count_operations, describe_wordpieces, share_out

BERT_BASE = {"layers": 12, "width": 768, "intermediate": 3072}


def test_shares_are_of_all_stages():
    shares = share_out({"one": 1.0, "three": 3.0}, words=2000)
    assert shares == {"seconds": {"one": 5.0, "three": 15.0}, "share": {"one": 0.25, "three": 0.75}, "sum": 20.0}


def test_shares_of_the_wordpieces():
    load = {"windows": 10, "text": 80, "distinct": 60.0, "real": 100, "padded": 160}
    assert describe_wordpieces(load, words=50) == {
        "per_word": 1.2, "per_window": 10, "padding": 0.375, "special": 0.125, "overlap": 0.25
    }  # fmt: skip


def test_operations_of_bert_base():
    """22.5 GFLOP for 128 wordpieces: 2 times its 85 million weights, and attention."""
    operations = count_operations(BERT_BASE, 128, 128**2)
    weights = 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert operations == 2 * 128 * weights + 12 * 4 * 128**2 * 768
    assert 22e9 < operations < 23e9


def test_encoder_compared_with_the_peak():
    load = {"real": 64, "padded": 128, "squares": {"real": 0, "padded": 0}}
    operations = count_operations(BERT_BASE, 128, 0)
    result = compare_with_peak(BERT_BASE, load, 2.0, peak=float(operations))
    assert result["padded"] == operations / 2
    assert result["share"] == {"real": pytest.approx(0.25), "padded": pytest.approx(0.5)}
    assert compare_with_peak(BERT_BASE, load, 2.0, peak=None)["share"] is None
