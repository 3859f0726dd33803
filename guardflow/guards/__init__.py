"""Guards: functions that find what is wrong with a model's answer, and what is done about it.

`guardflow.guards.kit` holds ready-made ones. This package knows nothing of stages, ladders or stores.
"""

from guardflow.guards.context import Asker, GuardContext
from guardflow.guards.core import Action, Guard, GuardUse, guard
from guardflow.guards.findings import Findings
from guardflow.guards.run import Checked, check, most_asks

__all__ = [
    "Action",
    "Asker",
    "Checked",
    "Findings",
    "Guard",
    "GuardContext",
    "GuardUse",
    "check",
    "guard",
    "most_asks",
]
