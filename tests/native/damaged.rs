//! Records that are damaged, one among five: each of the five becomes an event, and four of them the same as ever.

use crate::cases::{NOW, configured_with};
use collector::{Collector, batch::Batch};
use e2e::canned::{CannedFile, CannedOrg, Mishap, StillClock, What};
use serde_json::Value;

/// An object with records of five fields: key, date, a text, a number, and a text behind them.
struct Object {
    streams: &'static str,
    name: &'static str,
    key: &'static str,
    date: &'static str,
    text: &'static str,
    /// Whether its records have keys of their own.
    keyed: bool,
}

const OBJECTS: [Object; 4] = [
    Object {
        streams: r#""streams": {"login": {"object": {}}}"#,
        name: "LoginEvent",
        key: "EventIdentifier",
        date: "EventDate",
        text: "Browser",
        keyed: true,
    },
    Object {
        streams: r#""streams": {"logins": {"object": {"name": "LoginHistory"}}}"#,
        name: "LoginHistory",
        key: "Id",
        date: "LoginTime",
        text: "Browser",
        keyed: true,
    },
    Object {
        streams: r#""streams": {"setupaudittrail": {"object": {}}}"#,
        name: "SetupAuditTrail",
        key: "Id",
        date: "CreatedDate",
        text: "Display",
        keyed: true,
    },
    Object {
        streams: r#""streams": {"aura_request": {"object": {"name": "AuraRequestEventLog"}}}"#,
        name: "AuraRequestEventLog",
        key: "Id",
        date: "Timestamp",
        text: "UserAgent",
        keyed: false,
    },
];

/// What may be said of the output: as documents, with the record as it came, and the record alone.
const OUTPUTS: [&str; 3] = ["", "\"preserve_original_event\": true,", "\"format\": \"raw\","];

/// What a damaged record still tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// All but the damaged text.
    KeyAndDate,
    /// Its key.
    Key,
    /// Its date.
    Date,
    /// Nothing but its text.
    Nothing,
}

impl Object {
    fn record(&self, n: usize, text: &[u8]) -> Vec<u8> {
        let key =
            if self.keyed { format!("0Ya5j00000AbCd{n}CAV") } else { String::from("000000000000000AAA") };
        let date = format!("2026-06-01T10:0{n}:00.000+0000");
        let Self { name, key: key_field, date: date_field, .. } = self;
        let head = format!(
            r#"{{"attributes":{{"type":"{name}","url":"/services/data/v65.0/sobjects/{name}/x"}},"{key_field}":"{key}","{date_field}":"{date}","#
        );
        let tail = format!(r#","Number__c":{n},"Last__c":"last {n}"}}"#);
        [head.as_bytes(), text, tail.as_bytes()].concat()
    }

    fn sound(&self, n: usize) -> Vec<u8> {
        self.record(n, format!(r#""{}":"text {n}""#, self.text).as_bytes())
    }

    /// All ways to damage a record that are known here: what of it is left, and its bytes.
    fn damaged(&self, n: usize) -> Vec<(Left, Vec<u8>)> {
        let text = |value: &[u8]| {
            let name = format!("\"{}\":", self.text);
            (Left::KeyAndDate, self.record(n, &[name.as_bytes(), value].concat()))
        };
        let texts: [&[u8]; 16] = [
            br#""a\ud83db""#,
            br#""\udca5""#,
            b"\"a\xffb\"",
            b"\"\xed\xa0\xbd\"",
            b"\"a\x01b\"",
            b"\"a\nb\tc\"",
            br#""a\xb""#,
            br#""\u12""#,
            b"nul",
            b"NaN",
            b"0x1F",
            b"Mozilla (X11)",
            br#""a"b""#,
            br#""a"#,
            b"[\"a\",",
            br#"{"a":"\ud83d"}"#,
        ];
        let sound = String::from_utf8(self.sound(n)).expect("UTF-8");
        let (key, date) = (format!("\"{}\":", self.key), format!("\"{}\":", self.date));
        let with = |left: Left, field: &str, value: &str| {
            let (head, rest) = sound.split_once(field).expect("a field");
            let (_, rest) = rest.split_once(',').expect("more fields");
            (left, format!("{head}{field}{value},{rest}").into_bytes())
        };
        let twice = |field: &str| {
            let more = format!(",{field}\"2026-06-01T10:00:30.000+0000\"}}");
            (Left::KeyAndDate, format!("{}{more}", sound.trim_end_matches('}')).into_bytes())
        };
        let mut all: Vec<_> = texts.into_iter().map(text).collect();
        all.extend([
            with(Left::Key, &date, "null"),
            with(Left::Key, &date, "\"yesterday\""),
            with(Left::Key, &date, "17"),
            with(Left::Key, &date, "\"2026-06-01T10:00:00\\ud83d\""),
            twice(&date),
            (Left::KeyAndDate, sound.replacen("}", "", 1).into_bytes()),
            (Left::KeyAndDate, sound.replace("Last__c\":", "Last__c\" ").into_bytes()),
            (Left::Nothing, b"null".to_vec()),
            (Left::Nothing, b"7".to_vec()),
            (Left::Nothing, b"\"\\ud83d\"".to_vec()),
            (Left::Nothing, b"[{}]".to_vec()),
            (Left::Nothing, b"\xff".to_vec()),
        ]);
        if self.keyed {
            all.extend([with(Left::Date, &key, "\"a\\ud83d\""), with(Left::Date, &key, "nul"), twice(&key)]);
        }
        all
    }

    fn collector(&self, output: &str) -> Collector {
        self.collector_at(output, "acme.my.salesforce.com")
    }

    fn collector_at(&self, output: &str, host: &str) -> Collector {
        let streams = format!("{output} {}", self.streams);
        configured_with(&[
            ("\"streams\": {\"login\": {\"event_log_file\": {}}}", streams.as_str()),
            ("acme.my.salesforce.com", host),
        ])
    }

    /// What becomes of these records, on one page.
    fn collect(&self, output: &str, records: &[Vec<u8>]) -> Batch {
        self.collect_with(self.collector(output), records)
    }

    fn collect_with(&self, mut collector: Collector, records: &[Vec<u8>]) -> Batch {
        let mut org = CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
        let head = format!(r#"{{"totalSize":{},"done":true,"records":["#, records.len());
        let page = [head.as_bytes(), &records.join(&b","[..]), b"]}"].concat();
        let shown = page.clone();
        org.mishaps.push(Mishap { path: "/query", what: What::Bytes(200, page) });
        let clock = StillClock::at(NOW);
        let batch = collector.poll(&mut org, &clock, None);
        batch.unwrap_or_else(|failure| panic!("{}: {}", String::from_utf8_lossy(&shown), failure.problem))
    }
}

fn json(event: &str) -> Value {
    serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}"))
}

#[test]
fn one_damaged_record_of_five_is_an_event_and_the_other_four_are_as_ever() {
    for object in &OBJECTS {
        let sound: Vec<Vec<u8>> = (0..5).map(|n| object.sound(n)).collect();
        for output in OUTPUTS {
            let expected = object.collect(output, &sound);
            assert_eq!((expected.events.len(), expected.stats.rows_malformed), (5, 0));
            // In the middle, and, of documents, at either end.
            for n in if output.is_empty() { 0..5 } else { 2..3 } {
                for (left, damaged) in object.damaged(n) {
                    let shown = format!("{} {output} {}", object.name, String::from_utf8_lossy(&damaged));
                    let mut records = sound.clone();
                    records[n] = damaged;
                    let batch = object.collect(output, &records);
                    assert_eq!(
                        (batch.events.len(), batch.problems.len()),
                        (5, 0),
                        "{shown}: {:?}",
                        batch.problems
                    );
                    let is_new = |event: &&String| !expected.events.contains(event);
                    let new: Vec<&String> = batch.events.iter().filter(is_new).collect();
                    assert_eq!(
                        (new.len(), batch.stats.rows_malformed),
                        (1, 1),
                        "{shown}: {:?}",
                        batch.events
                    );
                    let (event, before) = (json(new[0]), json(&expected.events[n]));
                    assert!(!event["error"]["message"][0].is_null(), "{shown}: {event}");
                    let same_id = event["event"]["id"] == before["event"]["id"];
                    let same_time = event["@timestamp"] == before["@timestamp"];
                    let has_key = matches!(left, Left::KeyAndDate | Left::Key) && object.keyed;
                    // Without a key the id is that of the content, which is not always what was hit.
                    assert!(same_id == has_key || !object.keyed, "{shown}: {event}");
                    assert_eq!(same_time, matches!(left, Left::KeyAndDate | Left::Date), "{shown}: {event}");
                    assert_eq!(new[0].contains("last "), left != Left::Nothing, "{shown}: {event}");
                    assert_eq!(
                        event["event"]["original"].is_string(),
                        left == Left::Nothing || output.contains("preserve"),
                        "{shown}: {event}"
                    );
                    assert_eq!(
                        event["record"].is_object(),
                        left != Left::Nothing && output.contains("raw"),
                        "{shown}: {event}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_state_behind_a_damaged_record_lets_a_fresh_instance_go_on() {
    for object in &OBJECTS {
        for (_, damaged) in object.damaged(2) {
            let shown = format!("{} {}", object.name, String::from_utf8_lossy(&damaged));
            let records: Vec<_> =
                (0..5).map(|n| if n == 2 { damaged.clone() } else { object.sound(n) }).collect();
            let whole = object.collect("", &records);
            let page = [&b"{\"done\":true,\"records\":["[..], &records.join(&b","[..]), b"]}"].concat();
            // One event for each poll, each by an instance that knows nothing but the state.
            let clock = StillClock::at(NOW);
            let (mut state, mut events) = (None::<String>, Vec::new());
            for _ in 0..9 {
                let mut org =
                    CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
                org.mishaps.push(Mishap { path: "/query", what: What::Bytes(200, page.clone()) });
                let mut collector = object.collector("\"batch\": {\"max_events\": 1},");
                let batch = collector.poll(&mut org, &clock, state.as_deref()).expect("a batch");
                events.extend(batch.events);
                state = Some(batch.state);
            }
            let ids = |events: &[String]| {
                let mut ids: Vec<String> =
                    events.iter().map(|event| json(event)["event"]["id"].to_string()).collect();
                ids.sort();
                ids.dedup();
                ids
            };
            assert_eq!(ids(&events), ids(&whole.events), "{shown}");
        }
    }
}

#[test]
fn a_page_that_is_cut_is_asked_for_again_and_nothing_of_it_is_lost() {
    let object = &OBJECTS[1];
    let records: Vec<Vec<u8>> = (0..5).map(|n| object.sound(n)).collect();
    let page = [&b"{\"done\":true,\"records\":["[..], &records.join(&b","[..]), b"]}"].concat();
    for cut in [1, 20, page.len() / 2, page.len() - 2, page.len() - 1] {
        let mut org = CannedOrg { date: Some("Mon, 01 Jun 2026 14:00:00 GMT"), ..CannedOrg::default() };
        org.mishaps.push(Mishap { path: "/query", what: What::Bytes(200, page[..cut].to_vec()) });
        org.mishaps.push(Mishap { path: "/query", what: What::Bytes(200, page.clone()) });
        let (mut collector, clock) = (object.collector(""), StillClock::at(NOW));
        let first = collector.poll(&mut org, &clock, None);
        let (mut events, state, problem) = match first {
            Ok(batch) => (batch.events, Some(batch.state), batch.problems.first().map(ToString::to_string)),
            Err(failure) => (Vec::new(), failure.state, Some(failure.problem.to_string())),
        };
        let problem = problem.unwrap_or_default();
        assert!(problem.contains("LoginHistory") && problem.contains(&format!("of {cut})")), "{problem}");
        clock.advance(3_600_000);
        events.extend(collector.poll(&mut org, &clock, state.as_deref()).expect("a batch").events);
        assert_eq!(events.len(), 5, "cut at {cut}");
    }
}

#[test]
fn the_id_of_a_row_that_makes_no_sense_does_not_depend_on_its_line_break() {
    let id = |end: &str| {
        let body = format!("\"EVENT_TYPE\",\"TIMESTAMP\"\n\"Login\",\"x\",\"one too many\"{end}");
        let mut org = CannedOrg::with(vec![CannedFile::new(1, body.into_bytes())]);
        let batch = configured_with(&[]).poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
        assert_eq!((batch.events.len(), batch.stats.rows_malformed), (1, 1), "{end:?}");
        json(&batch.events[0])["event"]["id"].to_string()
    };
    assert_eq!([id("\r\n"), id("")], [id("\n"), id("\n")]);
}

#[test]
fn a_record_of_a_sandbox_has_another_id_than_the_one_it_is_a_copy_of() {
    for object in &OBJECTS {
        let event = |host: &str| {
            let collector = object.collector_at("", host);
            json(&object.collect_with(collector, &[object.sound(1)]).events[0])
        };
        let (ours, copy) = (event("acme.my.salesforce.com"), event("acme--uat.sandbox.my.salesforce.com"));
        let is_in_its_org = object.key == "Id" && object.keyed;
        assert_eq!(ours["event"]["id"] != copy["event"]["id"], is_in_its_org, "{ours} {copy}");
        // The record's own key stays in the document.
        assert!(ours.to_string().contains(if object.keyed { "0Ya5j00000AbCd1CAV" } else { "" }), "{ours}");
    }
}

#[test]
fn the_id_of_a_record_without_a_key_depends_on_neither_order_nor_fields_without_a_value() {
    let object = &OBJECTS[3];
    let id = |record: &str| {
        json(&object.collect("", &[record.as_bytes().to_vec()]).events[0])["event"]["id"].to_string()
    };
    let time = "2026-06-01T10:00:00.000+0000";
    let expected =
        id(&format!(r#"{{"Id":"000000000000000AAA","Timestamp":"{time}","Uri":"/a","RunTime":12.0}}"#));
    let moved = format!(r#"{{"RunTime":12.0,"Uri":"/a","Timestamp":"{time}","Id":"000000000000000AAA"}}"#);
    let more = format!(
        r#"{{"attributes":{{"type":"X"}},"Id":"000000000000000AAA","Timestamp":"{time}","New":null,"Uri":"/a","By":null,"RunTime":12.0,"E":""}}"#
    );
    let other = format!(r#"{{"Id":"000000000000000AAA","Timestamp":"{time}","Uri":"/b","RunTime":12.0}}"#);
    assert_eq!([id(&moved), id(&more)], [expected.clone(), expected.clone()]);
    assert_ne!(id(&other), expected);
}

#[test]
fn no_event_has_a_name_twice_whatever_a_record_has() {
    let twins = [
        r#""attributes": {"type": "SetupAuditTrail", "type": "X"}, "Display": "a""#,
        r#""attributes": {"type": "SetupAuditTrail"}, "attributes": {"type": "X"}, "Display": "a""#,
        r#""Display": "a", "Display": "b""#,
        r#""Display": "a", "Displ\u0061y": "b""#,
        r#""CreatedBy": {"Name": "a", "Name": "b"}"#,
        r#""CreatedBy": {"attributes": {"url": "x", "url": "y"}, "Name": "a"}"#,
        r#""CreatedBy": {"Name": "a"}, "CreatedBy": {"Name": "b"}"#,
        r#""CreatedBy": {"Name": "a"}, "CreatedBy.Name": "b""#,
        r#""CreatedBy": {"Name": "a"}, "CreatedBy": {"Email": "b"}"#,
        r#""CreatedBy": {}, "CreatedBy": {"Name": "b"}"#,
        r#""attributes": {"type": "SetupAuditTrail"}, "attributes": "x""#,
        r#""attributes": "x", "attributes": {"type": "SetupAuditTrail"}"#,
        r#""attributes": {"type": "SetupAuditTrail", "type": "x"}"#,
        r#""attributes": [{"a": 1, "a": 2}]"#,
        r#""CreatedBy": null, "CreatedBy": {"Name": "b"}"#,
        r#""Display": [{"a": 1, "a": 2}]"#,
        r#""Display": {"a": {"b": {"c": {"d": {"e": {"f": 1, "f": 2}}}}}}"#,
        r#""Display": {"a": [], "a": [1]}"#,
        r#""Created_By_Name": "a", "CreatedBy": {"Name": "b"}, "createdByName": "c""#,
        r#""section": "a", "Section": "b", "SECTION": "c""#,
    ];
    for twin in twins {
        for output in OUTPUTS {
            for format in ["", "\"format\": \"ocsf\","] {
                if output.contains("raw") && !format.is_empty() {
                    continue;
                }
                let records = format!(
                    r#"[{{"Id": "0Ym5j00000AbCd1CAV", "CreatedDate": "2026-06-01T10:15:31.123+0000", {twin}}}]"#
                );
                let mut collector = configured_with(&[
                    (r#""streams": {"login": {"event_log_file": {}}}"#, OBJECTS[2].streams),
                    ("{", &format!("{{{output}{format}")),
                ]);
                let mut org = CannedOrg { records: Some(records), ..CannedOrg::default() };
                let batch = collector.poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
                assert_eq!(batch.events.len(), 1, "{twin}");
                let event = &batch.events[0];
                assert!(e2e::names::unique(event).is_ok(), "{twin} {output}{format}: {event}");
            }
        }
    }
}
