"""What a compiled pipeline does without, or keeps from the trained one, so that its user has to know."""

import inspect
from importlib.metadata import version
from typing import Any, List

from spacy.language import Language
from spacy_transformers.layers import TransformerModel
from thinc.api import Model

PACKAGE = "spacy-transformers"
OWN_PACKAGES = ("spacy", "spacy_legacy", "spacy_transformers", "spacy_curated_transformers")
NO_SETTER = "spacy-transformers.null_annotation_setter.v1"


def find_own_transformers(nlp: Language) -> List[str]:
    """List the components with a transformer inside, as `nlp.replace_listeners` and `Tok2VecTransformer` make them."""
    return [name for name, pipe in nlp.pipeline if has_own_transformer(pipe)]


def has_own_transformer(pipe: Any) -> bool:
    """Tell whether a component, other than the shared transformer itself, has a transformer of spacy-transformers inside."""
    model = getattr(pipe, "model", None)
    if not isinstance(model, Model) or isinstance(model, TransformerModel):
        return False
    return any(isinstance(node, TransformerModel) for node in model.walk())


def get_kept_requirements(nlp: Language) -> List[str]:
    """List what pip has to install for the transformers that components keep."""
    return [f"{PACKAGE}=={version(PACKAGE)}"] if find_own_transformers(nlp) else []


def find_readers(nlp: Language) -> List[str]:
    """List the components whose own code, the file that they are from, has to do with `doc._.trf_data`."""
    return [name for name, pipe in nlp.pipeline if reads_transformer_data(pipe)]


def reads_transformer_data(pipe: Any) -> bool:
    """Tell whether the file that a component's code is in mentions `trf_data`."""
    code = pipe if inspect.isfunction(pipe) else type(pipe)
    module = inspect.getmodule(code)
    if module is None or module.__name__.partition(".")[0] in OWN_PACKAGES:
        return False
    try:
        return "trf_data" in inspect.getsource(module)
    except (OSError, TypeError):  # There is no source, as of what is compiled or was typed in.
        return False


def get_leftover_warnings(nlp: Language, transformer: str) -> List[str]:
    """Say in sentences what of the trained pipeline is not compiled, and what to do.

    nlp (Language): The trained pipeline.
    transformer (str): Name of its transformer component.
    """
    warnings = []
    own = find_own_transformers(nlp)
    if own:
        warnings.append(
            f"{join_names(own)} in this pipeline has a transformer of its own (`nlp.replace_listeners` or "
            f"`Tok2VecTransformer`), which stays as slow as it is and needs {PACKAGE} and torch, so the compiled pipeline "
            f"requires them. Compile the pipeline as it was before, where all components listen to {transformer!r}."
        )
    readers = find_readers(nlp)
    if readers:
        warnings.append(
            f"{join_names(readers)} may read `doc._.trf_data`, which a compiled pipeline doesn't set: the code mentions it. "
            "Let it read `doc.tensor`, or leave it out of the pipeline."
        )
    setter = nlp.config["components"][transformer].get("set_extra_annotations") or {}
    name = setter.get("@annotation_setters", NO_SETTER)
    if name != NO_SETTER:
        warnings.append(
            f"The transformer sets annotations with {name!r}, which a compiled one doesn't. Set them in a component of "
            "your own, from `doc.tensor`."
        )
    return warnings


def join_names(names: List[str]) -> str:
    """Name some components."""
    return ("Component " if len(names) == 1 else "Each of the components ") + ", ".join(map(repr, names))
