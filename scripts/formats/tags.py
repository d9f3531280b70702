"""Tags of tokens: their form, their scheme, and their conversion to IOB2."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from ..common.console import UserError
from .lines import Place, quote
from .sentence import Notes
from .settings import BARE, ReaderSettings

# IOB1 and IOB2 have B and I; BILUO has L and U besides, IOBES writes them as E and S, and BMES writes I as M.
TAG = re.compile(r"([BILUESM])[-_](.+)", re.IGNORECASE)
STRAY = {
    "I": "I- tags that start an entity, where others have B-",
    "B": "B- tags that start an entity, where others have I-",
}
OUTSIDE = "tags such as I-O, which mean O"


def is_tag(text: str) -> bool:
    """Tell whether a text has the form of a tag."""
    return text in ("O", "o") or TAG.fullmatch(text) is not None


def to_iob2(tags: Sequence[str]) -> List[str]:
    """Convert the tags of one sentence from IOB1, IOB2, BILUO, IOBES or BMES to IOB2.

    spaCy's own `biluo_to_iob` replaces "L-" and "U-" inside labels, too: "B-CELL-LINE" becomes "B-CELI-LINE".
    """
    converted, previous = [], "O"
    for tag in tags:
        if tag != "O":
            converted.append(f"{'B' if tag[0] in 'BUS' or starts_anew(previous, tag) else 'I'}-{tag[2:]}")
        else:
            converted.append(tag)
        previous = tag
    return converted


def starts_anew(previous: str, tag: str) -> bool:
    """Tell whether a tag can't go on with the entity of the one before it."""
    return previous[2:] != tag[2:] or previous[0] in "LUES"


def follows_iob(previous: str, tag: str) -> bool:
    """Follow IOB1 or IOB2. Which of them it is shows only at the end, and both are read alike."""
    return tag[0] in "OBI"


def follows_with_ends(previous: str, tag: str, inside: str, last: str, single: str) -> bool:
    """Follow a scheme whose entities have a last tag, or a single one. One that starts with an inner tag is let by."""
    if previous[0] in "BIM" and (previous[0] != "B" or single != "B" or tag[0] in inside + last):
        return tag[0] in inside + last and previous[2:] == tag[2:]
    return tag[0] in f"OB{single}{inside}"


SCHEMES: Dict[str, Callable[[str, str], bool]] = {
    "IOB": follows_iob,
    "BILUO": lambda previous, tag: follows_with_ends(previous, tag, "I", "L", "U"),
    "IOBES": lambda previous, tag: follows_with_ends(previous, tag, "I", "E", "S"),
    "BMES": lambda previous, tag: follows_with_ends(previous, tag, "M", "E", "S"),
    "BMEO": lambda previous, tag: follows_with_ends(previous, tag, "M", "E", "B"),
}


class TagReader:
    """Read the tags of a file, sentence by sentence, and recognise their scheme: each tag rules out what it breaks.

    path (Path): The file.
    settings (ReaderSettings): The labels, whether tags are bare labels, and whether stray tags are refused.
    notes (Notes): Gets the number of stray tags.
    """

    def __init__(self, path: Path, settings: ReaderSettings, notes: Notes) -> None:
        self.path = path
        self.settings = settings
        self.notes = notes
        self.possible = dict(SCHEMES)
        self.known: Dict[str, str] = {"O": "O", "o": "O"}
        self.places: Dict[str, List[Place]] = defaultdict(list)

    def read(self, tags: Sequence[str], places: Sequence[Place]) -> List[str]:
        """Check the tags of one sentence and convert them to IOB2.

        tags (Sequence[str]): The tags.
        places (Sequence[Place]): Where they are, for errors.
        RETURNS (List[str]): The same in IOB2.
        RAISES (UserError): For an unknown tag, or one that breaks the scheme of the file.
        """
        checked = [self.known.get(tag) or self.parse(tag, where) for tag, where in zip(tags, places)]
        previous = "O"
        for tag, where in zip(checked, places):
            self.check(previous, tag, where)
            if tag[0] in "IM" and starts_anew(previous, tag):
                self.places["I"].append(where)
            elif tag[0] == "B" and starts_anew(previous, tag):
                self.places["B"].append(where)
            previous = tag
        if places:
            self.check(previous, "O", f"{places[-1]}, end of the sentence")
        return to_iob2(checked)

    def parse(self, tag: str, where: Place) -> str:
        """Parse a tag that was not seen before: its prefix as a capital, a hyphen and its label.

        RAISES (UserError): If it is neither O nor a prefix and a label, or the label is not allowed.
        """
        if self.settings.scheme == BARE:
            self.settings.labels.check(tag, where, f"label {tag!r}")
            self.known[tag] = f"I-{tag}"
            return self.known[tag]
        match = TAG.fullmatch(tag)
        if not match:
            raise UserError(
                f"{where}: unknown tag {quote(tag)}. Expected O, or B-, I-, L-, U-, E-, S- or M- and a label; "
                "for labels without prefixes `--scheme io`."
            )
        prefix, label = match.groups()
        if label.upper() == "O":
            self.places["O"].append(where)
            return "O"
        self.settings.labels.check(label, where, f"tag {tag!r}")
        self.known[tag] = f"{prefix.upper()}-{label}"
        return self.known[tag]

    def check(self, previous: str, tag: str, where: object) -> None:
        """Check that a tag may follow another.

        previous (str): The tag before it, "O" at the start of a sentence.
        tag (str): The tag, "O" after the end of a sentence.
        where (object): File and line number, for the error.
        RAISES (UserError): If no scheme is left that allows this tag and all before it.
        """
        if tag == "O" and previous == "O":
            return
        possible = {name: follows for name, follows in self.possible.items() if follows(previous, tag)}
        if not possible:
            raise UserError(
                f"{where}: the tag {tag!r} after {previous!r} is not {' or '.join(self.possible)}, "
                "as the tags before it are. Fix this line, or the lines before it."
            )
        self.possible = possible

    def finish(self) -> None:
        """Note the stray tags of the file, or refuse them all in one error.

        RAISES (UserError): If there are some, and the settings are strict.
        """
        found = {OUTSIDE: self.places["O"]}
        # In IOB1 every entity starts with I-, in IOB2 with B-. Where both do, the rarer is the stray one.
        stray = "I" if "IOB" not in self.possible else min("IB", key=lambda prefix: len(self.places[prefix]))
        if self.settings.scheme != BARE:
            found[STRAY[stray]] = self.places[stray]
        found = {what: places for what, places in found.items() if places}
        if found and self.settings.strict:
            listed = "; ".join(
                f"{len(places):,} {what} (line {', '.join(str(place.number) for place in places)})"
                for what, places in found.items()
            )
            raise UserError(f"{self.path}: {listed}. Fix them, or leave out `--strict`.")
        for what, places in found.items():
            self.notes.corrected[what] += len(places)
