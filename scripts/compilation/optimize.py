"""Search the fastest candidate that passes the gate, and keep it."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from ..benchmarking.process import PipelineError, PipelineProcess
from ..common.console import UserError
from ..common.corpora import choose_docs, load_docs, write_docs
from ..common.documents import read_documents
from ..common.files import replace_when_done
from ..common.machine import describe_machine, get_size_mb
from ..common.pipelines import find_folder, require_gpu
from ..common.reporting import write_json, write_reports, write_text
from .candidates import Candidate, Workbench, get_candidates
from .final import hold_final, is_noisy
from .gate import Gate
from .leftovers import get_leftover_warnings
from .reference import load_reference
from .search import NOT_TRIED, SEARCH, Search, get_key, load_rows
from .search_report import make_markdown, print_rows, save_plot
from .selection import OBJECTIVES, choose, copy_chosen
from .temperature import calibrate
from .trial import Row, Trial, start_trial
from .vector_check import check_vectors

# Below this F1 the reference has not learned enough for a drop to mean anything.
USELESS_F1 = 0.1
# Words that the annotations are compared on, at least where there are so many: gold, then --text, then train.
COMPARED_WORDS = 20_000


@dataclass(frozen=True)
class SearchSettings:
    """What is searched, and how long.

    gate (Gate): What may be lost.
    objective (str): "throughput", "latency" or "size".
    budget (float): Minutes after which no further candidate is started; the first one always is.
    names (Sequence[str]): Names of the candidates to try, all if empty.
    portable (bool): Keep an fp32 encoder beside a fast one, for CPUs that lack what the fast one needs.
    gpu (int): GPU of the reference, -1 for the CPU, without any candidate for a GPU.
    """

    gate: Gate = Gate()
    objective: str = "throughput"
    budget: float = 10.0
    names: Sequence[str] = ()
    portable: bool = False
    gpu: int = -1


@dataclass(frozen=True)
class Texts:
    """What candidates are calibrated, gated and timed on; at least one of the three.

    train (Optional[Path]): Train corpus, for calibration.
    dev (Optional[Path]): Corpus with gold entities, for the gate.
    text (Optional[Path]): More text, not annotated, for all three.
    """

    train: Optional[Path] = None
    dev: Optional[Path] = None
    text: Optional[Path] = None

    @property
    def paths(self) -> List[Path]:
        """Those that are there."""
        return [path for path in (self.train, self.dev, self.text) if path is not None]


def optimize(
    reference_path: Path,
    output: Path,
    texts: Texts,
    metrics_dir: Path,
    settings: SearchSettings = SearchSettings(),
    *,
    silent: bool = True,
) -> Dict[str, Any]:
    """Try all candidates and write the best pipeline that passes the gate.

    reference_path (Path): The trained pipeline: a folder, or the name of an installed package.
    output (Path): The compiled pipeline. What is there stays until another one has passed.
    texts (Texts): What candidates are calibrated, gated and timed on.
    metrics_dir (Path): Gets optimize.json, optimize.md and optimize.png.
    settings (SearchSettings): What is searched, and how long.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): What is written to optimize.json.
    RAISES (UserError): If the pipeline can't be compiled, or no candidate passes the gate.
    """
    gate, objective, gpu = settings.gate, settings.objective, settings.gpu
    candidates = choose_candidates(settings)
    require_gpu(gpu)
    reference_path = find_folder(reference_path)
    folder = output.absolute().with_name(f"{output.absolute().name}-candidates")
    check_folders(reference_path, output, folder)
    reference = load_reference(reference_path)
    leftovers = get_leftover_warnings(reference.nlp, reference.transformer.name)
    train, gold, others = read_all(texts, reference.nlp)
    finished = load_rows(folder, get_key(reference_path, texts.paths, gate, gpu, objective))
    compared = [*gold, *choose_docs([*others, *train], max(0, COMPARED_WORDS - sum(map(len, gold))))]
    workbench = Workbench(reference, train or others or gold, gold, gate.max_f1_drop, folder)
    try:
        check_vectors(workbench, compared)
    except UserError:
        if not finished:
            shutil.rmtree(folder)
        raise
    try:
        process = PipelineProcess(reference_path, gpu=gpu)
    except PipelineError as error:
        raise UserError(f"Can't run the pipeline in {reference_path}: {error}") from error
    write_docs(compared, folder / "compared.spacy")
    try:
        with process:
            trial = start_trial(workbench, process, folder / "compared.spacy", gate, objective, gpu)
            search = Search(trial, finished, settings.budget, silent)
            search.try_candidates(candidates)
            search.try_settings()
            rows = search.rows
            hold_final(trial, rows, silent)
    except PipelineError as error:
        raise UserError(
            f"The trained pipeline failed: {str(error).rstrip('.')}. Once that is fixed, the same command goes on from here."
        ) from error
    report = {
        "machine": describe_machine(gpu),
        "objective": objective,
        "gate": gate._asdict(),
        "compared": {"docs": len(compared), "words": sum(map(len, compared)), "with_gold": len(gold)},
        "reference": describe_reference(reference_path, trial, rows),
        "warnings": [*leftovers, *get_warnings(trial, rows)],
        "chosen": choose(rows, objective),
        "candidates": rows,
    }
    if report["chosen"] is not None:
        with replace_when_done(output) as unfinished:
            copy_chosen(folder, unfinished, trial.transformer, report, portable=settings.portable)
            report["calibration"] = calibrate(unfinished, gold)
    write_reports(
        {
            metrics_dir / "optimize.json": write_json(report),
            metrics_dir / "optimize.md": write_text(make_markdown(report)),
            metrics_dir / "optimize.png": partial(save_plot, report),
        }
    )
    if report["chosen"] is None:
        print_rows(report)
        is_rejected = any(row["status"] == "rejected" for row in rows)
        what = "keeps what" if is_rejected else "could be built and compared with what"
        raise UserError(
            f"No candidate {what} {reference_path} annotates, so {output} was not written. "
            f"See {metrics_dir / 'optimize.json'} for the reasons."
        )
    shutil.rmtree(folder)
    return report


def choose_candidates(settings: SearchSettings) -> List[Candidate]:
    """List the candidates that are asked for.

    RAISES (UserError): If the objective or a name is unknown.
    """
    if settings.objective not in OBJECTIVES:
        raise UserError(f"Unknown objective {settings.objective!r}. Choose one of: {', '.join(OBJECTIVES)}.")
    candidates = {candidate.name: candidate for candidate in get_candidates()}
    unknown = [name for name in settings.names if name not in candidates]
    if unknown:
        raise UserError(f"--candidates: there is no {unknown[0]!r}. Choose from: {', '.join(candidates)}.")
    return [candidates[name] for name in settings.names] or list(candidates.values())


def read_all(texts: Texts, nlp: Language) -> Tuple[List[Doc], List[Doc], List[Doc]]:
    """Read all texts.

    RETURNS (Tuple[List[Doc], List[Doc], List[Doc]]): The Docs of train, those with gold entities, and others.
    RAISES (UserError): If there are none, or a file can't be read.
    """
    if not texts.paths:
        raise UserError("There is no text to compare pipelines on. Give a train and a dev corpus, or `--text`.")
    train = load_docs(texts.train) if texts.train is not None else []
    dev = load_docs(texts.dev) if texts.dev is not None else []
    has_gold = any(doc.ents for doc in dev)
    others = read_documents(texts.text, nlp) if texts.text is not None else []
    return train, dev if has_gold else [], others if has_gold else [*dev, *others]


def check_folders(reference: Path, output: Path, candidates: Path) -> None:
    """Check that the search replaces neither the reference nor a folder that no search made.

    RAISES (UserError): If the search would replace the reference, or a folder that no search made.
    """
    reference, written = reference.resolve(), output.resolve()
    if reference == written or reference in written.parents or written in reference.parents:
        raise UserError(
            f"{output} can't be written: {reference}, which is only read, would change. Name another output."
        )
    if candidates.is_dir() and any(candidates.iterdir()) and not (candidates / SEARCH).is_file():
        raise UserError(
            f"{candidates} is where candidates are kept, but no search made it. Move it away, or name another output."
        )


def describe_reference(path: Path, trial: Trial, rows: List[Row]) -> Row:
    """Describe the reference: its F1, and its speed as the median over the candidates it was timed against."""
    timed = [row for row in rows if "speedup" in row]
    scores = trial.evidence.scores
    return {
        "path": str(path),
        "ents_f": scores.ents_f if scores else None,
        "by_label": scores.by_label if scores else {},
        "words_per_second": median(row["reference_words_per_second"] for row in timed) if timed else None,
        "p50_ms": median(row["reference_p50_ms"] for row in timed) if timed else None,
        "size_mb": get_size_mb(path),
    }


def get_warnings(trial: Trial, rows: List[Row]) -> List[str]:
    """Say in sentences what makes the gate's answer, or the numbers, doubtful."""
    warnings = []
    scores = trial.evidence.scores
    if scores is not None and scores.ents_f < USELESS_F1:
        warnings.append(
            f"The reference's own F1 on dev is {scores.ents_f:.4f}: it has hardly learned anything, so the gate can't "
            "tell what is lost. Train longer before you trust the result."
        )
    widths = [row["drop_interval"][1] - row["drop"] for row in rows if row.get("drop_interval")]
    if widths and max(widths) > trial.gate.max_f1_drop:
        n_entities = sum(len(doc.ents) for doc in trial.workbench.dev)
        warnings.append(
            f"Dev is too small to tell drops of {trial.gate.max_f1_drop} from chance: with its {n_entities} entities the "
            f"95% interval of a drop reaches {max(widths):.4f} further. Use a larger dev corpus."
        )
    if not any(trial.evidence.annotations):
        warnings.append("The reference annotates nothing in these texts, so nothing could be lost. Give other texts.")
    not_tried = [row["name"] for row in rows if row["reason"].startswith(NOT_TRIED)]
    if not_tried:
        warnings.append(f"The budget ended before {', '.join(not_tried)}: give a larger --budget to try them.")
    if is_noisy(rows):
        warnings.append(
            "The machine was busy with other work: the reference itself ran at different speeds in the final. "
            "The choice was made in the same rounds; the speed-ups are rough."
        )
    return warnings
