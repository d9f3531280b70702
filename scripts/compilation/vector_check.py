"""Compare the vectors of an exported encoder with those of the trained pipeline, on real text, before anything is timed."""

import shutil
from typing import List, Sequence

import numpy
from spacy.tokens import Doc
from thinc.types import Floats2d

from ..common.console import UserError
from ..common.corpora import choose_docs, choose_evenly, copy_bare, copy_for_prediction
from ..compiled_transformer.component import FACTORY, CompiledTransformer
from ..compiled_transformer.windows import get_windows
from .artefact_writer import finish_artefact
from .candidates import Workbench
from .compilable import Compilable, list_poolings
from .export import sees_padding

MAX_DIFFERENCE = 1e-3  # Of a token's vector, relative to its length; float32 gives less than 1e-5.
WORDS = 2000  # Of text that is compared, at least where there are so many
LONGEST = 200  # Words of a text: the trained pipeline takes much memory for long ones, and cuts the end off.
# What exporters and engines say of these families says nothing to most people.
REASONS = {
    "longformer": "the windows of its attention are fixed when it is exported",
    "xmod": "its adapters are fixed to the length of a text when it is exported",
    "gpt_neox": "its mask can't be exported to ONNX",
    "qwen2": "its mask can't be exported to ONNX",
}


def check_vectors(workbench: Workbench, docs: Sequence[Doc]) -> float:
    """Check that an exported encoder gives the vectors that the trained pipeline's components read.

    workbench (Workbench): The trained pipeline; what is exported is kept for the candidates.
    docs (Sequence[Doc]): Real text.
    RETURNS (float): The largest difference of a token's vector, relative to its length.
    RAISES (UserError): If the encoder can't be exported, can't run, or gives other vectors, or the pieces differ.
    """
    reference = workbench.reference
    if not reference.listeners:
        return 0.0  # What comes of the output is compared, entity by entity.
    config = reference.encoder.config
    name = f"The encoder of {reference.path}, a {type(reference.encoder).__name__} ({config.model_type})"
    chosen = choose_evenly([doc for doc in docs if len(doc)], WORDS // 20)
    texts = choose_docs([copy_bare(doc[:LONGEST]) for doc in chosen], WORDS)
    reference.check_pieces(texts)
    prepared = prepare_docs(reference, texts)
    try:
        component = load_exported(workbench)
        prepared = [doc for doc in prepared if not is_split(component, doc)]
        found = component.predict(prepared)
    except Exception as error:  # Exporters and engines raise errors of many kinds.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = REASONS.get(config.model_type, f"its export to ONNX fails ({lines[0][:200].rstrip('.')})")
        raise UserError(
            f"{name}, can't be compiled, since {reason}: train with an encoder that docs/kinds.md lists."
        ) from error
    difference = get_difference(get_reference_vectors(reference, prepared), found)
    if difference > MAX_DIFFERENCE:
        raise UserError(
            f"{name}, can't be compiled, since its vectors would differ by {difference:.2g} of their length, where "
            f"{MAX_DIFFERENCE:g} is allowed: train with an encoder that docs/kinds.md lists."
        )
    return difference


def prepare_docs(reference: Compilable, docs: Sequence[Doc]) -> List[Doc]:
    """Run what comes before the listeners, the trained transformer included.

    docs (Sequence[Doc]): Real text; where an encoder sees padding, single windows of it, each by itself.
    RAISES (UserError): If a component fails.
    """
    nlp, name = reference.nlp, reference.transformer.name
    bare = [copy_for_prediction(doc, nlp) for doc in docs]
    exact = sees_padding(reference.encoder)
    try:
        with nlp.select_pipes(enable=nlp.pipe_names[: nlp.pipe_names.index(name)]):
            bare = list(nlp.pipe(bare))
        if exact:
            bare = [part for doc in bare for part in cut_windows(reference, doc)]
        return list(reference.transformer.pipe(bare, batch_size=1 if exact else 8))
    except Exception as error:  # spaCy passes on whatever a component's own code raises.
        raise UserError(f"The trained pipeline in {reference.path} failed: {str(error).rstrip('.')}.") from error


def cut_windows(reference: Compilable, doc: Doc) -> List[Doc]:
    """Make a Doc of each window."""
    settings = reference.settings
    windows = get_windows([doc], settings["spans"], settings.get("window", 1), settings.get("stride", 1))
    return [copy_bare(doc[start:end]) for start, end in windows]


def load_exported(workbench: Workbench) -> CompiledTransformer:
    """Make a compiled component of the encoder as it was exported, before any engine's own changes."""
    reference = workbench.reference
    folder = workbench.folder / "check"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(workbench.exported, folder / "encoder.onnx")
    finish_artefact(reference, folder, "onnxruntime", "fp32", inputs=workbench.inputs)
    component = reference.nlp.create_pipe(FACTORY, config=reference.settings).from_disk(folder)
    shutil.rmtree(folder)
    return component


def is_split(component: CompiledTransformer, doc: Doc) -> bool:
    """Tell whether a Doc has windows of more wordpieces than the encoder takes, whose end the reference cuts off."""
    segmented = component.encoder.segmentation([doc], component.model.attrs)
    n_windows = len(segmented.windows)
    return len(segmented.get_wordpieces(0, n_windows).lengths) > n_windows


def get_reference_vectors(reference: Compilable, docs: List[Doc]) -> List[Floats2d]:
    """Read the token vectors of Docs as the listeners do, those of all ways of pooling side by side."""
    by_pooling = {
        listener.pooling: listener.layer for listeners in reference.listeners.values() for listener in listeners
    }
    layers = [by_pooling[pooling] for pooling in list_poolings(reference)]
    return [numpy.concatenate([layer.predict([doc])[0] for layer in layers], axis=1) for doc in docs]


def get_difference(expected: Sequence[Floats2d], found: Sequence[Floats2d]) -> float:
    """Find the largest difference of a token's vector, relative to its length.

    RETURNS (float): The difference; infinite where a vector isn't there, or not a number.
    """
    if not expected:
        return 0.0
    one, other = numpy.concatenate(expected), numpy.concatenate(found)
    differences, lengths = numpy.linalg.norm(other - one, axis=1), numpy.linalg.norm(one, axis=1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        relative = numpy.where(differences == 0, 0.0, differences / lengths)
    return float(numpy.nan_to_num(relative, nan=numpy.inf).max(initial=0.0))
