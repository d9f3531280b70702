"""Everything that turns a trained pipeline into a compiled one. Used at build time, never shipped."""
