"""Make files and folders that need not be made again."""

from pathlib import Path
from typing import Any, Callable, Dict

import srsly

from ..common.files import replace_when_done


def make_once(target: Path, about: Dict[str, Any], make: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """Make a file or folder, unless it is there and was made from the same things.

    target (Path): What is made. A .json file beside it says from what.
    about (Dict[str, Any]): All that decides the outcome, as JSON has it.
    make (Callable[[], Dict[str, Any]]): Makes it and returns what there is to know.
    RETURNS (Dict[str, Any]): What `make` returned, now or then.
    """
    note = target.with_name(f"{target.name}.json")
    about = srsly.json_loads(srsly.json_dumps(about))
    if target.exists() and note.is_file():
        noted = srsly.read_json(note)
        if noted["about"] == about:
            return noted["result"]
    note.unlink(missing_ok=True)
    result = make()
    with replace_when_done(note) as path:
        srsly.write_json(path, {"about": about, "result": result})
    return result
