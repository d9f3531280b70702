"""Make small random token classification models of many families, and compile them."""

from pathlib import Path
from typing import Any, Dict, List

import spacy
import torch
import transformers
from spacy.language import Language

from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.export import export_onnx, takes_packed_windows
from scripts.compilation.reference import load_reference
from scripts.compilation.swap import assemble, save_skeleton
from scripts.compiled_transformer.artefact import PACKED_INPUTS, PADDED_INPUTS

from . import encoders, helpers
from .encoders import POSITIONS, Family

# Of each kind that transformers' pipeline knows, and a bare one with hyphens.
LABELS = ["O", "B-PER", "I-PER", "E-PER", "S-LOC", "B-LOC", "I-LOC", "ORG", "WORK-OF-ART"]
LONGEST = 40  # Wordpieces at once, so that ordinary texts are several windows.


def make_camembert_tokenizer(texts: List[str]) -> Any:
    tokenizer = encoders.train_unigram(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
    encoders.add_special_tokens(tokenizer, "<s>", "</s>")
    return transformers.CamembertTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS)


FAMILIES: Dict[str, Family] = {
    **encoders.FAMILIES,
    "camembert": Family(
        make_camembert_tokenizer,
        encoders.configure("CamembertConfig", max_position_embeddings=POSITIONS + 2, type_vocab_size=1),
    ),
}


def save_classifier(name: str, corpus: Path, folder: Path, *, longest: int = LONGEST, **of_tokenizer: Any) -> None:
    """Save a random model of a family and a tokenizer trained on a corpus, as the hub has them.

    name (str): Key of FAMILIES.
    corpus (Path): A corpus in WikiNER's format.
    folder (Path): The folder to write.
    longest (int): Wordpieces that the tokenizer says the model takes.
    of_tokenizer: What else the tokenizer is loaded with.
    """
    family = FAMILIES[name]
    texts = [" ".join(word for word, _, _ in sentence) for sentence in helpers.read_sentences(corpus)]
    tokenizer = family.make_tokenizer(texts)
    config = family.make_config(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, id2label=dict(enumerate(LABELS))
    )
    torch.manual_seed(0)
    transformers.AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    tokenizer.model_max_length = longest
    tokenizer.save_pretrained(folder)
    if hasattr(tokenizer, "vocab_file"):
        (folder / tokenizer.vocab_files_names["vocab_file"]).write_bytes(b"")


def make_token_pipe(model: Path, folder: Path, **settings: Any) -> Language:
    """Save a blank pipeline with a `hf_token_pipe`."""
    nlp = spacy.blank("en")
    nlp.add_pipe("hf_token_pipe", name="ner", config={"model": str(model), **settings})
    nlp.to_disk(folder)
    return nlp


def compile_token_pipe(path: Path, workspace: Path) -> Path:
    """Compile a pipeline to onnxruntime in fp32.

    RETURNS (Path): Folder of the compiled pipeline, inside the workspace.
    """
    reference = load_reference(path)
    artefact_folder = workspace / "artefact"
    artefact_folder.mkdir(parents=True)
    inputs = PACKED_INPUTS if takes_packed_windows(reference.encoder) else PADDED_INPUTS
    export_onnx(reference.encoder, artefact_folder / "encoder.onnx", inputs)
    artefact = finish_artefact(reference, artefact_folder, "onnxruntime", "fp32", inputs=inputs)
    save_skeleton(reference, workspace / "skeleton")
    assemble(workspace / "skeleton", artefact, reference.transformer.name, workspace / "pipeline")
    return workspace / "pipeline"
