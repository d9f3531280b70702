"""Search the fastest candidate that passes the gate, and keep it."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Dict, List

from ..benchmarking.process import PipelineError, PipelineProcess
from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.machine import describe_machine, get_size_mb
from ..common.pipelines import find_folder, require_gpu
from ..common.reporting import write_json, write_reports, write_text
from .candidates import Workbench, get_candidates
from .gate import Gate
from .reference import load_reference
from .search import SEARCH, Row, Search, Trial, get_key, load_rows, start_trial
from .search_report import make_markdown, print_rows, save_plot
from .selection import OBJECTIVES, choose, copy_chosen

# Below this F1 the reference has not learned enough for a drop to mean anything.
USELESS_F1 = 0.1


@dataclass(frozen=True)
class SearchSettings:
    """What is searched, and how long.

    gate (Gate): What may be lost.
    objective (str): "throughput", "latency" or "size".
    budget (float): Minutes after which no further candidate is started; the first one always is.
    portable (bool): Keep an fp32 encoder beside a fast one, for CPUs that lack what the fast one needs.
    gpu (int): GPU of the reference, -1 for the CPU, without any candidate for a GPU.
    """

    gate: Gate = Gate()
    objective: str = "throughput"
    budget: float = 10.0
    portable: bool = False
    gpu: int = -1


def optimize(
    reference_path: Path,
    output: Path,
    train: Path,
    dev: Path,
    metrics_dir: Path,
    settings: SearchSettings = SearchSettings(),
    *,
    silent: bool = True,
) -> Dict[str, Any]:
    """Try all candidates and write the best pipeline that passes the gate.

    reference_path (Path): The trained pipeline: a folder, or the name of an installed package.
    output (Path): The compiled pipeline. What is there stays until another one has passed.
    train (Path): Train corpus, for calibration.
    dev (Path): Annotated corpus for the gate.
    metrics_dir (Path): Gets optimize.json, optimize.md and optimize.png.
    settings (SearchSettings): What is searched, and how long.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): What is written to optimize.json.
    RAISES (UserError): If the pipeline can't be compiled, or no candidate passes the gate.
    """
    gate, objective, gpu = settings.gate, settings.objective, settings.gpu
    if objective not in OBJECTIVES:
        raise UserError(f"Unknown objective {objective!r}. Choose one of: {', '.join(OBJECTIVES)}.")
    require_gpu(gpu)
    reference_path = find_folder(reference_path)
    folder = output.absolute().with_name(f"{output.absolute().name}-candidates")
    check_folders(reference_path, output, folder)
    gold = read_corpus(dev)
    workbench = Workbench(load_reference(reference_path), read_corpus(train), gold, gate.max_f1_drop, folder)
    try:
        process = PipelineProcess(reference_path, gpu=gpu)
    except PipelineError as error:
        raise UserError(f"Can't run the pipeline in {reference_path}: {error}") from error
    finished = load_rows(folder, get_key(reference_path, [train, dev], gate, gpu, objective))
    try:
        with process:
            trial = start_trial(workbench, process, dev, gate, objective, gpu)
            search = Search(trial, finished, settings.budget, silent)
            search.try_candidates(get_candidates())
            search.try_settings()
            rows = search.rows
    except PipelineError as error:
        raise UserError(
            f"The trained pipeline failed: {str(error).rstrip('.')}. Once that is fixed, the same command goes on from here."
        ) from error
    report = {
        "machine": describe_machine(gpu),
        "objective": objective,
        "gate": gate._asdict(),
        "reference": describe_reference(reference_path, trial, rows),
        "warnings": get_warnings(trial, rows),
        "chosen": choose(rows, objective),
        "candidates": rows,
    }
    if report["chosen"] is not None:
        copy_chosen(folder, output, trial.transformer, report, portable=settings.portable)
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
        what = "keeps the entities of" if is_rejected else "could be built and compared with"
        raise UserError(
            f"No candidate {what} {reference_path}, so {output} was not written. "
            f"See {metrics_dir / 'optimize.json'} for the reasons."
        )
    shutil.rmtree(folder)
    return report


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
    return {
        "path": str(path),
        "ents_f": trial.scores.ents_f,
        "by_label": trial.scores.by_label,
        "words_per_second": median(row["reference_words_per_second"] for row in timed) if timed else None,
        "p50_ms": median(row["reference_p50_ms"] for row in timed) if timed else None,
        "size_mb": get_size_mb(path),
    }


def get_warnings(trial: Trial, rows: List[Row]) -> List[str]:
    """Say in sentences what makes the gate's answer doubtful."""
    warnings = []
    n_entities = sum(len(doc.ents) for doc in trial.workbench.dev)
    if trial.scores.ents_f < USELESS_F1:
        warnings.append(
            f"The reference's own F1 on dev is {trial.scores.ents_f:.4f}: it has hardly learned anything, so the gate can't "
            "tell what is lost. Train longer before you trust the result."
        )
    widths = [row["drop_interval"][1] - row["drop"] for row in rows if row.get("drop_interval")]
    if widths and max(widths) > trial.gate.max_f1_drop:
        warnings.append(
            f"Dev is too small to tell drops of {trial.gate.max_f1_drop} from chance: with its {n_entities} entities the "
            f"95% interval of a drop reaches {max(widths):.4f} further. Use a larger dev corpus."
        )
    return warnings
