"""Generative retrieval: candidates get identifiers, and a model generates the one that fits a query: `retriever`."""
