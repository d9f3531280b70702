"""Pieces of a token, as the encoders of spacy-curated-transformers make them, without that package or torch."""

import json
import unicodedata
from typing import Any, Dict, List, Literal, Optional, Protocol

from spacy.attrs import LOWER, ORTH
from tokenizers import Tokenizer

from .artefact import TOKENIZER, read_tokenizer

VOCABULARY = "vocabulary.json"  # Pieces and their ids, of "wordpiece" and "char"
SENTENCEPIECE = "sentencepiece.model"
BYTE_BPE, WORDPIECE, SENTENCES, CHARACTERS = "byte-bpe", "wordpiece", "sentencepiece", "char"  # Kinds of pieces
NormalForm = Literal["NFC", "NFD", "NFKC", "NFKD"]
CONTINUES = "##"  # How a piece begins that is not at the start of its word


class PieceEncoder(Protocol):
    """Make the pieces of a token."""

    attribute: int  # of the token, that gives the text
    takes_space: bool  # Whether the space before a token is a part of its text
    takes_white_space: bool  # Whether tokens of white space have pieces

    def encode(self, text: str) -> List[int]:
        """Make the ids of a token's pieces."""


class ByteBpe:
    """Byte-level BPE, as RoBERTa and GPT-2 have it.

    tokenizer (Tokenizer): Has the vocabulary and the merges, and adds no special tokens.
    """

    attribute, takes_space, takes_white_space = ORTH, True, False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, text: str) -> List[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids


class Wordpiece:
    """The longest piece first, as BERT does it, but what was found before an unknown rest is kept.

    vocabulary (Dict[str, int]): Ids of the pieces.
    unk_id (int): The piece for an unknown rest.
    lowercase (bool): Whether the text is in lower case.
    strip_accents (bool): Leave out combining characters.
    splits_punctuation (bool): Make each punctuation character a word of its own.
    """

    takes_space, takes_white_space = False, False

    def __init__(
        self, vocabulary: Dict[str, int], unk_id: int, lowercase: bool, strip_accents: bool, splits_punctuation: bool
    ) -> None:
        self.attribute = LOWER if lowercase else ORTH
        self.vocabulary = vocabulary
        self.unk_id = unk_id
        self.strip_accents = strip_accents
        self.splits_punctuation = splits_punctuation
        self.longest = max(map(len, vocabulary))

    def encode(self, text: str) -> List[int]:
        if self.strip_accents:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        words = split_punctuation(text) if self.splits_punctuation else [text]
        return [piece for word in words for piece in self._encode_word(word)]

    def _encode_word(self, word: str) -> List[int]:
        ids: List[int] = []
        start = 0
        while start < len(word):
            prefix = CONTINUES if start else ""
            for end in range(min(len(word), start + self.longest), start, -1):
                piece = prefix + word[start:end]
                # A word that begins like a continuation is none.
                if piece in self.vocabulary and (start or not piece.startswith(CONTINUES)):
                    ids.append(self.vocabulary[piece])
                    start = end
                    break
            else:
                return [*ids, self.unk_id]
        return ids


def split_punctuation(text: str) -> List[str]:
    """Split a text before and after each punctuation character, in the sense of BERT: ASCII symbols are some too."""
    words: List[str] = []
    in_word = False
    for character in text:
        is_symbol = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
        if is_symbol or unicodedata.category(character).startswith("P"):
            words.append(character)
            in_word = False
        elif in_word:
            words[-1] += character
        else:
            words.append(character)
            in_word = True
    return words


class SentencePiece:
    """SentencePiece, with the ids of fairseq where the encoder has those.

    data (bytes): The SentencePiece model.
    offset (int): What is added to its ids.
    special_ids (Dict[str, int]): Ids that become others instead.
    """

    attribute, takes_space, takes_white_space = ORTH, False, False

    def __init__(self, data: bytes, offset: int, special_ids: Dict[str, int]) -> None:
        try:
            from curated_tokenizers import SentencePieceProcessor
        except ImportError as error:
            raise ImportError(
                "This pipeline's transformer reads SentencePiece models with curated-tokenizers, which can't be "
                f"imported ({error}). Install it: pip install curated-tokenizers"
            ) from error
        self.processor = SentencePieceProcessor.from_protobuf(data)
        self.offset = offset
        self.special_ids = {int(number): other for number, other in special_ids.items()}

    def encode(self, text: str) -> List[int]:
        ids = self.processor.encode_as_ids(text)
        return [self.special_ids.get(number, number + self.offset) for number in ids]


class Characters:
    """One piece for each character, as Japanese BERT has them.

    vocabulary (Dict[str, int]): Ids of the characters.
    unk_id (int): The piece for an unknown character.
    normalize (Optional[NormalForm]): Unicode normal form, None for the text as it is.
    """

    attribute, takes_space, takes_white_space = ORTH, False, True

    def __init__(self, vocabulary: Dict[str, int], unk_id: int, normalize: Optional[NormalForm]) -> None:
        self.vocabulary = vocabulary
        self.unk_id = unk_id
        self.normalize = normalize

    def encode(self, text: str) -> List[int]:
        if self.normalize is not None:
            text = unicodedata.normalize(self.normalize, text)
        return [self.vocabulary.get(character, self.unk_id) for character in text]


def read_piece_encoder(settings: Dict[str, Any], files: Dict[str, bytes]) -> PieceEncoder:
    """Make the encoder of a kind of pieces.

    settings (Dict[str, Any]): What the manifest says of the segmentation: the kind, as "pieces", and its "options".
    files (Dict[str, bytes]): The artefact's files by name.
    """
    kind, options = settings["pieces"], settings["options"]
    if kind == BYTE_BPE:
        return ByteBpe(read_tokenizer(files[TOKENIZER]))
    if kind == SENTENCES:
        return SentencePiece(files[SENTENCEPIECE], **options)
    vocabulary = json.loads(files[VOCABULARY])
    return Wordpiece(vocabulary, **options) if kind == WORDPIECE else Characters(vocabulary, **options)
