"""What tests of a benchmark have in common."""

BATCH_SIZES = ["1", "32", "64", "128"]


def read_rows(markdown):
    """RETURNS (List[List[str]]): The cells of all lines of Markdown tables but their heads."""
    rows = []
    for part in markdown.split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        rows.extend([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    return rows
