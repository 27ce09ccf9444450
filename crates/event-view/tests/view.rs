//! From files to what the page is told, without a browser. The page itself is tried by `make test-view`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use event_view::{
    definitions,
    engine::{Engine, Fields, Metric},
    export,
    index::Index,
    panels::{self, View},
    query::{self, Query},
    server::Server,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

fn login(hour: u32, user: &str, outcome: &str, ip: &str, country: &str) -> String {
    json!({
        "@timestamp": format!("2026-11-27T{hour:02}:30:00.000Z"),
        "event": { "action": "login-attempt", "outcome": outcome, "duration": u64::from(hour) * 1_000_000 },
        "data_stream": { "dataset": "salesforce.login" },
        "user": { "email": user, "roles": ["Standard", "Standard"] },
        "source": { "ip": ip, "geo": { "country_iso_code": country } },
    })
    .to_string()
}

fn five() -> Vec<String> {
    vec![
        login(1, "ann@example.com", "success", "203.0.113.1", "DE"),
        login(2, "ann@example.com", "failure", "203.0.113.2", "DE"),
        login(3, "bob@example.com", "success", "198.51.100.7", "US"),
        login(4, "ann@example.com", "success", "2001:db8::5", "BR"),
        login(5, "bob@example.com", "failure", "203.0.113.1", "US"),
    ]
}

struct Files {
    folder: tempfile::TempDir,
    index: Index,
}

impl Files {
    fn of(lines: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.ndjson");
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let mut index = Index::new(&[file], Some(folder.path().join("index"))).unwrap();
        assert!(index.refresh(&|_, _| {}));
        Self { folder, index }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("events.ndjson")
    }

    fn append(&mut self, text: &str) {
        OpenOptions::new().append(true).open(self.file()).unwrap().write_all(text.as_bytes()).unwrap();
        self.index.refresh(&|_, _| {});
    }

    fn count(&self, search: &str) -> u64 {
        self.panel("overview", "events", search)["value"].as_f64().unwrap() as u64
    }

    fn panel(&self, dashboard: &str, panel: &str, search: &str) -> Value {
        let engine = Engine::new(self.index.snapshot(), Fields::default());
        let dashboards = definitions::bundled().unwrap();
        let dashboard = dashboards.iter().find(|known| known.name == dashboard).unwrap();
        let panel = dashboard.panels.iter().find(|known| known.id == panel).unwrap();
        let span = engine.span().unwrap().unwrap_or(0..0);
        let view = View { query: Query::parse(search).unwrap(), times: span.start..span.end + 1 };
        panels::answer(&engine, dashboard, panel, &view, 0).unwrap()
    }

    fn notices(&self) -> String {
        self.index.snapshot().notices.iter().map(|notice| format!("{}\n", notice.text)).collect()
    }
}

#[test]
fn a_search_finds_what_it_says_and_nothing_else() {
    let mut lines = five();
    lines[0] = lines[0].replace("\"event\":{", "\"event\":{\"start\":\"2026-11-27T01:29:59.123Z\",");
    lines[1] = lines[1].replace("\"event\":{", "\"message\":\"203.0.113.0/24 was allowed\",\"event\":{");
    let files = Files::of(&lines);
    for (search, count) in [
        ("", 5),
        ("event.outcome:failure", 2),
        ("event.outcome:failure and source.ip:203.0.113.0/24", 2),
        ("source.ip:203.0.113.0/24 and not event.outcome:failure", 1),
        ("source.ip:2001:db8::/32", 1),
        ("user.email:(ANN@example.com or nobody)", 3),
        ("user.email:a*", 3),
        ("event.duration >= 4000000", 2),
        ("@timestamp < \"2026-11-27T02:00\"", 1),
        ("error.message:*", 0),
        ("198.51.100", 1),
        ("event.duration:3000000", 1),
        ("no.such.field:x", 0),
        // In quotes a value is what it is, and nothing else; a network and a time are such.
        ("source.ip:\"2001:db8::/32\"", 1),
        ("source.ip:\"203.0.113.0/24\"", 3),
        ("message:\"203.0.113.0/24\"", 0),
        ("source.ip:\"2001:0db8::5\"", 0),
        ("source.ip:\"2001:db8::5\"", 1),
        ("user.email:ANN@example.com", 3),
        ("user.email:\"ANN@example.com\"", 0),
        ("user.email:\"ann@example.com\"", 3),
        ("user.email:\"a*\"", 0),
        (r"user.email:a\*", 0),
        ("event.duration:\"3000000\"", 1),
        ("event.start:\"2026-11-27\"", 1),
        ("event.start:\"2026-11-27T01:29\"", 1),
        ("event.start:2026-11-27T01:29", 1),
        ("event.start:2026-11-27T01:29:59", 1),
        ("event.start:2026-11-27T02:29+01:00", 1),
        ("event.start:2026-11-27T01:30", 0),
        ("event.start:(2026-11-27T01:28 or 2026-11-27T01:29)", 1),
        ("event.start < 2026-11-27T01:30 and event.start >= 2026-11-27T01:29", 1),
        ("event.start:\"2026-11-27T01:29:59.123Z\"", 1),
        ("source.ip:2001:0db8:0::5", 1),
        ("2001:0db8::5", 1),
        ("203.0.113.0/24", 3),
        ("\"203.0.113.0/24\"", 1),
        ("2026-11-27", 5),
        ("2026-11-27T02", 1),
        ("2026-11-27T01:30", 1),
        ("2026-11-27T01:29", 1),
        ("2026-11-27T01:31", 0),
        ("2026-11-28", 0),
        ("message:\"203.0.113.0/24 was allowed\"", 1),
        ("\"113.0/24 was\"", 1),
        ("@timestamp:\"2026-11-27\"", 5),
        ("@timestamp:2026-11-27", 5),
        ("@timestamp:2026-11-27T02", 1),
        ("@timestamp:2026-11-27T02:30", 1),
        ("@timestamp:\"2026-11-27T02:30\"", 1),
        ("@timestamp:\"2026-11-27T02:31\"", 0),
        ("@timestamp:2026", 5),
        ("@timestamp >= \"2026\"", 5),
        ("@timestamp > \"2026\"", 0),
        ("@timestamp <= \"2026-11-27\"", 5),
        ("@timestamp < \"2026-11-27\"", 0),
        ("@timestamp > \"2026-11-27T02\"", 3),
        ("@timestamp:1795746600000", 1),
        ("event.start:2026-11-27", 1),
        ("event.start >= 2026", 1),
        ("event.duration >= 2026", 5),
        ("*:*", 5),
        ("*", 5),
        ("*:\"203.0.113.1\"", 2),
        ("source.*:203.0.113.1", 2),
        ("source.*.country*:br", 1),
        ("source.*:*", 5),
        ("sourc.*:*", 0),
        ("event.* >= 5000000", 1),
        ("event.outcome: failure success", 5),
        ("event.outcome: failure success user.email:ann@example.com", 3),
        ("event.outcome:(failure success)", 5),
        ("BOB@EXAMPLE", 2),
    ] {
        assert_eq!(files.count(search), count, "{search}");
    }
}

#[test]
fn the_name_of_a_field_may_have_a_star_of_its_own() {
    let line = |more: &str| format!("{{\"@timestamp\":\"2026-11-27T01:00:00.000Z\",{more}}}");
    let files = Files::of(&[
        line("\"source\":{\"ip\":\"203.0.113.9\",\"x*\":\"y\"},\"x*\":\"y\""),
        line("\"axxb\":\"x\",\"source\":{\"number*\":5}"),
    ]);
    for (search, count) in [
        ("source.*:203.0.113.9", 1),
        ("source.i?:203.0.113.9", 1),
        ("source.*:*", 2),
        ("source.* > 4", 1),
        ("*:\"x\"", 1),
        ("*:y", 1),
        ("a*b:x", 1),
        // What is in quotes or behind a backslash stands for itself. So does what a click on a value searches for.
        ("\"x*\":\"y\"", 1),
        ("\"source.x*\":\"y\"", 1),
        (r"source.x\*:y", 1),
        ("\"source.i*\":\"203.0.113.9\"", 0),
        (r"source.i\*:*", 0),
        ("\"source.n*\" > 4", 0),
        ("\"a*b\":\"x\"", 0),
        ("\"*\":*", 0),
    ] {
        assert_eq!(files.count(search), count, "{search}");
    }
}

#[test]
fn a_long_value_is_found_by_its_filter() {
    let long = "ä".repeat(2000);
    let line = five()[0].replace("ann@example.com", &long);
    let files = Files::of(&[line, five()[1].clone()]);
    assert_eq!(files.count(&format!("user.email:\"{long}\"")), 1);
    assert_eq!(files.count(&format!("\"{long}\"")), 1);
}

#[test]
fn panels_say_what_is_in_the_documents() {
    let files = Files::of(&five());
    assert_eq!(files.panel("login", "success-rate", "")["value"], 0.6);
    assert_eq!(files.panel("login", "users", "")["value"], 2.0);
    // A value that stands twice in a list is one.
    assert_eq!(files.panel("login", "roles", "")["rows"][0]["value"], 5.0);
    let new = files.panel("login", "new-countries", "");
    assert_eq!(new["total"], 1);
    assert_eq!((&new["rows"][0]["by"], &new["rows"][0]["value"]), (&json!("ann@example.com"), &json!("BR")));
    let rows = files.panel("login", "addresses", "")["rows"].clone();
    assert_eq!(rows[0]["key"], json!(["203.0.113.1"]));
    assert_eq!(rows[0]["values"], json!([2.0, 0.5, 2.0]));
    let duration = files.panel("login", "duration", "")["series"][1]["values"].clone();
    assert_eq!(duration.as_array().unwrap().iter().filter(|value| !value.is_null()).count(), 5);
}

/// An event of a file, or its receipt if it tells of rows.
fn of_file(file: &str, hour: u32, id: &str, user: &str, rows: Option<u32>) -> String {
    let mut document = json!({
        "@timestamp": format!("2026-11-27T{hour:02}:30:00.000Z"),
        "event": { "id": id, "action": "login-attempt", "outcome": "success" },
        "data_stream": { "dataset": "salesforce.login" },
        "user": { "email": user },
        "salesforce": { "event_log_file": {
            "id": file, "interval": "Hourly", "log_date": format!("2026-11-27T{hour:02}:00:00.000Z"),
            "created_date": format!("2026-11-27T{:02}:00:00.000Z", hour + 3),
        } },
    });
    if let Some(rows) = rows {
        document["event"]["action"] = "file-receipt".into();
        document["data_stream"]["dataset"] = "salesforce.collector".into();
        document["user"] = json!({});
        document["salesforce"]["receipt"] = json!({ "event_type": "Login", "rows": rows });
    }
    document.to_string()
}

#[test]
fn whether_a_file_is_complete_does_not_depend_on_what_is_searched_for() {
    let files = Files::of(&[
        of_file("whole", 1, "a", "ann@example.com", None),
        of_file("whole", 1, "b", "bob@example.com", None),
        of_file("whole", 1, "r1", "", Some(2)),
        of_file("lacks", 2, "c", "ann@example.com", None),
        of_file("lacks", 2, "c", "ann@example.com", None),
        of_file("lacks", 2, "r2", "", Some(2)),
        of_file("twice", 4, "d", "bob@example.com", None),
        of_file("twice", 4, "d", "bob@example.com", None),
        of_file("twice", 4, "r3", "", Some(1)),
    ]);
    let states = |search: &str| {
        let answer = files.panel("completeness", "files", search);
        let mut rows: Vec<String> = answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{} {} {}", row["id"], row["here"], row["state"]).replace('"', ""))
            .collect();
        rows.sort();
        let cells: Vec<String> =
            answer["cells"].as_array().unwrap().iter().map(|cell| cell["state"].to_string()).collect();
        (rows, cells.join(" ").replace('"', ""), answer["summary"][2].clone())
    };
    let cells = "complete rows lack no file too many";
    let (all, of_all, without) = states("");
    assert_eq!(all, ["lacks 1 rows lack", "twice 1 too many", "whole 2 complete"]);
    assert_eq!((of_all.as_str(), without), (cells, json!(["no file", 1])));
    // Of each file there is a row of ann or bob, and of none its receipt.
    let (anns, of_ann, without) = states("user.email:ann@example.com");
    assert_eq!(anns, ["lacks 1 rows lack", "whole 2 complete"]);
    assert_eq!((of_ann.as_str(), without), (cells, json!(["no file", 1])));
    assert_eq!(states("user.email:nobody").0, [""; 0]);
}

#[test]
fn of_many_hours_the_cells_are_days_and_of_many_files_the_worst_are_listed() {
    let line = |file: usize| {
        // Each hour has a file but the last one of the third day, and the second file of the second day has lost its row.
        let at = |hour: usize| event_view::time::format(1_764_547_200_000 + hour as i64 * 3_600_000);
        let receipt = of_file(&file.to_string(), 0, &format!("r{file}"), "", Some(1));
        let event = of_file(&file.to_string(), 0, &format!("e{file}"), "ann@example.com", None);
        let both = if file == 25 { receipt } else { format!("{event}\n{receipt}") };
        both.replace("2026-11-27T00:00:00.000Z", &at(file)).replace("2026-11-27T03:00:00.000Z", &at(file + 3))
    };
    let files = Files::of(&(0..600).filter(|file| *file != 71).map(line).collect::<Vec<_>>());
    let engine = Engine::new(files.index.snapshot(), Fields::default());
    let dashboards = definitions::bundled().unwrap();
    let dashboard = dashboards.iter().find(|known| known.name == "completeness").unwrap();
    let view = View { query: Query::All, times: 0..i64::MAX / 8 };
    let answer = panels::answer(&engine, dashboard, &dashboard.panels[0], &view, 0).unwrap();
    assert_eq!((&answer["total"], answer["rows"].as_array().unwrap().len()), (&json!(599), 500));
    assert_eq!(answer["rows"][0]["id"], "25");
    let cells = answer["cells"].as_array().unwrap();
    assert_eq!((cells.len(), &answer["cell"]), (25, &json!(86_400_000)));
    let states: Vec<(&Value, &Value)> =
        cells[..4].iter().map(|cell| (&cell["state"], &cell["files"])).collect();
    let expected = [("complete", 24), ("rows lack", 24), ("no file", 23), ("complete", 24)];
    assert_eq!(
        states
            .iter()
            .map(|(state, files)| (state.as_str().unwrap(), files.as_u64().unwrap()))
            .collect::<Vec<_>>(),
        expected
    );
    // Of the third day alone the hours are told apart.
    let view = View { query: Query::All, times: 1_764_720_000_000..1_764_806_400_000 };
    let answer = panels::answer(&engine, dashboard, &dashboard.panels[0], &view, 0).unwrap();
    let cells = answer["cells"].as_array().unwrap();
    assert_eq!((cells.len(), &answer["cell"], &answer["total"]), (24, &json!(3_600_000), &json!(23)));
    assert_eq!((&cells[22]["state"], &cells[23]["state"]), (&json!("complete"), &json!("no file")));
}

/// What `Files by hour` says of a piece of time: of each kind the cells as `beginning state files`, and how many files lack.
fn cells(files: &Files, from: &str, to: &str) -> (Vec<String>, i64) {
    let at = |text: &str| query::times(text).unwrap().start;
    let engine = Engine::new(files.index.snapshot(), Fields::default());
    let dashboards = definitions::bundled().unwrap();
    let dashboard = dashboards.iter().find(|known| known.name == "completeness").unwrap();
    let view = View { query: Query::All, times: at(from)..at(to) };
    let answer = panels::answer(&engine, dashboard, &dashboard.panels[0], &view, 0).unwrap();
    let cells = answer["cells"].as_array().unwrap().iter().map(|cell| {
        let at = event_view::time::format(cell["at"].as_i64().unwrap());
        format!("{} {} {} {}", cell["kind"], &at[5..13], cell["state"], cell["files"]).replace('"', "")
    });
    (cells.collect(), answer["summary"][2][1].as_i64().unwrap())
}

fn daily(kind: &str, day: u32) -> String {
    of_file(&format!("{kind}-{day}"), 0, &format!("{kind}-{day}"), "ann@example.com", None)
        .replace("Hourly", "Daily")
        .replace("login-attempt", kind)
        .replace("2026-11-27T00:00", &format!("2026-11-{day}T00:00"))
        .replace("2026-11-27T00:30", &format!("2026-11-{day}T20:30"))
}

#[test]
fn a_daily_file_covers_its_day_and_lacks_when_the_day_is_over() {
    let hourly = |hour| of_file(&format!("h{hour}"), hour, &format!("h{hour}"), "ann@example.com", None);
    // The day is not over, so that nobody knows of a daily file yet.
    let (found, lack) =
        cells(&Files::of(&[daily("apex", 26), hourly(0), hourly(1)]), "2026-11-20", "2026-11-30");
    assert_eq!(lack, 24, "{found:?}");
    assert!(found.contains(&"apex 11-26T00 no receipt 1".into()), "{found:?}");
    assert!(!found.iter().any(|cell| cell.starts_with("apex 11-27")), "{found:?}");
    // The newest file is a daily one: hourly ones lack until its end.
    let files = [daily("apex", 26), daily("apex", 28), hourly(0), hourly(1)];
    let (found, lack) = cells(&Files::of(&files), "2026-11-20", "2026-11-30");
    assert_eq!(lack, 24 + 22 + 24 + 1, "{found:?}");
    assert!(found.contains(&"apex 11-27T00 no file 0".into()), "{found:?}");
    assert!(found.contains(&"login-attempt 11-28T23 no file 0".into()), "{found:?}");
    // What lies outside of what is looked at does not lack, whatever of a file does.
    let files = [daily("apex", 27), hourly(0), hourly(1), hourly(7)];
    let (found, lack) = cells(&Files::of(&files), "2026-11-27T01", "2026-11-27T04");
    assert_eq!(lack, 2, "{found:?}");
    let expected = [
        "apex 11-27T00 no receipt 1",
        "login-attempt 11-27T01 no receipt 1",
        "login-attempt 11-27T02 no file 0",
    ];
    assert_eq!(found[..3], expected);
}

#[test]
fn where_nothing_but_gaps_is_looked_at_they_are_shown() {
    let hourly = |hour| of_file(&format!("h{hour}"), hour, &format!("h{hour}"), "ann@example.com", None);
    let files = Files::of(&[daily("apex", 25), daily("apex", 26), hourly(0), hourly(1), hourly(7)]);
    assert_eq!(
        cells(&files, "2026-11-27T03", "2026-11-27T04"),
        (vec!["login-attempt 11-27T03 no file 0".to_owned()], 1)
    );
    // Of a kind that has no file in it each one begins where its files do.
    let (found, lack) = cells(&files, "2026-11-25T22", "2026-11-26T01");
    assert_eq!(lack, 3, "{found:?}");
    assert_eq!(found[..2], ["apex 11-25T00 late 1", "apex 11-26T00 no receipt 1"]);
    // Before the first file and behind the last one nothing lacks.
    assert_eq!(cells(&files, "2026-11-27T08", "2026-11-27T12"), (vec![], 0));
    assert_eq!(cells(&files, "2026-11-24", "2026-11-25"), (vec![], 0));
}

#[test]
fn files_that_are_thousands_of_years_from_each_other_have_few_cells() {
    let first = of_file("first", 1, "first", "ann@example.com", None).replace("2026-11-27", "0001-01-01");
    let files = Files::of(&[first, of_file("last", 1, "last", "ann@example.com", None)]);
    let (found, lack) = cells(&files, "0001", "2027");
    assert!(found.len() <= 201 && found[1].ends_with("no file 0"), "{}", found.len());
    assert_eq!(lack, (739_946 * 24) - 1, "hours between them");
}

#[test]
fn a_field_with_hundreds_of_thousands_of_values_has_ten_series_over_time_and_the_others() {
    let line = |number: u32| {
        format!(
            "{{\"@timestamp\":\"2026-11-27T01:00:00.000Z\",\"data_stream\":{{\"dataset\":\"{number}\"}}}}"
        )
    };
    let files = Files::of(&(0..600_000).map(line).collect::<Vec<_>>());
    let answer = files.panel("overview", "streams", "");
    assert_eq!(answer["series"][10]["name"], "599990 others");
    assert_eq!(answer["series"][10]["values"][0], 599_990);
}

#[test]
fn an_event_with_several_of_the_values_that_are_not_told_apart_counts_once_for_them() {
    let line = |roles: &[String]| five()[0].replace("[\"Standard\",\"Standard\"]", &json!(roles).to_string());
    let role = |number: u32| format!("role {number:02}");
    let mut lines: Vec<String> =
        (0..10).flat_map(|number| [line(&[role(number)]), line(&[role(number)])]).collect();
    lines.push(line(&[role(0), role(20), role(21), role(22)]));
    lines.push(line(&[role(20)]));
    let files = Files::of(&lines);
    let top = files.panel("login", "roles", "");
    assert_eq!((&top["others"], &top["rest"]), (&json!(3), &json!(2)));
    let dashboard = "title = \"a\"\nabout = \"a\"\n[[panel]]\nid = \"a\"\ntitle = \"a\"\nkind = \"time\"\n\
        split = \"user.roles\"\nseries = [{ title = \"a\", metric = \"count\" }]\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), dashboard).unwrap();
    let dashboard = &definitions::of_folder(folder.path()).unwrap()[0];
    let engine = Engine::new(files.index.snapshot(), Fields::default());
    let view = View { query: Query::All, times: 0..i64::MAX / 8 };
    let time = panels::answer(&engine, dashboard, &dashboard.panels[0], &view, 0).unwrap();
    let values = time["series"][10]["values"].as_array().unwrap();
    assert_eq!(time["series"][10]["name"], "3 others");
    assert_eq!(values.iter().filter_map(Value::as_u64).sum::<u64>(), 2);
}

#[test]
fn of_many_places_those_with_most_events_are_on_the_map_and_what_is_no_number_is_none() {
    let line = |country: &str, lat: &str| {
        five()[0].replace(
            "\"country_iso_code\":\"DE\"",
            &format!("\"country_iso_code\":\"{country}\",\"location\":{{\"lat\":\"{lat}\",\"lon\":\"8\"}}"),
        )
    };
    let mut lines: Vec<String> =
        (0..503).map(|number| line(&format!("C{number:03}"), &format!("0.{number:03}"))).collect();
    lines.extend(["C502", "nan", "inf", "1e999", "north"].map(|text| line(text, text)));
    lines.push(line("C502", "0.502"));
    let files = Files::of(&lines);
    let map = files.panel("login", "map", "");
    let (rows, places) = (map["rows"].as_array().unwrap(), map["places"].as_array().unwrap());
    assert_eq!((places.len(), &map["left"]), (500, &json!(3)));
    assert_eq!(places[0], json!([8.0, 0.502, 2, "0.502", "8"]));
    assert!(places.iter().all(|place| place[1].is_f64()), "{places:?}");
    assert_eq!((rows.len(), &map["others"], &map["without"]), (500, &json!(7), &json!(0)));
    assert_eq!(rows[0], json!({ "key": "C502", "value": 3 }));
}

#[test]
fn of_each_field_of_an_event_all_values_are_told_apart() {
    let dashboard = "title = \"a\"\nabout = \"a\"\n[[panel]]\nid = \"a\"\ntitle = \"a\"\nkind = \"events\"\n\
        columns = [\"user.roles\", \"user.email\", \"error.message\"]\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), dashboard).unwrap();
    let dashboard = &definitions::of_folder(folder.path()).unwrap()[0];
    let files = Files::of(&[five()[0].replace("[\"Standard\",\"Standard\"]", "[\"a, b\",\"c\"]")]);
    let engine = Engine::new(files.index.snapshot(), Fields::default());
    let view = View { query: Query::All, times: 0..i64::MAX / 8 };
    let answer = panels::answer(&engine, dashboard, &dashboard.panels[0], &view, 0).unwrap();
    assert_eq!(answer["rows"][0]["values"], json!([["a, b", "c"], ["ann@example.com"], []]));
    assert_eq!(files.count("user.roles:\"a, b\" or user.roles:\"c\""), 1);
}

#[test]
fn what_leads_to_the_name_of_a_time_or_a_place_by_another_way_changes_neither() {
    let at = "\"@timestamp\":\"2026-11-27T01:00:00.000Z\"";
    let files = Files::of(&[
        format!("{{{at},\"\":{{\"@timestamp\":5}}}}"),
        format!("{{{at},\"\\u0001offset\":7}}"),
        format!("{{\"\":{{\"@timestamp\":5,\"\\u0001offset\":7}},{at}}}"),
    ]);
    let rows = files.panel("overview", "table", "")["rows"].clone();
    let places: Vec<(i64, u64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["at"].as_i64().unwrap(), row["place"]["offset"].as_u64().unwrap()))
        .collect();
    assert_eq!(places.len(), 3);
    assert!(places.iter().all(|(at, _)| *at == 1_795_741_200_000), "{places:?}");
    let text = fs::read(files.file()).unwrap();
    assert!(places.iter().all(|(_, at)| *at == 0 || text[*at as usize - 1] == b'\n'), "{places:?}");
}

#[test]
fn the_sum_of_what_is_not_there_is_nothing_at_all() {
    let files = Files::of(&[of_file("a", 1, "a", "", Some(1)), of_file("b", 1, "b", "", None)]);
    assert_eq!(files.panel("collector", "bytes", "")["value"], 0.0);
    assert_eq!(files.panel("collector", "bytes", "event.id:none")["value"], 0.0);
    assert_eq!(files.panel("collector", "rows", "")["value"], 1.0);
}

#[test]
fn what_is_no_document_is_told_and_the_rest_is_shown() {
    let mut files = Files::of(&five());
    let torn = login(6, "eve@example.com", "success", "203.0.113.3", "DE");
    files.append(&format!(
        "no json\n[1]\n[]\n[\"2026-11-27T06:00:00.000Z\"]\n{{\"a\":1}}\n{{\"@timestamp\":\"2026-11-27T06:00:00.000Z\",\"x\":1e999}}\n{}",
        &torn[..50]
    ));
    assert_eq!(files.count(""), 5);
    let told = files.notices();
    assert!(told.contains("5 of its lines are no JSON objects") && told.contains("begins at byte"), "{told}");
    assert!(told.contains("1 of its lines are JSON, but have no time"), "{told}");
    assert!(told.contains("not finished (50 bytes"), "{told}");
    files.append(&format!("{}\n", &torn[50..]));
    assert_eq!(files.count(""), 6);
    assert!(!files.notices().contains("not finished"), "{}", files.notices());
}

#[test]
fn a_line_of_two_gigabytes_is_left_out_and_takes_no_memory() {
    let mut files = Files::of(&five());
    let grown = OpenOptions::new().append(true).open(files.file()).unwrap();
    grown.set_len(grown.metadata().unwrap().len() + (2 << 30)).unwrap();
    files.append(&format!("\n{}\n", login(6, "eve@example.com", "success", "203.0.113.3", "DE")));
    assert_eq!(files.count(""), 6);
    assert!(files.notices().contains("1 of its lines are no JSON objects"), "{}", files.notices());
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let most: u64 = most.trim_end_matches("kB").trim().parse().unwrap();
        assert!(most < 1 << 20, "{most} KiB at most");
    }
}

#[test]
fn a_file_that_shrinks_or_is_replaced_is_read_again_and_that_is_told() {
    let mut files = Files::of(&five());
    let path = files.file();
    File::create(&path).unwrap();
    assert!(files.index.refresh(&|_, _| {}));
    assert!(files.notices().contains("became shorter"), "{}", files.notices());
    files.append(&format!("{}\n", five()[0]));
    assert_eq!(files.count(""), 1);
    let other = files.folder.path().join("other");
    fs::write(&other, five()[1..].iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    fs::rename(other, &path).unwrap();
    files.index.refresh(&|_, _| {});
    assert_eq!(files.count(""), 4);
    assert!(files.notices().contains("replaced by another one"), "{}", files.notices());
}

#[test]
fn many_small_pieces_become_few_and_nothing_is_lost() {
    let mut files = Files::of(&five());
    for hour in 0..24 {
        files.append(&format!("{}\n", login(hour, "carl@example.com", "success", "203.0.113.9", "DE")));
    }
    assert_eq!(files.count(""), 29);
    assert_eq!(files.count("user.email:carl@example.com"), 24);
    assert!(files.index.snapshot().segments.len() < 12);
}

#[test]
fn an_index_that_is_there_is_used_and_one_that_is_spoilt_is_made_again() {
    let files = Files::of(&five());
    let folder = files.folder.path().join("index");
    let open = || {
        let mut index = Index::new(&[files.file()], Some(folder.clone())).unwrap();
        let read = std::sync::atomic::AtomicU64::new(0);
        index.refresh(&|bytes, _| read.store(bytes, std::sync::atomic::Ordering::Relaxed));
        let documents: u32 = index.snapshot().segments.iter().map(|segment| segment.lines.documents).sum();
        (documents, read.into_inner() > 0)
    };
    assert_eq!(open(), (5, false));
    let columns = columns(&folder);
    fs::write(&columns[0], "spoilt").unwrap();
    assert_eq!(open(), (5, true));
    assert_eq!(open(), (5, false));
}

#[test]
fn what_was_made_of_a_file_goes_when_the_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, made) = (folder.path().join("logs"), folder.path().join("index"));
    fs::create_dir(&logs).unwrap();
    let line = |hour| format!("{}\n", login(hour, "ann@example.com", "success", "203.0.113.1", "DE"));
    for hour in 1..=3 {
        fs::write(logs.join(format!("{hour}.ndjson")), line(hour)).unwrap();
    }
    let mut index = Index::new(std::slice::from_ref(&logs), Some(made.clone())).unwrap();
    index.refresh(&|_, _| {});
    fs::write(made.join("other"), "").unwrap();
    assert_eq!(columns(&made).len(), 3);
    fs::remove_file(logs.join("1.ndjson")).unwrap();
    index.refresh(&|_, _| {});
    assert_eq!((columns(&made).len(), index.snapshot().files.len()), (2, 2));
    // While the folder cannot be read its files may be there, and nothing of them goes.
    let away = folder.path().join("away");
    fs::rename(&logs, &away).unwrap();
    index.refresh(&|_, _| {});
    assert_eq!((columns(&made).len(), index.snapshot().files.len()), (2, 2));
    assert!(index.snapshot().notices[0].text.contains("folder cannot be read"));
    fs::rename(&away, &logs).unwrap();
    index.refresh(&|_, _| {});
    assert_eq!((columns(&made).len(), index.snapshot().notices.len()), (2, 0));
    // And what is deleted while nobody looks goes at the next start, whichever files that is of.
    drop(index);
    fs::remove_file(logs.join("2.ndjson")).unwrap();
    let other = folder.path().join("other.ndjson");
    fs::write(&other, line(4)).unwrap();
    Index::new(std::slice::from_ref(&other), Some(made.clone())).unwrap();
    assert_eq!(columns(&made).len(), 1);
    assert!(made.join("other").exists());
    // So it is with a file that is emptied, and written anew as well: while it is looked at, before the next look, and while others are.
    let three = logs.join("3.ndjson");
    let looked = |source: &Path| {
        let mut index = Index::new(&[source.to_owned()], Some(made.clone())).unwrap();
        index.refresh(&|_, _| {});
        index
    };
    let mut index = looked(&three);
    assert_eq!(columns(&made).len(), 1);
    for text in ["", "not finished"] {
        fs::write(&three, text).unwrap();
        index.refresh(&|_, _| {});
        assert_eq!(columns(&made).len(), 0, "emptied, with {text:?}");
        fs::write(&three, line(3)).unwrap();
        index.refresh(&|_, _| {});
        assert_eq!(columns(&made).len(), 1, "written anew");
    }
    drop(index);
    fs::write(&three, "").unwrap();
    looked(&three);
    assert_eq!(columns(&made).len(), 0, "emptied before the next look");
    fs::write(&three, line(3)).unwrap();
    looked(&three);
    fs::write(&three, "").unwrap();
    looked(&other);
    assert_eq!(columns(&made).len(), 1, "that of the other file alone");
}

#[cfg(unix)]
#[test]
fn a_file_with_several_names_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let text: String = five().iter().map(|line| format!("{line}\n")).collect();
    fs::write(logs.join("events.ndjson"), &text).unwrap();
    fs::write(folder.path().join("elsewhere.ndjson"), &text).unwrap();
    for current in ["current.ndjson", "latest.ndjson"] {
        std::os::unix::fs::symlink("events.ndjson", logs.join(current)).unwrap();
    }
    std::os::unix::fs::symlink("../elsewhere.ndjson", logs.join("z.ndjson")).unwrap();
    let mut index = Index::new(std::slice::from_ref(&logs), None).unwrap();
    let mut documents = || {
        index.refresh(&|_, _| {});
        let snapshot = index.snapshot();
        (snapshot.files.len(), snapshot.segments.iter().map(|segment| segment.lines.documents).sum::<u32>())
    };
    assert_eq!(documents(), (2, 10));
    // Whichever name comes first in the order of names.
    fs::hard_link(logs.join("events.ndjson"), logs.join("archive.ndjson")).unwrap();
    assert_eq!(documents(), (2, 10));
}

fn columns(folder: &Path) -> Vec<PathBuf> {
    let folders =
        fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    folders
        .flat_map(|folder| fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "columns"))
        .collect()
}

#[test]
fn an_index_that_cannot_be_written_stays_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    fs::write(&file, format!("{}\n", five()[0])).unwrap();
    let mut index = Index::new(std::slice::from_ref(&file), Some(file.join("below a file"))).unwrap();
    index.refresh(&|_, _| {});
    let snapshot = index.snapshot();
    assert_eq!(snapshot.segments[0].lines.documents, 1);
    assert!(snapshot.notices[0].text.contains("cannot be written"));
}

#[test]
fn that_the_index_cannot_be_written_is_told_no_longer_than_it_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let (file, made) = (folder.path().join("events.ndjson"), folder.path().join("index"));
    fs::write(&file, "").unwrap();
    fs::write(&made, "no folder").unwrap();
    let mut index = Index::new(std::slice::from_ref(&file), Some(made.clone())).unwrap();
    let mut told = Vec::new();
    for count in 1..=12 {
        if count == 3 {
            fs::remove_file(&made).unwrap();
        }
        let mut grown = OpenOptions::new().append(true).open(&file).unwrap();
        writeln!(grown, "{}", five()[0]).unwrap();
        index.refresh(&|_, _| {});
        let snapshot = index.snapshot();
        assert_eq!(snapshot.segments.iter().map(|segment| segment.lines.documents).sum::<u32>(), count);
        told.push(!snapshot.notices.is_empty());
    }
    // What was kept in memory is joined with others after a while, and then is in the folder.
    assert!(told[..5].iter().all(|told| *told) && !told[11], "{told:?}");
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_that_names_it() {
    let Err(error) = Index::new(&["/no/such/file".into()], None) else { panic!() };
    assert!(format!("{error:#}").contains("/no/such/file"));
}

#[test]
fn every_field_of_the_dashboards_is_in_the_field_reference() {
    let reference = include_str!("../../../docs/fields.md");
    for dashboard in definitions::bundled().unwrap() {
        for field in dashboard.fields() {
            assert!(
                reference.contains(&format!("| `{field}` |")),
                "{}: {field} is not in docs/fields.md",
                dashboard.name
            );
        }
    }
}

/// Every text of a JSON document and of what is JSON in its texts.
fn texts(value: &Value, found: &mut Vec<(String, String)>, key: &str) {
    match value {
        Value::String(text) => {
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                texts(&inner, found, key);
            } else {
                found.push((key.to_owned(), text.clone()));
            }
        }
        Value::Array(list) => list.iter().for_each(|one| texts(one, found, key)),
        Value::Object(map) => map.iter().for_each(|(key, one)| texts(one, found, key)),
        _ => {}
    }
}

#[test]
fn kibana_gets_objects_that_refer_to_each_other_and_name_known_fields() {
    let dashboards = definitions::bundled().unwrap();
    let text = export::kibana(&dashboards, None).unwrap();
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<(&Value, &Value)> = objects.iter().map(|object| (&object["type"], &object["id"])).collect();
    let known: Vec<String> = dashboards.iter().flat_map(definitions::Dashboard::fields).collect();
    assert_eq!(objects.iter().filter(|object| object["type"] == "dashboard").count(), 8);
    for object in &objects {
        for reference in object["references"].as_array().unwrap() {
            assert!(ids.contains(&(&reference["type"], &reference["id"])), "{reference}");
        }
        let mut found = Vec::new();
        texts(object, &mut found, "");
        for (_, field) in found.iter().filter(|(key, _)| key == "field") {
            assert!(field == "@timestamp" || known.contains(field), "{field}");
        }
    }
}

#[test]
fn kibana_shows_each_metric_once_and_orders_by_single_values() {
    let dashboards = definitions::bundled().unwrap();
    let text = export::kibana(&dashboards, None).unwrap();
    let mut orders = 0;
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let Some(state) = object["attributes"]["visState"].as_str() else { continue };
        let state: Value = serde_json::from_str(state).unwrap();
        let aggregations = state["aggs"].as_array().unwrap();
        let metrics: Vec<(Value, Value)> = aggregations
            .iter()
            .filter(|aggregation| aggregation["schema"] == "metric")
            .map(|aggregation| {
                let mut params = aggregation["params"].clone();
                params.as_object_mut().unwrap().remove("customLabel");
                (aggregation["type"].clone(), params)
            })
            .collect();
        for (index, metric) in metrics.iter().enumerate() {
            assert!(!metrics[..index].contains(metric), "{}: {metric:?} twice", state["title"]);
        }
        for terms in aggregations.iter().filter(|aggregation| aggregation["type"] == "terms") {
            let order = terms["params"]["orderBy"].as_str().unwrap();
            let (id, value) = order.split_once('.').map_or((order, None), |(id, value)| (id, Some(value)));
            let metric = aggregations.iter().find(|aggregation| aggregation["id"] == id).unwrap();
            let values = &metric["params"]["percents"];
            let named = value.map_or(Value::Null, |value| json!([value.parse::<f64>().unwrap()]));
            assert_eq!(*values, named, "{}", state["title"]);
            orders += 1;
        }
    }
    assert!(orders > 10);
    let about = text.lines().find(|line| line.contains("event-view-login-about")).unwrap();
    assert!(about.contains("Addresses, Failed"), "{about}");
}

#[test]
fn grafana_is_told_units_axes_names_and_orders() {
    let dashboards = definitions::bundled().unwrap();
    let panels = |dashboard: &str, source| {
        let text = export::grafana(&dashboards, Some(dashboard), source).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["panels"].clone()
    };
    let panel = |dashboard: &str, title: &str, source| {
        let panels = panels(dashboard, source);
        panels.as_array().unwrap().iter().find(|panel| panel["title"] == title).unwrap().clone()
    };
    use export::Source::{Elasticsearch, Loki};
    // What is on the right axis is there, in its own unit and under its own name.
    let time = panel("apex", "Requests, and how long they run", Elasticsearch);
    let names: Vec<&Value> =
        time["targets"].as_array().unwrap().iter().map(|target| &target["alias"]).collect();
    assert_eq!(names, ["Requests", "Mean run time", "95 of 100 are below"]);
    assert_eq!(
        time["fieldConfig"]["overrides"][1],
        json!({ "matcher": { "id": "byFrameRefID", "options": "B" }, "properties": [
            { "id": "unit", "value": "ms" }, { "id": "custom.axisPlacement", "value": "right" },
        ] })
    );
    assert_eq!(time["fieldConfig"]["defaults"]["unit"], "short");
    // A table is ordered as it is in the page, and each column has its name and unit.
    let table = panel("apex", "Slowest entry points", Elasticsearch);
    assert_eq!(table["targets"][0]["bucketAggs"][0]["settings"]["orderBy"], "1[95.0]");
    let column = |index: usize| table["fieldConfig"]["overrides"][index].to_string();
    assert!(column(0).contains("/^p95(\\\\.0)? salesforce\\\\.apex\\\\.run_time$/"), "{}", column(0));
    assert!(column(0).contains(r#""value":"ms""#) && column(5).contains(r#""value":"short""#));
    let sums = panel("apex", "SOQL queries by entry point", Elasticsearch);
    assert_eq!(sums["targets"][0]["bucketAggs"][0]["settings"]["orderBy"], "1");
    for dashboard in &dashboards {
        for source in [Elasticsearch, Loki] {
            for panel in panels(&dashboard.name, source).as_array().unwrap() {
                let many = panel["targets"].as_array().is_some_and(|targets| targets.len() > 1);
                let told = format!("{}, {}", dashboard.name, panel["title"]);
                assert_eq!(panel["type"] == "table" && many, panel["transformations"].is_array(), "{told}");
                let reduced = &panel["options"]["reduceOptions"];
                match panel["type"].as_str().unwrap() {
                    "piechart" | "bargauge" => assert_eq!(reduced["values"], true, "{told}"),
                    "stat"
                        if source == Elasticsearch
                            && panel["targets"][0]["metrics"][0]["type"] == "count" =>
                    {
                        assert_eq!(reduced["calcs"], json!(["sum"]), "{told}");
                        assert_eq!(panel["fieldConfig"]["defaults"]["unit"], "short", "{told}");
                    }
                    _ => {}
                }
            }
        }
    }
    // Over Loki, where a share is one, it is a column.
    let addresses = panel("login", "Addresses", Loki);
    assert_eq!(addresses["fieldConfig"]["overrides"][1]["matcher"]["options"], "Value #B");
    assert_eq!(addresses["fieldConfig"]["overrides"][1]["properties"][1]["value"], "percentunit");
}

#[test]
fn grafana_gets_each_dashboard_and_is_told_which_there_are() {
    let dashboards = definitions::bundled().unwrap();
    let known: Vec<String> = dashboards.iter().flat_map(definitions::Dashboard::fields).collect();
    for dashboard in &dashboards {
        for source in [export::Source::Elasticsearch, export::Source::Loki] {
            let text = export::grafana(&dashboards, Some(&dashboard.name), source).unwrap();
            let made: Value = serde_json::from_str(&text).unwrap();
            let panels = made["panels"].as_array().unwrap();
            assert!(panels.len() >= 2);
            for panel in panels.iter().filter(|panel| panel["type"] != "text") {
                let targets = panel["targets"].as_array().unwrap();
                let told = panel["title"].as_str().unwrap();
                assert!(!targets.is_empty(), "{told}");
            }
            // Each column that is not asked for is named, and no panel tells something else than its title.
            let about = panels.iter().find(|panel| panel["type"] == "text");
            let about = about.map(|panel| panel["options"]["content"].to_string()).unwrap_or_default();
            for panel in &dashboard.panels {
                let made = panels.iter().find(|made| made["title"] == panel.title.as_str());
                assert!(made.is_some() || about.contains(&panel.title), "{}", panel.title);

                let lasts = panel.series.iter().filter(|series| series.metric == Metric::Last);
                for series in lasts.filter(|_| source == export::Source::Loki) {
                    let named = format!("{}, {}", panel.title, series.title);
                    assert!(
                        if made.is_some() { about.contains(&named) } else { about.contains(&panel.title) },
                        "{named}"
                    );
                }
            }
            let mut found = Vec::new();
            texts(&made, &mut found, "");
            for (_, field) in found.iter().filter(|(key, _)| key == "field") {
                assert!(field == "@timestamp" || known.contains(field), "{field}");
            }
        }
    }
    let error = export::grafana(&dashboards, None, export::Source::Loki).unwrap_err().to_string();
    assert!(error.contains("overview, login"), "{error}");
}

fn ask(address: &str, path: &str, headers: &str) -> String {
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    let headers = headers.replace("OWN", host);
    write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_its_own_page_alone() {
    let Files { folder, index } = Files::of(&five());
    let server = Server::bind(0, definitions::bundled().unwrap()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(index, |_, _| {}));
    tokio::task::spawn_blocking(move || {
        for (headers, status) in [
            ("Host: OWN\r\n", "200"),
            ("Host: OWN\r\nOrigin: http://OWN\r\n", "200"),
            ("Host: attacker.example\r\n", "403"),
            ("Host: OWN\r\nOrigin: http://attacker.example\r\n", "403"),
            ("Host: OWN\r\nOrigin: null\r\n", "403"),
            ("Host: OWN\r\nSec-Fetch-Site: cross-site\r\n", "403"),
        ] {
            let answer = ask(&address, "/api/state", headers);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers}: {answer}");
            assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
        }
        let own = "Host: OWN\r\n";
        let mistake = ask(&address, "/api/panel?dashboard=login&panel=total&q=a%20and", own);
        assert!(mistake.starts_with("HTTP/1.1 400") && mistake.contains("at character 6"), "{mistake}");
        assert!(ask(&address, "/api/panel?dashboard=login&panel=none", own).starts_with("HTTP/1.1 404"));
        assert!(ask(&address, "/../../etc/passwd", own).starts_with("HTTP/1.1 404"));
        // A link from anywhere opens the page, which holds no event; it does not open it in a frame, nor anything else.
        let other = "Host: OWN\r\nSec-Fetch-Site: cross-site\r\n";
        for (path, mode, to, status) in [
            // Without Node there is no page to open, and that is said.
            ("/?q=a", "navigate", "document", if event_view::server::has_page() { "200" } else { "404" }),
            ("/?q=a", "navigate", "iframe", "403"),
            ("/?q=a", "no-cors", "document", "403"),
            ("/api/state", "navigate", "document", "403"),
            ("/page.js", "navigate", "document", "403"),
        ] {
            let headers = format!("{other}Sec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {to}\r\n");
            let answer = ask(&address, path, &headers);
            let answer = answer.lines().next().unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {mode} {to}: {answer}");
        }
        drop(folder);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_times_are_asked_for_all_that_lies_between_them_is_counted() {
    let files = Files::of(&five());
    let index = Index::new(&[files.file()], None).unwrap();
    let server = Server::bind(0, definitions::bundled().unwrap()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(index, |_, _| {}));
    tokio::task::spawn_blocking(move || {
        eventually("it is never ready", || (state_of(&address)["ready"] == true).then_some(()));
        let panel = |panel: &str, from: i64, to: i64| {
            let path = format!("/api/panel?dashboard=overview&panel={panel}&from={from}&to={to}");
            let answer = ask(&address, &path, "Host: OWN\r\n");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            serde_json::from_str::<Value>(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
        };
        for (from, to, count) in [
            (-8_640_000_000_000_000, 8_640_000_000_000_000, 5),
            (i64::MIN, i64::MAX, 5),
            (i64::MAX, i64::MIN, 0),
            (i64::MIN, i64::MIN, 0),
        ] {
            let streams = panel("streams", from, to);
            let values = streams["series"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one["values"].as_array().unwrap());
            assert_eq!(values.filter_map(Value::as_f64).sum::<f64>() as u64, count, "{from} to {to}");
            let starts = streams["starts"].as_array().unwrap().len();
            assert!((1..=120).contains(&starts), "{starts} pieces from {from} to {to}");
            let heat = panel("lanes", from, to);
            let cells = heat["cells"].as_array().unwrap();
            let starts = heat["starts"].as_array().unwrap().len() as u64;
            assert!(cells.iter().all(|cell| cell[0].as_u64().unwrap() < starts), "{heat}");
            let sum: u64 = cells.iter().map(|cell| cell[2].as_u64().unwrap()).sum();
            assert_eq!(sum, count, "{from} to {to}");
        }
        drop(files);
    })
    .await
    .unwrap();
}

/// What is looked for, as soon as it is there: nobody tells. Within ten seconds, or the test has failed.
fn eventually<T>(otherwise: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{otherwise}");
}

fn state_of(address: &str) -> Value {
    let answer = ask(address, "/api/state", "Host: OWN\r\n");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn that_reading_stopped_is_told_and_what_was_read_is_shown() {
    let Files { folder, index } = Files::of(&five());
    let line = login(6, "ann@example.com", "success", "203.0.113.1", "DE");
    let server = Server::bind(0, definitions::bundled().unwrap()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(index, |_, _| panic!("a mistake")));
    tokio::task::spawn_blocking(move || {
        let mut file = OpenOptions::new().append(true).open(folder.path().join("events.ndjson")).unwrap();
        writeln!(file, "{line}").unwrap();
        let state = eventually("nothing is told", || {
            let state = state_of(&address);
            state["notices"].to_string().contains("Reading stopped").then_some(state)
        });
        assert_eq!((&state["documents"], &state["ready"]), (&json!(5), &json!(true)));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_leads_to_its_document_or_to_none() {
    let folder = tempfile::tempdir().unwrap();
    let line = |hour| format!("{}\n", login(hour, "ann@example.com", "success", "203.0.113.1", "DE"));
    let path = folder.path().join("m.ndjson");
    fs::write(&path, line(1) + &line(2)).unwrap();
    let index = Index::new(&[folder.path().to_owned()], None).unwrap();
    let server = Server::bind(0, definitions::bundled().unwrap()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(index, |_, _| {}));
    tokio::task::spawn_blocking(move || {
        let document = |place: &Value| {
            let (file, offset, at) = (place["file"].as_str().unwrap(), &place["offset"], &place["at"]);
            let path = format!("/api/document?file={file}&offset={offset}&at={at}");
            ask(&address, &path, "Host: OWN\r\n")
        };
        let rows = || {
            let answer = ask(&address, "/api/panel?dashboard=login&panel=table", "Host: OWN\r\n");
            let body = answer.split("\r\n\r\n").nth(1).unwrap().to_owned();
            serde_json::from_str::<Value>(&body).map_or(Value::Null, |body| body["rows"].clone())
        };
        let until = |count: usize| {
            eventually(&format!("there are not {count} documents"), || {
                rows().as_array().is_some_and(|rows| rows.len() == count).then_some(())
            });
        };
        until(2);
        let place = rows()[0]["place"].clone();
        assert!(document(&place).contains("T02:30"), "{}", document(&place));
        // A file that comes before it in the order of names does not change what a place leads to.
        fs::write(folder.path().join("a.ndjson"), line(5) + &line(6)).unwrap();
        until(4);
        assert!(document(&place).contains("T02:30"), "{}", document(&place));
        // However long a document is that is listed.
        let long = line(7).replace("ann@example.com", &"a".repeat(17 << 20));
        fs::write(folder.path().join("z.ndjson"), &long).unwrap();
        until(5);
        let answer = document(&rows()[0]["place"]);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&long), "{}", &answer[..200]);
        fs::remove_file(folder.path().join("z.ndjson")).unwrap();
        // In the middle of a line no document begins.
        let mut middle = place.clone();
        middle["offset"] = json!(7);
        assert!(document(&middle).starts_with("HTTP/1.1 404"));
        // Another document has come to stand there, and is not taken for it.
        fs::write(&path, line(3) + &line(4)).unwrap();
        assert!(document(&place).starts_with("HTTP/1.1 404"), "{}", document(&place));
    })
    .await
    .unwrap();
}

#[cfg(unix)]
#[test]
fn more_files_than_may_be_open_are_shown_all() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for file in 0..100 {
        fs::write(logs.join(format!("{file}.ndjson")), format!("{}\n", five()[0])).unwrap();
    }
    // First the limit can be raised, then it cannot; then once more from the index that was made.
    for limit in ["ulimit -Sn 64", "ulimit -n 64", "ulimit -n 64"] {
        let mut program = std::process::Command::new("sh")
            .args(["-c", &format!("{limit}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_event-view")])
            .args([
                &logs,
                Path::new("--port"),
                Path::new("0"),
                Path::new("--index"),
                &folder.path().join(limit),
            ])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(program.stdout.take().unwrap()), &mut line)
            .unwrap();
        let address = line.split(' ').next().unwrap().trim().to_owned();
        let told = eventually("it is never ready", || {
            let state = state_of(&address);
            (state["ready"] == true).then_some(state)
        });
        program.kill().unwrap();
        program.wait().unwrap();
        assert_eq!((&told["documents"], &told["notices"]), (&json!(100), &json!([])), "{limit}");
    }
}
