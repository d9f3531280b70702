"""Make small random encoders of many families, each with the kind of tokenizer that it has on the Hugging Face hub."""

from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple

import torch
import transformers
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_config, load_model_from_config
from thinc.api import Adam
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from . import helpers

VOCAB_SIZE = 600  # Small, so that most words are several wordpieces.
POSITIONS = 512
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": POSITIONS,
    # Ten times the usual: else attention is nearly the same for all wordpieces, and its errors would not show.
    "initializer_range": 0.2,
}
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
}


class Family(NamedTuple):
    """A kind of encoder."""

    make_tokenizer: Callable[[List[str]], PreTrainedTokenizerFast]
    make_config: Callable[..., PretrainedConfig]  # takes the tokenizer's vocab_size and pad_token_id


def make_wordpiece(tokenizer_class: str, texts: List[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCAB_SIZE, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    add_special_tokens(tokenizer, "[CLS]", "[SEP]")
    return getattr(transformers, tokenizer_class)(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def make_byte_level_bpe(texts: List[str]) -> PreTrainedTokenizerFast:
    tokenizer = train_byte_level_bpe(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", tokenizer.token_to_id("</s>")), cls=("<s>", tokenizer.token_to_id("<s>"))
    )
    return transformers.RobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def make_deberta_bpe(texts: List[str]) -> PreTrainedTokenizerFast:
    tokenizer = train_byte_level_bpe(texts, ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    add_special_tokens(tokenizer, "[CLS]", "[SEP]")
    return transformers.DebertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def train_byte_level_bpe(texts: List[str], special: List[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Train what GPT-2 has: pieces of UTF-8, the space before a word in its first one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_unigram(texts: List[str]) -> PreTrainedTokenizerFast:
    tokenizer = train_unigram(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
    add_special_tokens(tokenizer, "<s>", "</s>")
    return transformers.XLMRobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def make_deberta_unigram(texts: List[str]) -> PreTrainedTokenizerFast:
    tokenizer = train_unigram(texts, ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[UNK]")
    add_special_tokens(tokenizer, "[CLS]", "[SEP]")
    return transformers.DebertaV2TokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS)


def train_unigram(texts: List[str], special: List[str], unknown: str) -> Tokenizer:
    """Train what SentencePiece would: words begin with a block instead of a space."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCAB_SIZE, special_tokens=special, unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer, first: str, last: str) -> None:
    """Put special tokens around each text."""
    ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ids)


def configure(config_class: str, **settings) -> Callable[..., PretrainedConfig]:
    return lambda **of_tokenizer: getattr(transformers, config_class)(**{**SIZES, **settings, **of_tokenizer})


def wordpiece(tokenizer_class: str) -> Callable[[List[str]], PreTrainedTokenizerFast]:
    return lambda texts: make_wordpiece(tokenizer_class, texts)


FAMILIES: Dict[str, Family] = {
    "bert": Family(wordpiece("BertTokenizerFast"), configure("BertConfig")),
    # It counts positions from the padding id on.
    "roberta": Family(
        make_byte_level_bpe, configure("RobertaConfig", max_position_embeddings=POSITIONS + 2, type_vocab_size=1)
    ),
    "distilbert": Family(
        wordpiece("DistilBertTokenizerFast"),
        configure("DistilBertConfig", dim=64, n_layers=2, n_heads=4, hidden_dim=128),
    ),
    "electra": Family(wordpiece("ElectraTokenizerFast"), configure("ElectraConfig", embedding_size=32)),
    "xlm-roberta": Family(
        make_unigram, configure("XLMRobertaConfig", max_position_embeddings=POSITIONS + 2, type_vocab_size=1)
    ),
    # Position is only in attention.
    "deberta": Family(
        make_deberta_bpe,
        configure(
            "DebertaConfig",
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_biased_input=False,
            type_vocab_size=0,
        ),
    ),
    # As in DeBERTa-v3.
    "deberta-v2": Family(
        make_deberta_unigram,
        configure(
            "DebertaV2Config",
            relative_attention=True,
            position_buckets=64,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
        ),
    ),
}


def save_encoder(name: str, corpus: Path, folder: Path, families: Mapping[str, Family] = FAMILIES) -> None:
    """Save a random encoder of a family and a tokenizer trained on a corpus, as the hub has them.

    name (str): Name of the family.
    corpus (Path): A corpus in WikiNER's format.
    folder (Path): The folder to write.
    families (Mapping[str, Family]): Those that there are.
    """
    family = families[name]
    texts = [" ".join(word for word, _, _ in sentence) for sentence in helpers.read_sentences(corpus)]
    tokenizer = family.make_tokenizer(texts)
    config = family.make_config(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if hasattr(tokenizer, "vocab_file"):
        # spacy-transformers carries SentencePiece's own file along, though the fast tokenizer doesn't read it.
        (folder / tokenizer.vocab_files_names["vocab_file"]).write_bytes(b"")


def make_config(encoder: Path, **span_getter) -> Dict:
    """RETURNS (Dict): The project's default config for an encoder, or one of the transformer and what listens to it.

    encoder (Path): Folder of the encoder.
    span_getter: A span getter that needs no sentences, and its settings. With it there is no sentencizer, and the ner
        reads the transformer's vectors and nothing else.
    """
    config = load_config(helpers.ROOT / "configs" / "default.cfg")
    config["paths"]["encoder"] = str(encoder)
    if span_getter:
        config["nlp"]["pipeline"].remove("sentencizer")
        del config["components"]["sentencizer"]
        config["training"].update(frozen_components=[], annotating_components=[])
        config["components"]["transformer"]["model"]["get_spans"] = span_getter
        config["components"]["ner"]["model"]["tok2vec"] = LISTENER
    return config


def initialize(config: Dict) -> Language:
    """RETURNS (Language): The pipeline of a config, with random heads."""
    fix_random_seed(0)
    nlp = load_model_from_config(config, auto_fill=True)
    words = ["Ada", "Byron", "left", "Bergen", "."]
    gold = Doc(nlp.vocab, words=words, tags=list("NNVN."), ents=["B-PER", "I-PER", "O", "B-LOC", "O"])
    nlp.initialize(lambda: [Example(Doc(nlp.vocab, words=words), gold)], sgd=Adam())
    return nlp
