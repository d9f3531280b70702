"""How cores and GPUs are divided among workers, and a cluster."""

import subprocess
import sys

import pytest
import srsly

pytest.importorskip("ray")


from scripts.annotation.ray_pool import choose_pool
from scripts.annotation.results import beside
from scripts.annotation.settings import PoolSettings
from scripts.common.console import UserError

from .. import helpers
from .runs import read_rows


@pytest.mark.parametrize(
    "asked, found, expected_pool",
    [
        ((100, None, None, 0.0), (2, 2, 0.0), (2, 1, 0.0)),
        ((1, None, None, 0.0), (8, 8, 0.0), (1, 8, 0.0)),
        ((100, None, 4, 0.0), (8, 8, 0.0), (2, 4, 0.0)),
        ((100, 3, None, 0.0), (8, 8, 0.0), (3, 2, 0.0)),
        ((100, 1, None, 0.0), (32, 16, 0.0), (1, 16, 0.0)),
        ((100, None, None, 1.0), (64, 64, 8.0), (8, 8, 1.0)),
        ((100, None, None, 0.5), (16, 16, 1.0), (2, 8, 0.5)),
    ],
)
def test_cores_and_gpus_are_divided(asked, found, expected_pool):
    most_workers, *settings = asked
    assert choose_pool(most_workers, PoolSettings(*settings), *found) == expected_pool


@pytest.mark.parametrize(
    "asked, found, message",
    [
        ((100, 3, None, 1.0), (16, 16, 2.0), "3 workers with 1 GPUs each are asked for, but Ray finds 2 GPUs"),
        ((100, None, None, 1.0), (16, 16, 0.0), "Ray finds 0 GPUs"),
        ((100, 4, 3, 0.0), (8, 8, 0.0), "4 workers with 3 threads each are asked for, but Ray finds 8 cores"),
        ((100, 1, 6, 0.0), (8, 4, 0.0), "at most 4 on a machine"),
    ],
)
def test_more_than_there_is_is_refused(asked, found, message):
    with pytest.raises(UserError, match=message):
        most_workers, *settings = asked
        choose_pool(most_workers, PoolSettings(*settings), *found)


@pytest.fixture
def cluster():
    """A cluster of two machines with a core each, that are both this one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_a_cluster(tmp_path, compiled_path, jsonl, expected, cluster):
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "scripts.annotate", compiled_path, jsonl, output, "--address", cluster.address]
    options = ["--text-field", "body", "--chunk-size", 10]
    finished = subprocess.run(list(map(str, command + options)), cwd=helpers.ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert [row["entities"] for row in read_rows(output)] == expected
    run = srsly.read_json(beside(output, "summary.json"))["run"]
    assert (run["workers"], run["threads"]) == (2, 1)
