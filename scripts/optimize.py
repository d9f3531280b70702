"""Find the fastest way to run a trained pipeline that loses nothing of what it annotates.

The data flow: training/model-best and corpus/{train,dev}.spacy, or any text -> training/model-compiled and metrics/optimize.*
"""

from pathlib import Path
from typing import Dict, Optional, Sequence

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import UserError, exit_on_user_error
from .compilation.gate import MIN_AGREEMENT, Gate
from .compilation.huggingface_model import TokenPipeSettings, find_reference
from .compilation.optimize import SearchSettings, Texts, optimize
from .compilation.search_report import print_rows
from .compilation.selection import OBJECTIVES
from .compiled_transformer.aggregation import STRATEGIES
from .compiled_transformer.token_classification import ALIGNMENT_MODES


def optimize_cli(
    # fmt: off
    reference: str = Arg(
        ...,
        help="Trained pipeline with a shared transformer or a hf_token_pipe: a folder or the name of an installed package. Or a token classification model of transformers: a folder or its name on the Hugging Face hub. It is only read",
    ),
    output: Path = Arg(..., help="Folder for the compiled pipeline"),
    train: Optional[Path] = Arg(None, help="Train corpus, .spacy: its text calibrates int8"),
    dev: Optional[Path] = Arg(
        None, help="Annotated .spacy corpus that decides whether entities were lost; never the test corpus"
    ),
    metrics_dir: Optional[Path] = Arg(
        None, help="Folder for optimize.json, optimize.md and optimize.png; by default OUTPUT-metrics"
    ),
    text: Optional[Path] = Opt(
        None,
        "--text",
        "-t",
        help="More text to compare on, without annotations: a document a line, .jsonl, .spacy or a folder of .txt. With it, train and dev are not needed",
    ),
    max_f1_drop: float = Opt(
        Gate().max_f1_drop, "--max-f1-drop", min=0.0, max=1.0, help="Most entity F1 (0 to 1) that may be lost on dev"
    ),
    max_label_drop: float = Opt(
        Gate().max_label_drop,
        "--max-label-drop",
        min=0.0,
        max=1.0,
        help="Most F1 (0 to 1) that any one label may lose, beyond chance",
    ),
    min_agreement: str = Opt(
        "",
        "--min-agreement",
        help=f"Least agreement with the trained pipeline: a number from 0 to 1 for all annotations, or KIND=NUMBER with commas between, such as entities=0.99; kinds: {', '.join(MIN_AGREEMENT)}",
    ),
    objective: str = Opt(
        SearchSettings.objective,
        "--objective",
        "-o",
        help=f"What is best: {', '.join(OBJECTIVES)}. With latency, engines for most sentences start when the pipeline is loaded",
    ),
    budget: float = Opt(
        SearchSettings.budget, "--budget", "-b", min=0.0, help="Minutes after which no further candidate is started"
    ),
    candidates: str = Opt(
        "",
        "--candidates",
        "-c",
        help="Names of the candidates to try, with commas between; all by default, see `python -m scripts.doctor`",
    ),
    portable: bool = Opt(
        False, "--portable", "-p", help="Keep an fp32 encoder too, for CPUs that lack what the fast one needs"
    ),
    lang: str = Opt(
        TokenPipeSettings().lang,
        "--lang",
        "-l",
        help="Of a Hugging Face model: language whose tokenizer is used, such as en; xx is for all that put spaces between words",
    ),
    aggregation: str = Opt(
        TokenPipeSettings().aggregation_strategy,
        "--aggregation",
        help=f"Of a Hugging Face model: how the wordpieces of a word get one label, as in transformers' pipeline: {', '.join(STRATEGIES)}",
    ),
    alignment: str = Opt(
        TokenPipeSettings().alignment_mode,
        "--alignment",
        help=f"Of a Hugging Face model: what becomes of entities that don't begin and end with spaCy's tokens: {', '.join(ALIGNMENT_MODES)}",
    ),
    stride: int = Opt(
        TokenPipeSettings().stride,
        "--stride",
        min=0,
        help="Of a Hugging Face model: wordpieces that two windows of a long text share",
    ),
    gpu: int = Opt(
        -1, "--gpu", "-g", help="GPU of the reference, -1 for the CPU. Candidates for a GPU are tried only with one"
    ),
    # fmt: on
):
    """Compile the transformer of a trained pipeline, and prove that nothing was lost.

    Each candidate (an engine and a precision) becomes a real pipeline, whose annotations are compared with those of the
    reference, and with gold where there is some: by entity F1 on dev, and by the agreement of everything that the
    pipeline annotates. It is timed against the reference on the same texts, in turn. Then other settings of the best one
    are tried, and the best few meet in a final. A search that was stopped goes on where it stopped.

    The pipeline's transformer is a `transformer` of spacy-transformers with a fast tokenizer, a `curated_transformer` of
    spacy-curated-transformers (BERT, RoBERTa, CamemBERT, XLM-R), as in `en_core_web_trf`, or a `hf_token_pipe` of
    spacy-huggingface-pipelines (BERT, RoBERTa, DistilBERT, XLM-R, CamemBERT, ELECTRA, DeBERTa). A model of transformers
    becomes a pipeline of the last kind in OUTPUT-reference, which is what the compiled one is compared with.
    """
    with exit_on_user_error():
        check_choice("--aggregation", aggregation, STRATEGIES)
        check_choice("--alignment", alignment, ALIGNMENT_MODES)
        report = optimize(
            find_reference(reference, output, TokenPipeSettings(lang, aggregation, alignment, stride)),
            output,
            Texts(train, dev, text),
            metrics_dir or output.absolute().with_name(f"{output.absolute().name}-metrics"),
            SearchSettings(
                gate=Gate(max_f1_drop, max_label_drop, parse_agreement(min_agreement)),
                objective=objective,
                budget=budget,
                names=[name.strip() for name in candidates.split(",") if name.strip()],
                portable=portable,
                gpu=gpu,
            ),
            silent=False,
        )
    print_rows(report)
    chosen = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    msg.good(f"Kept {report['chosen']} in {output}: {chosen['reason']}")


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Check an option that is one of a few values.

    RAISES (UserError): If it is another one.
    """
    if value not in choices:
        raise UserError(f"{option} is {value!r}. Choose one of: {', '.join(choices)}.")


def parse_agreement(text: str) -> Dict[str, float]:
    """Read the least agreements from the command line.

    text (str): A number for all kinds of annotations, or KIND=NUMBER with commas between; empty for the defaults.
    RETURNS (Dict[str, float]): By kind.
    RAISES (UserError): If a kind is unknown, or a number not between 0 and 1.
    """
    least = dict(MIN_AGREEMENT)
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1 or (kind and kind not in least):
            raise UserError(
                f"--min-agreement is {text!r}. Give a number from 0 to 1, or KIND=NUMBER with commas between, such as "
                f"entities=0.99. Kinds: {', '.join(least)}."
            )
        least.update({kind: value} if kind else dict.fromkeys(least, value))
    return least


if __name__ == "__main__":
    typer.run(optimize_cli)
