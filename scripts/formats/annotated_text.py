"""A text with the spans that somebody found in it."""

from typing import Any, List, NamedTuple, Sequence

from ..common.console import UserError
from .spans import TextSpan


class AnnotatedText(NamedTuple):
    """A text with spans.

    where (object): File and line number, for errors.
    text (str): The text.
    spans (List[TextSpan]): Its entities, in their order and without overlaps; those in question, if it is rejected.
    tokens (Sequence[Any]): Its tokens as Prodigy has them; none if the tokenizer of the language is to split it.
    is_accepted (bool): Whether the annotation is right.
    rejected (Sequence[TextSpan]): Spans that are known to be no entities.
    unclear (Sequence[TextSpan]): Where there is an entity that has no span: these tokens get no annotation.
    is_complete (bool): Whether there is no entity besides. If not, tokens outside of all spans get no annotation.
    """

    where: object
    text: str
    spans: List[TextSpan]
    tokens: Sequence[Any] = ()
    is_accepted: bool = True
    rejected: Sequence[TextSpan] = ()
    unclear: Sequence[TextSpan] = ()
    is_complete: bool = True


def check_text(text: Any, where: object) -> str:
    """Refuse a text that is none.

    RAISES (UserError): If it is no string, or has half a character.
    """
    if not isinstance(text, str):
        raise UserError(f"{where}: expected a text, got {text!r}.")
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: character {error.start} of the text is half of a surrogate pair.") from error
    return text
