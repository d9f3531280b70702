"""How cores and GPUs are divided among workers."""

import pytest

pytest.importorskip("ray")


from scripts.annotation.ray_pool import choose_pool
from scripts.annotation.settings import PoolSettings
from scripts.common.console import UserError


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
