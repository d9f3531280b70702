"""The page where a person types text and sees the entities."""

from pathlib import Path
from typing import Any, Dict, List

from spacy import displacy

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf8")


def render(text: str, entities: List[Dict[str, Any]]) -> str:
    """RETURNS (str): The text as HTML with its entities marked, by displaCy."""
    return displacy.render({"text": text, "ents": entities, "title": None}, style="ent", manual=True, jupyter=False)
