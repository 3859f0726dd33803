"""What a function is, as a short hash that is the same in every process that has the same code.

Guards use it as their version: an answer that was accepted is checked again when the hash has changed.
It never runs the function, and it sees only code of the function's own package.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import cast

from guardflow.hashing import content_hash


def fingerprint(fn: Callable[..., object]) -> str:
    """Hash a function's source, its defaults, what it closes over, and what it uses of its own package.

    Functions and constants that the source names are followed while they live in the same package as the
    function, so changing a module-level pattern or a helper changes the hash. What is reached through an
    attribute, or lives elsewhere, is not seen: state a version there.

    Returns:
        16 hex digits.

    >>> def one(limit: int = 3) -> int: return limit
    >>> def two(limit: int = 4) -> int: return limit
    >>> fingerprint(one) == fingerprint(one), fingerprint(one) == fingerprint(two)
    (True, False)
    """
    return content_hash("\0".join(_describe(fn, set())).encode("utf-8", "surrogatepass"))[:16]


def _describe(value: object, seen: set[int]) -> Iterator[str]:
    """What identifies a value: text, or the name of its type where its content has no stable text."""
    if isinstance(value, MethodType):
        value = value.__func__
    wrapped = getattr(value, "__wrapped__", None)
    if not isinstance(value, FunctionType) and isinstance(wrapped, FunctionType):
        value = wrapped
    if isinstance(value, FunctionType):
        if id(value) not in seen:
            seen.add(id(value))
            yield from _describe_function(value, seen)
    elif value is None or isinstance(value, (str, int, float, complex, bytes, bool)):
        yield repr(value)
    elif isinstance(value, re.Pattern):
        pattern = cast("re.Pattern[str]", value)
        yield f"re {pattern.pattern!r} {pattern.flags}"
    elif isinstance(value, (tuple, list, set, frozenset, Mapping)):
        yield from _describe_items(cast("object", value), seen)
    elif isinstance(value, (type, BuiltinFunctionType)):
        yield f"{value.__module__}.{value.__qualname__}"
    elif dataclasses.is_dataclass(value):  # a model, a criterion: settings of a guard
        yield type(value).__qualname__
        for field in dataclasses.fields(value):
            yield from _describe(getattr(value, field.name), seen)
    elif callable(getattr(value, "func", None)) and hasattr(value, "args"):  # functools.partial
        for part in ("func", "args", "keywords"):
            yield from _describe(getattr(value, part), seen)
    elif isinstance(call := getattr(type(value), "__call__", None), FunctionType):  # noqa: B004 - it is hashed
        yield type(value).__qualname__
        yield from _describe(call, seen)
        yield from _describe(getattr(value, "__dict__", None), seen)
    else:
        yield type(value).__qualname__


def _describe_items(value: object, seen: set[int]) -> Iterator[str]:
    if isinstance(value, (tuple, list)):
        for item in cast("tuple[object, ...]", value):
            yield from _describe(item, seen)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield repr(key)
            yield from _describe(item, seen)
    else:
        yield from sorted(repr(item) for item in cast("frozenset[object]", value))


def _describe_function(fn: FunctionType, seen: set[int]) -> Iterator[str]:
    yield fn.__qualname__
    yield _source(fn)
    yield from _describe(fn.__defaults__, seen)
    yield from _describe(fn.__kwdefaults__, seen)
    for cell in fn.__closure__ or ():
        try:
            yield from _describe(cell.cell_contents, seen)
        except ValueError:  # a name of the enclosing function that is not bound yet
            yield "unbound"
    for name in sorted(_names(fn.__code__)):
        used = fn.__globals__.get(name)
        if isinstance(used, (FunctionType, type)) or inspect.isroutine(used):
            if isinstance(used, FunctionType) and _package(used.__module__) == _package(fn.__module__):
                yield from _describe(used, seen)
        elif isinstance(used, (str, int, float, tuple, frozenset, re.Pattern)):
            yield name
            yield from _describe(cast("object", used), seen)


def _names(code: CodeType) -> set[str]:
    """The global names a code object and the functions inside it use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _package(module: str | None) -> str:
    return (module or "").rpartition(".")[0] or (module or "")


def _source(fn: FunctionType) -> str:
    """The source text; the byte code where there is no source, or where it holds several lambdas."""
    try:
        text = textwrap.dedent(inspect.getsource(fn))
    except (OSError, TypeError):
        return _bytecode(fn.__code__)
    return text + _bytecode(fn.__code__) if fn.__name__ == "<lambda>" else text


def _bytecode(code: CodeType) -> str:
    inner = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {inner}"
