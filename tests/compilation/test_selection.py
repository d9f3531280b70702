"""The best candidate that passed is chosen, the simpler one of a tie."""

import pytest

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation import selection as choice
from scripts.compilation.candidates import get_candidates
from scripts.compilation.selection import NOISE, choose


def make_row(name, *, speedup=1.0, latency_speedup=1.0, size_mb=10.0, status="passed", **fields):
    return {
        "name": name, "engine": "onnxruntime", "precision": "fp32", "settings": {}, "reason": "F1 is the same",
        "speedup": speedup, "latency_speedup": latency_speedup, "size_mb": size_mb, "status": status, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("objective,chosen", [("throughput", "wide"), ("latency", "quick"), ("size", "small")])
def test_objective_decides(objective, chosen):
    rows = [
        make_row("plain"),
        make_row("wide", speedup=4.0, engine="openvino"),
        make_row("quick", latency_speedup=3.0, engine="openvino", precision="bf16"),
        make_row("small", size_mb=3.0, engine="torch"),
    ]
    assert choose(rows, objective) == chosen
    assert [row["name"] for row in rows if row["status"] == "chosen"] == [chosen]
    for row in rows:
        expected = f"best {objective}" if row["name"] == chosen else f"than {chosen}"
        assert row["reason"].startswith("F1 is the same; ")
        assert expected in row["reason"]


@pytest.mark.parametrize("objective,number", [("throughput", "speedup"), ("latency", "latency_speedup")])
def test_ties_go_to_the_simpler(objective, number):
    within, beyond = 5.0 * (1 - NOISE / 2), 5.0 * (1 - 2 * NOISE)
    rows = [
        make_row("slow", **{number: beyond}),
        make_row("fast", engine="openvino", precision="int8", **{number: 5.0}),
        make_row("set", engine="openvino", settings={"threads": 1}, **{number: within}),
        make_row("simple", engine="openvino", **{number: within}),
        make_row("later", engine="openvino", **{number: within}),
        make_row("torch", engine="torch", **{number: within}),
    ]
    assert choose(rows, objective) == "simple"
    reasons = {row["name"]: row["reason"] for row in rows}
    assert "slower than simple" in reasons["slow"]
    for name in ("fast", "set", "later", "torch"):
        assert "equal to simple within the noise, which is simpler" in reasons[name]


def make_finalist(name, rounds, **fields):
    return make_row(name, rounds=rounds, reference_rounds=[1000.0] * len(rounds), **fields)


def test_own_speed_in_the_final_decides():
    """Whatever the ratio to the reference was, which may have had a slow moment."""
    rows = [
        make_finalist("lucky", [8218.0] * 7, speedup=8.46),
        make_finalist("fast", [13231.0] * 7, speedup=6.0, engine="openvino", precision="int8"),
        make_row("outside", speedup=20.0),
    ]
    assert choose(rows, "throughput") == "fast"
    assert "slower than fast" in rows[0]["reason"]


def test_final_without_a_difference_goes_to_the_simpler():
    """Each is faster in some rounds: the interval of the ratio in the same round holds 1."""
    noisy = [100.0, 60.0, 110.0, 55.0, 100.0, 58.0, 105.0]
    rows = [
        make_finalist("simple", [95.0, 66.0, 100.0, 61.0, 92.0, 63.0, 99.0]),
        make_finalist("int8", noisy, engine="openvino", precision="int8"),
    ]
    assert choose(rows, "throughput") == "simple"


def test_latency_in_the_final_is_better_when_less():
    rows = [make_finalist("slow", [4.0] * 7), make_finalist("quick", [2.0] * 7, engine="openvino")]
    assert choose(rows, "latency") == "quick"


def test_what_did_not_pass_is_not_chosen():
    rows = [make_row(status, speedup=9.0, status=status) for status in ("rejected", "failed", "skipped")]
    assert choose(rows, "throughput") is None
    assert {row["reason"] for row in rows} == {"F1 is the same"}
    rows.append(make_row("passed", speedup=0.5))
    assert choose(rows, "throughput") == "passed"


def test_all_candidates_can_be_compared():
    candidates = get_candidates()
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        assert choice.get_complexity(make_row("", engine=candidate.engine, precision=candidate.precision))
