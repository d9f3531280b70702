"""Make pipelines with an encoder of BERT-base's size and random weights, to measure the speed of those that people have.

python -m tests.base_size curated FOLDER TEXTS
python -m tests.base_size bert FOLDER TEXTS
"""

import json
from enum import Enum
from pathlib import Path
from typing import List

import typer
from curated_tokenizers import ByteBPEProcessor
from spacy.language import Language
from spacy.lookups import Lookups
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.iob_utils import biluo_to_iob, iob_to_biluo
from spacy.util import fix_random_seed, load_model_from_config
from spacy_curated_transformers.models.listeners import ListenerStateUtils
from spacy_transformers.layers import TransformerListener
from thinc.api import Adam, Config, Model
from tqdm import tqdm
from transformers import BertConfig, BertModel

from . import curated, encoders, helpers

CORPUS = helpers.ROOT / "assets" / "wikiner-sample.bz2"
VOCAB_SIZE = 8000
STEPS = 200  # of training the heads, so that their annotations are not a matter of the last digit
SENTENCES = 240  # to train them with
BATCH = 12
TEXTS, TEXT_SENTENCES = 60, 10  # to compare and to measure


class Kind(str, Enum):
    curated = "curated"  # In the shape of en_core_web_trf
    bert = "bert"  # spacy-transformers with BERT-base and NER


def make_pipeline(kind: Kind, folder: Path, texts_path: Path) -> None:
    """Save a pipeline, and texts of ten sentences of the sample corpus.

    kind (Kind): What it is.
    folder (Path): The folder to write.
    texts_path (Path): The file to write, a text a line.
    """
    sentences = list(helpers.read_sentences(CORPUS))
    texts = [" ".join(word for word, _, _ in sentence) for sentence in sentences]
    fix_random_seed(0)
    if kind is Kind.curated:
        nlp = make_curated(texts)
    else:
        nlp = make_bert(folder.with_name(f"{folder.name}-encoder"))
    train_heads(nlp, [make_example(nlp, sentence) for sentence in sentences[:SENTENCES]])
    if kind is Kind.curated:
        add_rules(nlp)
    nlp.to_disk(folder)
    starts = range(SENTENCES, SENTENCES + TEXTS * TEXT_SENTENCES, TEXT_SENTENCES)
    texts_path.write_text("".join(f"{' '.join(texts[i : i + TEXT_SENTENCES])}\n" for i in starts), encoding="utf8")


def make_curated(texts: List[str]) -> Language:
    """Make a pipeline in the shape of en_core_web_trf: RoBERTa-base, byte-level BPE, its three heads."""
    config = curated.make_config("byte-bpe", ["tagger", "parser", "ner"])
    set_base_size(config)
    nlp = load_model_from_config(config, auto_fill=True)

    def load_pieces(model: Model, X: object = None, Y: object = None) -> None:
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        tokenizer = encoders.train_byte_level_bpe(texts, special, VOCAB_SIZE)
        merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
        model.attrs["byte_bpe_processor"] = ByteBPEProcessor(tokenizer.get_vocab(), merges)

    nlp.get_pipe("transformer").model.get_ref("piece_encoder").init = load_pieces
    return nlp


def add_rules(nlp: Language) -> None:
    """Add the two components of en_core_web_trf that need no training."""
    nlp.add_pipe("attribute_ruler", before="ner").add([[{"TAG": "T3"}]], {"POS": "PROPN"})
    lookups = Lookups()
    lookups.add_table("lemma_lookup", {"was": "be", "is": "be", "wrote": "write", "met": "meet", "cities": "city"})
    nlp.add_pipe("lemmatizer", config={"mode": "lookup"}, before="ner").initialize(lookups=lookups)


def set_base_size(config: Config) -> None:
    """Give a pipeline of spacy-curated-transformers the sizes and windows of en_core_web_trf."""
    config["nlp"]["lang"] = "en"
    transformer = config["components"]["transformer"]
    transformer["model"].update(
        vocab_size=VOCAB_SIZE,
        hidden_width=768,
        intermediate_width=3072,
        num_attention_heads=12,
        num_hidden_layers=12,
        max_position_embeddings=514,
        model_max_length=512,
    )
    transformer["model"]["with_spans"].update(stride=104, window=144)
    for name in ("tagger", "parser", "ner"):
        config["components"][name]["model"]["tok2vec"]["width"] = 768


def make_bert(encoder: Path) -> Language:
    """Make the project's default pipeline with an encoder of BERT-base's size."""
    tokenizer = helpers.make_tokenizer(CORPUS, VOCAB_SIZE, max_length=512)
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(encoder)
    tokenizer.save_pretrained(encoder)
    config = encoders.make_config(encoder)
    return load_model_from_config(config, auto_fill=True)


def make_example(nlp: Language, sentence: List) -> Example:
    words = [word for word, _, _ in sentence]
    tags = biluo_to_iob(iob_to_biluo([tag for _, _, tag in sentence]))
    sent_starts = [True] + [False] * (len(words) - 1)
    predicted = Doc(nlp.vocab, words=words, sent_starts=sent_starts)
    return Example(predicted, Doc(nlp.vocab, **helpers.make_annotations(words), ents=tags))


def train_heads(nlp: Language, examples: List[Example]) -> None:
    """Train what listens to the transformer, which stays as it is.

    Without `nlp.update`: with numpy 2.4 that of spacy-curated-transformers 0.3.1 fails.
    """
    optimizer = nlp.initialize(lambda: examples, sgd=Adam(1e-3, use_averages=False, L2=0.0))
    transformer = nlp.get_pipe("transformer")
    heads = [pipe for name, pipe in nlp.pipeline if name in ("tagger", "parser", "ner")]
    for step in tqdm(range(STEPS), desc="Train the heads", leave=False):
        start = step * BATCH % len(examples)
        batch = examples[start : start + BATCH]
        docs = [example.predicted for example in batch]
        send_vectors(transformer, docs)
        for head in heads:
            head.update(batch, sgd=optimizer)


def send_vectors(transformer: TrainablePipe, docs: List[Doc]) -> None:
    """Give the listeners the vectors of a batch, and a way back for gradients that ends there."""
    vectors = transformer.predict(docs)
    for listener in transformer.listeners:
        if isinstance(listener, TransformerListener):
            listener.receive(listener.get_batch_id(docs), vectors.doc_data, lambda gradients: docs)
        else:
            batch_id = ListenerStateUtils.calculate_batch_id(docs)
            ListenerStateUtils.receive(listener, batch_id, vectors, lambda gradients, outputs_to_backprop: docs)


if __name__ == "__main__":
    typer.run(make_pipeline)
