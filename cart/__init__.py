"""Generative retrieval: candidates get identifiers, a model writes that of what a query asks for. Begin at `retriever`."""
