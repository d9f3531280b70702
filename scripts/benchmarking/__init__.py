"""Everything that measures: two pipelines in processes of their own, timed in turn, as tables and plots."""
