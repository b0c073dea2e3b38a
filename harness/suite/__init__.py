"""From YAML to a frozen suite: its components, tasks and cells. Nothing here imports a contestant."""

from harness.suite.reading import load
from harness.suite.spec import Cell, Component, RetrieverSpec, Suite, TaskSpec

__all__ = ["Cell", "Component", "RetrieverSpec", "Suite", "TaskSpec", "load"]
