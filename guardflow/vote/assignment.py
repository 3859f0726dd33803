"""The cheapest way to pair rows with columns, exactly. `lists.py` matches the items of two lists with it."""

from __future__ import annotations

from collections.abc import Sequence


def assign(costs: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row, so that the sum of costs is the least there is; no column is used twice.

    Args:
        costs: a row for each thing to place, no more rows than columns. Of equally cheap ways, the one found
            first, which depends on the order of rows and columns alone.

    Source: shortest augmenting paths with dual variables, O(rows^2 * columns); Jonker and Volgenant 1987,
    "A shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing 38.

    >>> from guardflow.vote.assignment import assign
    >>> assign([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]])
    [1, 0]
    """
    rows, columns = len(costs), len(costs[0]) if costs else 0
    if rows > columns:
        raise ValueError(f"{rows} rows cannot be placed in {columns} columns")
    # Rows and columns count from 1; column 0 stands for the row that is being placed.
    of_row, of_column = [0.0] * (rows + 1), [0.0] * (columns + 1)
    row_of, before = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        row_of[0] = row
        at = 0
        slack = [float("inf")] * (columns + 1)
        seen = [False] * (columns + 1)
        while row_of[at]:
            seen[at] = True
            here = row_of[at]
            step, nearest = float("inf"), 0
            for column in range(1, columns + 1):
                if seen[column]:
                    continue
                reduced = costs[here - 1][column - 1] - of_row[here] - of_column[column]
                if reduced < slack[column]:
                    slack[column], before[column] = reduced, at
                if slack[column] < step:
                    step, nearest = slack[column], column
            for column in range(columns + 1):
                if seen[column]:
                    of_row[row_of[column]] += step
                    of_column[column] -= step
                else:
                    slack[column] -= step
            at = nearest
        while at:
            row_of[at], at = row_of[before[at]], before[at]
    placed = [0] * rows
    for column in range(1, columns + 1):
        if row_of[column]:
            placed[row_of[column] - 1] = column - 1
    return placed
