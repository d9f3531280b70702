"""Readers of annotated corpora: one file a format, each a generator of sentences that checks every line."""
