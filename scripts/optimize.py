"""Find the fastest way to run a trained pipeline that keeps its entities.

The way of the data: training/model-best and corpus/{train,dev}.spacy -> training/model-compiled and metrics/optimize.*
"""

import shutil
from pathlib import Path
from statistics import median
from typing import Any, Dict, List

import srsly
import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .compilation.candidates import Workbench, get_candidates
from .compilation.choice import OBJECTIVES, choose, copy_chosen
from .compilation.gate import Gate, read_corpus
from .compilation.machine import describe_machine, get_size_mb
from .compilation.optimize_report import make_markdown, print_rows, save_plot
from .compilation.process import PipelineError, PipelineProcess
from .compilation.reference import load_reference, require_gpu
from .compilation.search import SEARCH, Row, Search, Trial, get_key, load_rows, start_trial
from .console import UserError, exit_on_user_error, replace_when_done

# Below this F1 the reference has not learned enough for a drop to mean anything.
USELESS_F1 = 0.1


def optimize_cli(
    # fmt: off
    reference: Path = Arg(..., help="Trained pipeline with a transformer and listeners; it is only read"),
    output: Path = Arg(..., help="Folder for the compiled pipeline"),
    train: Path = Arg(..., help="Train corpus, .spacy: its text calibrates int8"),
    dev: Path = Arg(..., help="Annotated .spacy corpus that decides whether entities were lost; never the test corpus"),
    metrics_dir: Path = Arg(..., help="Folder for optimize.json, optimize.md and optimize.png"),
    max_f1_drop: float = Opt(0.003, "--max-f1-drop", min=0.0, max=1.0, help="Most entity F1 (0 to 1) that may be lost"),
    max_label_drop: float = Opt(0.02, "--max-label-drop", min=0.0, max=1.0, help="Most F1 (0 to 1) that any one label may lose"),
    objective: str = Opt("throughput", "--objective", "-o", help=f"What is best: {', '.join(OBJECTIVES)}. With latency, engines for most sentences start when the pipeline is loaded"),
    budget: float = Opt(10.0, "--budget", "-b", min=0.0, help="Minutes after which no further candidate is started"),
    portable: bool = Opt(False, "--portable", "-p", help="Keep an fp32 encoder too, for CPUs that lack what the fast one needs"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU of the reference, -1 for the CPU. Candidates for a GPU are tried only with one"),
    # fmt: on
):
    """Compile the transformer of a trained pipeline, and prove that no entities were lost.

    Each candidate (an engine and a precision) becomes a real pipeline, is compared with the reference on the dev corpus
    by entity F1, and is timed against it on the same texts, in turn. Then other settings of the best one are tried.
    The best that passes is kept. A search that was stopped goes on where it stopped.
    """
    with exit_on_user_error():
        report = optimize(
            reference,
            output,
            train,
            dev,
            metrics_dir,
            gate=Gate(max_f1_drop, max_label_drop),
            objective=objective,
            budget=budget,
            portable=portable,
            gpu=gpu,
            silent=False,
        )
    print_rows(report)
    chosen = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    msg.good(f"Kept {report['chosen']} in {output}: {chosen['reason']}")


def optimize(
    reference_path: Path,
    output: Path,
    train: Path,
    dev: Path,
    metrics_dir: Path,
    *,
    gate: Gate,
    objective: str = "throughput",
    budget: float = 10.0,
    portable: bool = False,
    gpu: int = -1,
    silent: bool = True,
) -> Dict[str, Any]:
    """Try all candidates and write the best pipeline that passes the gate.

    reference_path (Path): The trained pipeline.
    output (Path): The compiled pipeline. What is there stays until another one has passed.
    train (Path): Train corpus, for calibration.
    dev (Path): Annotated corpus for the gate.
    metrics_dir (Path): Gets optimize.json, optimize.md and optimize.png.
    gate (Gate): What may be lost.
    objective (str): "throughput", "latency" or "size".
    budget (float): Minutes after which no further candidate is started; the first one always is.
    portable (bool): Keep an fp32 encoder beside a fast one, for CPUs that lack what the fast one needs.
    gpu (int): GPU of the reference, -1 for the CPU, without any candidate for a GPU.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): What is written to optimize.json.
    RAISES (UserError): If the pipeline can't be compiled, or no candidate passes the gate.
    """
    if objective not in OBJECTIVES:
        raise UserError(f"Unknown objective {objective!r}. Choose one of: {', '.join(OBJECTIVES)}.")
    require_gpu(gpu)
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
            search = Search(trial, finished, budget, silent)
            search.try_candidates(get_candidates())
            search.try_settings()
            rows = search.rows
    except PipelineError as error:
        raise UserError(
            f"The trained pipeline failed: {str(error).rstrip('.')}. Once that is mended, the same command goes on from here."
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
        copy_chosen(folder, output, trial.transformer, report, portable=portable)
    write_report(report, metrics_dir)
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
    """RAISES (UserError): If the search would replace the reference, or a folder that no search made."""
    reference, written = reference.resolve(), output.resolve()
    if reference == written or reference in written.parents or written in reference.parents:
        raise UserError(f"{output} can't be written: {reference}, which is only read, would change. Name another output.")
    if candidates.is_dir() and any(candidates.iterdir()) and not (candidates / SEARCH).is_file():
        raise UserError(f"{candidates} is where candidates are kept, but no search made it. Move it away, or name another output.")


def describe_reference(path: Path, trial: Trial, rows: List[Row]) -> Row:
    """RETURNS (Row): The reference's F1, and its speed as the median over the candidates it was timed against."""
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
    """RETURNS (List[str]): What makes the gate's answer doubtful, in sentences."""
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


def write_report(report: Dict[str, Any], metrics_dir: Path) -> None:
    with replace_when_done(metrics_dir / "optimize.json") as path:
        srsly.write_json(path, report)
    with replace_when_done(metrics_dir / "optimize.md") as path:
        path.write_text(make_markdown(report), encoding="utf8")
    with replace_when_done(metrics_dir / "optimize.png") as path:
        save_plot(report, path)


if __name__ == "__main__":
    typer.run(optimize_cli)
