"""One peer in this process: ``python worker.py PEER '{"option": value}'`` prints its metrics as JSON.

`harness.ask` starts it in a folder of its own. More pairs run one after the other: so the quick check imports once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from importlib import import_module

PEERS = {
    "httpx": ("peers_calls", "httpx_peer"),
    "litellm": ("peers_calls", "litellm_peer"),
    "instructor": ("peers_calls", "instructor_peer"),
    "guardflow": ("peers_calls", "guardflow_peer"),
    "steps-dbos": ("peers_steps", "dbos_peer"),
    "steps-guardflow": ("peers_steps", "guardflow_peer"),
    "replay-dbos": ("peers_replay", "dbos_peer"),
    "replay-guardflow": ("peers_replay", "guardflow_peer"),
    "cache": ("peers_cache", "cache_peer"),
    "storm-dead": ("peers_storm", "dead_peer"),
    "storm-hedge": ("peers_storm", "hedge_peer"),
    "research": ("peers_research", "research_peer"),
    "ballots-durable": ("peers_ballots", "durable_peer"),
    "ballots-plain": ("peers_ballots", "plain_peer"),
    "ballots-instructor": ("peers_ballots", "instructor_peer"),
    "faulty-guardflow": ("peers_faulty", "guardflow_peer"),
    "faulty-instructor": ("peers_faulty", "instructor_peer"),
    "faulty-pydantic-ai": ("peers_faulty", "pydantic_ai_peer"),
    "faulty-best": ("peers_faulty", "best_peer"),
}
"""Peers by name: the module here, and the function in it that is given the options."""


def main(*pairs: str) -> None:
    """Run the peers, each given by its name and its options, and print one line of JSON for each."""
    os.environ.update(
        {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else importing litellm asks the network
            "LITELLM_MODE": "PRODUCTION",
            "OPENAI_API_KEY": "bench",
        }
    )
    warnings.simplefilter("ignore")  # the peers' own, such as pydantic's inside of litellm
    for name, options in zip(pairs[::2], pairs[1::2], strict=True):
        module, function = PEERS[name]
        peer = getattr(import_module(module), function)
        print(json.dumps(asyncio.run(peer(**json.loads(options)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
