"""Make small pipelines of spacy-curated-transformers with random weights, for each of its piece encoders."""

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy
import torch
from curated_tokenizers import ByteBPEProcessor, SentencePieceProcessor, WordPieceProcessor
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Config, Model
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.export import export_onnx, takes_packed_windows
from scripts.compilation.reference import load_reference
from scripts.compilation.swap import assemble, save_skeleton
from scripts.compiled_transformer.artefact import PACKED_INPUTS

from . import helpers

PACKAGE = "spacy-curated-transformers"
WIDTH, LAYERS = 32, 2
WINDOW, STRIDE = 24, 16
SETTINGS = {"parser": {"min_action_freq": 1}}  # There are few texts to learn labels from.
TEXTS = [
    "Ada Lovelace met Charles Babbage in London, and they couldn't agree.",
    "The café in Zürich was closed; naïve tourists waited outside it.",
    "Snow covers the mountains of Norway (and those of Sweden) every year!",
    "Karl's well-known work on rivers was printed in 1843 by R. Taylor.",
    "東京 is a city. Émile wrote 300 pages about it, in Kyōto.",
]


class Kind(NamedTuple):
    """A kind of encoder, with the pieces that it is given."""

    architecture: str
    piece_encoder: str
    load: Callable[[Model], None]  # Gives a piece encoder its vocabulary.


def get_words() -> List[str]:
    return [word for text in TEXTS for word in text.split()]


def load_byte_bpe(model: Model) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)

    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    model.attrs["byte_bpe_processor"] = ByteBPEProcessor(tokenizer.get_vocab(), merges)


def load_wordpiece(model: Model, lowercase: bool = False) -> None:
    words = [word.lower() for word in get_words()] if lowercase else get_words()
    characters = sorted(set("".join(words)))
    endings = Counter(f"##{word[-length:]}" for word in words for length in (2, 3, 4) if length < len(word))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    pieces += [piece for piece in dict.fromkeys([*words[::2], *endings]) if len(piece) > 1]
    model.attrs["wordpiece_processor"] = WordPieceProcessor(list(dict.fromkeys(pieces)))
    model.attrs["lowercase"] = model.attrs["strip_accents"] = lowercase


def load_uncased_wordpiece(model: Model) -> None:
    load_wordpiece(model, lowercase=True)


def load_sentencepiece(model: Model) -> None:
    encoder = model.get_ref("encoder")
    encoder.attrs["sentencepiece_processor"] = SentencePieceProcessor.from_protobuf(make_sentencepiece_model())


def make_sentencepiece_model() -> bytes:
    """Write a unigram model as SentencePiece's protocol buffer: pieces with their scores, the frequent ones higher."""
    counts = Counter()
    for word in get_words():
        marked = f"▁{word}"
        counts.update(marked[start:end] for start in range(len(marked)) for end in range(start + 1, len(marked) + 1))
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    total = sum(counts.values())
    pieces += [
        (piece, float(numpy.log(n / total)) + 0.001 * len(piece), 1)
        for piece, n in sorted(counts.items())
        if len(piece) == 1 or n > 1
    ]
    return b"".join(
        write_field(1, write_field(1, piece.encode("utf8")) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))
        for piece, score, kind in pieces
    )


def write_field(number: int, data: bytes) -> bytes:
    """Write bytes as a field of a protocol buffer."""
    length, n = b"", len(data)
    while n > 127:
        length, n = length + bytes([n % 128 + 128]), n // 128
    return bytes([8 * number + 2]) + length + bytes([n]) + data


def load_characters(model: Model) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(TEXTS)))]
    model.attrs["vocab"] = {piece: number for number, piece in enumerate(pieces)}


KINDS = {
    "byte-bpe": Kind("RobertaTransformer", "ByteBpeEncoder", load_byte_bpe),
    "wordpiece": Kind("BertTransformer", "BertWordpieceEncoder", load_wordpiece),
    "uncased wordpiece": Kind("BertTransformer", "BertWordpieceEncoder", load_uncased_wordpiece),
    "plain wordpiece": Kind("BertTransformer", "WordpieceEncoder", load_wordpiece),
    "camembert": Kind("CamembertTransformer", "CamembertSentencepieceEncoder", load_sentencepiece),
    "xlm-r": Kind("XlmrTransformer", "XlmrSentencepieceEncoder", load_sentencepiece),
    "char": Kind("BertTransformer", "CharEncoder", load_characters),
}


def make_listener(weighted: bool = False) -> Dict[str, Any]:
    listener = {
        "@architectures": f"{PACKAGE}.{'ScalarWeightingListener' if weighted else 'LastTransformerLayerListener'}.v1",
        "width": WIDTH,
        "upstream": "transformer",
        "pooling": {"@layers": "reduce_mean.v1"},
        "grad_factor": 1.0,
    }
    if weighted:
        listener["weighting"] = {"@architectures": f"{PACKAGE}.ScalarWeight.v1", "num_layers": LAYERS}
    return listener


def make_config(kind: str, heads: Sequence[str], weighted: bool = False) -> Config:
    """Make the config of a pipeline in the shape of the official packages."""
    listener = make_listener(weighted)
    head = {
        "morphologizer": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener},
        "tagger": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener},
    }
    for name in ("parser", "ner"):
        head[name] = {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": name,
            "extra_state_tokens": False,
            "hidden_width": 32,
            "maxout_pieces": 2,
            "use_upper": False,
            "nO": None,
            "tok2vec": listener,
        }
    transformer = {
        "factory": "curated_transformer",
        "all_layer_outputs": weighted,
        "model": {
            "@architectures": f"{PACKAGE}.{KINDS[kind].architecture}.v1",
            "vocab_size": 2000,
            "hidden_width": WIDTH,
            "intermediate_width": 2 * WIDTH,
            "num_attention_heads": 4,
            "num_hidden_layers": LAYERS,
            "max_position_embeddings": 130,
            "model_max_length": 128,
            "piece_encoder": {"@architectures": f"{PACKAGE}.{KINDS[kind].piece_encoder}.v1"},
            "with_spans": {
                "@architectures": f"{PACKAGE}.WithStridedSpans.v1",
                "stride": STRIDE,
                "window": WINDOW,
                "batch_size": 384,
            },
        },
    }
    return Config(
        {
            "nlp": {"lang": "xx", "pipeline": ["transformer", *heads]},
            "components": {
                "transformer": transformer,
                **{name: {"factory": name, "model": head[name], **SETTINGS.get(name, {})} for name in heads},
            },
        }
    )


def make_pipeline(
    kind: str,
    folder: Optional[Path] = None,
    *,
    heads: Sequence[str] = ("tagger", "morphologizer", "parser", "ner"),
    weighted: bool = False,
    change: Callable[[Config], Any] = lambda config: None,
) -> Language:
    """Make a pipeline with random weights, so large that everything about a piece shows in what is annotated.

    kind (str): One of `KINDS`.
    folder (Optional[Path]): Where to save it.
    change (Callable): Changes the config before.
    """
    config = make_config(kind, heads, weighted)
    change(config)
    fix_random_seed(0)
    nlp = load_model_from_config(config, auto_fill=True)
    for _, pipe in nlp.pipeline:
        if pipe.model.has_ref("piece_encoder"):
            KINDS[kind].load(pipe.model.get_ref("piece_encoder"))
    examples = [make_example(nlp, text, number) for number, text in enumerate(TEXTS)]
    nlp.initialize(lambda: examples)
    randomize(nlp)
    if folder is not None:
        nlp.to_disk(folder)
    return nlp


def randomize(nlp: Language) -> None:
    """Give all layers large random weights: heads that were not trained find nothing."""
    random, generator = numpy.random.RandomState(1), torch.Generator().manual_seed(1)
    for name, pipe in nlp.pipeline:
        for node in pipe.model.walk():
            for key in node.param_names:
                if name != "transformer" and node.has_param(key):
                    shape = node.get_param(key).shape
                    # Biases are the same for all tokens.
                    scale = 1.0 if len(shape) > 1 else 0.1
                    node.set_param(key, random.normal(0, scale, shape).astype("float32"))
            for label, parameter in (pair for shim in node.shims for pair in shim._model.named_parameters()):
                if "layernorm" not in label and "layer_norm" not in label:
                    scale = 1.0 if "layer_weights" in label else 0.3 if parameter.dim() > 1 else 0.02
                    parameter.data = scale * torch.randn(parameter.shape, generator=generator)


def make_example(nlp: Language, text: str, number: int) -> Example:
    words = text.split()
    n = len(words)
    gold = Doc(
        nlp.vocab,
        **helpers.make_annotations(words),
        ents=["B-PER" if i % 4 == number % 4 else "B-LOC" if i % 5 == 2 else "O" for i in range(n)],
    )
    return Example(Doc(nlp.vocab, words=words), gold)


def compile_pipeline(reference_path: Path, workspace: Path, inputs: Sequence[str] = PACKED_INPUTS) -> Path:
    """Compile a pipeline to onnxruntime in fp32, for windows that are packed or padded.

    RETURNS (Path): Folder of the compiled pipeline, inside the workspace.
    """
    reference = load_reference(reference_path)
    artefact_folder = workspace / "artefact"
    artefact_folder.mkdir(parents=True)
    assert takes_packed_windows(reference.encoder)
    export_onnx(reference.encoder, artefact_folder / "encoder.onnx", inputs)
    artefact = finish_artefact(reference, artefact_folder, "onnxruntime", "fp32", inputs=inputs)
    save_skeleton(reference, workspace / "skeleton")
    assemble(workspace / "skeleton", artefact, reference.transformer.name, workspace / "pipeline")
    return workspace / "pipeline"
