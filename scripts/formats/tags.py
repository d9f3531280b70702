"""Tags of tokens: their form, their scheme, and their conversion to IOB2."""

import re
from typing import Callable, Dict, List, Sequence

from ..common.console import UserError
from .labels import Labels

# IOB1 and IOB2 have B and I; BILUO has L and U besides, and IOBES writes them as E and S.
TAG = re.compile(r"O|[BILUES]-.+")


def check_tag(tag: str, where: str, labels: Labels) -> None:
    """Check the form and the label of a tag.

    RAISES (UserError): If it is neither O nor a prefix and a label, or the label is not allowed.
    """
    if not TAG.fullmatch(tag):
        raise UserError(f"{where}: unknown tag {tag!r}. Expected O, or B-, I-, L-, U-, E- or S- and a label.")
    if tag != "O":
        labels.check(tag[2:], where, f"tag {tag!r}")


def to_iob2(tags: Sequence[str]) -> List[str]:
    """Convert the tags of one sentence from IOB1, IOB2, BILUO or IOBES to IOB2.

    spaCy's own `biluo_to_iob` replaces "L-" and "U-" inside labels, too: "B-CELL-LINE" becomes "B-CELI-LINE".
    """
    converted, previous = [], "O"
    for tag in tags:
        if tag != "O":
            is_start = tag[0] in "BUS" or previous[2:] != tag[2:] or previous[0] in "LUES"
            converted.append(f"{'B' if is_start else 'I'}-{tag[2:]}")
        else:
            converted.append(tag)
        previous = tag
    return converted


def follows_iob1(previous: str, tag: str) -> bool:
    """Follow IOB1: B is only for an entity that touches one of the same label."""
    return tag[0] in "OI" or (tag[0] == "B" and previous[2:] == tag[2:])


def follows_iob2(previous: str, tag: str) -> bool:
    """Follow IOB2: every entity starts with B."""
    return tag[0] in "OB" or (tag[0] == "I" and previous[2:] == tag[2:])


def follows_with_ends(previous: str, tag: str, last: str, single: str) -> bool:
    """Follow a scheme with ends: every entity starts with B and ends with another prefix, or has one token and a prefix of its own."""
    if previous[0] in "BI":
        return tag[0] in f"I{last}" and previous[2:] == tag[2:]
    return tag[0] in f"OB{single}"


def follows_biluo(previous: str, tag: str) -> bool:
    """Follow BILUO: L ends, U is single."""
    return follows_with_ends(previous, tag, "L", "U")


def follows_iobes(previous: str, tag: str) -> bool:
    """Follow IOBES: E ends, S is single."""
    return follows_with_ends(previous, tag, "E", "S")


SCHEMES: Dict[str, Callable[[str, str], bool]] = {
    "IOB1": follows_iob1,
    "IOB2": follows_iob2,
    "BILUO": follows_biluo,
    "IOBES": follows_iobes,
}


class SchemeCheck:
    """Recognise the scheme of a file while it is read: each tag rules out the schemes that it breaks."""

    def __init__(self) -> None:
        self.possible = dict(SCHEMES)

    def check(self, previous: str, tag: str, where: str) -> None:
        """Check one tag.

        previous (str): The tag before it, "O" at the start of a sentence.
        tag (str): The tag, "O" after the end of a sentence.
        where (str): File and line number, for the error.
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
