"""Texts that are expensive for spaCy's tokenizer: make it linear in them where that is possible, and limit the rest.

spaCy takes a run of characters without white space apart from both ends, a token at a time. For each token it searches
the whole rest for a suffix, although a suffix can only be at the end: 8,000 dollar signs take 17 s. `speed_up` makes it
search there only, which gives the same tokens. What is left is quadratic too, but 500 times cheaper: hashing the rest
for each token, and the pattern for URLs, which a run of `MAX_RUN` characters keeps busy for a second at most.
"""

import re
from re import _constants, _parser
from typing import Any, Dict, List, Optional, Tuple

from spacy.language import Language
from spacy.tokenizer import Tokenizer

MAX_RUN = 10_000  # Characters without white space between them.
UNBOUNDED = 10_000  # Characters of a match; the parser says 2**64 or more.
WIDENING = 4


def find_long_run(text: str, limit: int = MAX_RUN) -> Optional[int]:
    """Find a run of characters without white space that is too long for spaCy's tokenizer.

    text (str): The text.
    limit (int): The most characters that are allowed.
    RETURNS (Optional[int]): The length of the longest run if it is above the limit.
    """
    if len(text) <= limit:
        return None
    longest = max(map(len, text.split()), default=0)
    return longest if longest > limit else None


def uses_spacy_tokenizer(config: Dict[str, Any]) -> bool:
    """Tell from a pipeline's config whether it has spaCy's tokenizer, which cuts at white space.

    Those of Chinese, Japanese, Korean, Thai and Vietnamese have no runs to limit.
    """
    return config["nlp"]["tokenizer"].get("@tokenizers") == "spacy.Tokenizer.v1"


def speed_up(nlp: Language) -> None:
    """Let spaCy's tokenizer search for prefixes and suffixes only where they can be. The tokens stay the same.

    nlp (Language): A pipeline. Another tokenizer, or patterns of which it is not known where they match, stay as they are.
    """
    tokenizer = nlp.tokenizer
    if not isinstance(tokenizer, Tokenizer):
        return
    prefix = getattr(tokenizer.prefix_search, "__self__", None)
    if isinstance(prefix, re.Pattern) and is_anchored(prefix):
        tokenizer.prefix_search = PrefixSearch(prefix).search
    suffix = getattr(tokenizer.suffix_search, "__self__", None)
    reach = get_reach(suffix) if isinstance(suffix, re.Pattern) else None
    if reach is not None:
        tokenizer.suffix_search = SuffixSearch(suffix, reach).search


class PrefixSearch:
    """Search with a pattern that matches at the start of a string only. `re` would try it everywhere.

    compiled (re.Pattern): The pattern.
    """

    def __init__(self, compiled: re.Pattern) -> None:
        self.compiled = compiled
        self.pattern = compiled.pattern  # spaCy saves it with the pipeline.

    def search(self, string: str) -> Optional[re.Match]:
        """Find the prefix of a string."""
        return self.compiled.match(string)


class SuffixSearch:
    """Search with a pattern that matches at the end of a string only, beginning near the end.

    compiled (re.Pattern): The pattern.
    reach (int): What `get_reach` says of it.
    """

    def __init__(self, compiled: re.Pattern, reach: int) -> None:
        self.compiled = compiled
        self.pattern = compiled.pattern
        self.reach = reach

    def search(self, string: str) -> Optional[re.Match]:
        """Find the longest suffix of a string."""
        reach = self.reach
        while True:
            start = max(0, len(string) - reach)
            match = self.compiled.search(string, start)
            # Only a repeated character can be longer, and it would match at `start` too.
            if match is None or match.start() > start or start == 0:
                return match
            reach *= WIDENING


def is_anchored(compiled: re.Pattern) -> bool:
    """Tell whether all alternatives of a pattern begin with `^`."""
    beginning = (_constants.AT, _constants.AT_BEGINNING)
    tree = _parser.parse(compiled.pattern, compiled.flags)
    return not compiled.flags & re.MULTILINE and all(
        len(alternative) > 0 and alternative[0] == beginning for alternative in get_alternatives(tree)
    )


def get_reach(compiled: re.Pattern) -> Optional[int]:
    """Find out how far before the end of a string a pattern for suffixes can match.

    RETURNS (Optional[int]): Characters. A match that starts further left is one character, repeated up to the end.
        None if it is not known.
    """
    if compiled.flags & re.MULTILINE:
        return None
    reach = 0
    for alternative in get_alternatives(_parser.parse(compiled.pattern, compiled.flags)):
        if len(alternative) == 0 or alternative[-1] != (_constants.AT, _constants.AT_END):
            return None
        least, most = alternative.getwidth()
        if most > UNBOUNDED:
            if not is_repetition(list(alternative)[:-1]):
                return None
            most = least
        reach = max(reach, most)
    return reach + 1  # `$` also matches before a line break.


def get_alternatives(tree: Any) -> List[Any]:
    """Get the alternatives of a parsed pattern, or the pattern itself if it has none."""
    if len(tree) == 1 and tree[0][0] is _constants.BRANCH:
        return tree[0][1][1]
    return [tree]


def is_repetition(items: List[Tuple[Any, Any]]) -> bool:
    """Tell whether a parsed pattern is one character, or one of a set, that is repeated so often or more."""
    characters = []
    for operation, argument in items:
        if operation is _constants.MAX_REPEAT and argument[1] is _constants.MAXREPEAT:
            characters.extend(argument[2])
        else:
            characters.append((operation, argument))
    is_single = all(operation in (_constants.LITERAL, _constants.IN) for operation, _ in characters)
    return is_single and all(character == characters[0] for character in characters)
