"""Make small random encoders of the families that people have beside those of `encoders.py`."""

from pathlib import Path
from typing import Callable, Dict, List

import transformers
from tokenizers import processors
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from .encoders import POSITIONS, Family, configure, make_byte_level_bpe, make_unigram, make_wordpiece, wordpiece
from .helpers import MAX_LENGTH

BERT = wordpiece("BertTokenizerFast")
SPECIAL_TOKENS = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}


def make_plain_bpe(texts: List[str]) -> PreTrainedTokenizerFast:
    """Make GPT-2's tokenizer, which adds no special tokens."""
    backend = make_byte_level_bpe(texts).backend_tokenizer
    backend.post_processor = None
    return transformers.GPT2TokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS, pad_token="<pad>")


def make_modernbert(texts: List[str]) -> PreTrainedTokenizerFast:
    """Make a fast tokenizer that gives no token types."""
    backend = make_wordpiece("BertTokenizerFast", texts).backend_tokenizer
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=POSITIONS, model_input_names=inputs, **SPECIAL_TOKENS
    )


def configure_xlnet(**of_tokenizer) -> PretrainedConfig:
    """Configure XLNet, whose positions have no limit."""
    return transformers.XLNetConfig(d_model=64, n_layer=2, n_head=4, d_inner=128, initializer_range=0.2, **of_tokenizer)


def make_with_token_types(texts: List[str]) -> PreTrainedTokenizerFast:
    """Make a fast tokenizer of no model's own class, which gives token types."""
    backend = make_wordpiece("BertTokenizerFast", texts).backend_tokenizer
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS, **SPECIAL_TOKENS)


def make_xlnet_unigram(texts: List[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer of XLNet's kind: it pads on the left, and its last special token has a type of its own."""
    backend = make_unigram(texts).backend_tokenizer
    ids = [(token, backend.token_to_id(token)) for token in ("<s>", "</s>")]
    backend.post_processor = processors.TemplateProcessing(single="$A:0 </s>:0 <s>:2", special_tokens=ids)
    return transformers.XLNetTokenizerFast(
        tokenizer_object=backend, model_max_length=POSITIONS, sep_token="</s>", cls_token="<s>"
    )


def after_padding(config_class: str, **settings) -> Callable[..., PretrainedConfig]:
    """Configure an encoder that counts positions from the padding id on."""
    return configure(config_class, max_position_embeddings=POSITIONS + 2, **settings)


FAMILIES: Dict[str, Family] = {
    "camembert": Family(make_unigram, after_padding("CamembertConfig", type_vocab_size=1)),
    "albert": Family(BERT, configure("AlbertConfig", embedding_size=32)),
    "mpnet": Family(make_byte_level_bpe, after_padding("MPNetConfig", layer_norm_eps=1e-5)),
    "modernbert": Family(
        make_modernbert, configure("ModernBertConfig", global_attn_every_n_layers=2, local_attention=32)
    ),
    "big_bird": Family(BERT, configure("BigBirdConfig")),
    "roformer": Family(BERT, configure("RoFormerConfig", embedding_size=64)),
    "luke": Family(make_byte_level_bpe, after_padding("LukeConfig", entity_vocab_size=10, entity_emb_size=32)),
    "squeezebert": Family(BERT, configure("SqueezeBertConfig", embedding_size=64)),
    "megatron-bert": Family(BERT, configure("MegatronBertConfig")),
    "ernie": Family(BERT, configure("ErnieConfig")),
    "rembert": Family(BERT, configure("RemBertConfig", input_embedding_size=32, output_embedding_size=32)),
    "gpt2": Family(make_plain_bpe, configure("GPT2Config", n_embd=64, n_layer=2, n_head=4, n_positions=POSITIONS)),
    "convbert": Family(BERT, configure("ConvBertConfig", embedding_size=64)),
    "xlm": Family(
        make_with_token_types,
        configure("XLMConfig", emb_dim=64, n_layers=2, n_heads=4, embed_init_std=0.2, init_std=0.2),
    ),
    "flaubert": Family(
        make_with_token_types,
        configure("FlaubertConfig", emb_dim=64, n_layers=2, n_heads=4, embed_init_std=0.2, init_std=0.2),
    ),
    "longformer": Family(make_byte_level_bpe, after_padding("LongformerConfig", attention_window=[16, 16])),
    "xmod": Family(make_unigram, after_padding("XmodConfig", default_language="en_XX")),
    "xlnet": Family(make_xlnet_unigram, configure_xlnet),
    "gpt_neox": Family(make_plain_bpe, configure("GPTNeoXConfig")),
    "qwen2": Family(make_plain_bpe, configure("Qwen2Config", num_key_value_heads=2)),
}


def save_japanese_encoder(encoder: Path, folder: Path) -> None:
    """Save an encoder with a tokenizer of no fast kind, as GiNZA's: words come from a Japanese analyser.

    encoder (Path): Folder of a BERT.
    folder (Path): The folder to write.
    """
    transformers.AutoModel.from_pretrained(encoder).save_pretrained(folder)
    vocabulary = transformers.AutoTokenizer.from_pretrained(encoder).get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)), encoding="utf8")
    tokenizer = transformers.BertJapaneseTokenizer(
        folder / "vocab.txt", word_tokenizer_type="basic", model_max_length=MAX_LENGTH
    )
    tokenizer.save_pretrained(folder)
