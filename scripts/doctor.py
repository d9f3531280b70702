"""Say what this machine offers, and which candidates `optimize` would try on it."""

from typing import Any, Dict

import srsly
import torch
import typer
from typer import Option as Opt
from wasabi import msg

from .common.machine import FAST_WITH, describe_machine
from .compilation.candidates import get_candidates
from .compilation.curated import why_not_curated
from .compilation.huggingface import ARCHITECTURES, why_no_token_pipe
from .compilation.huggingface import FACTORY as TOKEN_PIPE


def doctor_cli(
    as_json: bool = Opt(False, "--json", "-j", help="Print JSON, for programs"),
):
    """Print the CPU with its features, GPUs, engines with their versions, and what could be compiled, tried or is missing."""
    report = examine()
    if as_json:
        print(srsly.json_dumps(report, indent=2))
        return
    machine = report["machine"]
    msg.divider("Machine")
    msg.table(
        {
            "CPU": machine["cpu"],
            "Cores for this process": machine["cores"],
            **{
                f"Fast {precision}": ", ".join(feature for feature in features if feature in machine["cpu_features"])
                or f"no: none of {', '.join(features)}"
                for precision, features in FAST_WITH.items()
            },
            "GPU": ", ".join(report["gpus"]) or "none found by torch",
            "System": f"{machine['system']}, Python {machine['python']}",
        }
    )
    msg.divider("Packages")
    msg.table(machine["versions"])
    msg.divider("Pipelines that can be compiled")
    for name, reason in report["pipelines"].items():
        if reason is None:
            msg.good(name)
        else:
            msg.warn(f"{name}: of {reason}")
    msg.divider("Candidates")
    for name, reason in report["candidates"].items():
        if reason is None:
            msg.good(f"{name}: will be tried")
        else:
            msg.warn(f"{name}: {reason}")


def examine() -> Dict[str, Any]:
    """Examine the machine.

    RETURNS (Dict[str, Any]): "machine", "gpus" (names), "pipelines": why not, or None if they can be compiled here, and
        "candidates": why not, or None if it will be tried.
    """
    return {
        "machine": describe_machine(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "pipelines": {
            "`transformer` of spacy-transformers, with a fast tokenizer": None,
            "`curated_transformer` (BERT, RoBERTa, CamemBERT, XLM-R)": why_not_curated(),
            f"`{TOKEN_PIPE}` and models of the Hugging Face hub ({', '.join(ARCHITECTURES.values())})": why_no_token_pipe(),
        },
        "candidates": {candidate.name: candidate.why_not() for candidate in get_candidates()},
    }


if __name__ == "__main__":
    typer.run(doctor_cli)
