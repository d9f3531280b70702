"""The page where a person types text and sees the entities."""

from pathlib import Path
from typing import Any, Dict, List

from spacy import displacy

# displaCy's own, under the names that WikiNER uses. Labels without a colour are grey.
COLORS = {"PER": "#aa9cfc", "MISC": "#feca74"}
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf8")


def render(text: str, entities: List[Dict[str, Any]]) -> str:
    """Render a text as HTML with its entities marked, by displaCy."""
    doc = {"text": text, "ents": entities, "title": None}
    return displacy.render(doc, style="ent", manual=True, jupyter=False, options={"colors": COLORS})
