"""Measure the trained and the compiled pipeline and their peers in turn."""

import contextlib
import importlib.util
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy
import tqdm
from spacy.tokens import Doc

from ..benchmarking.process import PipelineError
from ..benchmarking.timing import Throughput, take_turns
from ..common.console import UserError
from ..common.corpora import choose_docs, read_corpus, require_sentences
from ..common.machine import describe_machine
from ..common.pipelines import check_pipelines
from ..common.reporting import write_json, write_reports, write_text
from .peer_process import PeerProcess
from .peer_report import make_markdown
from .peer_runtimes import COMPILED, DOCUMENTS, PEERS, STOCK

BATCH_SIZES = (1, 8, 32)
PACKAGES = ("optimum", "nebullvm")
INSTALL = "python -m pip install optimum==2.1.0 optimum-onnx==0.1.0 && python -m pip install --no-deps nebullvm==0.10.0"


class Setting(NamedTuple):
    """What the texts of a peer are, and how many are in a batch."""

    unit: str
    batch_size: int


def compare(
    reference: Path,
    compiled: Path,
    corpus: Path,
    metrics_dir: Path,
    *,
    rounds: int = 3,
    n_words: int = 10000,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write peers.json and peers.md, both or none.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    corpus (Path): Corpus in .spacy format, with sentences.
    metrics_dir (Path): Folder for the two files.
    rounds (int): Rounds that count, after those that find the best batches.
    n_words (int): Words of the documents, at least.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to peers.json.
    RAISES (UserError): If a pipeline, the corpus or a package is missing, or one of the two pipelines fails.
    """
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(
            f"Not installed: {' and '.join(missing)}. Make an environment for this comparison, with requirements.txt "
            f"and these: {INSTALL}."
        )
    check_pipelines(reference, compiled)
    docs = choose_docs(read_corpus(corpus), n_words)
    require_sentences(docs, corpus)
    peers, failed = measure(reference, compiled, docs, rounds, silent)
    metrics = {
        "machine": describe_machine(),
        "measured": {
            "corpus": corpus.name,
            "documents": len(docs),
            "words": sum(map(len, docs)),
            "rounds": rounds,
        },
        "peers": peers,
        "failed": failed,
    }
    write_reports(
        {
            metrics_dir / "peers.json": write_json(metrics),
            metrics_dir / "peers.md": write_text(make_markdown(metrics)),
        }
    )
    return metrics


def measure(
    reference: Path, compiled: Path, docs: List[Doc], rounds: int, silent: bool
) -> Tuple[Dict[str, Dict[str, Any]], Dict[str, str]]:
    """Measure all peers in turn.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    docs (List[Doc]): What they run on, with sentences.
    rounds (int): Rounds that count, after those that find the best batches.
    silent (bool): Show no progress bar.
    RETURNS (Tuple): By name the numbers of the peers that run, and the reasons why others don't.
    RAISES (UserError): If one of the two pipelines fails.
    """
    words = sum(map(len, docs))
    processes: Dict[str, PeerProcess] = {}
    settings: Dict[str, Setting] = {}
    failed: Dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for name in tqdm.tqdm(PEERS, unit="peer", desc="Preparing", disable=silent, leave=False):
            try:
                process = stack.enter_context(PeerProcess(name, compiled if name == COMPILED else reference))
                settings[name] = choose_setting(process, PEERS[name].units, docs)
                processes[name] = process
            except PipelineError as error:
                if name in (STOCK, COMPILED):
                    raise UserError(f"A pipeline failed: {str(error).rstrip('.')}.") from error
                failed[name] = str(error)
        runs = {
            name: partial(process.throughput, get_texts(docs, settings[name].unit), settings[name].batch_size)
            for name, process in processes.items()
        }
        results = take_turns(runs, tqdm.trange(rounds, unit="round", desc="Timing", disable=silent, leave=False))
        speeds = {name: [words / result["seconds"] for result in of_peer] for name, of_peer in results.items()}
        peers = {
            name: {
                "title": PEERS[name].title,
                "words_per_second": float(numpy.median(speeds[name])),
                **describe_ratio(Throughput(speeds[STOCK], speeds[name])),
                **settings[name]._asdict(),
                "peak_memory_mb": process.peak_memory(),
            }
            for name, process in processes.items()
        }
    return peers, failed


def choose_setting(process: PeerProcess, units: Sequence[str], docs: List[Doc]) -> Setting:
    """Find the setting in which a peer is fastest.

    process (PeerProcess): The peer.
    units (Sequence[str]): What its texts may be.
    docs (List[Doc]): What it runs on.
    RETURNS (Setting): Unit and batch size.
    """
    seconds: Dict[Setting, float] = {}
    for unit in units:
        texts = get_texts(docs, unit)
        process.throughput(texts[:1], 1)
        for batch_size in BATCH_SIZES:
            seconds[Setting(unit, batch_size)] = process.throughput(texts, batch_size)["seconds"]
    return min(seconds, key=seconds.get)


def get_texts(docs: Sequence[Doc], unit: str) -> List[str]:
    """List the texts of Docs, or of their sentences.

    docs (Sequence[Doc]): The Docs.
    unit (str): DOCUMENTS or SENTENCES.
    """
    if unit == DOCUMENTS:
        return [doc.text for doc in docs]
    return [sent.text for doc in docs for sent in doc.sents]


def describe_ratio(throughput: Throughput) -> Dict[str, Any]:
    """Say how many times as fast as stock a peer is, with the interval of it."""
    return {"ratio": throughput.speedup, "ratio_interval": throughput.interval()}
