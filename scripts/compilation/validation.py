"""Score engines inside the whole pipeline before they are artefacts, for quantization that watches the entities."""

from typing import List, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from ..common.corpora import copy_for_prediction
from ..compiled_transformer.encoder import CompiledEncoder
from ..compiled_transformer.engines import Engine
from .gate import score_entities


class ReplaceableEncoder(CompiledEncoder):
    """A compiled encoder that runs any engine it is given."""

    engine: Engine

    def get_engine(self, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
        return self.engine


class PipelineScorer:
    """Score engines by the entities that the pipeline's NER finds with them.

    nlp (Language): A compiled pipeline of the same encoder; its own engine is not used.
    transformer (str): Name of its transformer component.
    gold (List[Doc]): Annotated Docs.
    """

    def __init__(self, nlp: Language, transformer: str, gold: List[Doc]) -> None:
        self.nlp = nlp
        self.gold = gold
        component = nlp.get_pipe(transformer)
        self.encoder = ReplaceableEncoder()
        self.encoder.__dict__.update(component.encoder.__getstate__())
        component.model.shims[0] = self.encoder

    def __call__(self, engine: Engine, indices: List[int]) -> List[Tuple[int, int, int]]:
        """Run the pipeline with an engine.

        engine (Engine): The engine.
        indices (List[int]): Numbers of gold Docs.
        RETURNS (List[Tuple[int, int, int]]): True positives, false positives and false negatives of each Doc.
        """
        self.encoder.engine = engine
        docs = [self.gold[index] for index in indices]
        bare = (copy_for_prediction(doc, self.nlp) for doc in docs)
        found = [[(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in self.nlp.pipe(bare)]
        return [tuple(counts) for counts in score_entities(docs, found).counts.tolist()]
