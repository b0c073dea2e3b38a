"""How contestants are asked, a file a scenario. Rates and latencies of different scenarios are never compared."""

from collections.abc import Callable

from harness.contest.scenarios.batch import batch
from harness.contest.scenarios.memory import memory
from harness.contest.scenarios.offline import offline
from harness.contest.scenarios.server import server
from harness.contest.scenarios.single import single

SCENARIOS: dict[str, Callable[..., None]] = {
    "offline": offline,
    "single": single,
    "batch": batch,
    "server": server,
    "memory": memory,
}
