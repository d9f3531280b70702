"""How far the compiled pipeline agrees with the trained one."""

from typing import Any, Dict, List, Sequence

from spacy.tokens import Doc

from ..common.agreement import compare_annotations
from ..common.console import UserError
from ..common.corpora import choose_docs

WORDS = 20_000  # That are compared, at least where there are so many: the interval is narrow then.


def compare(reference: List[Dict], compiled: List[Dict], docs: Sequence[Doc], corpus: str) -> Dict[str, Any]:
    """Compare what two pipelines annotate.

    reference (List[Dict]): Of each Doc, see `annotations.collect`.
    compiled (List[Dict]): The same of the compiled pipeline.
    docs (Sequence[Doc]): The Docs.
    corpus (str): Their corpus, for messages.
    RETURNS (Dict[str, Any]): The "words" that were compared, and by "kinds" the agreement.
    RAISES (UserError): If both annotate nothing.
    """
    found = compare_annotations(reference, compiled)
    if not found:
        raise UserError(
            f"The pipelines annotate nothing in {corpus}. Use some with a component like `ner` or `tagger`."
        )
    kinds = {kind: agreement._asdict() for kind, agreement in found.items()}
    return {"words": sum(map(len, docs)), "kinds": kinds}


def choose_compared(docs: Sequence[Doc], corpus: str) -> List[Doc]:
    """Choose the Docs that annotations are compared on.

    RAISES (UserError): If there is no text.
    """
    docs = [doc for doc in docs if len(doc)]
    if not docs:
        raise UserError(f"{corpus} holds no text, so nothing can be compared on it. Use another corpus.")
    return choose_docs(docs, WORDS)
