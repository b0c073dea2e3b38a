"""What outlives a run: artifacts, embeddings, and the folder with its records."""
