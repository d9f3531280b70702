"""The parts of a run, and which run may go on with them."""

import pytest

pytest.importorskip("ray")


from scripts.annotation.journal import Journal
from scripts.annotation.outputs import open_output
from scripts.common.console import UserError


def test_other_options_are_refused(tmp_path, compiled_path, jsonl):
    output = tmp_path / "out.jsonl"
    journal = Journal(output)
    journal.start({"--chunk-size": 5, "--stats": False})
    with pytest.raises(UserError, match="Another run is writing"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.close()
    # No part is finished yet.
    journal.start({"--chunk-size": 6, "--stats": False})
    journal.commit(0, open_output(output, False), [], {"number": 0})
    journal.close()
    with pytest.raises(UserError, match="another --chunk-size.*delete the folder"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.start({"--chunk-size": 6, "--stats": False})
