"""Count the wordpieces of texts before they are documents, to know what a request costs."""

from pathlib import Path
from typing import Dict, List

from spacy.attrs import LOWER

from ..compiled_transformer.artefact import ENGINE_FILES, MANIFEST, PORTABLE, TOKENIZER, read_file, read_tokenizer
from ..compiled_transformer.manifest import read_manifest
from ..compiled_transformer.pieces import read_piece_encoder, split_punctuation

TEXTS_AT_ONCE = 8  # Their wordpieces take a hundred times the memory of a text.
MOST_CACHED = 100_000  # Words whose pieces are counted once


class TokenizerCounter:
    """Count with the tokenizer that the pipeline has.

    data (bytes): Content of its tokenizer.json.
    """

    def __init__(self, data: bytes) -> None:
        self.tokenizer = read_tokenizer(data)

    def __call__(self, texts: List[str]) -> List[int]:
        lengths: List[int] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = texts[start : start + TEXTS_AT_ONCE]
            lengths.extend(map(len, self.tokenizer.encode_batch_fast(part, add_special_tokens=False)))
        return lengths


class PieceCounter:
    """Count the pieces of words and punctuation, where a pipeline makes those of tokens: nearly the same number.

    folder (Path): The artefact.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest((folder / MANIFEST).read_bytes(), str(folder))
        of_engines = {name for names in ENGINE_FILES.values() for name in names}
        names = [name for name in manifest["files"] if name.removeprefix(PORTABLE) not in of_engines]
        self.encoder = read_piece_encoder(manifest["segmentation"], {name: read_file(folder, name) for name in names})
        self._cache: Dict[str, int] = {}

    def __call__(self, texts: List[str]) -> List[int]:
        return [sum(self._count(word) for part in text.split() for word in split_punctuation(part)) for text in texts]

    def _count(self, word: str) -> int:
        found = self._cache.get(word)
        if found is None:
            if len(self._cache) > MOST_CACHED:
                self._cache = {}
            text = word.lower() if self.encoder.attribute == LOWER else word
            found = self._cache[word] = len(self.encoder.encode(text))
        return found


def read_counter(folder: Path) -> "TokenizerCounter | PieceCounter":
    """Make what counts the wordpieces of texts, special ones left out.

    folder (Path): The artefact of a compiled pipeline.
    RETURNS (TokenizerCounter | PieceCounter): Texts to numbers. Threads may share it.
    """
    if (folder / TOKENIZER).is_file():
        return TokenizerCounter((folder / TOKENIZER).read_bytes())
    return PieceCounter(folder)
