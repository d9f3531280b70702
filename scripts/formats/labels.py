"""Entity labels: which ones there may be, and what becomes of them."""

from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional

from ..common.console import UserError


class Labels(NamedTuple):
    """A map of labels.

    renamed (Dict[str, str]): New labels by old ones, empty for entities to drop.
    allowed (Optional[FrozenSet[str]]): The labels that a corpus may have, None for any.
    """

    renamed: Dict[str, str] = {}
    allowed: Optional[FrozenSet[str]] = None

    def limit(self, labels: Iterable[str]) -> "Labels":
        """Limit the map to the labels of a format, which the user may add to."""
        if self.allowed is not None:
            return self
        return self._replace(allowed=frozenset(labels) | set(self.renamed))

    def check(self, label: str, where: object, what: str) -> None:
        """Refuse a label that is not allowed.

        where (object): File and line number, for the error.
        what (str): What holds the label, for the error.
        RAISES (UserError): If it is not one of those allowed.
        """
        if self.allowed is not None and label not in self.allowed:
            raise UserError(
                f"{where}: unknown {what}. Expected the labels {', '.join(sorted(self.allowed))}; "
                f"`--labels {label}=NEW` renames one, `--labels {label}=` drops its entities."
            )

    def rename(self, tags: Iterable[Optional[str]]) -> List[Optional[str]]:
        """Give tags in IOB2 their new labels. Entities that touched stay apart."""
        if not self.renamed:
            return list(tags)
        return [self._rename_tag(tag) for tag in tags]

    def _rename_tag(self, tag: Optional[str]) -> Optional[str]:
        if tag is None or tag == "O":
            return tag
        label = self.renamed.get(tag[2:], tag[2:])
        return tag[:2] + label if label else "O"


def parse_labels(text: str) -> Labels:
    """Parse `--labels`.

    text (str): `old=new` items, separated by commas; `old=` drops entities, and a bare `label` stays as it is. If there
        is a bare label, the list is complete: every label that is not in it is an error. Otherwise they stay.
    RETURNS (Labels): The map.
    RAISES (UserError): If an item has no label, more than one `=`, or a label twice.
    """
    renamed: Dict[str, str] = {}
    is_complete = False
    for item in text.split(",") if text.strip() else []:
        old, *new = (part.strip() for part in item.split("="))
        if not old or len(new) > 1:
            raise UserError(f"--labels: expected OLD=NEW, OLD= or LABEL between commas, got {item!r}.")
        if old in renamed:
            raise UserError(f"--labels: {old!r} is there twice. Leave one of them out.")
        is_complete = is_complete or not new
        renamed[old] = new[0] if new else old
    return Labels(renamed, frozenset(renamed) if is_complete else None)
