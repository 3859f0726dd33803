"""The probe of a half-open breaker waits behind nothing that hangs, and is itself replaced when it hangs."""

from __future__ import annotations

import anyio
import pytest

from guardflow import Kind
from guardflow.models.limits import Gate, Limits, Patience, Permit, Policy, Refusal

pytestmark = pytest.mark.anyio

QUICK = Policy(cooldown=0.1, longest_cooldown=0.4, concurrency=12, most_concurrency=12)
PATIENT = Patience(outage=60.0)


async def admitted(to: Gate, patience: Patience = PATIENT) -> Permit:
    found = await to.enter(10, patience=patience)
    assert isinstance(found, Permit)
    return found


async def broken(limits: Limits) -> tuple[Gate, list[Permit]]:
    """A gate whose breaker is open, and the two requests that hang since before."""
    gate = Gate("openai/x", limits, QUICK, anyio.current_time)
    permits = [await admitted(gate) for _ in range(12)]
    for permit in permits[2:]:
        gate.leave(permit, Kind.CONNECTION)
    assert gate.breaker.state == "open"
    return gate, permits[:2]


async def test_a_probe_does_not_wait_behind_requests_that_hang() -> None:
    gate, hanging = await broken(Limits())
    gate.concurrency.cap(1)
    with anyio.fail_after(30):
        probe = await admitted(gate)
    assert probe.probe
    assert gate.in_flight == 3
    gate.leave(probe, None)
    with anyio.move_on_after(0.01):
        await admitted(gate)
        raise AssertionError("only the probe passes the limit")
    for permit in hanging:
        gate.give_up(permit, sent=True)
    assert not (await admitted(gate)).probe


async def test_a_probe_waits_for_a_declared_limit() -> None:
    gate, hanging = await broken(Limits(concurrency=12))
    gate.declare(Limits(concurrency=2))
    assert isinstance(await gate.enter(10, patience=Patience(outage=0.3)), Refusal)
    gate.give_up(hanging[0], sent=True)
    with anyio.fail_after(30):
        assert (await admitted(gate)).probe


async def test_a_probe_that_hangs_is_replaced_by_who_waits() -> None:
    gate, _ = await broken(Limits())
    with anyio.fail_after(30):
        first = await admitted(gate)
        second = await admitted(gate)
    assert (first.probe, second.probe) == (True, True)
    assert second.at - first.at >= 0.1
    gate.leave(second, None)
    assert gate.breaker.state == "closed"
    assert gate.concurrency.limit == QUICK.after_outage
    gate.leave(first, Kind.TIMEOUT)
    assert gate.breaker.state == "closed"


async def test_the_impatient_never_wait_for_a_probe_and_are_the_next_when_it_hangs() -> None:
    now = [1000.0]
    gate = Gate("openai/x", Limits(), QUICK, lambda: now[0])
    for permit in [await admitted(gate) for _ in range(10)]:
        gate.leave(permit, Kind.CONNECTION)
    now[0] += 0.11
    first = await gate.enter(10)
    assert isinstance(await gate.enter(10), Refusal)
    now[0] += 0.11
    second = await gate.enter(10)
    assert isinstance(first, Permit)
    assert isinstance(second, Permit)
    assert isinstance(await gate.enter(10), Refusal)
    gate.leave(second, Kind.CONNECTION)
    gate.leave(first, None)  # late, and good
    assert gate.breaker.state == "closed"
    assert gate.concurrency.limit == QUICK.after_outage


async def test_the_patient_wait_for_a_probe_even_where_its_replacement_would_come_too_late() -> None:
    now, found = [1000.0], list[Permit | Refusal]()
    gate = Gate("openai/x", Limits(), Policy(cooldown=60.0), lambda: now[0])
    for permit in [await admitted(gate) for _ in range(10)]:
        gate.leave(permit, Kind.CONNECTION)
    now[0] += 61
    probe = await admitted(gate)

    async def ask() -> None:
        found.append(await gate.enter(10, patience=Patience(outage=30.0)))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        while not (gate.waiting or found):
            await anyio.sleep(0.001)
        gate.leave(probe, None)
    assert isinstance(found[0], Permit)
