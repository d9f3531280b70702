"""What this machine is, for people who read a number that was measured on it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Dict, List

from ..compiled_transformer.cpu import available_cores

# What a CPU must have, one of them, to be fast in a precision; by their names in Linux's /proc/cpuinfo.
FAST_WITH = {
    "bf16": ["avx512_bf16", "amx_bf16"],
    "int8": ["avx512_vnni", "avx_vnni", "amx_int8"],
}
CPU_FEATURES = ["avx2", "avx512f", *FAST_WITH["int8"], *FAST_WITH["bf16"]]
PACKAGES = (
    "spacy",
    "spacy-transformers",
    "spacy-curated-transformers",
    "torch",
    "onnxruntime",
    "openvino",
    "nncf",
    "nebullvm",
    "tokenizers",
    "numpy",
)


def describe_machine(gpu: int = -1) -> Dict[str, Any]:
    """Describe what decides the speed here.

    gpu (int): GPU that was used, -1 for none.
    RETURNS (Dict[str, Any]): CPU, cores, CPU features, GPU if one was used, system and versions of packages.
    """
    return {
        "cpu": get_cpu_name(),
        "cores": available_cores(),
        "cpu_features": get_cpu_features(),
        **({"gpu": get_gpu_name(gpu)} if gpu >= 0 else {}),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": get_versions(),
    }


def get_gpu_name(gpu: int) -> str:
    """Name a GPU by its number."""
    import torch

    return torch.cuda.get_device_name(gpu)


def read_cpuinfo() -> Dict[str, str]:
    """Read the first processor in /proc/cpuinfo; nothing where there is none."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    fields = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in fields}


def get_cpu_name() -> str:
    return read_cpuinfo().get("model name") or platform.processor() or platform.machine()


def get_cpu_features() -> List[str]:
    flags = set(read_cpuinfo().get("flags", "").split())
    return [feature for feature in CPU_FEATURES if feature in flags]


def get_versions() -> Dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def get_size_mb(path: Path) -> float:
    """Add up the size of a file or of all files in a folder, in 10^6 bytes."""
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(file_.stat().st_size for file_ in paths if file_.is_file()) / 1e6
