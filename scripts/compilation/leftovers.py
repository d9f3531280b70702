"""What a compiled pipeline does without, or keeps from the trained one, so that its user has to know."""

import inspect
from importlib.metadata import version
from typing import Any, List

from spacy.language import Language
from spacy_transformers.layers import TransformerModel
from thinc.api import Model

from ..compiled_transformer.encoder_component import EncoderComponent
from .curated_listeners import REPLACED
from .own_transformers import find_own_transformers
from .shared_transformers import find_shared_transformers, list_readers

PACKAGE, CURATED_PACKAGE = "spacy-transformers", "spacy-curated-transformers"
OWN_PACKAGES = ("spacy", "spacy_legacy", "spacy_transformers", "spacy_curated_transformers")
NO_SETTER = "spacy-transformers.null_annotation_setter.v1"


def get_kept_requirements(nlp: Language, transformer: str) -> List[str]:
    """List what pip has to install for the transformers that are kept, and for those that are compiled already.

    transformer (str): Name of the transformer component that is compiled.
    """
    requirements = []
    shared = find_shared_transformers(nlp)
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, EncoderComponent):
            requirements += pipe.encoder.manifest["requirements"]
        elif name != transformer and isinstance(getattr(pipe, "model", None), Model):
            nodes = list(pipe.model.walk())
            if any(isinstance(node, TransformerModel) for node in nodes):
                requirements.append(f"{PACKAGE}=={version(PACKAGE)}")
            elif any(node.name == REPLACED for node in nodes) or name in shared:
                requirements.append(f"{CURATED_PACKAGE}=={version(CURATED_PACKAGE)}")
    return requirements


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
    transformer (str): Name of the transformer component that is compiled.
    """
    warnings = []
    shared = find_shared_transformers(nlp)
    for other in shared:
        if other != transformer:
            readers = list_readers(nlp, other, shared)
            warnings.append(
                f"This pipeline has {len(shared)} transformers. {transformer!r} is compiled; {other!r}, which "
                f"{', '.join(map(repr, readers)) or 'no component'} reads, stays as slow as it is and needs torch. Run "
                "`optimize` again, on the compiled pipeline, to compile it too, or remove it if nothing reads it."
            )
    own = find_own_transformers(nlp)
    if own:
        warnings.append(
            f"{join_names(own)} in this pipeline has a transformer of its own (`nlp.replace_listeners` or "
            "`Tok2VecTransformer`), which stays as slow as it is and needs torch, so the compiled pipeline "
            f"requires it. Compile the pipeline as it was before, where all components listen to {transformer!r}."
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
