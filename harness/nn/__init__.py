"""Shared by all that is trained: layers, vocabulary, batching, the optimiser, checkpoints, distillation."""
