"""The embedded model: llama.cpp in this process, on weights that are on this machine. No key, no network, no price.

`guardflow.models.routing` makes a `LocalClient` for models named ``local/...``; ``guardflow models`` lists and
installs weights. Importing this loads no native code.
"""

from guardflow.models.local.client import LocalClient
from guardflow.models.local.install import install
from guardflow.models.local.weights import WeightsInfo, available, find

__all__ = ["LocalClient", "WeightsInfo", "available", "find", "install"]
