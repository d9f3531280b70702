"""The HTTP service: a front that takes requests and batches them, and replicas that answer batches."""
