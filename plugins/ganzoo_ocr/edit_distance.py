"""The edit distance between two texts."""

from __future__ import annotations


def edit_distance(first: str, second: str) -> int:
    """Return the least number of insertions, deletions and replacements between two texts (Levenshtein)."""
    # The table of Wagner and Fischer, of which only the row above is kept: above[j] is the distance of the text read so
    # far from the first j characters of the other.
    above = list(range(len(second) + 1))
    for row, left in enumerate(first, start=1):
        current = [row]
        # From above: drop `left`; from the left: add `right`; diagonally: keep or replace.
        for column, right in enumerate(second):
            current.append(min(above[column + 1] + 1, current[column] + 1, above[column] + (left != right)))
        above = current
    return above[-1]
