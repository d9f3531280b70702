"""Pipelines with a token classification model of transformers: `hf_token_pipe` of spacy-huggingface-pipelines."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..common.console import UserError
from ..common.corpora import choose_evenly
from ..compiled_transformer.artefact import TOKENIZER, read_tokenizer
from ..compiled_transformer.overlapping_segmentation import OVERLAPPING, OverlappingSegmentation
from ..compiled_transformer.token_classification import DEFAULT_CONFIG
from ..compiled_transformer.token_classification import FACTORY as COMPILED
from ..compiled_transformer.wordpieces import Wordpieces
from .compilable import Listener, Segments, why_missing
from .export import get_max_length

FACTORY = "hf_token_pipe"
PACKAGE = "spacy_huggingface_pipelines"
REQUIREMENT = "spacy-huggingface-pipelines>=0.0.4,<1.0.0"
# Names that transformers has for the architectures that are compared with their originals in the tests.
ARCHITECTURES = {
    "bert": "BERT",
    "roberta": "RoBERTa",
    "distilbert": "DistilBERT",
    "xlm-roberta": "XLM-R",
    "camembert": "CamemBERT",
    "electra": "ELECTRA",
    "deberta": "DeBERTa",
    "deberta-v2": "DeBERTa-v2",
}
OTHER_ENCODERS = ("transformer", "curated_transformer", "hf_text_pipe")  # They would bring torch along.
SETTINGS = ("aggregation_strategy", "annotate", "annotate_spans_key", "alignment_mode", "scorer")


class TokenPipeReference:
    """A pipeline with a `hf_token_pipe`, see `Compilable`.

    path (Path): Its folder.
    nlp (Language): The loaded pipeline.
    transformer (Pipe): Its `hf_token_pipe`.
    """

    factory = COMPILED
    listeners: Dict[str, List[Listener]] = {}  # Nothing reads its vectors.

    def __init__(self, path: Path, nlp: Language, transformer: Pipe) -> None:
        self.path = path
        self.nlp = nlp
        self.transformer = transformer
        self.encoder: PreTrainedModel = transformer.hf_pipeline.model
        self.tokenizer: PreTrainedTokenizerFast = transformer.hf_pipeline.tokenizer
        check_model(self.encoder, self.tokenizer, path)
        self.max_length = get_max_length(self.encoder, self.tokenizer)
        self.settings = get_settings(nlp.config["components"][transformer.name])
        room = self.max_length - self.tokenizer.num_special_tokens_to_add()
        if self.settings["stride"] >= room:
            raise UserError(
                f"The `{FACTORY}` in {path} has a stride of {self.settings['stride']}, and its model takes {room} wordpieces of "
                f"a text at once. Set at most {room - 1}."
            )

    @property
    def width(self) -> int:
        """Number of labels."""
        return self.encoder.config.num_labels

    def check_pieces(self, docs: List[Doc]) -> None:
        """Check nothing: the tokenizer is fast, and is compiled as it is."""

    def cut_windows(self, docs: List[Doc], most: int) -> Wordpieces:
        """Tokenize Docs, and choose some of their windows."""
        tokenizer = read_tokenizer(self.tokenizer.backend_tokenizer.to_str().encode("utf8"))
        segmentation = OverlappingSegmentation(tokenizer, self.max_length, self.tokenizer.unk_token_id)
        segmented = segmentation(choose_evenly(docs, most), self.settings)
        windows = [
            segmented.get_wordpieces(number, number + 1)
            for number in choose_evenly(range(len(segmented.windows)), most)
        ]
        return Wordpieces(*(numpy.concatenate([window[field] for window in windows]) for field in range(4)))

    def write_segmentation(self, folder: Path) -> Segments:
        """Write the tokenizer, and name the labels."""
        (folder / TOKENIZER).write_text(self.tokenizer.backend_tokenizer.to_str(), encoding="utf8")
        labels = [self.encoder.config.id2label[number] for number in range(self.width)]
        segmentation = {"pieces": OVERLAPPING, "unk_id": self.tokenizer.unk_token_id}
        return Segments({"segmentation": segmentation, "labels": labels}, [])


def why_no_token_pipe() -> Optional[str]:
    """Say why pipelines with a `hf_token_pipe` can't be loaded here, see `why_missing`."""
    return why_missing(PACKAGE, REQUIREMENT)


def read_token_pipe(path: Path, nlp: Language) -> TokenPipeReference:
    """Check that a loaded pipeline can be compiled.

    path (Path): Folder of the pipeline.
    RETURNS (TokenPipeReference): What the compilation has to know of it.
    RAISES (UserError): If it can't, with the reason.
    """
    names = [name for name in nlp.pipe_names if nlp.get_pipe_meta(name).factory in (FACTORY, *OTHER_ENCODERS)]
    if [nlp.get_pipe_meta(name).factory for name in names] != [FACTORY]:
        found = f"{len(names)} models ({', '.join(names)})" if names else f"no `{FACTORY}` that is switched on"
        raise UserError(
            f"The pipeline in {path} has {found} among its components ({', '.join(nlp.pipe_names)}). "
            f"Expected one `{FACTORY}`, and no other transformer."
        )
    return TokenPipeReference(path, nlp, nlp.get_pipe(names[0]))


def check_model(model: PreTrainedModel, tokenizer: Any, path: Path) -> None:
    """Check that a model and its tokenizer can be compiled.

    RAISES (UserError): If they can't, with the reason.
    """
    if model.config.model_type not in ARCHITECTURES:
        raise UserError(
            f"The model in {path} is a {type(model).__name__}, which can't be compiled. "
            f"{', '.join(ARCHITECTURES.values())} can be."
        )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"The model in {path} has a slow tokenizer ({type(tokenizer).__name__}), which can't be compiled. "
            "Give one with a tokenizer.json, or one that transformers can convert to it."
        )
    if any(tokenizer("a").get("token_type_ids", [])):
        raise UserError(
            f"The tokenizer in {path} gives a single text other token types than 0, which can't be compiled. "
            "Give a model that is made for single texts."
        )


def get_settings(block: Dict[str, Any]) -> Dict[str, Any]:
    """Translate the settings of a `hf_token_pipe` to those of the compiled component.

    block (Dict[str, Any]): Its block in the pipeline's config.
    """
    stride = block["stride"]
    return {
        # Without any, the original cuts long texts off.
        "stride": DEFAULT_CONFIG["stride"] if stride is None else stride,
        "ignore_labels": block["kwargs"].get("ignore_labels", DEFAULT_CONFIG["ignore_labels"]),
        **{name: block[name] for name in SETTINGS},
    }
