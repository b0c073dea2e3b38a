"""Datasets and media files: their loaders, and whether they are what they should be."""
