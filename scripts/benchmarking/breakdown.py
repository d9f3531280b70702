"""Look into the compiled pipeline: its stages, what the encoder is given, and how close it comes to the limit."""

from typing import Any, Dict, List, Optional

from ..compiled_transformer.observation import ENCODER
from .process import PipelineProcess

WORDS = 10_000  # The stages are told in seconds for so many.


def measure_breakdown(compiled: PipelineProcess, texts: List[str], batch_size: int, rounds: int) -> Dict[str, Any]:
    """Run the stages of the compiled pipeline one after the other.

    compiled (PipelineProcess): The compiled pipeline.
    texts (List[str]): What to run.
    batch_size (int): Docs of a batch.
    rounds (int): Rounds that count, after one that warms up. The fastest is taken, as it is for the machine's peak.
    RETURNS (Dict[str, Any]): The "stages", the "wordpieces" and the "encoder".
    """
    profiles = [compiled.stages(texts, batch_size) for _ in range(rounds + 1)][1:]
    fastest = min(profiles, key=lambda profile: sum(profile["seconds"].values()))
    return {
        "stages": {"batch_size": batch_size, **share_out(fastest["seconds"], fastest["words"])},
        "wordpieces": describe_wordpieces(fastest["load"], fastest["words"]),
        "encoder": compare_with_peak(
            compiled.architecture(), fastest["load"], fastest["seconds"][ENCODER], compiled.peak_rate()
        ),
    }


def share_out(seconds: Dict[str, float], words: int) -> Dict[str, Any]:
    """Divide the time among the stages.

    RETURNS (Dict[str, Any]): By stage the "seconds" for 10,000 words and their "share", and the "sum" of all.
    """
    together = sum(seconds.values())
    return {
        "seconds": {name: WORDS * value / words for name, value in seconds.items()},
        "share": {name: value / together for name, value in seconds.items()},
        "sum": WORDS * together / words,
    }


def describe_wordpieces(load: Dict[str, Any], words: int) -> Dict[str, float]:
    """Describe what the encoder is given.

    tokens, and which share of the text's is "overlap": seen before in another window.
    RETURNS (Dict[str, float]): What shares of the wordpieces that the encoder is given are "padding" and "special"
    """
    return {
        "per_word": load["distinct"] / words,
        "per_window": load["real"] / load["windows"],
        "padding": 1 - load["real"] / load["padded"],
        "special": (load["real"] - load["text"]) / load["padded"],
        "overlap": 1 - load["distinct"] / load["text"],
    }


def compare_with_peak(
    architecture: Dict[str, int], load: Dict[str, Any], seconds: float, peak: Optional[float]
) -> Dict[str, Any]:
    """Set the encoder's operations against those that the engine could have made of large matrix products.

    peak (Optional[float]): Operations a second, None if there is no measurement for the engine.
    RETURNS (Dict[str, Any]): The "architecture", operations a second of "real" and of all "padded" wordpieces, the
        "peak", and the "share" of it.
    """
    rates = {
        name: count_operations(architecture, load[name], load["squares"][name]) / seconds for name in ("real", "padded")
    }
    share = {name: rate / peak for name, rate in rates.items()} if peak else None
    return {"architecture": architecture, **rates, "peak": peak, "share": share}


def count_operations(architecture: Dict[str, int], wordpieces: int, squares: int) -> int:
    """Count multiplications and additions of an encoder's matrix products; those of what lies between are few.

    wordpieces (int): Of all windows.
    squares (int): Sum of the squared lengths of all windows, for attention.
    RETURNS (int): Operations. Fewer than those of encoders with more than BERT's products, such as DeBERTa.
    """
    width, intermediate = architecture["width"], architecture["intermediate"]
    # Query, key, value and output, two layers forward, then wordpieces with wordpieces: scores and the mean by them.
    products = wordpieces * (4 * width * width + 2 * width * intermediate) + squares * 2 * width
    return 2 * architecture["layers"] * products
