"""Imported by the fork server alone: everything that a child would else spend seconds on importing."""

from __future__ import annotations

import guardflow.runtime
import guardflow.store
import guardflow.store.dbos.engine
from guardflow.models import litellm_adapter

__all__ = ["guardflow", "litellm_adapter"]

litellm_adapter._import_litellm()  # its warm-up ends its loop and its threads, so that forking is safe
