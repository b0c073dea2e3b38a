"""Scores of rankings: metrics, their uncertainty, and a record's entries."""
