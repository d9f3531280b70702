"""What takes long to import, for `forkserver.py`: spaCy, and all that offers components to it."""

import spacy

spacy.blank("en")
