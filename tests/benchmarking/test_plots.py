"""The plots of a benchmark."""

import copy

from matplotlib.image import imread

from scripts.benchmarking.plots import draw_length_plot, draw_plot

from .results import BATCH_SIZES


def test_plot_can_be_read_at_the_width_of_a_readme(made_up, tmp_path):
    draw_plot(made_up, tmp_path / "plot.png")
    height, width, _ = imread(tmp_path / "plot.png").shape
    assert width >= 1600 and 0.4 < height / width < 0.7


def test_length_plot_can_be_read_at_the_width_of_a_readme(made_up, tmp_path):
    draw_length_plot(made_up, tmp_path / "plot.png")
    height, width, _ = imread(tmp_path / "plot.png").shape
    assert width >= 1600 and 0.4 < height / width < 0.8


def test_plot_follows_the_numbers(made_up, tmp_path):
    draw_plot(made_up, tmp_path / "one.png")
    slower = copy.deepcopy(made_up)
    slower["reference"], slower["compiled"] = made_up["compiled"], made_up["reference"]
    slower["speedup"]["throughput"] = {size: 0.25 for size in BATCH_SIZES}
    draw_plot(slower, tmp_path / "two.png")
    draw_plot(made_up, tmp_path / "one_again.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "one_again.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
