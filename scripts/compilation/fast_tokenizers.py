"""Fast tokenizers, whose offsets the compiled pipeline needs, from slow ones."""

from pathlib import Path
from typing import Optional, Sequence

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import convert_slow_tokenizer

from ..common.console import UserError


def make_fast(tokenizer: PreTrainedTokenizerBase) -> Optional[PreTrainedTokenizerFast]:
    """Convert a slow tokenizer; a fast one stays as it is.

    RETURNS (Optional[PreTrainedTokenizerFast]): The fast tokenizer, None if there is none of the kind.
    """
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        return tokenizer
    try:
        backend = convert_slow_tokenizer(tokenizer)
    except Exception:  # There is no converter, or a package that it takes is not installed.
        return None
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        padding_side=tokenizer.padding_side,
        **tokenizer.special_tokens_map,
    )


def refuse(path: Path) -> UserError:
    """Make the error of a pipeline that has no fast tokenizer.

    path (Path): The pipeline.
    """
    return UserError(
        f"The encoder of {path} has no fast tokenizer, whose offsets the compiled pipeline needs. "
        'Train with `tokenizer_config = {"use_fast": true}` and an encoder that has a tokenizer.json.'
    )


def check_ids(
    tokenizer: PreTrainedTokenizerBase, fast: PreTrainedTokenizerFast, texts: Sequence[str], path: Path
) -> None:
    """Check that a converted tokenizer makes the same wordpieces.

    tokenizer (PreTrainedTokenizerBase): The trained pipeline's.
    fast (PreTrainedTokenizerFast): What was made from it.
    texts (Sequence[str]): Real text.
    path (Path): The pipeline, for messages.
    RAISES (UserError): If it doesn't.
    """
    if fast is not tokenizer and any(tokenizer(text)["input_ids"] != fast(text)["input_ids"] for text in texts):
        raise refuse(path)
