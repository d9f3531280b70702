"""Score a trained and the compiled pipeline with spaCy's own evaluation, and compare all that they annotate."""

from pathlib import Path
from typing import Any, Dict, Iterator, Sequence, Tuple

import spacy
import tqdm
from wasabi import msg

from .. import compiled_transformer  # noqa: F401
from ..common.annotations import annotate, collect
from ..common.calibration import measure_calibration
from ..common.corpora import load_docs
from ..common.files import check_folder
from ..common.pipelines import check_pipelines, find_folder, require_gpu
from ..common.reporting import write_json, write_reports
from .agreement import choose_compared, compare
from .scores import score
from .tables import make_agreement_table

# By kind of annotation, the scores by their names in spaCy
SCORES = {
    "entities": {"ents_f": "Entity F1", "ents_p": "Entity precision", "ents_r": "Entity recall"},
    "tags": {"tag_acc": "Tag accuracy"},
    "parts_of_speech": {"pos_acc": "Part-of-speech accuracy"},
    "morphs": {"morph_acc": "Morph accuracy"},
    "lemmas": {"lemma_acc": "Lemma accuracy"},
    "dependencies": {"dep_uas": "Dependency UAS", "dep_las": "Dependency LAS"},
    "sentences": {"sents_f": "Sentence F1"},
    "categories": {"cats_score": "Category score"},
}
SIDES = ("reference", "compiled")


def evaluate(
    reference: Path, compiled: Path, corpus: Path, metrics_dir: Path, *, gpu: int = -1, silent: bool = True
) -> Dict[str, Dict[str, Any]]:
    """Write reference.json, compiled.json and agreement.json, all or none.

    reference (Path): Folder of the trained pipeline.
    compiled (Path): Folder of the compiled pipeline.
    corpus (Path): Annotated corpus in .spacy format.
    metrics_dir (Path): Folder for the three files.
    gpu (int): GPU to use, -1 for the CPU.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Dict[str, Any]]): The scores of the "reference" and the "compiled" pipeline, as spaCy names them, and
        the "agreement" of all that they annotate, see `agreement.compare`, with the kinds for which there is "gold". The
        compiled pipeline's "calibration" says how far the confidence of its entities can be trusted.
    RAISES (UserError): If a pipeline, the corpus or the GPU is missing or can't be used.
    """
    paths = dict(zip(SIDES, (find_folder(reference), find_folder(compiled))))
    check_pipelines(*paths.values())
    check_folder(metrics_dir)
    gold = load_docs(corpus)
    docs = choose_compared(gold, str(corpus))
    require_gpu(gpu)
    progress = tqdm.tqdm(paths.items(), disable=silent, leave=False)
    found, annotations = {}, []
    for name, path in progress:
        progress.set_description(f"Evaluating {name}")
        found[name] = score(path, corpus, gpu)
        nlp = spacy.load(path)
        annotations.append(annotate(nlp, docs))
        if name == "compiled":
            found[name]["calibration"] = measure_calibration(nlp, gold)
    found["agreement"] = compare(*annotations, docs, str(corpus))
    found["agreement"]["gold"] = sorted({kind for doc in docs for kind in collect(doc)})
    write_reports({metrics_dir / f"{name}.json": write_json(of_name) for name, of_name in found.items()})
    return found


def print_scores(found: Dict[str, Dict[str, Any]]) -> None:
    """Print the scores side by side, those of each head for which there is gold, and the agreement of each head.

    found (Dict[str, Dict[str, Any]]): What `evaluate` returns.
    """
    reference, compiled = (found[name] for name in SIDES)
    pairs = dict(list_scores(reference, compiled, found["agreement"]["gold"]))
    by_label = [scores.get("ents_per_type") or {} for scores in (reference, compiled)]
    for label in sorted({*by_label[0], *by_label[1]}):
        # A label that is not in gold is in the scores of the pipeline that found it only.
        pairs[f"F1 of {label}"] = tuple(scores.get(label, {"f": 0.0})["f"] for scores in by_label)
    if pairs:
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
    table = make_agreement_table(found["agreement"])
    msg.table(table.rows, title=table.title, header=table.header, aligns=table.aligns, divider=True)
    msg.text(table.note)
    if compiled.get("calibration") is not None:
        print_calibration(compiled["calibration"])


def list_scores(
    reference: Dict[str, Any], compiled: Dict[str, Any], gold: Sequence[str]
) -> Iterator[Tuple[str, Tuple[float, float]]]:
    """List the scores that both pipelines have, of kinds of annotation for which there is gold.

    YIELDS (Tuple[str, Tuple[float, float]]): A title, and the score of either.
    """
    spans = {key: f"Span F1, {key[6:-2]}" for key in reference if key.startswith("spans_") and key.endswith("_f")}
    titles = {key: title for kind in gold for key, title in {**SCORES, "spans": spans}[kind].items()}
    for key, title in titles.items():
        pair = reference.get(key), compiled.get(key)
        if None not in pair:
            yield title, pair


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
