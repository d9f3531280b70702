"""A benchmark that was never run."""

import pytest

from scripts.common.machine import describe_machine

from .results import BATCH_SIZES


@pytest.fixture
def made_up():
    """Metrics in which the compiled pipeline is 4 times as fast, 2 times as small and loads 5 times as fast."""

    def make_side(factor, longest):
        latency = {"mean": 12 / factor, "p50": 10 / factor, "p95": 16 / factor, "p99": 20 / factor}
        return {
            "throughput": {size: 1000.0 * factor for size in BATCH_SIZES},
            "throughput_best": 1100.0 * factor,
            "best_batch_size": 16 * factor,
            "latency_sentence": latency,
            "latency_document": {key: 10 * value for key, value in latency.items()},
            "peak_memory_mb_by_batch": {size: 600 / factor + int(size) for size in BATCH_SIZES},
            "lengths": {
                str(n): {
                    "words": n + 9.0, "words_per_second": 900.0 * factor, "peak_memory_mb": 500.0 + n / 1000,
                    "kib_per_word": 2.5,
                }
                for n in (100, 1000, 10000, 100000) if n <= longest
            },
        }  # fmt: skip

    return {
        "machine": {**describe_machine(), "cpu": "Made(R) Up(TM) CPU", "cores": 2},
        "measured": {
            "texts": 260, "words": 6012, "rounds": 5, "loads": 3, "sentences": 100, "documents": 50,
            "corpus": "test.spacy", "engine": "onnxruntime", "precision": "int8",
        },
        "reference": {**make_side(1, 10000), "load_seconds": 6.0, "peak_memory_mb": 900.0, "size_mb": 80.0},
        "compiled": {**make_side(4, 100000), "load_seconds": 1.2, "peak_memory_mb": 300.0, "size_mb": 40.0},
        "speedup": {
            "throughput": {size: 4.0 for size in BATCH_SIZES},
            "throughput_interval": {size: [3.9, 4.1] for size in BATCH_SIZES},
            "throughput_best": 4.0,
            "throughput_best_interval": [3.8, 4.2],
            "latency_sentence_p50": 4.0,
            "latency_document_p50": 4.0,
        },
        "agreement": {
            "words": 6012,
            "kinds": {
                "categories": {
                    "value": 0.99, "interval": [0.98, 1.0], "equal_docs": 0.99, "items": 520, "largest_difference": 0.02,
                },
                "entities": {
                    "value": 0.9871, "interval": [0.98, 0.99], "equal_docs": 0.95, "items": 1234,
                    "largest_difference": None,
                },
            },
        },
        "stages": {
            "batch_size": 64, "seconds": {"make_doc": 0.1, "encoder": 0.3},
            "share": {"make_doc": 0.25, "encoder": 0.75}, "sum": 0.4, "pipe": 0.35,
        },
        "wordpieces": {"per_word": 1.3, "per_window": 31.4, "padding": 0.2, "special": 0.06, "overlap": 0.0},
        "encoder": {
            "architecture": {"layers": 6, "width": 384, "intermediate": 1536}, "real": 6e11, "padded": 7.5e11,
            "peak": 1e12, "share": {"real": 0.6, "padded": 0.75},
        },
    }  # fmt: skip
