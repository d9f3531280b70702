"""docs/kinds.md has every kind of pipeline that is compiled or refused."""

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc

from . import kinds_table
from .helpers import ROOT


def read_table():
    """RETURNS (Dict[str, List[str]]): The other cells by the first one."""
    lines = (ROOT / "docs" / "kinds.md").read_text(encoding="utf8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {kind: cells for kind, *cells in rows}


def test_each_kind_has_its_row():
    workspace = kinds_table.Workspace(Path(), Path())
    table = read_table()
    for title, kinds in kinds_table.list_kinds(workspace):
        assert kinds, title
        for kind in kinds:
            difference, equal = table[kind]
            if equal:
                # Of a slow tokenizer's unknown pieces, spacy-transformers guesses the tokens; see docs/limits.md.
                assert float(equal.rstrip("%")) >= (98 if kind == "slow tokenizer" else 100), kind
                assert difference == kinds_table.NO_VECTORS or float(difference) < 1e-4, kind
            else:
                assert difference.endswith("."), kind


@pytest.mark.parametrize("kind", ["entity_ruler, ner", "textcat"])
def test_script_compares_annotations(kind, sample_path, tiny_encoder, tmp_path):
    workspace = kinds_table.Workspace(tmp_path, tiny_encoder)
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in ("Ada met Karl in London .", "Snow covers Norway .")]
    docs.append(Doc(nlp.vocab, words=["Ada"] * 50))
    make = dict(kinds_table.list_kinds(workspace))["Heads"][kind]
    difference, equal = kinds_table.compare(make, docs, tmp_path / "kind")
    assert float(difference) < 1e-5 and equal == "100.0%"
