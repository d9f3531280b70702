"""Make small encoders and pipelines, and compile them."""

import bz2
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from spacy.cli.train import train as train_pipeline
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import fix_random_seed, load_config, load_model_from_config
from spacy.vocab import Vocab
from thinc.api import Adam
from typer import Typer
from typer.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parent.parent
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB_SIZE = 1500
MAX_LENGTH = 256  # Wordpieces; the Docs of the sample stay below it.


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def run_command(command: Callable, *arguments: Any) -> Result:
    """Run a `*_cli` function with arguments of the command line, in this process."""
    app = Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_with_overrides(command: Callable, *arguments: Any) -> Result:
    """Run a command as its module does: what it does not know is an override."""
    app = Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_refused(result: Result, *expected: Any) -> None:
    """The command ended with 1 and one clear message that has the expected parts, not with an error of its own."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    message = " ".join(re.sub("\x1b\\[[0-9;]*m", "", result.stdout).split())  # Without colours and line breaks.
    for part in expected:
        assert str(part) in message
    assert message.endswith(".")
    assert "Traceback" not in result.output


def read_sentences(path: Path) -> Iterator[List[Tuple[str, str, str]]]:
    """Read a .bz2 file in WikiNER's format, independently of `scripts.corpus`.

    YIELDS (List[Tuple[str, str, str]]): The word, part of speech and tag of each token, as they are in the file.
    """
    with bz2.open(path, "rt", encoding="utf8") as file_:
        for line in file_:
            if line.strip():
                yield [tuple(token.split("|")) for token in line.strip().split(" ")]


def read_docs(path: Path, vocab: Optional[Vocab] = None) -> List[Doc]:
    return list(DocBin().from_disk(path).get_docs(vocab or Vocab()))


def cut_corpus(corpus_dir: Path, folder: Path, **n_docs: int) -> Path:
    """Write a folder with the first Docs of corpora.

    n_docs (int): How many, by the name of the corpus: train, dev.
    """
    for split, n in n_docs.items():
        DocBin(docs=read_docs(corpus_dir / f"{split}.spacy")[:n]).to_disk(folder / f"{split}.spacy")
    return folder


def get_entities(doc: Doc) -> List[Tuple[int, int, str]]:
    """RETURNS (List[Tuple[int, int, str]]): Start and end token and label of each entity."""
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def bare(doc: Doc, vocab: Vocab) -> Doc:
    """RETURNS (Doc): The same text, tokens and sentences, without other annotations."""
    return Doc(
        vocab,
        words=[token.text for token in doc],
        spaces=[bool(token.whitespace_) for token in doc],
        sent_starts=[token.is_sent_start for token in doc],
    )


def annotate_with_reference(nlp: Language, docs: List[Doc]) -> List[Doc]:
    """Annotate Docs with a spacy-transformers pipeline.

    Its listeners give empty Docs no width, so that a layer that concatenates vectors fails on a batch with some of them.

    RETURNS (List[Doc]): The same Docs; the empty ones, in which there is nothing to find, as they were.
    """
    list(nlp.pipe(doc for doc in docs if len(doc)))
    return docs


def make_encoder(corpus: Path, folder: Path, *, width: int = 64, layers: int = 2, heads: int = 4) -> None:
    """Save a random BERT, and a WordPiece tokenizer with the vocabulary of a corpus."""
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = make_tokenizer(corpus)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=MAX_LENGTH,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_tokenizer(corpus: Path, size: int = VOCAB_SIZE, max_length: int = MAX_LENGTH) -> Any:
    """Make a WordPiece tokenizer with the vocabulary of a corpus.

    RETURNS (transformers.BertTokenizerFast): The tokenizer.
    """
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    vocab = {piece: number for number, piece in enumerate(make_vocabulary(corpus, size))}
    return BertTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer(vocab, lowercase=False)._tokenizer,
        do_lower_case=False,
        model_max_length=max_length,
    )


def make_vocabulary(corpus: Path, size: int = VOCAB_SIZE) -> List[str]:
    """Take the most frequent words and endings of a corpus as wordpieces.

    The trainer of `tokenizers` breaks ties by chance, and with another vocabulary each time nothing else would be
    the same each time.
    """
    words = Counter(word for sentence in read_sentences(corpus) for word, _, _ in sentence)
    endings = Counter()
    for word, n in words.items():
        endings.update({f"##{word[-length:]}": n for length in (2, 3, 4) if length < len(word)})
    characters = sorted(set("".join(words)))
    by_frequency = sorted((words + endings).items(), key=lambda item: (-item[1], item[0]))
    pieces = SPECIAL_TOKENS + characters + [f"##{character}" for character in characters]
    pieces += [piece for piece, _ in by_frequency if len(piece) > 1]
    return pieces[:size]


def train_reference(encoder: Path, train: Path, dev: Path, folder: Path) -> None:
    """Train the project's default pipeline, with the encoder given, until it knows its corpus nearly by heart."""
    steps = 100
    overrides = {
        "paths.encoder": str(encoder),
        "paths.train": str(train),
        "paths.dev": str(dev),
        "training.dropout": 0.0,
        "training.max_steps": steps,
        "training.eval_frequency": steps,
        "training.batcher.size": 500,
        "training.optimizer.learn_rate.warmup_steps": 10,
        "training.optimizer.learn_rate.initial_rate": 4e-3,
    }
    output = folder.with_name(f"{folder.name}-training")
    train_pipeline(ROOT / "configs" / "default.cfg", output, overrides=overrides)
    (output / "model-last").rename(folder)


# Text, entities, tags of the tokens, and categories.
MULTI_HEAD_EXAMPLES = [
    ("Ada met Karl in Bergen .", [(0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")], "N V N P N .", "people"),
    ("Karl left Bergen early .", [(0, 1, "PER"), (2, 3, "LOC")], "N V N A .", "people"),
    ("The river floods often .", [], "D N V A .", "nature"),
    ("Snow covers Lima and Oslo .", [(2, 3, "LOC"), (4, 5, "LOC")], "N V N C N .", "nature"),
    ("Ada wrote the old song .", [(0, 1, "PER")], "N V D A N .", "people"),
    ("The sea is cold in Oslo .", [(5, 6, "LOC")], "D N V A P N .", "nature"),
]


def train_multi_head(encoder: Path, folder: Path) -> None:
    """Train a pipeline of tagger, textcat and ner, which listen to one transformer, on six made-up sentences.

    The tagger and textcat read its vectors alone, the ner those of token shapes beside them. It is the last one: thinc's
    `concatenate` fails in training on a listener that another one comes after.
    """
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    config = load_config(ROOT / "configs" / "default.cfg")
    config["paths"]["encoder"] = str(encoder)
    config["nlp"]["pipeline"][-1:] = ["tagger", "textcat", "ner"]
    config["components"]["tagger"] = {
        "factory": "tagger",
        "model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener},
    }
    config["components"]["textcat"] = {
        "factory": "textcat",
        "model": {
            "@architectures": "spacy.TextCatReduce.v1",
            "exclusive_classes": True,
            "use_reduce_first": False,
            "use_reduce_last": False,
            "use_reduce_max": False,
            "use_reduce_mean": True,
            "nO": None,
            "tok2vec": listener,
        },
    }
    fix_random_seed(0)
    nlp = load_model_from_config(config, auto_fill=True)
    examples = [make_multi_head_example(nlp.vocab, *fields) for fields in MULTI_HEAD_EXAMPLES]
    optimizer = nlp.initialize(lambda: examples, sgd=Adam(2e-3, use_averages=False))
    for _ in range(80):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(folder)


def make_multi_head_example(
    vocab: Vocab, text: str, entities: List[Tuple[int, int, str]], tags: str, category: str
) -> Example:
    words = text.split()
    gold = Doc(vocab, words=words, tags=tags.split())
    gold.ents = [Span(gold, start, end, label) for start, end, label in entities]
    gold.cats = {name: float(name == category) for name in ("people", "nature")}
    return Example(Doc(vocab, words=words, sent_starts=[True] + [False] * (len(words) - 1)), gold)


def compile_reference(
    reference_path: Path, workspace: Path, engine: str = "onnxruntime", precision: str = "fp32"
) -> Path:
    """Compile a trained pipeline to onnxruntime or OpenVINO. The engine computes in float32, to run anywhere.

    precision (str): What the manifest says.
    RETURNS (Path): Folder of the compiled pipeline, inside the workspace.
    """
    from scripts.compilation.artefact_writer import finish_artefact
    from scripts.compilation.build_openvino import build_float
    from scripts.compilation.export import export_onnx, takes_packed_windows
    from scripts.compilation.reference import load_reference
    from scripts.compilation.swap import assemble, save_skeleton
    from scripts.compiled_transformer.artefact import PACKED_INPUTS

    reference = load_reference(reference_path)
    artefact_folder = workspace / "artefact"
    artefact_folder.mkdir()
    assert takes_packed_windows(reference.encoder)
    options = {}
    if engine == "openvino":
        export_onnx(reference.encoder, workspace / "encoder.onnx", PACKED_INPUTS)
        build_float(workspace / "encoder.onnx", artefact_folder, half_size=False)
        options = {"INFERENCE_PRECISION_HINT": "f32"}
    else:
        export_onnx(reference.encoder, artefact_folder / "encoder.onnx", PACKED_INPUTS)
    artefact = finish_artefact(reference, artefact_folder, engine, precision, options, PACKED_INPUTS)
    save_skeleton(reference, workspace / "skeleton")
    assemble(workspace / "skeleton", artefact, reference.transformer.name, workspace / "pipeline")
    return workspace / "pipeline"


def make_annotations(words: List[str]) -> Dict[str, List[Any]]:
    """Make up tags, morphology and a tree for words.

    RETURNS (Dict[str, List[Any]]): The words and their annotations, by the names that `Doc` takes.
    """
    n = len(words)
    return {
        "words": words,
        "tags": [f"T{len(word) % 4}" for word in words],
        "pos": [("NOUN", "VERB", "ADJ")[len(word) % 3] for word in words],
        "morphs": [("Number=Sing", "Number=Plur", "")[len(word) % 3] for word in words],
        "heads": [0 if i == 0 else i - 2 if i % 2 == 0 else i + 1 if i + 1 < n else i - 1 for i in range(n)],
        "deps": ["ROOT" if i == 0 else ("dep", "obj")[i % 2] for i in range(n)],
    }
