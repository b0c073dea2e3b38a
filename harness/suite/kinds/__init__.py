"""The kinds that come with this package, a file a section: static facts, no contestant is imported."""
