"""PubTator: title and abstract of an article, and a line for each entity in them."""

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple

from ..common.console import UserError
from .annotated_text import AnnotatedText
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import TextSpan, check_spans, parse_span
from .texts import make_sentences

TITLE, ABSTRACT = re.compile(r"(\w+)\|t\|(.*)"), re.compile(r"(\w+)\|a\|(.*)")


class Article(NamedTuple):
    """What is known of an article. Its text is the title, a space, and the abstract."""

    where: Place
    text: str
    spans: List[TextSpan]


def read_pubtator(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the articles of a file, checking every line. Each is a document of its own.

    path (Path): The file: `1|t|Title`, `1|a|Abstract`, and an entity a line with tabs: number, start, end, text, label.
        Relations, which have other columns, are not read.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The articles.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    articles = (
        AnnotatedText(article.where, article.text, check_spans(article.spans, article.text, article.where))
        for article in read_articles(path, settings.encoding)
    )
    yield from make_sentences(articles, settings, notes)


def read_articles(path: Path, encoding: str) -> Iterator[Article]:
    """Stream the articles.

    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    article = None
    for where, line in read_lines(path, encoding):
        title, abstract = TITLE.fullmatch(line), ABSTRACT.fullmatch(line)
        if title:
            if article:
                yield article
            article = Article(where, title.group(2), [])
        elif line and article is None:
            raise UserError(f"{where}: expected a title as in 1|t|Title, got {quote(line)}.")
        elif article and abstract:
            article = article._replace(text=f"{article.text} {abstract.group(2)}")
        elif article and line:
            fields = line.split("\t")
            if len(fields) == 4 and not fields[1].isdecimal():
                continue  # A relation.
            if len(fields) < 5 or not (fields[1].isdecimal() and fields[2].isdecimal()):
                raise UserError(f"{where}: expected number, start, end, text and label with tabs, got {quote(line)}.")
            item = [int(fields[1]), int(fields[2]), fields[4], fields[3]]
            article.spans.append(parse_span(item, article.text, where))
    if article:
        yield article
