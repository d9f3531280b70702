"""What every command needs: messages, files, corpora, pipelines, the machine, and what reports look like."""
