"""Make trained students as fast as their teacher was made."""

import shutil
from pathlib import Path
from typing import Any, Dict

from thinc.api import Config

from ..common.files import replace_when_done
from ..compilation.artefact_writer import TOKENIZERS_REQUIREMENT
from ..compilation.gate import Gate
from ..compilation.optimize import SearchSettings, Texts, optimize
from ..compilation.swap import use_greedy_ner, write_requirements

# What a student may lose by being compiled: as much as its teacher in project.yml.
GATE = Gate()


def compile_encoder(
    student: Path, corpora: Dict[str, Path], output: Path, *, budget: float, gpu: int = -1, silent: bool = True
) -> Dict[str, Any]:
    """Compile a student with a transformer; what was tried is in `metrics` beside it.

    student (Path): The trained student.
    corpora (Dict[str, Path]): "train" and "dev", both gold.
    output (Path): The compiled pipeline.
    budget (float): Minutes after which no further candidate is started.
    gpu (int): GPU of the candidates, -1 for the CPU.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): The "engine" that was chosen, by the name of its candidate.
    RAISES (UserError): If no candidate keeps the student's entities.
    """
    metrics = output.with_name(f"{output.name}-metrics")
    report = optimize(
        student,
        output,
        Texts(corpora["train"], corpora["dev"]),
        metrics,
        SearchSettings(GATE, budget=budget, gpu=gpu),
        silent=silent,
    )
    return {"engine": report["chosen"]}


def compile_cnn(student: Path, output: Path) -> Dict[str, Any]:
    """Give a pipeline without a transformer what the compiled ones have beside the encoder: the faster `greedy_ner`.

    student (Path): The trained student.
    output (Path): A pipeline that finds the same entities.
    RETURNS (Dict[str, Any]): The "engine", which is spaCy itself.
    """
    with replace_when_done(output) as path:
        shutil.copytree(student, path)
        config = Config().from_disk(path / "config.cfg", interpolate=False)
        use_greedy_ner(config)
        config.to_disk(path / "config.cfg")
        # The code of `greedy_ner` imports it.
        write_requirements(path, [TOKENIZERS_REQUIREMENT])
    return {"engine": "spaCy with greedy_ner"}
