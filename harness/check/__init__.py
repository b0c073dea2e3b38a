"""The gate: is this run still as good as the one it is held against? Says so cell by cell, and by its exit code."""
