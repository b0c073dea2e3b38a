"""An impartial referee for retrieval paradigms: text ↔ image, audio, video."""
