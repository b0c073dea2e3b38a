"""Generative retrieval: candidates get identifiers, and a model writes the one that a query asks for: `retriever`."""
