"""What a pipeline says of itself is read before anything of it is loaded, and a file that is damaged is named."""

import shutil

import pytest

from scripts.common.console import UserError
from scripts.common.pipelines import find_pipeline
from scripts.optimize import optimize_cli
from scripts.package import package_cli

from ..helpers import assert_refused, run_command

DAMAGES = [
    ("config.cfg", "[nlp]\nlang = 'en'\n[corpora.none.train]\n"),
    ("config.cfg", "no sections"),
    ("meta.json", '{"lang":'),
    ("meta.json", "[]"),
    ("meta.json", '{"lang": "en", "name": "pipeline"}'),
]


@pytest.fixture(params=DAMAGES, ids=lambda damage: f"{damage[0]}: {damage[1][:12]!r}")
def damaged(request, compiled_path, tmp_path):
    """The folder, and the file that is damaged."""
    name, content = request.param
    folder = shutil.copytree(compiled_path, tmp_path / "pipeline")
    (folder / name).write_text(content)
    return folder, folder / name


def test_every_command_names_the_file(damaged, tmp_path):
    folder, path = damaged
    for command, arguments in (
        (optimize_cli, [tmp_path / "output", "--text", path]),
        (package_cli, [tmp_path / "output", "en_name", "1.0.0"]),
    ):
        assert_refused(
            run_command(command, folder, *arguments), f"Can't read {path}", "Make or copy the pipeline again"
        )
    with pytest.raises(UserError, match="Can't read"):
        find_pipeline(str(folder))
    assert not (tmp_path / "output").exists()
