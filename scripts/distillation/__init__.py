"""Small pipelines made from a trained one: fewer layers, or a CNN that learns from what the large one finds."""
