"""Score a trained and the compiled pipeline with spaCy's own evaluation."""

from pathlib import Path
from typing import Any, Dict

import tqdm
from wasabi import msg

from .. import compiled_transformer  # noqa: F401
from ..common.calibration import measure_calibration
from ..common.corpora import read_corpus
from ..common.files import check_folder
from ..common.pipelines import check_pipelines, find_folder, require_gpu
from ..common.reporting import write_json, write_reports
from .scores import score

SCORES = {"ents_f": "Entity F1", "ents_p": "Entity precision", "ents_r": "Entity recall"}


def evaluate(
    reference: Path, compiled: Path, corpus: Path, metrics_dir: Path, *, gpu: int = -1, silent: bool = True
) -> Dict[str, Dict[str, Any]]:
    """Write reference.json and compiled.json, both or none.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    corpus (Path): Annotated corpus in .spacy format.
    metrics_dir (Path): Folder for the two files.
    gpu (int): GPU to use, -1 for the CPU.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Dict[str, Any]]): The scores of the "reference" and the "compiled" pipeline, as spaCy names them.
        The latter's "calibration" says how far the confidence of its entities can be trusted.
    RAISES (UserError): If a pipeline, the corpus or the GPU is missing or can't be used.
    """
    reference, compiled = find_folder(reference), find_folder(compiled)
    check_pipelines(reference, compiled)
    check_folder(metrics_dir)
    gold = read_corpus(corpus)
    require_gpu(gpu)
    progress = tqdm.tqdm({"reference": reference, "compiled": compiled}.items(), disable=silent, leave=False)
    scores = {}
    for name, path in progress:
        progress.set_description(f"Evaluating {name}")
        scores[name] = score(path, corpus, gpu)
    scores["compiled"]["calibration"] = measure_calibration(compiled, gold)
    write_reports({metrics_dir / f"{name}.json": write_json(found) for name, found in scores.items()})
    return scores


def print_scores(reference: Dict[str, Any], compiled: Dict[str, Any]) -> None:
    """Print the scores side by side, over all and by label.

    reference (Dict[str, Any]): Scores of the trained pipeline, as spaCy names them.
    compiled (Dict[str, Any]): Scores of the compiled pipeline.
    """
    pairs = {title: (reference[key], compiled[key]) for key, title in SCORES.items()}
    by_label = reference["ents_per_type"], compiled["ents_per_type"]
    for label in sorted({*by_label[0], *by_label[1]}):
        # A label that is not in gold is in the scores of the pipeline that found it only.
        pairs[f"F1 of {label}"] = tuple(scores.get(label, {"f": 0.0})["f"] for scores in by_label)
    msg.table(
        [
            # Adding 0.0 takes the sign from a difference of -0.00.
            (title, f"{100 * before:.2f}", f"{100 * after:.2f}", f"{round(100 * (after - before), 2) + 0.0:+.2f}")
            for title, (before, after) in pairs.items()
        ],
        header=("", "Reference", "Compiled", "Difference"),
        aligns=("l", "r", "r", "r"),
        divider=True,
    )
    if compiled.get("calibration") is not None:
        print_calibration(compiled["calibration"])


def print_calibration(calibration: Dict[str, Any]) -> None:
    """Print how far the confidence of the compiled pipeline's entities can be trusted."""
    error = "Expected calibration error"
    msg.table(
        [
            ("Entities found", f"{calibration['entities']:,}"),
            (f"{error} without temperature", f"{100 * calibration['ece_before']:.2f}"),
            (f"{error} with temperature {calibration['temperature']:.2f}", f"{100 * calibration['ece_after']:.2f}"),
            ("By chance, if confidence were exact", f"{100 * calibration['ece_by_chance']:.2f}"),
        ],
        header=("Confidence", "Compiled"),
        aligns=("l", "r"),
        max_col=60,
        divider=True,
    )
