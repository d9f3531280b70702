"""The parameters that a training changes, of spaCy's own layers and of torch models alike, in an order that every process shares."""

from typing import Dict, List, NamedTuple, Optional, Set, Tuple, Union

import torch
from spacy.language import Language
from thinc.api import Model, torch2xp, xp2torch
from thinc.shims import PyTorchShim
from thinc.types import FloatsXd


class Parameter(NamedTuple):
    """An array of weights and its gradient, as torch tensors."""

    name: str  # component, position in the walk over its model, own name: the same in every process
    owner: Union[Model, PyTorchShim]
    key: Tuple[int, str]  # the optimizer's: the id in it counts the layers that a process has made

    @property
    def weights(self) -> torch.Tensor:
        """Get the weights where they are, without a copy."""
        if isinstance(self.owner, Model):
            return xp2torch(self.owner.get_param(self.key[1]))
        return self.owner._model.get_parameter(self.key[1]).data

    @weights.setter
    def weights(self, values: torch.Tensor) -> None:
        if isinstance(self.owner, Model):
            self.owner.set_param(self.key[1], self.to_array(values))
        else:
            self.owner._model.get_parameter(self.key[1]).data.copy_(values)

    @property
    def gradient(self) -> Optional[torch.Tensor]:
        """Get the gradient; None if nothing has ever been propagated back: the optimizer passes over the weights then."""
        if isinstance(self.owner, Model):
            return xp2torch(self.owner.get_grad(self.key[1])) if self.owner.has_grad(self.key[1]) else None
        return self.owner._model.get_parameter(self.key[1]).grad

    @gradient.setter
    def gradient(self, values: torch.Tensor) -> None:
        if isinstance(self.owner, Model):
            self.owner.set_grad(self.key[1], self.to_array(values))
        else:
            self.owner._model.get_parameter(self.key[1]).grad = values.clone()

    def to_array(self, values: torch.Tensor) -> FloatsXd:
        """Copy values to where the optimizer has its arrays for this parameter, of numpy or cupy."""
        copied = values.to(self.weights.device, copy=True)
        return torch2xp(copied, ops=self.owner.ops if isinstance(self.owner, Model) else None)


def walk_parameters(nlp: Language, components: List[str]) -> List[Parameter]:
    """List the parameters of components, each once.

    nlp (Language): An initialized pipeline.
    components (List[str]): Names of the components that are trained.
    RETURNS (List[Parameter]): In the order of the pipeline and of each model's walk.
    """
    parameters, seen = [], set()
    for component in components:
        for position, node in enumerate(nlp.get_pipe(component).model.walk()):
            if id(node) in seen:
                continue
            seen.add(id(node))
            for shim in node.shims:
                if isinstance(shim, PyTorchShim):
                    for name, _ in shim._model.named_parameters():
                        parameters.append(Parameter(f"{component}/{position}/{name}", shim, (shim.id, name)))
            for name in node.param_names:
                if node.has_param(name):
                    parameters.append(Parameter(f"{component}/{position}/{name}", node, (node.id, name)))
    return parameters


def list_scalers(parameters: List[Parameter]) -> List:
    """List the gradient scalers of the torch models: after an overflow they skip the model's step."""
    shims = {
        id(parameter.owner): parameter.owner for parameter in parameters if isinstance(parameter.owner, PyTorchShim)
    }
    return [shim._grad_scaler for shim in shims.values()]


def has_finite_gradients(parameters: List[Parameter]) -> bool:
    """Tell whether a step along the gradients keeps the weights finite."""
    for parameter in parameters:
        overflowed = isinstance(parameter.owner, PyTorchShim) and parameter.owner._grad_scaler.found_inf
        gradient = None if overflowed else parameter.gradient
        if gradient is not None and not bool(torch.isfinite(gradient.sum())):
            return False
    return True


def find_unseen_classes(nlp: Language) -> Dict[str, Set[int]]:
    """Find the classes of a parser or ner that it masks until a batch has them, by component."""
    models = {name: getattr(component, "model", None) for name, component in nlp.pipeline}
    return {
        name: model.attrs["unseen_classes"]
        for name, model in models.items()
        if isinstance(model, Model) and "unseen_classes" in model.attrs
    }
