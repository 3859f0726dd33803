"""The gate lets through what it should, in order, and keeps everybody else waiting or sends them away."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import anyio
import pytest

from guardflow import ConfigError, Kind, Model
from guardflow.models.limits import Gate, Limits, Patience, Permit, Policy, Refusal, Storm
from guardflow.records import Said

pytestmark = pytest.mark.anyio

QUICK = Policy(cooldown=0.1, longest_cooldown=0.4, grace=0.05, concurrency=32)
PATIENT = Patience(outage=20.0)


class Clock:
    """A clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def gate(policy: Policy = QUICK, clock: Callable[[], float] = anyio.current_time, **limits: int) -> Gate:
    return Gate("openai/x", Limits(**limits), policy, clock)


async def admitted(to: Gate, tokens: int = 10, **options: object) -> Permit:
    found = await to.enter(tokens, **options)  # type: ignore[arg-type]  # from tests
    assert isinstance(found, Permit)
    return found


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not true():
            await anyio.sleep(0.001)


def state(of: Gate) -> str:
    return of.breaker.state


async def breaks(to: Gate) -> None:
    permits = [await admitted(to) for _ in range(10)]
    for permit in permits:
        to.leave(permit, Kind.OVERLOADED)
    assert to.breaker.state == "open"


async def test_a_free_gate_is_passed_without_waiting() -> None:
    free = gate()
    with anyio.CancelScope(deadline=anyio.current_time()):  # no await inside may yield
        permit = await free.enter(10)
    assert isinstance(permit, Permit)
    assert free.in_flight == 1
    free.leave(permit, None, used=5)
    assert free.in_flight == 0


async def test_the_line_is_served_first_come_first_served_within_the_limit() -> None:
    narrow, order, most = gate(concurrency=2), list[int](), 0

    async def ask(n: int) -> None:
        nonlocal most
        permit = await admitted(narrow)
        most = max(most, narrow.in_flight)
        order.append(n)
        await anyio.sleep(0.001)
        narrow.leave(permit, None)

    async with anyio.create_task_group() as group:
        for n in range(12):
            group.start_soon(ask, n)
    assert order == list(range(12))
    assert most == 2
    assert (narrow.in_flight, narrow.waiting) == (0, 0)


async def test_who_is_cancelled_in_line_leaves_no_gap() -> None:
    narrow, got = gate(concurrency=1), list[str]()
    first = await admitted(narrow)

    async def ask(name: str) -> None:
        permit = await admitted(narrow)
        got.append(name)
        narrow.leave(permit, None)

    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(ask, "gone")
            await until(lambda: narrow.waiting == 1)
            group.start_soon(ask, "stays")
            await until(lambda: narrow.waiting == 2)
            impatient.cancel_scope.cancel()
        narrow.leave(first, None)
    assert got == ["stays"]
    assert (narrow.in_flight, narrow.waiting) == (0, 0)


async def test_refusals_by_the_provider_halve_what_is_in_flight() -> None:
    wide = gate()
    permits = [await admitted(wide) for _ in range(8)]
    for permit in permits:
        wide.leave(permit, Kind.RATE_LIMIT)
    assert wide.concurrency.limit == 16  # one round trip, one cut


async def test_retry_after_holds_every_request_to_that_model() -> None:
    held, sent = gate(), list[float]()
    began = anyio.current_time()
    held.leave(await admitted(held), Kind.RATE_LIMIT, retry_after=0.15)

    async def ask() -> None:
        permit = await admitted(held)
        sent.append(anyio.current_time())
        held.leave(permit, None)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert len(sent) == 5
    assert min(sent) - began >= 0.14


async def test_a_retry_after_that_nobody_has_patience_for_is_a_refusal() -> None:
    held = gate(clock=Clock())
    held.leave(await admitted(held), Kind.RATE_LIMIT, retry_after=900)
    found = await held.enter(1, patience=Patience(pause=30.0))
    assert isinstance(found, Refusal)
    assert found.reason == "pause"
    assert "asked for 900 s" in found.message
    assert held.in_flight == 0


async def test_an_absurd_retry_after_is_taken_as_an_hour() -> None:
    held = gate()
    held.leave(await admitted(held), Kind.RATE_LIMIT, retry_after=1e12)
    assert held.paused_until <= anyio.current_time() + 3600


async def test_an_open_breaker_sends_away_at_once_who_can_go_elsewhere() -> None:
    broken = gate(clock=Clock())  # on a real one the time of the probe may come
    await breaks(broken)
    found = await broken.enter(1)
    assert isinstance(found, Refusal)
    assert found.message == "'openai/x' does not answer: 10 of 10 requests failed within 30 s"


async def test_those_in_line_are_sent_away_when_the_breaker_opens() -> None:
    narrow, found = gate(clock=Clock(), concurrency=10), list[object]()
    permits = [await admitted(narrow) for _ in range(10)]

    async def ask() -> None:
        found.append(await narrow.enter(1))

    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(ask)
        await until(lambda: narrow.waiting == 40)
        for permit in permits[:9]:
            narrow.leave(permit, Kind.CONNECTION)
        narrow.leave(permits[9], Kind.CONNECTION)
    sent = [one for one in found if isinstance(one, Permit)]
    assert len(found) == 40
    assert len(sent) <= 9  # those whose place became free before the tenth failure
    assert all(isinstance(one, Permit) or one.reason == "breaker" for one in found)  # type: ignore[attr-defined]


async def test_the_patient_wait_for_one_probe_and_all_go_on_when_it_is_good() -> None:
    broken, sent = gate(), list[bool]()
    await breaks(broken)

    async def ask() -> None:
        permit = await admitted(broken, patience=PATIENT)
        sent.append(permit.probe)
        if permit.probe:
            await anyio.sleep(0.02)
            assert broken.in_flight == 1  # nobody beside the probe
        broken.leave(permit, None)
        if permit.probe:
            assert broken.concurrency.limit == QUICK.after_outage  # not all of them at once

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert sent == [True] + [False] * 19
    assert broken.breaker.state == "closed"


async def test_the_impatient_do_not_wait_for_a_probe_in_flight() -> None:
    broken = gate()
    await breaks(broken)
    probe = await admitted(broken, patience=PATIENT)
    assert probe.probe
    assert isinstance(await broken.enter(1), Refusal)
    broken.give_up(probe, sent=True)
    assert (await admitted(broken)).probe  # a cancelled probe told nothing


async def test_who_cannot_be_the_probe_is_sent_away_when_patience_ends_and_does_not_spin() -> None:
    looked = 0

    def patience(seconds: float) -> Callable[[], Patience]:
        def look() -> Patience:
            nonlocal looked
            looked += 1
            return Patience(outage=seconds)

        return look

    broken, found = gate(concurrency=11), list[Permit | Refusal]()
    permits = [await admitted(broken) for _ in range(11)]
    for permit in permits[:10]:
        broken.leave(permit, Kind.CONNECTION)
    broken.declare(Limits(concurrency=1))  # the eleventh hangs, in the only place
    await anyio.sleep(0.12)  # it is time for a probe

    async def ask(seconds: float) -> None:
        found.append(await broken.enter(1, patience=patience(seconds)))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask, 0.0)
                group.start_soon(ask, 0.1)
    assert [type(one) for one in found] == [Refusal] * 40
    assert looked < 40 * 10
    broken.give_up(permits[10], sent=True)
    assert (await admitted(broken)).probe


@pytest.mark.parametrize(
    ("overdue", "answered", "opens"), [(True, False, True), (True, True, False), (False, False, False)]
)
async def test_requests_cut_off_by_their_stages_are_failures_where_nobody_is_answered(
    overdue: bool, answered: bool, opens: bool
) -> None:
    clock = Clock()
    hanging = Gate("openai/x", Limits(), QUICK, clock)
    permits = [await admitted(hanging) for _ in range(10)]
    if answered:
        hanging.leave(await admitted(hanging), None)
    clock.now += 2
    for permit in permits:
        hanging.give_up(permit, sent=True, overdue=overdue)
    assert (state(hanging) == "open") == opens


async def test_a_probe_that_its_stage_cuts_off_has_failed() -> None:
    clock = Clock()
    broken = gate(clock=clock)
    await breaks(broken)
    clock.now += 1
    probe = await admitted(broken, patience=PATIENT)
    assert probe.probe
    broken.give_up(probe, sent=True, overdue=True)
    assert state(broken) == "open"
    assert isinstance(await broken.enter(1), Refusal)


async def test_patience_ends() -> None:
    broken = gate(Policy(cooldown=6000.0), Clock())
    await breaks(broken)
    with anyio.fail_after(60):  # it could not end in time, so nobody waits for it
        assert isinstance(await broken.enter(1, patience=Patience(outage=3000.0)), Refusal)


async def test_rates_hold_and_a_request_never_sent_is_given_back() -> None:
    clock = Clock()
    slow = Gate("openai/x", Limits(rpm=6, tpm=1000), QUICK, clock)
    permit = await admitted(slow, 100)
    assert slow._delay(clock.now, 1) == pytest.approx(10.0)  # what the first in line would sleep
    slow.give_up(permit, sent=False)
    permit = await admitted(slow, 100)
    slow.leave(permit, None, used=20)
    clock.now += 10
    assert await admitted(slow, 100)  # 80 of its tokens came back, the rest was refilled
    with pytest.raises(ConfigError, match="may take 2000 tokens"):
        await slow.enter(2000)


async def test_tokens_that_were_not_used_come_back_with_the_answer() -> None:
    clock = Clock()
    slow = Gate("openai/x", Limits(tpm=1000), QUICK, clock)
    slow.leave(await admitted(slow, 100), None, used=20)
    assert slow._delay(clock.now, 80) == 0
    assert slow._delay(clock.now, 100) > 0
    slow.leave(await admitted(slow, 80), Kind.RATE_LIMIT)  # nothing was used at all
    assert slow._delay(clock.now, 80) == 0
    assert slow.taken == (2, 20)


async def test_retries_beyond_the_budget_wait_or_are_refused() -> None:
    spent = gate(Policy(retry_start=2.0, retry_per_second=20.0), Clock())
    for _ in range(2):
        spent.leave(await admitted(spent, retry=True), None)
    refused = await spent.enter(1, retry=True)
    assert isinstance(refused, Refusal)
    assert refused.reason == "retries"
    assert (await admitted(spent, retry=True, patience=PATIENT)).retry
    assert not (await admitted(spent)).retry  # first tries are not held up by it


async def test_a_retry_that_is_refused_or_cancelled_costs_nothing() -> None:
    broken = gate(clock=Clock())  # no time goes by, so no probe's time comes and nothing is earned
    await breaks(broken)
    before = broken.retries.balance
    assert isinstance(await broken.enter(1, retry=True), Refusal)
    with anyio.move_on_after(0.01) as scope:
        await broken.enter(1, retry=True, patience=PATIENT)
    assert scope.cancelled_caught
    assert broken.retries.balance == before


async def test_a_hedge_needs_a_healthy_gate_a_share_and_the_retry_budget() -> None:
    calm = gate(Policy(retry_start=3.0, retry_per_second=0.0, hedge_burst=2.0), concurrency=4)
    assert [calm.enter_hedge(1) is not None for _ in range(3)] == [True, True, False]  # the share is used up
    busy = gate(Policy(retry_start=1.0, retry_per_second=0.0), concurrency=1)
    held = await admitted(busy)
    assert busy.enter_hedge(1) is None  # no place
    busy.leave(held, None)
    assert busy.enter_hedge(1) is not None
    broken = gate()
    await breaks(broken)
    assert broken.enter_hedge(1) is None


# --- several models, several processes --------------------------------------------------------------


def test_each_model_and_address_has_one_gate_and_a_local_model_none() -> None:
    storm = Storm()
    assert storm.gate(Model("openai/x")) is storm.gate(Model("openai/x", role="fast", rpm=5))
    assert storm.gate(Model("openai/x")) is not storm.gate(Model("openai/x", api_base="http://127.0.0.1:1"))
    assert storm.gate(Model("local/smollm2")) is None
    assert [g.limits.rpm for g in storm.gates] == [5, None]


async def test_processes_follow_each_other_without_telling_addresses() -> None:
    clock, model = Clock(), Model("openai/x", api_base="http://127.0.0.1:1/hunter22", rpm=600)
    ours, theirs = Storm(QUICK, clock), Storm(QUICK, clock)
    here, there = ours.gate(model), theirs.gate(model)
    assert here is not None
    assert there is not None

    told: dict[str, list[object]] = {"a": [], "b": []}

    def exchange() -> None:
        for teller, listener, name in ((ours, theirs, "a"), (theirs, ours, "b")):
            news = teller.news(epoch=clock.now + 5e8)
            assert "hunter22" not in str(news)
            told[name] += [state["breaker"] for state in news.values()]
            listener.hear([Said(key, name, state) for key, state in news.items()], epoch=clock.now + 5e8)

    await admitted(here)
    await admitted(there)
    exchange()
    await breaks(here)
    here.pause(clock.now + 7)
    exchange()
    assert state(there) == "open"
    assert there.paused_until == pytest.approx(clock.now + 7)
    assert there._delay(clock.now, 1) > here.breaker.delay(clock.now)  # whoever opened it probes first
    assert not ours.news(epoch=clock.now + 5e8)  # nothing is told twice
    assert told["a"][-1] == "open"
    assert told["b"][-1] == "as told"  # who heard it does not say it again
    clock.now += 10
    probe = await admitted(here)
    exchange()
    assert state(there) == "open"
    clock.now += 1
    here.leave(probe, None)
    exchange()
    assert state(there) == "closed"


async def test_what_another_process_sent_counts_against_a_shared_rate() -> None:
    clock, model = Clock(), Model("openai/x", rpm=100)
    ours, theirs = Storm(QUICK, clock), Storm(QUICK, clock)
    here, there = ours.gate(model), theirs.gate(model)
    assert here is not None
    assert there is not None

    def tell() -> None:
        news = ours.news(epoch=clock.now)
        theirs.hear([Said(key, "a", state) for key, state in news.items()], epoch=clock.now)

    await admitted(here)
    tell()
    for _ in range(9):
        await admitted(here)
    tell()
    assert await admitted(there)  # a bucket of 10, of which another process took 9
    assert there._delay(clock.now, 1) > 0  # what the first in line would sleep


def opened(at: float, until: float) -> dict[str, float | str]:
    return {"breaker": "open", "changed_at": at, "until": until, "cooldown": 5.0, "paused_until": until}


async def test_who_hears_that_an_outage_is_over_begins_low_too() -> None:
    clock = Clock()
    storm = Storm(QUICK, clock)
    gate = storm.gate(Model("openai/x"))
    assert gate is not None
    storm.hear([Said("openai/x", "b", opened(1.0, 5.0))], epoch=clock.now)
    assert gate.concurrency.limit == QUICK.concurrency
    storm.hear([Said("openai/x", "b", {**opened(2.0, 5.0), "breaker": "closed"})], epoch=clock.now)
    assert gate.concurrency.limit == QUICK.after_outage


def test_only_those_who_found_it_out_delay_each_others_probes_and_a_wrong_clock_not_for_ever() -> None:
    clock = Clock()
    storm = Storm(Policy(grace=3.0), clock)
    gate = storm.gate(Model("openai/x"))
    assert gate is not None
    followers = [Said("openai/x", f"a{n}", {"breaker": "as told", "requests": 1}) for n in range(40)]
    storm.hear([*followers, Said("openai/x", "b", opened(999.0, 1005.0))], epoch=clock.now)
    assert gate.breaker.delay(clock.now) == pytest.approx(5.0 + 3.0)
    storm.hear([Said("openai/x", "c", opened(90_000.0, 90_005.0))], epoch=clock.now)
    assert gate.breaker.delay(clock.now) <= 3600 + 3
    assert gate.paused_until <= clock.now + 3600


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"breaker": "ajar"},
        {"breaker": "open", "until": "soon", "paused_until": True},
        {"breaker": "open", "until": inf, "changed_at": nan, "requests": nan, "tokens": 10**400},
    ],
)
def test_what_is_no_news_changes_nothing(state: dict[str, object]) -> None:
    storm = Storm(QUICK, Clock())
    gate = storm.gate(Model("openai/x"))
    assert gate is not None
    storm.hear([Said("openai/x", "b", state), Said("other/y", "b", {})], epoch=1.0)  # type: ignore[arg-type]  # on purpose
    assert gate.breaker.delay(1000.0) < 2000
    assert gate.paused_until <= 1000.0
