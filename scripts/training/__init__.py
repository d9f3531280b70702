"""Training of the reference pipeline, around spaCy's own loop."""

import os

# Before torch is imported: its threads wait for each other after each product. Where they spin meanwhile, a training beside other
# programs takes twice as long again, see docs/training.md.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
