"""A cluster of two machines that are both this one, open to this machine only: with and without a token."""

import contextlib
import os
import subprocess
import sys

import pytest
import srsly

pytest.importorskip("ray")

from scripts.annotation.results import beside

from .. import helpers
from .runs import read_rows

pytestmark = pytest.mark.slow
TOKEN = "a-token-that-only-this-test-knows"
# Each node has a core, and knows nothing of the other one's.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
print("at", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextlib.contextmanager
def start_cluster(environment):
    """Start a cluster in a process of its own, as Ray's settings come from the environment of a process.

    YIELDS (str): Its address.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield next(line.split()[1] for line in process.stdout if line.startswith("at "))
    finally:
        process.communicate("")


def run(environment, *arguments):
    command = [sys.executable, "-m", "scripts.annotate", *arguments, "--text-field", "body", "--chunk-size", "10"]
    return subprocess.run(
        list(map(str, command)), cwd=helpers.ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture
def environment(tmp_path):
    """That of a user with an empty home folder and no token."""
    (tmp_path / "home").mkdir()
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    return {**own, "HOME": str(tmp_path / "home"), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def test_two_nodes_after_a_local_run(tmp_path, compiled_path, jsonl, expected, environment):
    local, output = tmp_path / "local.jsonl", tmp_path / "out.jsonl"
    result = run(environment, compiled_path, jsonl, local)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not (tmp_path / "home" / ".ray").exists()  # No token, which would lock this user out of the next cluster
    with start_cluster(environment) as address:
        result = run(environment, compiled_path, jsonl, output, "--address", address)
    assert result.returncode == 0, result.stdout + result.stderr
    assert output.read_bytes() == local.read_bytes()
    assert [row["entities"] for row in read_rows(output)] == expected
    used = srsly.read_json(beside(output, "summary.json"))["run"]
    assert (used["workers"], used["threads"]) == (2, 1)  # More than one node has.


def test_two_nodes_with_a_token(tmp_path, compiled_path, jsonl, expected, environment):
    """In the environment or, as `ray start` asks for it, in the home folder."""
    asking = {**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with start_cluster(asking) as address:
        refused = run(
            {**environment, "RAY_AUTH_TOKEN": "another"},
            compiled_path,
            jsonl,
            tmp_path / "no.jsonl",
            "--address",
            address,
        )
        (tmp_path / "home" / ".ray").mkdir()
        (tmp_path / "home" / ".ray" / "auth_token").write_text(TOKEN)
        results = {
            output: run(told, compiled_path, jsonl, output, "--address", address)
            for output, told in (
                (tmp_path / "environment.jsonl", {**environment, "HOME": str(tmp_path), "RAY_AUTH_TOKEN": TOKEN}),
                (tmp_path / "home.jsonl", environment),
            )
        }
    assert refused.returncode == 1
    message = " ".join(refused.stdout.split())
    assert f"Can't join a Ray cluster at {address} (with a token)" in message
    assert "Traceback" not in refused.stdout + refused.stderr
    for output, result in results.items():
        assert result.returncode == 0, result.stdout + result.stderr
        assert [row["entities"] for row in read_rows(output)] == expected
        assert srsly.read_json(beside(output, "summary.json"))["run"]["workers"] == 2
