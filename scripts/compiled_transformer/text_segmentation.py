"""The way of spacy-transformers: windows of tokens, and the tokenizer on the text of each."""

from itertools import chain
from typing import Any, Dict, List, NamedTuple

import numpy
from spacy.tokens import Doc
from tokenizers import Tokenizer

from .windows import Tokens, Window, get_tokens, get_windows
from .wordpieces import Wordpieces, align, split_long_windows


class TextSegmentation:
    """Cut Docs into windows of tokens, and tokenize their texts.

    tokenizer (Tokenizer): The encoder's.
    manifest (Dict[str, Any]): Says the encoder's "max_length" in positions, how many special tokens the tokenizer
        puts before and after a text: "n_prefix" and "n_suffix", and the "unaligned" wordpieces that belong to no token.
    """

    def __init__(self, tokenizer: Tokenizer, manifest: Dict[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.max_length: int = manifest["max_length"]
        self.n_prefix: int = manifest["n_prefix"]
        self.n_suffix: int = manifest["n_suffix"]
        self.unaligned: List[int] = manifest.get("unaligned", [])

    def __call__(self, docs: List[Doc], settings: Dict[str, Any]) -> "TextWindows":
        windows = get_windows(docs, settings["spans"], settings["window"], settings["stride"])
        return TextWindows(self, get_tokens(docs), windows)

    def get_wordpieces(self, tokens: Tokens, windows: List[Window]) -> Wordpieces:
        """Tokenize windows and align their wordpieces to tokens.

        tokens (Tokens): All tokens of the batch.
        windows (List[Window]): First token and end of each.
        RETURNS (Wordpieces): Those of all windows; one with more than the encoder has positions is split.
        """
        first_tokens, ends = numpy.asarray(windows).T
        starts = tokens.starts[first_tokens]
        texts = [tokens.text[start:end] for start, end in zip(starts.tolist(), tokens.ends[ends - 1].tolist())]
        # Not `encode_batch`: its threads don't survive a fork, and compete with the engine's.
        encodings = [self.tokenizer.encode(text) for text in texts]
        lengths = numpy.asarray([len(encoding) for encoding in encodings])
        n_wordpieces = int(lengths.sum())
        ids = numpy.fromiter(
            chain.from_iterable(encoding.ids for encoding in encodings), dtype="int64", count=n_wordpieces
        )
        offsets = numpy.fromiter(
            chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in encodings)),
            dtype="int64",
            count=2 * n_wordpieces,
        ).reshape(-1, 2)
        offsets += numpy.repeat(starts, lengths)[:, None]
        first, last = align(tokens, offsets[:, 0], offsets[:, 1])
        if self.unaligned:
            first[numpy.isin(ids, self.unaligned)] = last[numpy.isin(ids, self.unaligned)] = -1
        return split_long_windows(Wordpieces(lengths, ids, first, last), self.max_length, self.n_prefix, self.n_suffix)


class TextWindows(NamedTuple):
    """The windows of a batch, see `SegmentedDocs`."""

    segmentation: TextSegmentation
    tokens: Tokens
    windows: List[Window]

    @property
    def n_tokens(self) -> int:
        """Count the tokens of all Docs."""
        return len(self.tokens.starts)

    def get_wordpieces(self, start: int, end: int) -> Wordpieces:
        """Make the wordpieces of some windows."""
        return self.segmentation.get_wordpieces(self.tokens, self.windows[start:end])
