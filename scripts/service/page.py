"""The page where a person types text and sees the entities."""

from pathlib import Path
from typing import Any, Dict, List

from spacy import displacy
from spacy.displacy.render import DEFAULT_LABEL_COLORS

# displaCy's own, under the names that WikiNER uses. Labels without a colour are grey.
COLORS = {"PER": "#aa9cfc", "MISC": "#feca74"}
GREY = "#ddd"  # displaCy's for labels that it does not know.
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf8")


def render(text: str, entities: List[Dict[str, Any]]) -> str:
    """Render a text as HTML with its entities marked, by displaCy; a score stands after the label."""
    colors = {**DEFAULT_LABEL_COLORS, **COLORS}
    marked = []
    for entity in entities:
        label = entity["label"]
        if entity.get("score") is not None:
            label = f"{label} {entity['score']:.2f}"
            colors[label.upper()] = colors.get(entity["label"].upper(), GREY)
        marked.append({**entity, "label": label})
    doc = {"text": text, "ents": marked, "title": None}
    return displacy.render(doc, style="ent", manual=True, jupyter=False, options={"colors": colors})
