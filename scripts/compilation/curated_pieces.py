"""What the runtime needs to make the pieces that a piece encoder of spacy-curated-transformers makes."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from thinc.api import Model
from tokenizers import Tokenizer, models, pre_tokenizers

from ..common.console import UserError
from ..compiled_transformer import pieces
from ..compiled_transformer.artefact import TOKENIZER

# Hugging Face's reading of SentencePiece models differs in details.
SENTENCEPIECE_REQUIREMENT = "curated-tokenizers>=0.0.9,<0.1.0"
# Ids of fairseq, which CamemBERT and XLM-R were trained with, see `sentencepiece_adapters.py`.
ADAPTERS: Dict[str, Dict[str, Any]] = {
    "": {"offset": 0, "special_ids": {}},
    "xlmr_adapter": {"offset": 1, "special_ids": {"0": 3, "1": 0, "2": 2}},
    "camembert_adapter": {"offset": 4, "special_ids": {"0": 3}},
}


class Pieces(NamedTuple):
    """What the runtime needs."""

    manifest: Dict[str, Any]  # see `read_piece_encoder`, and "bos_id" and "eos_id"
    files: Dict[str, bytes]
    requirements: List[str]


def describe_pieces(model: Model, path: Path) -> Pieces:
    """Describe a piece encoder.

    model (Model): The transformer's piece encoder.
    path (Path): The pipeline, for messages.
    RAISES (UserError): If it is one of somebody's own.
    """
    encoder = model.get_ref("encoder") if model.has_ref("encoder") else model
    if encoder.name not in DESCRIBE:
        raise UserError(
            f"The transformer in {path} makes pieces with {encoder.name!r}, which can't be compiled. Train with a piece "
            "encoder of spacy-curated-transformers."
        )
    return DESCRIBE[encoder.name](model, path)


def describe_byte_bpe(model: Model, path: Path) -> Pieces:
    """Build the tokenizer of Hugging Face from the same vocabulary and merges."""
    processor = model.attrs["byte_bpe_processor"]
    tokenizer = Tokenizer(models.BPE(processor.vocab, [tuple(merge) for merge in processor.merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bos_id, eos_id = (processor.piece_id(model.attrs[name]) for name in ("bos_piece", "eos_piece"))
    return Pieces(describe(pieces.BYTE_BPE, bos_id, eos_id, {}), {TOKENIZER: tokenizer.to_str().encode("utf8")}, [])


def describe_wordpiece(model: Model, path: Path) -> Pieces:
    """Take the vocabulary, and look at how words are split before."""
    attributes, processor = model.attrs, model.attrs["wordpiece_processor"]
    split = attributes["preprocess"]("a-b")
    if split not in (["a-b"], ["a", "-", "b"]):
        raise UserError(
            f"The wordpiece encoder in {path} preprocesses words in a way of its own, which can't be compiled. Train with "
            "`spacy-curated-transformers.BertWordpieceEncoder.v1` or `WordpieceEncoder.v1`."
        )
    vocabulary: Dict[str, int] = {}
    for number, piece in enumerate(processor.to_list()):
        vocabulary.setdefault(piece, number)  # Of two that are the same, the first one is used.
    bos_id, eos_id, unk_id = (processor.get_initial(attributes[f"{name}_piece"]) for name in ("bos", "eos", "unk"))
    options = {
        "unk_id": unk_id,
        "lowercase": attributes["lowercase"],
        "strip_accents": attributes["strip_accents"],
        "splits_punctuation": len(split) > 1,
    }
    return Pieces(describe(pieces.WORDPIECE, bos_id, eos_id, options), write_vocabulary(vocabulary), [])


def describe_sentencepiece(model: Model, path: Path) -> Pieces:
    """Take the SentencePiece model, and what its ids become."""
    processor = model.get_ref("encoder").attrs["sentencepiece_processor"]
    adapter = model.layers[1].name if len(model.layers) > 1 else ""
    if adapter not in ADAPTERS:
        raise UserError(
            f"The SentencePiece encoder in {path} has its ids changed by {adapter!r}, which can't be compiled. Train with a "
            "piece encoder of spacy-curated-transformers."
        )
    options = ADAPTERS[adapter]
    bos_id, eos_id = (
        options["special_ids"].get(str(number), number + options["offset"])
        for number in (processor.bos_id(), processor.eos_id())
    )
    files = {pieces.SENTENCEPIECE: processor.to_protobuf()}
    return Pieces(describe(pieces.SENTENCES, bos_id, eos_id, options), files, [SENTENCEPIECE_REQUIREMENT])


def describe_characters(model: Model, path: Path) -> Pieces:
    """Take the vocabulary and the normal form."""
    vocabulary = dict(model.attrs["vocab"])
    bos_id, eos_id, unk_id = (vocabulary[model.attrs[f"{name}_piece"]] for name in ("bos", "eos", "unk"))
    options = {"unk_id": unk_id, "normalize": model.attrs["normalize"]}
    return Pieces(describe(pieces.CHARACTERS, bos_id, eos_id, options), write_vocabulary(vocabulary), [])


def describe(kind: str, bos_id: int, eos_id: int, options: Dict[str, Any]) -> Dict[str, Any]:
    """Make the manifest's entry."""
    return {"pieces": kind, "bos_id": bos_id, "eos_id": eos_id, "options": options}


def write_vocabulary(vocabulary: Dict[str, int]) -> Dict[str, bytes]:
    """Put a vocabulary into its file."""
    return {pieces.VOCABULARY: json.dumps(vocabulary, ensure_ascii=False).encode("utf8")}


DESCRIBE = {
    "byte_bpe_encoder": describe_byte_bpe,
    "wordpiece_encoder": describe_wordpiece,
    "sentencepiece_encoder": describe_sentencepiece,
    "char_encoder": describe_characters,
}
