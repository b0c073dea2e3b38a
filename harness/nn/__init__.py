"""Bricks lent to everyone who learns: layers, the optimiser, checkpoints, distillation."""
