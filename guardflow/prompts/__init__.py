"""Prompt files: loaded, checked, rendered, hashed. Data never becomes a template, a role or a delimiter."""

from guardflow.prompts.fence import fence_text
from guardflow.prompts.library import PromptLibrary, default_roots
from guardflow.prompts.load import inline_prompt
from guardflow.prompts.render import Prompt, Rendered
from guardflow.prompts.variables import variables_of

__all__ = [
    "Prompt",
    "PromptLibrary",
    "Rendered",
    "default_roots",
    "fence_text",
    "inline_prompt",
    "variables_of",
]
