//! What other collectors expect of an org: descriptions, people, aggregates, relative dates, more ways to sign in.

use http::{Method, StatusCode};
use salesforce_sim::{Obstacle, OfflineOrg, OrgSettings, Rows, Simulator, StoredObject};
use serde_json::{Value, json};

use crate::client::{Client, always, call, settings, token_form};
use crate::offline::{bearer, body, get, org, query};

const CLIENT: &str = "client_id=3MVG9simulated.consumer.key&client_secret=simulated.consumer.secret";

fn ask(org: &OfflineOrg, path: &str) -> (u16, Value) {
    let answer = get(org, &bearer(org), path);
    let status = answer.status;
    (status, serde_json::from_slice(&body(answer)).unwrap())
}

fn records(org: &OfflineOrg, statement: &str) -> Vec<Value> {
    let (status, page) = ask(org, &query(statement));
    assert_eq!(status, 200, "{statement}: {page}");
    assert_eq!(page["totalSize"], page["records"].as_array().unwrap().len());
    page["records"].as_array().unwrap().clone()
}

fn refusal(org: &OfflineOrg, statement: &str) -> (u16, String) {
    let (status, error) = ask(org, &query(statement));
    (status, error[0]["errorCode"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_object_that_is_listed_is_described_and_its_fields_are_queried() {
    let org = org(settings(3, Rows::PerHour(20)));
    let (status, list) = ask(&org, "/services/data/v61.0/sobjects");
    assert_eq!(status, 200);
    let names: Vec<&str> =
        list["sobjects"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect();
    assert!(StoredObject::ALL.iter().all(|object| names.contains(&object.name())));
    assert!(["EventLogFile", "User", "Profile"].iter().all(|name| names.contains(name)));
    for name in names {
        let (status, basic) = ask(&org, &format!("/services/data/v61.0/sobjects/{name}"));
        assert_eq!((status, &basic["objectDescribe"]["name"]), (200, &name.into()));
        let path = basic["objectDescribe"]["urls"]["describe"].as_str().unwrap().to_owned();
        let fields = ask(&org, &path).1["fields"].as_array().unwrap().clone();
        let window = if name == "AuraRequestEventLog" { " WHERE Timestamp = TODAY" } else { "" };
        let all: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
        let found = records(&org, &format!("SELECT {} FROM {name}{window} LIMIT 50", all.join(", ")));
        assert!(!found.is_empty() || name == "EventLogFile", "{name}");
        for (field, record) in found.iter().flat_map(|record| fields.iter().map(move |field| (field, record)))
        {
            let (name, value) = (field["name"].as_str().unwrap(), &record[field["name"].as_str().unwrap()]);
            let fits = match field["type"].as_str().unwrap() {
                _ if value.is_null() => field["nillable"] == true,
                "id" | "reference" | "string" | "datetime" | "base64" => value.is_string(),
                "double" => value.is_f64(),
                "int" => value.is_i64(),
                "boolean" => value.is_boolean(),
                other => panic!("{other}"),
            };
            assert!(fits, "{name}: {value} {field}");
        }
        for field in &fields {
            let statement = format!("SELECT Id FROM {name} ORDER BY {}", field["name"].as_str().unwrap());
            let big = name.ends_with("Event");
            if !big && window.is_empty() {
                let expected = if field["sortable"] == true { 200 } else { 400 };
                assert_eq!(ask(&org, &query(&statement)).0, expected, "{statement}");
            }
        }
    }
    assert_eq!(ask(&org, "/services/data/v61.0/sobjects/Nothing/describe").0, 404);
}

#[test]
fn an_org_without_hourly_files_describes_no_interval() {
    let has_interval = |hourly_files| {
        let org = org(OrgSettings { hourly_files, ..settings(3, Rows::PerHour(20)) });
        let (_, described) = ask(&org, "/services/data/v61.0/sobjects/EventLogFile/describe");
        described["fields"].as_array().unwrap().iter().any(|field| field["name"] == "Interval")
    };
    assert!(has_interval(true) && !has_interval(false));
}

#[test]
fn aggregates_are_those_of_the_records_and_are_named_as_was_asked() {
    let org = org(settings(3, Rows::PerHour(200)));
    let all = records(&org, "SELECT UserId, Status, LoginTime, CountryIso FROM LoginHistory");
    let statuses: std::collections::BTreeSet<&str> =
        all.iter().map(|record| record["Status"].as_str().unwrap()).collect();
    let texts = |name: &str| {
        let mut texts: Vec<&str> = all.iter().filter_map(|record| record[name].as_str()).collect();
        texts.sort_unstable();
        texts
    };
    let (times, users) = (texts("LoginTime"), texts("UserId"));
    let statement = "SELECT COUNT(), COUNT(UserId), COUNT_DISTINCT(UserId) people, MIN(LoginTime), MAX(LoginTime) last FROM LoginHistory";
    let found = records(&org, statement);
    let mut distinct = users.clone();
    distinct.dedup();
    assert!(users.len() < all.len() && distinct.len() > 10, "some logins are of nobody");
    let expected = json!({
        "attributes": { "type": "AggregateResult" },
        "expr0": all.len(), "expr1": users.len(), "people": distinct.len(), "expr2": times[0], "last": times[times.len() - 1],
    });
    assert_eq!(found, [expected]);

    let grouped = records(
        &org,
        "SELECT CountryIso, COUNT(Id) n FROM LoginHistory GROUP BY CountryIso ORDER BY COUNT(Id) DESC",
    );
    let sizes: Vec<u64> = grouped.iter().map(|group| group["n"].as_u64().unwrap()).collect();
    assert!(sizes.len() > 3 && sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    for group in &grouped {
        let of_it = all.iter().filter(|record| record["CountryIso"] == group["CountryIso"]).count();
        assert_eq!(group["n"], of_it);
    }
    let limited = records(&org, "SELECT CountryIso FROM LoginHistory GROUP BY CountryIso LIMIT 2");
    assert_eq!(limited.len(), 2);
    assert!(statuses.len() > 1);
    // Without rows there is one row still, unless there are groups.
    let none = "FROM LoginHistory WHERE LoginTime > 2030-01-01T00:00:00Z";
    let empty = records(&org, &format!("SELECT COUNT(Id), MAX(LoginTime) {none}"));
    assert_eq!((&empty[0]["expr0"], &empty[0]["expr1"]), (&0.into(), &Value::Null));
    assert!(records(&org, &format!("SELECT CountryIso, COUNT(Id) {none} GROUP BY CountryIso")).is_empty());
}

#[test]
fn sums_and_averages_are_of_numbers() {
    let org = org(settings(3, Rows::PerHour(20)));
    let all = records(&org, "SELECT RunTime FROM AuraRequestEventLog WHERE Timestamp = TODAY");
    let sum: f64 = all.iter().map(|record| record["RunTime"].as_f64().unwrap()).sum();
    let found =
        records(&org, "SELECT SUM(RunTime), AVG(RunTime) FROM AuraRequestEventLog WHERE Timestamp = TODAY");
    assert_eq!(
        (found[0]["expr0"].as_f64(), found[0]["expr1"].as_f64()),
        (Some(sum), Some(sum / all.len() as f64))
    );
}

#[test]
fn what_an_object_does_not_aggregate_is_refused() {
    let org = org(settings(3, Rows::PerHour(20)));
    let bad = |statement: &str| refusal(&org, statement);
    for aggregate in ["count()", "COUNT(Id)", "MAX(EventDate)"] {
        let refused = bad(&format!("SELECT {aggregate} FROM LoginEvent"));
        assert_eq!(refused, (400, "BIG_OBJECT_UNSUPPORTED_OPERATION".to_owned()), "{aggregate}");
    }
    assert_eq!(ask(&org, &query("SELECT count() FROM SetupAuditTrail")).1["totalSize"], 36);
    assert_eq!(bad("SELECT COUNT(Id) FROM SetupAuditTrail"), (400, "INVALID_FIELD".to_owned()));
    assert_eq!(bad("SELECT Status, COUNT(Id) FROM LoginHistory"), (400, "MALFORMED_QUERY".to_owned()));
    assert_eq!(
        bad("SELECT LoginTime FROM LoginHistory GROUP BY LoginTime"),
        (400, "MALFORMED_QUERY".to_owned())
    );
    assert_eq!(bad("SELECT SUM(UserId) FROM LoginHistory"), (400, "INVALID_FIELD".to_owned()));
    assert_eq!(bad("SELECT COUNT(Nope) FROM LoginHistory"), (400, "INVALID_FIELD".to_owned()));
    assert_eq!(bad("SELECT MIN(Id) a, MAX(LoginTime) a FROM LoginHistory").0, 400);
}

#[test]
fn users_and_profiles_are_those_that_the_logs_refer_to() {
    let org = org(OrgSettings { page_size: 2_000, ..settings(3, Rows::PerHour(60)) });
    let users =
        records(&org, "SELECT Id, Username, Name, Email, IsActive, ProfileId, Profile.Name FROM User");
    let user = |id: &Value| users.iter().find(|user| user["Id"] == *id).unwrap_or_else(|| panic!("{id}"));
    for record in records(&org, "SELECT UserId, Username FROM LoginEvent") {
        if !record["UserId"].is_null() {
            assert_eq!(user(&record["UserId"])["Username"], record["Username"]);
        }
    }
    let changes = "SELECT CreatedById, CreatedBy.Name, CreatedBy.Username, CreatedBy.Email, CreatedBy.Profile.Name FROM SetupAuditTrail";
    for record in records(&org, changes) {
        let (by, known) = (&record["CreatedBy"], user(&record["CreatedById"]));
        for name in ["Name", "Username", "Email"] {
            assert_eq!(by[name], known[name]);
        }
        assert_eq!(
            (&by["Profile"]["Name"], by["attributes"]["type"].as_str()),
            (&"System Administrator".into(), Some("User"))
        );
    }
    let logins = records(&org, "SELECT UserId, User.Name, User.Profile.Name FROM LoginHistory");
    let of_nobody = logins.iter().filter(|record| record["UserId"].is_null());
    assert!(of_nobody.clone().count() > 0 && of_nobody.clone().all(|record| record["User"].is_null()));
    for record in logins.iter().filter(|record| !record["UserId"].is_null()) {
        let known = user(&record["UserId"]);
        assert_eq!(
            (&record["User"]["Name"], &record["User"]["Profile"]["Name"]),
            (&known["Name"], &known["Profile"]["Name"])
        );
    }
    let sales = records(&org, "SELECT Id FROM LoginHistory WHERE User.Profile.Name = 'Sales'").len();
    let expected = logins.iter().filter(|record| record["User"]["Profile"]["Name"] == "Sales").count();
    assert!(sales > 0 && sales == expected);
    let files =
        records(&org, "SELECT CreatedById, CreatedBy.Name FROM EventLogFile WHERE Interval = 'Hourly'");
    assert!(files.iter().all(|file| file["CreatedBy"]["Name"] == user(&file["CreatedById"])["Name"]));
    let profiles = records(&org, "SELECT Id, Name FROM Profile ORDER BY Name");
    for user in &users {
        let profile = profiles.iter().find(|profile| profile["Id"] == user["ProfileId"]).unwrap();
        assert_eq!(user["Profile"]["Name"], profile["Name"]);
    }
}

#[test]
fn relative_dates_select_the_days_they_name() {
    let org = org(settings(24 * 20, Rows::PerHour(1)));
    let count = |condition: &str| {
        let statement = format!("SELECT count() FROM LoginHistory WHERE LoginTime {condition}");
        ask(&org, &query(&statement)).1["totalSize"].as_u64().unwrap_or_else(|| panic!("{condition}"))
    };
    // The logs begin on Thursday 12 February at 13:00 and end on Wednesday 4 March at 13:00.
    assert_eq!((count("= TODAY"), count("= YESTERDAY"), count("= THIS_WEEK")), (13, 24, 3 * 24 + 13));
    assert_eq!((count("= LAST_WEEK"), count("< LAST_WEEK"), count("> LAST_WEEK")), (168, 227, 85));
    assert_eq!((count("= LAST_N_WEEKS:2"), count("= N_WEEKS_AGO:2")), (2 * 168, 168));
    assert_eq!((count("= THIS_MONTH"), count("= LAST_MONTH")), (3 * 24 + 13, 11 + 16 * 24));
    assert_eq!((count("= LAST_N_DAYS:3"), count("= N_DAYS_AGO:3")), (3 * 24 + 13, 24));
    assert_eq!((count("= THIS_QUARTER"), count(">= THIS_YEAR"), count("> NEXT_WEEK")), (480, 480, 0));
    assert_eq!(refusal(&org, "SELECT Id FROM LoginHistory WHERE LoginTime = THIS_FISCAL_YEAR").0, 501);
}

#[tokio::test]
async fn the_parameters_of_the_token_endpoint_may_stand_in_the_uri() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(1))).await.unwrap();
    let post = async |query: &str| {
        call(simulator.url(), Method::POST, &format!("/services/oauth2/token?{query}"), &[], "").await
    };
    let granted = post(&format!("grant_type=client_credentials&{CLIENT}")).await;
    assert_eq!(granted.status, StatusCode::OK);
    let client =
        Client { simulator: &simulator, token: granted.json()["access_token"].as_str().unwrap().to_owned() };
    assert_eq!(client.query("SELECT count() FROM LoginHistory").await.status, StatusCode::OK);
    let refused = post(&format!("grant_type=password&username=x&password=y&{CLIENT}")).await;
    assert_eq!(refused.json()["error_description"], "authentication failure");
    assert_eq!(post("").await.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_refresh_token_gives_an_access_token_and_a_wrong_one_does_not() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(1))).await.unwrap();
    let refresh = OrgSettings::default().refresh_token;
    let granted =
        token_form(&simulator, &format!("grant_type=refresh_token&{CLIENT}&refresh_token={refresh}")).await;
    assert_eq!(granted.status, StatusCode::OK);
    assert!(granted.json()["access_token"].is_string() && granted.json()["refresh_token"].is_null());
    let wrong =
        token_form(&simulator, &format!("grant_type=refresh_token&{CLIENT}&refresh_token=other")).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"], &wrong.json()["error_description"]),
        (StatusCode::BAD_REQUEST, &"invalid_grant".into(), &"expired access/refresh token".into())
    );
}

#[tokio::test]
async fn userinfo_names_the_user_of_the_session_and_is_no_call_of_the_api() {
    let simulator = Simulator::start(settings(1, Rows::PerHour(1))).await.unwrap();
    let user = async |form: &str| {
        let granted = token_form(&simulator, &format!("{form}&{CLIENT}")).await.json();
        let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str())];
        let info = call(simulator.url(), Method::GET, "/services/oauth2/userinfo", &headers, "").await;
        assert_eq!((info.status, &info.json()["sub"]), (StatusCode::OK, &granted["id"]));
        info.json()
    };
    let settings = OrgSettings::default();
    let calls = simulator.org().api_calls();
    let one = user("grant_type=client_credentials").await;
    assert_eq!(one["preferred_username"], *settings.run_as_user);
    let form = format!("grant_type=password&username={}&password={}", settings.username, settings.password);
    let other = user(&form).await;
    assert_eq!(other["preferred_username"], *settings.username);
    assert!(one["user_id"] != other["user_id"] && one["organization_id"] == other["organization_id"]);
    assert_eq!(simulator.org().api_calls(), calls);
    let headers = [("authorization", "Bearer nothing")];
    let refused = call(simulator.url(), Method::GET, "/services/oauth2/userinfo", &headers, "").await;
    assert_eq!((refused.status, refused.body), (StatusCode::FORBIDDEN, b"Bad_OAuth_Token".to_vec()));
    simulator.org().object_truth(StoredObject::LoginEvent, always()).next().unwrap();
}

#[tokio::test]
async fn an_app_that_is_not_installed_or_blocked_is_refused_in_its_words() {
    for (obstacle, error, description) in [
        (Obstacle::AppNotInstalled, "app_not_found", "External client app is not installed in this org"),
        (Obstacle::AppBlocked, "OAUTH_APP_BLOCKED", "this app is blocked by admin"),
    ] {
        let settings = OrgSettings { obstacles: vec![obstacle], ..settings(1, Rows::PerHour(1)) };
        let simulator = Simulator::start(settings).await.unwrap();
        let refused = token_form(&simulator, &format!("grant_type=client_credentials&{CLIENT}")).await;
        assert_eq!(refused.json(), json!({ "error": error, "error_description": description }));
    }
}
