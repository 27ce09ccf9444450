//! Answers to queries that nobody expects, by plan and for good.

use http::{Method, StatusCode};
use salesforce_sim::{
    Failure, FaultAction, FaultRule, LateRecords, LocatorRefusal, Objects, Oddities, OfflineOrg, OrgSettings,
    PlannedFault, QueriesOf, Rows, Simulator, StoredObject, Total, Unanswered, Which,
};
use serde_json::Value;
use tokio::time::{Duration, timeout};

use crate::client::{Client, QUERY, always, call, encode, settings};
use crate::offline::{bearer, body, get, org, query};

/// The answer to a query in JSON.
fn ask(org: &OfflineOrg, bearer: &str, path: &str) -> Value {
    serde_json::from_slice(&body(get(org, bearer, path))).unwrap()
}

fn every(action: FaultAction) -> PlannedFault {
    PlannedFault::every("", action)
}

fn with(oddities: Oddities, settings: OrgSettings) -> OfflineOrg {
    org(OrgSettings { oddities, ..settings })
}

#[test]
fn total_size_says_what_was_planned_of_big_objects_and_the_truth_of_others() {
    for (says, expected) in [
        (Total::MinusOne, Some([-1, -1])),
        (Total::OfThePage, Some([20, 10])),
        (Total::Off(30), Some([60, 60])),
        (Total::Off(-7), Some([23, 23])),
        (Total::Absent, None),
    ] {
        let rule = every(FaultAction::Total { says }).of(QueriesOf::Big);
        let oddities = Oddities { faults: vec![rule], ..Oddities::default() };
        let org = with(oddities, OrgSettings { page_size: 20, ..settings(1, Rows::PerHour(30)) });
        let bearer = bearer(&org);
        let pages = |statement: &str| {
            let first = ask(&org, &bearer, &query(statement));
            let next = ask(&org, &bearer, first["nextRecordsUrl"].as_str().unwrap());
            assert_eq!((&first["done"], &next["done"]), (&false.into(), &true.into()));
            let records = |page: &Value| page["records"].as_array().unwrap().len();
            assert_eq!((records(&first), records(&next)), (20, 10));
            [first["totalSize"].clone(), next["totalSize"].clone()]
        };
        let expected = expected.map_or([Value::Null, Value::Null], |totals| totals.map(Value::from));
        assert_eq!(pages("SELECT Id FROM LoginEvent"), expected, "{says:?}");
        assert_eq!(pages("SELECT Id FROM LoginHistory"), [30, 30].map(Value::from), "{says:?}");
        let count = ask(&org, &bearer, &query("SELECT count() FROM LoginHistory"));
        assert_eq!(count["totalSize"], 30);
    }
}

#[test]
fn an_answer_with_fewer_records_than_it_says_is_done_and_the_next_one_is_whole() {
    let org = org(settings(1, Rows::PerHour(30)));
    let bearer = bearer(&org);
    org.org().plan_fault(every(FaultAction::FewerRecords { by: 10 }).of(QueriesOf::Big).times(1));
    let statement = query("SELECT EventIdentifier FROM LoginEvent");
    let [short, whole] = [(); 2].map(|()| ask(&org, &bearer, &statement));
    assert_eq!((&short["totalSize"], &short["done"]), (&30.into(), &true.into()));
    let [short, whole] = [short, whole].map(|page| page["records"].as_array().unwrap().clone());
    assert_eq!((short.len(), whole.len()), (20, 30));
    assert_eq!(short, whole[..20]);
}

#[test]
fn a_query_that_covers_too_much_time_fails_in_the_way_that_was_planned() {
    let window = |from: u32| {
        let condition =
            format!("EventDate >= 2026-03-04T{from:02}:00:00Z AND EventDate < 2026-03-04T12:00:00Z");
        query(&format!("SELECT Id FROM LoginEvent WHERE {condition}"))
    };
    for (failure, status, code) in [
        (Failure::QueryTimeout, 400, "QUERY_TIMEOUT"),
        (Failure::RequestRunningTooLong, 500, "REQUEST_RUNNING_TOO_LONG"),
        (Failure::OperationTooLarge, 400, "OPERATION_TOO_LARGE"),
        (Failure::Json(503), 503, "SERVER_UNAVAILABLE"),
        (Failure::Page(502), 502, "<html>"),
        (Failure::Page(504), 504, "<html>"),
    ] {
        let org = org(settings(12, Rows::PerHour(30)));
        let bearer = bearer(&org);
        let rule = every(FaultAction::wider_than(chrono::TimeDelta::hours(2), failure));
        org.org().plan_fault(rule.of(StoredObject::LoginEvent.into()));
        assert_eq!(get(&org, &bearer, &window(10)).status, 200, "two hours are not more than two");
        let failed = get(&org, &bearer, &window(9));
        assert_eq!(failed.status, status);
        let text = String::from_utf8(body(failed)).unwrap();
        assert!(text.contains(code), "{text}");
        let open = query("SELECT Id FROM LoginEvent WHERE EventDate >= 2026-03-04T17:00:00Z");
        assert_eq!(get(&org, &bearer, &open).status, 200, "what has no end ends now");
        let other = query("SELECT Id FROM LogoutEvent");
        assert_eq!(get(&org, &bearer, &other).status, 200, "another object");
    }
}

#[test]
fn a_query_that_costs_too_much_can_get_no_answer_at_all() {
    let org = org(settings(12, Rows::PerHour(30)));
    let bearer = bearer(&org);
    org.org().plan_fault(every(FaultAction::more_than(100, Failure::Closed)).times(1));
    org.org().plan_fault(every(FaultAction::more_than(100, Failure::Stall)));
    let ask =
        || org.answer("GET", &query("SELECT Id FROM LoginEvent"), &[("authorization", &bearer)], b"").err();
    assert_eq!(ask(), Some(Unanswered::Closed));
    assert_eq!(ask(), Some(Unanswered::TimedOut(86_400_000)));
}

#[test]
fn a_query_fails_that_would_answer_too_many_records_for_as_long_as_was_planned() {
    let org = org(settings(12, Rows::PerHour(30)));
    let now = org.org().clock().now();
    let rule = every(FaultAction::more_than(60, Failure::RequestRunningTooLong));
    org.org().plan_fault(rule.during(now..now + chrono::TimeDelta::hours(1)));
    let bearer = bearer(&org);
    let status = |statement: &str| get(&org, &bearer, &query(statement)).status;
    assert_eq!(status("SELECT Id FROM LoginEvent LIMIT 60"), 200);
    assert_eq!(status("SELECT Id FROM LoginEvent LIMIT 61"), 500);
    assert_eq!(status("SELECT Id FROM LoginEvent"), 500);
    assert_eq!(status("SELECT Id FROM LoginHistory ORDER BY LoginTime"), 500);
    org.org().clock().advance(chrono::TimeDelta::minutes(59));
    assert_eq!(status("SELECT Id FROM LoginEvent"), 500);
    org.org().clock().advance(chrono::TimeDelta::minutes(1));
    assert_eq!(status("SELECT Id FROM LoginEvent"), 200);
}

#[test]
fn a_maintenance_window_answers_every_door_and_ends() {
    let org = org(settings(1, Rows::PerHour(30)));
    let bearer = bearer(&org);
    let now = org.org().clock().now();
    let page = FaultAction::answer(503, "<h1>We are down for maintenance.</h1>");
    org.org().plan_fault(every(page).during(now..now + chrono::TimeDelta::hours(4)));
    let file = org.org().event_log_files(salesforce_sim::Interval::Hourly).remove(0);
    let doors =
        [query("SELECT Id FROM LoginEvent"), crate::offline::path(&file), "/services/data".to_owned()];
    let statuses = || {
        let token = org.answer("POST", "/services/oauth2/token", &[], b"").unwrap().status;
        [token]
            .into_iter()
            .chain(doors.iter().map(|path| get(&org, &bearer, path).status))
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses(), [503, 503, 503, 503]);
    org.org().clock().advance(chrono::TimeDelta::minutes(239));
    assert_eq!(statuses(), [503, 503, 503, 503]);
    org.org().clock().advance(chrono::TimeDelta::minutes(1));
    assert_eq!(statuses(), [400, 401, 401, 200], "the session ran out meanwhile");
}

#[test]
fn a_locator_that_dies_with_its_session_is_refused_to_the_next_one() {
    for (refusal, expected) in [
        (LocatorRefusal::BadRequest, (400, "INVALID_QUERY_LOCATOR")),
        (LocatorRefusal::Unauthorized, (401, "INVALID_SESSION_ID")),
        (LocatorRefusal::Forbidden, (403, "INSUFFICIENT_ACCESS")),
    ] {
        let oddities = Oddities { locator_refusal: Some(refusal), ..Oddities::default() };
        let org = with(oddities, OrgSettings { page_size: 10, ..settings(1, Rows::PerHour(30)) });
        let old = bearer(&org);
        let first = ask(&org, &old, &query("SELECT Id FROM LoginEvent"));
        let second = first["nextRecordsUrl"].as_str().unwrap();
        let third = ask(&org, &old, second)["nextRecordsUrl"].as_str().unwrap().to_owned();
        org.org().expire_sessions();
        let new = bearer(&org);
        let refused = get(&org, &new, &third);
        let status = refused.status;
        let error: Value = serde_json::from_slice(&body(refused)).unwrap();
        assert_eq!((status, error[0]["errorCode"].as_str().unwrap()), expected);
        let again = ask(&org, &new, &query("SELECT Id FROM LoginEvent"));
        assert_eq!(get(&org, &new, again["nextRecordsUrl"].as_str().unwrap()).status, 200);
    }
}

#[test]
fn forgotten_locators_are_invalid_and_a_new_query_has_pages_again() {
    let org = org(OrgSettings { page_size: 10, ..settings(1, Rows::PerHour(30)) });
    let bearer = bearer(&org);
    let next = || {
        let first = ask(&org, &bearer, &query("SELECT Id FROM LoginEvent"));
        first["nextRecordsUrl"].as_str().unwrap().to_owned()
    };
    let page = next();
    assert_eq!(get(&org, &bearer, &page).status, 200);
    org.org().plan_fault(PlannedFault::every("/query/", FaultAction::ForgetLocators).times(1));
    assert_eq!(get(&org, &bearer, &page).status, 400);
    assert_eq!(get(&org, &bearer, &next()).status, 200);
}

#[test]
fn rows_of_a_deployment_appear_together_when_it_commits_and_carry_the_time_they_were_made() {
    let [from, committed] = ["2026-03-04T12:10:00Z", "2026-03-04T12:50:00Z"].map(|at| at.parse().unwrap());
    let late = LateRecords { object: StoredObject::SetupAuditTrail, from, committed, which: Which::OneIn(2) };
    let objects = Objects { audit_rows_per_hour: 60, ..Objects::default() };
    let settings = OrgSettings { objects, ..settings(2, Rows::PerHour(10)) };
    let org = with(Oddities { late: vec![late], ..Oddities::default() }, settings.clone());
    let plain = crate::offline::org(settings);
    let bearer = bearer(&org);
    for org in [&org, &plain] {
        org.org().clock().advance(committed - org.org().clock().now() - chrono::TimeDelta::milliseconds(1));
    }
    let truth = |org: &OfflineOrg| org.org().object_truth(StoredObject::SetupAuditTrail, always()).count();
    let made = plain.org().object_truth(StoredObject::SetupAuditTrail, from..committed).count();
    let missing = truth(&plain) - truth(&org);
    assert!(made > 10 && missing.abs_diff(made / 2) <= 1, "{missing} of {made}");
    let statement = query("SELECT Id, CreatedDate FROM SetupAuditTrail ORDER BY CreatedDate, Id");
    let rows = || ask(&org, &bearer, &statement)["records"].as_array().unwrap().clone();
    let before = rows();
    assert_eq!(before.len(), truth(&org));
    org.org().clock().advance(chrono::TimeDelta::milliseconds(1));
    let after = rows();
    let new: Vec<&Value> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!((new.len(), after.len()), (missing, truth(&org)));
    for row in new {
        let at = row["CreatedDate"].as_str().unwrap();
        assert!(("2026-03-04T12:10:00".."2026-03-04T12:50:00").contains(&&at[..19]), "{at}");
    }
}

#[test]
fn dates_that_are_compared_more_finely_than_they_are_shown_do_not_equal_what_is_shown() {
    for (object, date) in [(StoredObject::LoginEvent, "EventDate"), (StoredObject::LoginHistory, "LoginTime")]
    {
        let oddities = Oddities { finer_dates: vec![object], ..Oddities::default() };
        let (odd, plain) =
            (with(oddities, settings(2, Rows::PerHour(30))), org(settings(2, Rows::PerHour(30))));
        let all = format!("SELECT FIELDS(STANDARD) FROM {} ORDER BY {date} DESC", object.name());
        let shown = [&odd, &plain].map(|org| ask(org, &bearer(org), &query(&all)));
        let dates = |answer: &Value| -> Vec<Value> {
            answer["records"].as_array().unwrap().iter().map(|record| record[date].clone()).collect()
        };
        assert_eq!(dates(&shown[0]), dates(&shown[1]), "they are shown as ever");
        let newest = dates(&shown[0])[0].as_str().unwrap().replace("+0000", "Z");
        let found = |org: &OfflineOrg, operator: &str| {
            let statement = format!("SELECT Id FROM {} WHERE {date} {operator} {newest}", object.name());
            ask(org, &bearer(org), &query(&statement))["totalSize"].as_u64().unwrap()
        };
        assert!(found(&plain, "=") >= 1 && found(&plain, ">") == 0);
        assert!(found(&odd, "=") == 0 && found(&odd, ">") >= 1, "the same record for ever");
        let truth = [&odd, &plain].map(|org| org.org().object_truth(object, always()).collect::<Vec<_>>());
        assert_eq!(truth[0], truth[1]);
    }
}

#[tokio::test]
async fn a_closed_connection_gives_no_byte_and_the_next_request_is_answered() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(3))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    let rule = PlannedFault::every("/query", FaultAction::Close).times(1);
    simulator.org().plan_fault(rule);
    let calls = simulator.org().api_calls();
    let stream = tokio::net::TcpStream::connect(simulator.url().trim_start_matches("http://")).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("{QUERY}{}", encode("SELECT Id FROM LoginEvent")));
    let request = request.header("host", "org").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert!(sender.send_request(request).await.is_err(), "no answer");
    assert_eq!(simulator.org().api_calls(), calls, "the org never looked at it");
    assert_eq!(client.query("SELECT Id FROM LoginEvent").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_stalls_sends_no_head() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(30))).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    simulator.org().plan_fault(every(FaultAction::more_than(10, Failure::Stall)));
    assert_eq!(client.query("SELECT Id FROM LoginEvent LIMIT 10").await.status, StatusCode::OK);
    let hours = Duration::from_secs(3 * 3_600);
    assert!(timeout(hours, client.query("SELECT Id FROM LoginEvent")).await.is_err());
}

#[tokio::test]
async fn the_date_header_is_off_or_absent_as_planned() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(3))).await.unwrap();
    let date = async || {
        let answer = call(simulator.url(), Method::GET, "/services/data", &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.header("date").to_owned()
    };
    assert_eq!(date().await, "Wed, 04 Mar 2026 18:20:00 GMT");
    let rule = |ahead_seconds| FaultRule::from(every(FaultAction::DateHeader { ahead_seconds })).times(1);
    simulator.org().plan_fault(rule(Some(-28_800)));
    assert_eq!(date().await, "Wed, 04 Mar 2026 10:20:00 GMT");
    simulator.org().plan_fault(rule(None));
    assert_eq!(date().await, "", "no date of anyone");
}
