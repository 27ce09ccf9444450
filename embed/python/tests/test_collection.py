"""The real component, against a simulated org."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline_source import Batch, Component, ConfigurationError, Limits, PollFailure, Source

from .conftest import StartOrg, Time


def ids(batch: Batch) -> list[str]:
    return [event["event"]["id"] for event in batch.events]


def collected(source: Source) -> Counter[str]:
    found: Counter[str] = Counter()
    for batch in source:
        found.update(ids(batch))
        batch.ack()
    return found


class Kept:
    """A store in memory."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def load(self) -> str | None:
        return self.states[-1] if self.states else None

    def save(self, state: str, /) -> None:
        self.states.append(state)


def unavailable(status: int = 503) -> dict[str, Any]:
    return {"path": "/query", "every": True, "action": {"kind": "answer", "status": status, "body": "", "headers": {}}}


def test_each_event_of_an_org_comes_once(component: Component, start_org: StartOrg) -> None:
    org = start_org()
    with Source(component, org.config(), allow=[org.authority], until_caught_up=True) as source:
        assert collected(source) == org.truth()
        assert source.grants.authorities == (org.authority,)
        assert source.state is not None


def test_lines_are_the_events_as_the_component_wrote_them(component: Component, start_org: StartOrg) -> None:
    org = start_org()
    with Source(component, org.config(), until_caught_up=True) as source:
        batch = next(iter(source))
        assert len(batch.lines) == len(batch.events) > 0
        assert batch.events[0]["event"]["id"] in batch.lines[0]
        assert batch.stats.requests > 0 and batch.stats.api_usage is not None


def test_a_restart_in_the_middle_loses_and_repeats_nothing(component: Component, start_org: StartOrg) -> None:
    org, found, restarts = start_org(), Counter[str](), 0
    store = Kept()
    while True:
        with Source(component, org.config(max_events=50), state=store, until_caught_up=True) as source:
            batches = iter(source)
            batch = next(batches)
            found.update(ids(batch))
            batch.ack()
            if next(batches, None) is None:
                break
        restarts += 1
    assert found == org.truth() and restarts > 5


def test_a_batch_that_was_not_acknowledged_comes_again_after_a_restart(
    component: Component, start_org: StartOrg
) -> None:
    org, store = start_org(), Kept()
    with Source(component, org.config(max_events=50), state=store) as source:
        batches = iter(source)
        next(batches).ack()
        second = ids(next(batches))
    with Source(component, org.config(max_events=50), state=store) as source:
        assert ids(next(iter(source))) == second
    assert len(store.states) == 1


def test_a_batch_that_was_not_acknowledged_comes_again_before_any_other(
    component: Component, start_org: StartOrg
) -> None:
    org, time = start_org(), Time()
    source = Source(component, org.config(max_events=50), until_caught_up=True, clock=time.clock, wait=time.wait)
    with source:
        batches = iter(source)
        first = next(batches)
        assert next(batches) is first and next(batches) is first
        assert time.waits == [1.0, 2.0]
        first.ack()
        first.ack()
        second = next(batches)
        assert second is not first and time.waits == [1.0, 2.0]
        # The same when one iteration is left and another begun.
        assert next(iter(source)) is second
        second.ack()
        assert Counter(ids(first)) + Counter(ids(second)) + collected(source) == org.truth()


def test_a_state_that_cannot_be_stored_leaves_its_batch_unacknowledged(
    component: Component, start_org: StartOrg
) -> None:
    class Full(Kept):
        is_full = True

        def save(self, state: str, /) -> None:
            if self.is_full:
                raise OSError("no space")
            super().save(state)

    org, time, store = start_org(), Time(), Full()
    config = org.config(max_events=50)
    with Source(component, config, state=store, clock=time.clock, wait=time.wait) as source:
        batches = iter(source)
        batch = next(batches)
        with pytest.raises(OSError, match="no space"):
            batch.ack()
        assert not batch.acknowledged and source.state is None
        assert next(batches) is batch
        store.is_full = False
        batch.ack()
        assert source.state == store.states[-1] == batch.state


def test_a_state_given_as_text_is_gone_on_from(component: Component, start_org: StartOrg) -> None:
    org = start_org()
    with Source(component, org.config(max_events=50)) as source:
        first = next(iter(source))
        first.ack()
    with Source(component, org.config(max_events=50), state=first.state, until_caught_up=True) as source:
        assert Counter(ids(first)) + collected(source) == org.truth()


def test_an_expired_session_is_renewed(component: Component, start_org: StartOrg) -> None:
    org, found = start_org(), Counter[str]()
    with Source(component, org.config(max_events=50), until_caught_up=True) as source:
        for number, batch in enumerate(source):
            found.update(ids(batch))
            batch.ack()
            if number == 3:
                org.expire_sessions()
    assert found == org.truth()


def test_a_wrong_configuration_is_refused_with_everything_at_once(component: Component) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Source(component, {"instance_url": "https://acme.my.salesforce.com", "streams": {"logn": {}}, "autth": {}})
    assert len(refused.value.problems) > 1 and refused.value.kind == "config"
    assert any(problem.path == "autth" for problem in refused.value.problems), refused.value


def test_refused_credentials_are_an_error_that_says_who_must_act(component: Component, start_org: StartOrg) -> None:
    org, time = start_org("--obstacle", "user-not-approved"), Time()
    with Source(component, org.config(), clock=time.clock, wait=time.wait) as source:
        with pytest.raises(PollFailure) as failed:
            next(iter(source))
        assert failed.value.kind == "auth" and failed.value.hint
        assert "PRIVATE KEY" not in str(failed.value)
        # It may be mended meanwhile; the next iteration waits as long as this one asks for.
        with pytest.raises(PollFailure):
            next(iter(source))
        assert sum(time.waits) >= (failed.value.retry_after or 0) > 0


def test_a_service_that_is_down_is_waited_for(
    component: Component, start_org: StartOrg, caplog: pytest.LogCaptureFixture
) -> None:
    org, store = start_org(), Kept()
    org.plan_faults({**unavailable(), "every": False, "nth": 1})
    with Source(component, org.config(), state=store, until_caught_up=True) as source:
        assert collected(source) == org.truth()
    # The failure's own state is stored too, so that a restart does not hammer.
    assert len(store.states) > 1
    assert any("transient" in record.getMessage() for record in caplog.records)


def test_until_caught_up_gives_up_on_a_service_that_stays_down(component: Component, start_org: StartOrg) -> None:
    org, time = start_org(), Time()
    org.plan_faults(unavailable())
    source = Source(component, org.config(), until_caught_up=True, give_up_after=60, clock=time.clock, wait=time.wait)
    with source, pytest.raises(PollFailure, match="given up") as failed:
        collected(source)
    assert failed.value.kind in ("transient", "rate-limited") and time.now <= 60


def test_it_goes_on_for_ever_until_it_is_stopped(component: Component, start_org: StartOrg) -> None:
    org, stop = start_org(), threading.Event()
    time = Time(stop, stop_after=3)
    with Source(component, org.config(), stop=stop, clock=time.clock, wait=time.wait) as source:
        assert collected(source) == org.truth()
    assert len(time.waits) == 3


def test_a_stop_ends_it_after_the_batch_at_hand(component: Component, start_org: StartOrg) -> None:
    org, stop = start_org(), threading.Event()
    with Source(component, org.config(max_events=50), stop=stop) as source:
        seen = []
        for batch in source:
            seen.append(batch)
            stop.set()
            batch.ack()
        assert len(seen) == 1 and source.state == seen[0].state


def test_a_crash_in_the_middle_is_gone_on_from_with_a_new_instance(
    component: Component, start_org: StartOrg, caplog: pytest.LogCaptureFixture
) -> None:
    org, time = start_org(), Time()
    # An answer that comes later than a call may take: the call is stopped when it comes.
    org.plan_faults({"path": "/LogFile", "nth": 2, "action": {"kind": "delay", "millis": 1500}})
    limits = Limits(call_time=1.0)
    source = Source(
        component,
        org.config(max_events=50),
        limits=limits,
        until_caught_up=True,
        clock=time.clock,
        wait=time.wait,
    )
    with source:
        assert collected(source) == org.truth()
    assert any("took longer than its limit of 1 s" in record.getMessage() for record in caplog.records)
    assert 1.0 in time.waits


def test_crashes_in_a_row_are_bounded_and_waited_between_ever_longer(
    hostile: Component, caplog: pytest.LogCaptureFixture
) -> None:
    time = Time()
    config = '{"do":"grow"}'
    with Source(hostile, config, crashes=4, clock=time.clock, wait=time.wait) as source:
        with pytest.raises(Exception, match="64 MiB"):
            next(iter(source))
        assert time.waits == [1.0, 2.0, 4.0]


def test_check_tries_what_a_collection_needs(component: Component, start_org: StartOrg) -> None:
    with Source(component, start_org().config()) as source:
        findings = {finding.name: finding for finding in source.check()}
    assert findings["sign-in"].verdict == "pass"


def test_describe_needs_neither_configuration_nor_network(component: Component) -> None:
    about = component.describe()
    assert about.name == "salesforce-source" and "login" in {stream.name for stream in about.streams}


def test_a_confined_source_ends_when_its_range_is_complete(component: Component, start_org: StartOrg) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=10)
    org = start_org("--hours", "4", "--rows", "400", "--end", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    with Source(component, org.config()) as source:
        source.confine(end - timedelta(hours=2), end)
        assert not source.is_complete()
        found = collected(source)
        assert source.is_complete()
    assert 0 < found.total() < org.truth().total() and found <= org.truth()


def test_an_empty_range_is_refused(component: Component, start_org: StartOrg) -> None:
    now = datetime.now(UTC)
    with Source(component, start_org().config()) as source:
        with pytest.raises(ConfigurationError):
            source.confine(now, now)
        with pytest.raises(ConfigurationError, match="zone"):
            source.confine(datetime(2026, 1, 1), now)


def test_a_state_of_another_configuration_or_version_is_a_failure_of_kind_state(
    component: Component, start_org: StartOrg
) -> None:
    with Source(component, start_org().config(), state="not a state of this source") as source:
        with pytest.raises(PollFailure) as failed:
            next(iter(source))
    assert failed.value.kind == "state"


def test_two_sources_share_a_component_in_two_threads(component: Component, start_org: StartOrg) -> None:
    org = start_org()
    results: list[Counter[str]] = []

    def collect() -> None:
        with Source(component, org.config(max_events=100), until_caught_up=True) as source:
            results.append(collected(source))

    threads = [threading.Thread(target=collect) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [org.truth(), org.truth()]
