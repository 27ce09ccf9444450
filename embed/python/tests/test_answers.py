"""What is accepted of what a component returns."""

from __future__ import annotations

import pytest

from pipeline_source import BrokenContract, Limits
from pipeline_source.answers import checked_events, checked_state
from pipeline_source.contract import printable


def test_an_event_is_one_json_object_on_one_line() -> None:
    good = ["{}", '{"a":[1,{"b":null}],"c":"\\ud83d\\ude00 \\n { ["}', '{"a":{"b":1},"b":1}', '{"a":' + "[" * 126 + "]" * 126 + "}"]
    assert checked_events(good, Limits())[1]["c"] == "😀 \n { ["


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "[]",
        "1",
        " {}",
        "{} ",
        "{",
        "{}{}",
        "{\n}",
        '{"a":1,\r"b":2}',
        '{"a":}',
        '{"a":1,"a":2}',
        '{"a":NaN}',
        '{"a":1e999}',
        '{"a":' + "9" * 400 + "}",
        '{"a":-' + "9" * 400 + "}",
        '{"a":"\\ud800"}',
        '{"a":"\t"}',
        '{"a":' + "[" * 127 + "]" * 127 + "}",
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_anything_else_is_refused_with_its_number(bad: str) -> None:
    with pytest.raises(BrokenContract, match="number 2 "):
        checked_events(["{}", bad], Limits())


def test_sizes_are_bounded() -> None:
    with pytest.raises(BrokenContract, match="3 events"):
        checked_events(["{}"] * 3, Limits(batch_events=2))
    with pytest.raises(BrokenContract, match="4 bytes of events"):
        checked_events(["{}"] * 2, Limits(batch_bytes=3))
    with pytest.raises(BrokenContract, match="empty state"):
        checked_state("", Limits())
    with pytest.raises(BrokenContract, match="bytes of state"):
        checked_state("x" * ((1 << 20) + 1), Limits())


def test_escape_sequences_and_line_breaks_do_not_reach_a_terminal() -> None:
    assert printable("ok\x1b[2J\r\n2026-01-01 ERROR forged\u202egnp.exe\x07") == "ok [2J  2026-01-01 ERROR forged gnp.exe "
    assert printable("Zugriff verweigert: „Login“ – 権限") == "Zugriff verweigert: „Login“ – 権限"
    assert len(printable("a" * 10_000)) == 4097
