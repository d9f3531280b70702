"""Find out whether the compiled vectors can be in `doc.tensor`."""

from spacy.language import Language

from ..compiled_transformer.listener import IN_TENSOR, IN_USER_DATA

PROBE = "Ada Byron met Karl in Bergen."
TENSOR = "doc.tensor"


def choose_place(nlp: Language, transformer: str) -> str:
    """Choose where the vectors of the compiled transformer are put: in `doc.tensor`, unless another component writes it.

    The trained transformer doesn't. Other components may say that they do, as a `tok2vec`, or do it unsaid.

    nlp (Language): The trained pipeline.
    transformer (str): Name of its transformer component.
    RETURNS (str): A value of the compiled component's setting `vectors_in`.
    """
    others = (name for name in nlp.component_names if name != transformer)
    says_so = any(TENSOR in nlp.get_pipe_meta(name).assigns for name in others)
    return IN_USER_DATA if says_so or writes_tensor(nlp) else IN_TENSOR


def writes_tensor(nlp: Language) -> bool:
    """Run a pipeline on a sentence, and see whether `doc.tensor` is set."""
    doc = nlp.make_doc(PROBE)
    for _, component in nlp.pipeline:
        try:
            doc = component(doc)
        except Exception:  # What a component says to such a text comes up again where the pipeline is compared.
            break
        if doc.tensor.size:
            return True
    return False
