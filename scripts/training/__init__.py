"""Training of the reference pipeline, around spaCy's own loop."""
