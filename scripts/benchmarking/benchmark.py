"""Measure a trained and the compiled pipeline, side by side."""

import contextlib
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy
import tqdm
from spacy.tokens import Doc

from ..common.console import UserError
from ..common.corpora import choose_documents, choose_sentences, load_docs, require_sentences, write_docs
from ..common.files import check_folder
from ..common.machine import describe_machine, get_size_mb
from ..common.pipelines import check_pipelines, find_folder, read_engine, require_gpu
from ..common.reporting import write_json, write_reports, write_text
from .agreement import choose_compared, compare
from .breakdown import WORDS, measure_breakdown
from .lengths import compare_length, list_lengths
from .plots import draw_length_plot, draw_plot
from .process import PipelineError, PipelineProcess
from .tables import make_markdown
from .timing import BATCH_SIZES, Throughput, choose_batch_texts, compare_latency, compare_throughput, summarize


def benchmark(
    reference: Path,
    compiled: Path,
    corpus: Path,
    metrics_dir: Path,
    *,
    gpu: int = -1,
    rounds: int = 3,
    n_words: int = 20000,
    n_sentences: int = 100,
    longest: int = 100000,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write benchmark.json, benchmark.md, benchmark.png and benchmark-length.png, all four or none.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    corpus (Path): Corpus in .spacy format, with sentences.
    metrics_dir (Path): Folder for the four files.
    gpu (int): GPU to use, -1 for the CPU.
    rounds (int): Rounds that count, after one that warms up.
    n_words (int): Words of the documents for the throughput, at least.
    n_sentences (int): Sentences, and documents, for the latency.
    longest (int): Words of the longest document.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to benchmark.json.
    RAISES (UserError): If a pipeline, the corpus or the GPU is missing, or a pipeline fails.
    """
    reference, compiled = find_folder(reference), find_folder(compiled)
    check_pipelines(reference, compiled)
    engine = read_engine(compiled)
    check_folder(metrics_dir)
    docs = load_docs(corpus)
    compared = choose_compared(docs, str(corpus))
    require_gpu(gpu)
    require_sentences(docs, corpus)
    texts = choose_batch_texts(docs, n_words)
    single_texts = {
        "latency_sentence": choose_sentences(docs, n_sentences),
        "latency_document": choose_documents(docs, n_sentences),
    }
    try:
        pipelines = PipelinePair(reference, compiled, gpu)
        agreement = measure_agreement(pipelines, compared, corpus, silent=silent)
        metrics = measure(pipelines, texts, single_texts, docs, longest=longest, rounds=rounds, silent=silent)
    except PipelineError as error:
        raise UserError(
            f"A pipeline failed while it was measured: {str(error).rstrip('.')}. "
            "Check both with `python -m spacy project run evaluate`."
        ) from error
    metrics["measured"].update(engine, corpus=corpus.name)
    metrics["agreement"] = agreement
    write_reports(
        {
            metrics_dir / "benchmark.json": write_json(metrics),
            metrics_dir / "benchmark.md": write_text(make_markdown(metrics)),
            metrics_dir / "benchmark.png": partial(draw_plot, metrics),
            metrics_dir / "benchmark-length.png": partial(draw_length_plot, metrics),
        }
    )
    return metrics


class PipelinePair:
    """The trained and the compiled pipeline.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    gpu (int): GPU to use, -1 for the CPU.
    """

    def __init__(self, reference: Path, compiled: Path, gpu: int) -> None:
        self.paths = (reference, compiled)
        self.gpu = gpu
        self.load_seconds: List[Tuple[float, float]] = []  # Of each start

    @contextlib.contextmanager
    def start(self) -> Iterator[Tuple[PipelineProcess, PipelineProcess]]:
        """Have both loaded inside the block, each in a process that has run nothing yet.

        RAISES (PipelineError): If one can't be loaded.
        """
        first, second = self.paths
        with PipelineProcess(first, gpu=self.gpu) as reference, PipelineProcess(second, gpu=self.gpu) as compiled:
            self.load_seconds.append((reference.load_seconds, compiled.load_seconds))
            yield reference, compiled


def measure_agreement(pipelines: PipelinePair, docs: List[Doc], corpus: Path, *, silent: bool) -> Dict[str, Any]:
    """Compare all that two pipelines annotate.

    RETURNS (Dict[str, Any]): See `agreement.compare`.
    RAISES (PipelineError): If a pipeline fails.
    """
    with tempfile.TemporaryDirectory() as folder, pipelines.start() as processes:
        path = Path(folder) / "compared.spacy"
        write_docs(docs, path)
        progress = tqdm.tqdm(processes, unit="pipeline", desc="Comparing annotations", disable=silent, leave=False)
        annotations = [process.annotations(path) for process in progress]
    return compare(*annotations, docs, str(corpus))


def measure(
    pipelines: PipelinePair,
    texts: List[str],
    single_texts: Dict[str, List[str]],
    docs: Sequence[Doc],
    *,
    longest: int,
    rounds: int,
    silent: bool,
) -> Dict[str, Any]:
    """Measure two pipelines in turn.

    pipelines (PipelinePair): Both.
    texts (List[str]): Texts for the throughput.
    single_texts (Dict[str, List[str]]): Texts that run one at a time, by the name of the measure.
    docs (Sequence[Doc]): The corpus that documents of any length are made from.
    longest (int): Words of the longest of them.
    RETURNS (Dict[str, Any]): The "machine", what was "measured", the "reference", "compiled" and their "speedup", and
        of the compiled pipeline the "stages", the "wordpieces" and the "encoder".
    RAISES (PipelineError): If a pipeline fails.
    """
    latencies: Dict[str, List[Dict[str, float]]] = {}  # the reference's and the compiled pipeline's, as all below
    throughputs: Dict[str, Throughput] = {}
    peaks: Dict[str, List[float]] = {}
    lengths = list_lengths(longest)
    n_steps = len(single_texts) + len(BATCH_SIZES) + 2 + len(lengths)
    with tqdm.tqdm(total=n_steps, unit="step", disable=silent, leave=False) as progress:
        with pipelines.start() as (reference, compiled):
            for name, singles in single_texts.items():
                progress.set_description(name.capitalize().replace("_", " of a "))
                latencies[name] = [summarize(times) for times in compare_latency(reference, compiled, singles, rounds)]
                progress.update()
            for batch_size in BATCH_SIZES:
                progress.set_description(f"Throughput in batches of {batch_size}")
                # Later ones find both pipelines warm with the same texts.
                is_first = batch_size == BATCH_SIZES[0]
                throughput = compare_throughput(reference, compiled, texts, batch_size, rounds, warm_up=is_first)
                throughputs[str(batch_size)] = throughput
                peaks[str(batch_size)] = [reference.peak_memory(), compiled.peak_memory()]
                progress.update()
            best_sizes = [choose_best(throughputs, side) for side in range(2)]
            progress.set_description("Throughput in the best batches of each")
            best = compare_throughput(
                reference, compiled, texts, best_sizes[0], rounds, compiled_batch_size=best_sizes[1], warm_up=False
            )
            progress.update()
            progress.set_description("Stages of the compiled pipeline")
            breakdown = measure_breakdown(compiled, texts, best_sizes[1], rounds)
            progress.update()
            words = compiled.throughput(texts, best_sizes[1])["words"]
        by_length = measure_lengths(pipelines, docs, lengths, rounds, progress)
    # The first start may wait for the disk; the median doesn't.
    load_seconds = numpy.median(pipelines.load_seconds, axis=0).tolist()
    breakdown["stages"]["pipe"] = WORDS / float(numpy.median(best.compiled))
    sides = [
        {
            "throughput": {size: float(numpy.median(speeds[side])) for size, speeds in throughputs.items()},
            "throughput_best": float(numpy.median(best[side])),
            "best_batch_size": best_sizes[side],
            **{name: summaries[side] for name, summaries in latencies.items()},
            "load_seconds": load_seconds[side],
            "peak_memory_mb": max(pair[side] for pair in peaks.values()),
            "peak_memory_mb_by_batch": {size: pair[side] for size, pair in peaks.items()},
            "size_mb": get_size_mb(pipelines.paths[side]),
            "lengths": by_length[side],
        }
        for side in range(2)
    ]
    return {
        "machine": describe_machine(pipelines.gpu),
        "measured": {
            "texts": len(texts),
            "words": words,
            "rounds": rounds,
            "loads": len(pipelines.load_seconds),
            **{name.replace("latency_", "") + "s": len(singles) for name, singles in single_texts.items()},
        },
        "reference": sides[0],
        "compiled": sides[1],
        "speedup": {
            "throughput": {size: speeds.speedup for size, speeds in throughputs.items()},
            "throughput_interval": {size: speeds.interval() for size, speeds in throughputs.items()},
            "throughput_best": best.speedup,
            "throughput_best_interval": best.interval(),
            **{f"{name}_p50": before["p50"] / after["p50"] for name, (before, after) in latencies.items()},
        },
        **breakdown,
    }


def choose_best(throughputs: Dict[str, Throughput], side: int) -> int:
    """Choose the batch size in which a pipeline does most words a second."""
    return int(max(throughputs, key=lambda size: numpy.median(throughputs[size][side])))


def measure_lengths(
    pipelines: PipelinePair, docs: Sequence[Doc], lengths: List[int], rounds: int, progress: tqdm.tqdm
) -> List[Dict[str, Dict[str, float]]]:
    """Measure cost against the length of a document, in processes that have run nothing else, because of their memory.

    RETURNS (List[Dict[str, Dict[str, float]]]): Of the reference and of the compiled pipeline, by length, see
        `compare_length`; the reference has none of the longest.
    """
    sides: List[Dict[str, Dict[str, float]]] = [{}, {}]
    with pipelines.start() as (reference, compiled):
        for length in lengths:
            progress.set_description(f"Documents of {length:,} words")
            for side, result in zip(sides, compare_length(reference, compiled, docs, length, rounds)):
                if result:
                    side[str(length)] = result
            progress.update()
    return sides
