"""The benchmarks still run: every peer, tiny, without looking at the clock; and the table says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from guardflow.testing import FaultServer, ForkServer, Reply

HERE = Path(__file__).parent
WARM = HERE.with_name("durability") / "crash_warm.py"

Metrics = Sequence[dict[str, list[float]]]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(HERE))
    return import_module("harness")


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    """A worker that has imported litellm, and forks for each test of peers that need it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        server = ForkServer((str(WARM), "worker"), timeout=300).start()
    with server:
        yield server


def run(folder: Path, *peers: tuple[str, dict[str, object]], forks: ForkServer | None = None) -> Metrics:
    """The metrics of the peers, which run one after the other in one process: a new one, or a fork."""
    pairs = [part for name, options in peers for part in (name, json.dumps(options))]
    folder.mkdir(exist_ok=True)
    if forks is not None:
        ended = forks.run("worker:main", *pairs, cwd=folder)
        ended.returned()
        return read(ended.output)
    command = [sys.executable, str(HERE / "worker.py"), *pairs]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return read(ran.stdout)


def read(printed: str) -> Metrics:
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def test_every_peer_that_asks_a_model_runs(tmp_path: Path, forks: ForkServer) -> None:
    answer = {"title": "t", "language": "en", "claims": [{"text": "c", "certainty": 0.5}]}
    peers = ("httpx", "litellm", "instructor", "guardflow")
    with FaultServer(Reply.json(answer)) as server:
        options: dict[str, object] = {
            "fast": server.base_url,
            "slow": server.base_url,
            "calls": 2,
            "rounds": 1,
        }
        said = run(tmp_path, *((peer, options) for peer in peers), forks=forks)
        assert server.count == len(peers) * 2 * 2 * 2  # calls, addresses, warm-up and round
    assert len(said) == len(peers)
    assert all(metrics["cpu_ms"][0] > 0 and len(metrics["slow_wall_s"]) == 1 for metrics in said)


def test_every_other_peer_runs_and_none_pays_for_what_is_stored(tmp_path: Path) -> None:
    left = tmp_path / "left"
    for peer in ("replay-dbos", "replay-guardflow"):
        assert run(left, (peer, {"calls": 4, "prepare": True})) == []
    replay: dict[str, object] = {"calls": 4, "source": str(left)}
    few: dict[str, object] = {"calls": 3, "rounds": 2}
    # raw DBOS first: once guardflow has run, no pickle is read in this process
    peers = ("replay-dbos", "steps-dbos", "replay-guardflow", "steps-guardflow", "cache")
    said = run(tmp_path / "here", *((peer, replay if "replay" in peer else few) for peer in peers))
    assert [metrics.get("asked") for metrics in said] == [[0], None, [0], None, None]
    assert [len(metrics["wall_ms"]) for metrics in said[:4]] == [1, 2, 1, 2]
    assert set(said[4]) == {"lookup_ms", "lookup_again_ms", "stage_ms", "stage_again_ms"}


def test_research_over_generated_pages_is_measured(tmp_path: Path, harness: ModuleType) -> None:
    import_module("peers_research").write_pages(tmp_path / "corpus", 20)
    (said,) = run(tmp_path / "here", ("research", {"corpus": str(tmp_path / "corpus")}))
    assert set(said) == {
        "imports_mb",
        "indexed_mb",
        "peak_mb",
        "index_ms",
        "again_ms",
        "run_s",
        "requests",
    }
    assert 20 < said["imports_mb"][0] <= said["indexed_mb"][0] <= said["peak_mb"][0]
    assert said["requests"][0] > 3


def test_stages_in_trouble_run_with_storm_control_and_without(tmp_path: Path, forks: ForkServer) -> None:
    with FaultServer(Reply.status(503)) as dead, FaultServer(Reply.json({"text": "fine"})) as alive:
        trouble: dict[str, object] = {"dead": dead.base_url, "alive": alive.base_url, "control": True}
        calm: dict[str, object] = {"server": alive.base_url, "calls": 5, "hedge": True}
        said = run(tmp_path, ("storm-dead", trouble), ("storm-hedge", calm), forks=forks)
        assert dead.count == said[0]["first"][0]
    assert (said[0]["second"], said[0]["lost"]) == ([0], [0])
    assert set(said[1]) == {"p50", "p95", "p99", "requests", "tokens"}


def test_the_table_shows_losses(harness: ModuleType) -> None:
    row = harness.Row
    text = harness.table(
        [
            row("slow", [3.0, 1.0, 2.0], most=1.5, detail="2 ms"),
            row("quick", [0.5], least=0.4),
            row("peer", [7.0]),
        ]
    )
    _, slow, quick, peer = text.splitlines()
    assert slow.split() == ["slow", "2.000", "1.000..3.000", "<=", "1.5", "MISSED", "2", "ms"]
    assert quick.split()[-3:] == [">=", "0.4", "met"]
    assert peer.split() == ["peer", "7.000", "7.000..7.000"]


def test_ratios_pair_what_ran_together(harness: ModuleType) -> None:
    series = harness.Series()
    for ours, theirs in ((1.0, 2.0), (30.0, 60.0), (3.0, 3.0)):  # the machine was busy in the second turn
        series.add("ours", {"cpu_ms": ours})
        series.add("theirs", {"cpu_ms": theirs})
    assert series.ratios(("ours", "cpu_ms"), ("theirs", "cpu_ms")) == [0.5, 0.5, 1.0]
    assert series.median("ours", "cpu_ms") == 3.0


def test_a_row_of_zero_can_be_a_target(harness: ModuleType) -> None:
    assert harness.Row("model calls", [0.0], most=0).met is True
    assert "<= 0" in harness.table([harness.Row("model calls", [1.0], most=0)])


def test_votes_are_compared_with_fixed_panels_on_the_same_ballots(harness: ModuleType) -> None:
    votes = import_module("votes")
    rows = votes.measure(200)
    assert len(rows) == 2 * len(votes.COMPARISONS) * len(votes.WORLDS)
    assert all(low <= row.value <= high for row in rows for _, low, high in [row.values])
    again = votes.measure(200)
    assert [row.values for row in again] == [row.values for row in rows], "seeded"


def test_every_peer_that_asks_several_times_runs(
    tmp_path: Path, harness: ModuleType, forks: ForkServer
) -> None:
    answer = {"title": "t", "language": "en", "claims": [{"text": "c", "certainty": 0.5}]}
    ballots = ("ballots-instructor", "ballots-plain", "ballots-durable")
    faulty = import_module("faulty")
    faults = faulty.Faults()
    contestants = [one for one in (faulty.OURS, *faulty.RIVALS) if one.peer != "faulty-pydantic-ai"]
    with FaultServer(Reply.json(answer)) as fine, FaultServer(answer=faults) as bad:
        few: dict[str, object] = {"server": fine.base_url, "calls": 2, "rounds": 1}
        asked: dict[str, object] = {"server": bad.base_url, "questions": 2}
        said = run(
            tmp_path,
            *((peer, few) for peer in ballots),
            *((one.peer, {**asked, **one.options}) for one in contestants),
            forks=forks,
        )
        assert fine.count == len(ballots) * 3 * (2 + 2)  # ballots, warm-up and round
        assert sum(faults.asked.values()) == bad.count
    assert all(metrics["cpu_ms"][0] > 0 and metrics["questions"] == [4] for metrics in said[:3])
    assert len(said) == len(ballots) + len(contestants)
    for metrics in said[3:]:
        assert set(metrics) == {"p95", "0", "1"}
        assert all(metrics[number][0] in (1, 0, -1) for number in "01")


def test_faults_come_as_often_as_they_are_said_to(harness: ModuleType) -> None:
    invoices = import_module("invoices")
    places = [(number, nth) for number in range(500) for nth in range(4)]
    drawn = [invoices.drawn(*place) for place in places]
    assert drawn == [invoices.drawn(*place) for place in places], "seeded"
    for fault, share in invoices.SHARES.items():
        assert abs([one for one, _ in drawn].count(fault) / len(drawn) - share) < 0.03
    for (number, _), (fault, content) in zip(places, drawn, strict=True):
        if fault in ("right", "seen", "unseen"):
            bill = invoices.Bill.model_validate_json(content)
            assert (bill == invoices.truth(number)) == (fault == "right")
            seen = invoices.complaint(bill, invoices.invoice(number).text)
            assert (seen is not None) == (fault == "seen")


def test_a_contestant_that_is_not_installed_is_said_to_be_absent(
    tmp_path: Path, harness: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = import_module("faulty")
    monkeypatch.delenv(faulty.PYDANTIC_AI, raising=False)
    monkeypatch.setattr(faulty, "find_spec", lambda _: None)
    result = faulty.Result([1.0, 0.0, -1.0, 1.0], [2, 3, 3, 2], 0.5)
    absent = "faulty-pydantic-ai"

    def compete(one: object, questions: int, folder: Path) -> object:
        return result if faulty._python_of(one.peer) else None

    monkeypatch.setattr(faulty, "compete", compete)
    text = harness.table(faulty.faulty_rows(4, tmp_path))
    (line,) = [line for line in text.splitlines() if "pydantic-ai" in line]
    assert faulty.PYDANTIC_AI in line
    assert next(one.name for one in faulty.CONTESTANTS if one.peer == absent) in line
    assert "wrong 25.0 %" in text and "none 25.0 %" in text and "2.50 calls" in text
