"""Annotation of large corpora: inputs cut into chunks, workers on Ray, and parts that are joined."""
