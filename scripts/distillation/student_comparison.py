"""Compare students with their teacher: score and time all on the same texts."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy
import tqdm
from spacy.tokens import Doc

from ..benchmarking.process import PipelineError, PipelineProcess
from ..benchmarking.scores import score
from ..benchmarking.timing import Throughput, choose_batch_texts, run_throughput, summarize, take_turns
from ..common.console import UserError
from ..common.corpora import choose_sentences, read_corpus
from ..common.machine import describe_machine, get_size_mb
from ..compilation.gate import get_drop
from .student_pipelines import Distillation, Student

BATCH_SIZE = 128
WORDS = 20000
SENTENCES = 100
ROUNDS = 5
TRAINED, COMPILED = "teacher", "teacher-compiled"

Row = Dict[str, Any]


def compare(distillation: Distillation, students: List[Student]) -> Row:
    """Score and time the teacher, trained and compiled, and its students.

    distillation (Distillation): What all students have in common.
    students (List[Student]): Its students.
    RETURNS (Row): What is written to distill.json.
    RAISES (UserError): If a pipeline fails.
    """
    gpu = distillation.settings.gpu
    compared = [
        Student(TRAINED, "teacher", distillation.teacher, "the trained pipeline", {}),
        Student(
            COMPILED, "teacher", distillation.compiled, "the same one, compiled; the others are compared with it", {}
        ),
        *students,
    ]
    paths = {student.name: student.path for student in compared}
    gold = {split: distillation.corpora[split] for split in ("dev", "test")}
    distillation.announce(f"Scores on dev and test, and speed on dev, of {len(paths)} pipelines")
    scores = score_pipelines(paths, gold, gpu)
    for of_pipeline in scores.values():
        for split, found in of_pipeline.items():
            found["drop"] = get_drop(scores[COMPILED][split]["ents_f"], found["ents_f"])
    try:
        speeds = time_pipelines(
            paths, COMPILED, read_corpus(gold["dev"]), rounds=ROUNDS, gpu=gpu, silent=distillation.silent
        )
    except PipelineError as error:
        raise UserError(f"A pipeline failed while it was measured: {str(error).rstrip('.')}.") from error
    return {
        "machine": describe_machine(gpu),
        "measured": {
            "corpus": gold["dev"].name,
            "words": WORDS,
            "sentences": SENTENCES,
            "batch_size": BATCH_SIZE,
            "rounds": ROUNDS,
        },
        "chosen": None,
        "pipelines": [
            {**student._asdict(), "path": str(student.path), **scores[student.name], **speeds[student.name]}
            for student in compared
        ],
    }


def score_pipelines(paths: Dict[str, Path], corpora: Dict[str, Path], gpu: int) -> Dict[str, Row]:
    """Score pipelines as `spacy evaluate` does.

    paths (Dict[str, Path]): Their folders by name.
    corpora (Dict[str, Path]): Annotated corpora by name, such as "dev".
    RETURNS (Dict[str, Row]): By pipeline and by corpus, entity F1, precision and recall and the F1 of each label.
    RAISES (UserError): If a pipeline finds no entities.
    """
    scores: Dict[str, Row] = {}
    for name, path in paths.items():
        scores[name] = {}
        for split, corpus in corpora.items():
            found = score(path, corpus, gpu)
            if found.get("ents_f") is None:
                raise UserError(f"The pipeline in {path} sets no entities. Use one with a component like `ner`.")
            kept = {key: found[key] for key in ("ents_f", "ents_p", "ents_r")}
            scores[name][split] = {**kept, "by_label": {label: of["f"] for label, of in found["ents_per_type"].items()}}
    return scores


def time_pipelines(
    paths: Dict[str, Path], baseline: str, docs: List[Doc], *, rounds: int, gpu: int = -1, silent: bool = True
) -> Dict[str, Row]:
    """Time pipelines in turn, each in a process of its own: a machine whose speed drifts treats all of them alike.

    paths (Dict[str, Path]): Their folders by name.
    baseline (str): Name of the one that the others are compared with.
    docs (List[Doc]): Texts, and their sentences for the latency.
    rounds (int): Rounds that count, after one that warms up.
    gpu (int): GPU to use, -1 for the CPU.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Row]): By pipeline, its speed, how many times the baseline's that is, latency, memory and size.
    RAISES (PipelineError): If a pipeline fails.
    """
    texts, sentences = choose_batch_texts(docs, WORDS), choose_sentences(docs, SENTENCES)
    with ExitStack() as stack:
        processes = {name: stack.enter_context(PipelineProcess(path, gpu=gpu)) for name, path in paths.items()}
        runs: Dict[Tuple[str, str], Callable[[], Any]] = {
            **{("speed", name): partial(run_throughput, of, texts, BATCH_SIZE) for name, of in processes.items()},
            **{("latency", name): partial(of.latency, sentences) for name, of in processes.items()},
        }
        results = take_turns(runs, tqdm.trange(rounds + 1, unit="round", desc="Timing", disable=silent, leave=False))
        counted = {key: of_round[1:] for key, of_round in results.items()}
        rows: Dict[str, Row] = {}
        for name, process in processes.items():
            speeds = Throughput(counted["speed", baseline], counted["speed", name])
            latency = summarize(1000 * numpy.asarray(counted["latency", name]))
            rows[name] = {
                "words_per_second": float(numpy.median(speeds.compiled)),
                "speedup": speeds.speedup,
                "speedup_interval": speeds.interval(),
                "p50_ms": latency["p50"],
                "p99_ms": latency["p99"],
                "load_seconds": process.load_seconds,
                "peak_memory_mb": process.peak_memory(),
                "size_mb": get_size_mb(paths[name]),
            }
        return rows
