//! What analysts look for in a document, whatever type it is of: who, whose rights, from where, with what result, how long.
//!
//! Cases out of public reports are named after the type that they are about; each stands for all columns of its kind.

use crate::cases::{NOW, configured_with};
use e2e::{
    canned::{CannedFile, CannedOrg, StillClock},
    template::Template,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const STREAMS: &str = "\"streams\": {\"login\": {\"event_log_file\": {}}}";

fn events(streams: &Value, mut org: CannedOrg) -> Vec<Value> {
    let mut collector = configured_with(&[(STREAMS, &format!("\"streams\": {streams}"))]);
    let batch = collector.poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
    assert!(batch.problems.is_empty(), "{}", batch.problems[0]);
    batch.events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
}

/// The documents of a file with these columns and one row each.
fn rows(event_type: &str, columns: &[&str], rows: &[&[&str]]) -> Vec<Value> {
    let line = |cells: Vec<&str>| {
        let cells: Vec<_> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        cells.join(",") + "\n"
    };
    let mut body = line([&["EVENT_TYPE"], columns, &["TIMESTAMP", "TIMESTAMP_DERIVED"]].concat());
    for row in rows {
        body += &line([&[event_type], *row, &["20260601101530.123", "2026-06-01T10:15:30.123Z"]].concat());
    }
    let file = CannedFile { event_type: event_type.to_owned(), ..CannedFile::new(1, body.into_bytes()) };
    let stream = match event_type {
        "Login" => json!({"login": {"event_log_file": {}}}),
        "Logout" => json!({"logout": {"event_log_file": {}}}),
        _ if event_type.starts_with("Apex") => json!({"apex": {"event_log_file": {}}}),
        _ => json!({"own": {"event_log_file": {"event_types": [event_type]}}}),
    };
    events(&stream, CannedOrg::with(vec![file]))
}

/// The document of a file with one row.
fn row(event_type: &str, cells: &[(&str, &str)]) -> Value {
    let (columns, values): (Vec<_>, Vec<_>) = cells.iter().copied().unzip();
    rows(event_type, &columns, &[&values]).remove(0)
}

/// The document of a record, given as JSON.
fn record_of(object: &str, json: &str) -> Value {
    let stream = match object {
        "LoginEvent" => json!({"login": {"object": {}}}),
        "LogoutEvent" => json!({"logout": {"object": {}}}),
        "SetupAuditTrail" => json!({"setupaudittrail": {"object": {}}}),
        _ => json!({"own": {"object": {"name": object}}}),
    };
    let org = CannedOrg { records: Some(format!("[{json}]")), ..CannedOrg::default() };
    events(&stream, org).remove(0)
}

/// The document of a record that has a key and a date besides these fields.
fn record(object: &str, fields: Value) -> Value {
    let date = match object {
        "SetupAuditTrail" => "CreatedDate",
        _ if object.ends_with("EventLog") => "Timestamp",
        _ => "EventDate",
    };
    let mut record =
        json!({"Id": "0Ym000000000001AAA", "EventIdentifier": "e1", date: "2026-06-01T10:15:30.123+0000"});
    record.as_object_mut().expect("an object").extend(fields.as_object().cloned().unwrap_or_default());
    record_of(object, &record.to_string())
}

fn list(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn whoever_stands_behind_a_user_is_related_in_every_type() {
    const ADMIN: &str = "0055j00000ADMIN";
    for column in [
        "DELEGATED_USER_NAME",
        "DELEGATED_USER_ID",
        "DELEGATED_USER_ID_DERIVED",
        "ACTUAL_USER_ID",
        "ACTUAL_LOGGED_IN_USER_ID",
        "VIEWING_USER_ID",
    ] {
        for event_type in
            ["LoginAs", "InsufficientAccess", "Dashboard", "Login", "Logout", "ApexCallout", "AuraRequest"]
        {
            let document = row(
                event_type,
                &[("USER_ID", "0055j000004XYz1"), ("USER_ID_DERIVED", "0055j000004XYz1AAE"), (column, ADMIN)],
            );
            let related = list(&document["related"]["user"]);
            assert!(
                related.contains(ADMIN) && related.contains("0055j000004XYz1"),
                "{event_type} {column}: {document}"
            );
            assert_eq!(
                document["user"]["id"].as_str().map(|id| &id[..15]),
                Some("0055j000004XYz1"),
                "{event_type}"
            );
            let effective = &document["user"]["effective"]["id"];
            assert_eq!(
                effective.is_string(),
                column != "VIEWING_USER_ID",
                "{event_type} {column}: {document}"
            );
        }
    }
    for field in [
        "DelegatedUsername",
        "DelegatedUserName",
        "DelegatedUserIdentifier",
        "ActualUserIdentifier",
        "ActualLoggedInUserIdentifier",
    ] {
        for object in ["LoginAsEvent", "LoginAsEventLog", "LoginEvent", "LogoutEvent", "AuraRequestEventLog"]
        {
            let own =
                json!({"UserId": "0055j000004XYz1AAE", "UserIdentifier": "0055j000004XYz1AAE", field: ADMIN});
            let document = record(object, own);
            assert!(list(&document["related"]["user"]).contains(ADMIN), "{object} {field}: {document}");
            assert_eq!(document["user"]["id"], "0055j000004XYz1AAE", "{object} {field}: {document}");
            assert_eq!(
                document["user"]["effective"]["id"], "0055j000004XYz1AAE",
                "{object} {field}: {document}"
            );
        }
    }
}

#[test]
fn a_user_who_acts_in_the_own_name_is_nobody_else() {
    for other in ["0055j000004XYz1", "0055j000004XYz1AAE", ""] {
        let cells = [
            ("USER_ID", "0055j000004XYz1"),
            ("USER_ID_DERIVED", "0055j000004XYz1AAE"),
            ("ACTUAL_LOGGED_IN_USER_ID", other),
        ];
        let document = row("InsufficientAccess", &cells);
        assert!(document["user"]["effective"].is_null(), "{document}");
        assert_eq!(list(&document["related"]["user"]).len(), 2, "{document}");
    }
}

#[test]
fn an_administrator_who_logs_in_as_another_user_is_told_with_user_policy_and_address() {
    let document = record(
        "LoginAsEvent",
        json!({"UserId": "0055j000004XYz1AAE", "Username": "anna.berg@acme.com", "SourceIp": "203.0.113.7",
            "DelegatedUsername": "admin@acme.com", "DelegatedOrganizationId": "00D5j00000ABCdeEAF", "PolicyId": "0NIB000000000KOOAY",
            "PolicyOutcome": "Notified", "LoginAsCategory": "OrgAdmin"}),
    );
    assert_eq!(document["user"]["id"], "0055j000004XYz1AAE");
    assert_eq!(document["user"]["email"], "anna.berg@acme.com");
    assert_eq!(
        document["user"]["effective"],
        json!({"id": "0055j000004XYz1AAE", "email": "anna.berg@acme.com"})
    );
    assert_eq!(document["source"]["ip"], "203.0.113.7");
    let own = &document["salesforce"]["login_as_event"];
    assert_eq!(
        (&own["policy_outcome"], &own["delegated_username"]),
        (&json!("Notified"), &json!("admin@acme.com"))
    );
    let related = list(&document["related"]["user"]);
    assert!(related.contains("admin@acme.com") && related.contains("anna.berg@acme.com"), "{related:?}");
}

#[test]
fn support_staff_of_salesforce_that_is_the_only_user_is_the_user() {
    let cells =
        [("ACTUAL_USER_ID", "0055j00000SUPPT"), ("IP_ADDRESS", "203.0.113.7"), ("OPERATION", "Login")];
    let document = row("SalesforceLoginAs", &cells);
    assert_eq!(document["user"], json!({"id": "0055j00000SUPPT"}));
    assert_eq!(document["source"]["ip"], "203.0.113.7");
}

#[test]
fn a_user_who_is_acted_upon_is_the_target_in_every_type() {
    let member = |id: &str| row("GroupMembership", &[("USER_ID", "0055j000004XYz1"), ("MEMBER_ID", id)]);
    let document = member("0055j000004XYz2");
    assert_eq!(document["user"]["target"]["id"], "0055j000004XYz2");
    assert!(list(&document["related"]["user"]).contains("0055j000004XYz2"), "{document}");
    assert!(member("00G5j000004XYz2")["user"]["target"].is_null(), "a group is no user");
    let impacted = |ids: &str| {
        record("PermissionSetEventStore", json!({"UserId": "0055j000004XYz1AAE", "ImpactedUserIds": ids}))
    };
    let document = impacted("0055j000004XYz2AAE");
    assert_eq!(document["user"]["target"]["id"], "0055j000004XYz2AAE");
    assert_eq!(
        document["salesforce"]["permission_set_event_store"]["impacted_user_ids"],
        "0055j000004XYz2AAE"
    );
    assert!(impacted("0055j000004XYz2AAE,0055j000004XYz3AAE")["user"]["target"].is_null(), "two are not one");
}

#[test]
fn the_audit_trail_names_who_made_a_change_and_whose_hand_it_was() {
    let by = json!({"attributes": {"type": "User"}, "Name": "Anna Berg", "Username": "anna.berg@acme.com", "Email": "anna@acme.com"});
    let fields = |delegate: Value| json!({"CreatedById": "0055j000004XYz1AAE", "CreatedBy": by, "Action": "x", "DelegateUser": delegate});
    let document = record("SetupAuditTrail", fields(Value::Null));
    let user = json!({"id": "0055j000004XYz1AAE", "name": "anna.berg@acme.com", "full_name": "Anna Berg", "email": "anna@acme.com"});
    assert_eq!(document["user"], user);
    let document = record("SetupAuditTrail", fields(json!("support@acme.com")));
    assert_eq!(document["user"]["name"], "anna.berg@acme.com");
    let effective =
        json!({"id": "0055j000004XYz1AAE", "name": "anna.berg@acme.com", "email": "anna@acme.com"});
    assert_eq!(document["user"]["effective"], effective);
    assert!(list(&document["related"]["user"]).contains("support@acme.com"), "{document}");
}

#[test]
fn a_change_by_the_automated_process_is_an_event_without_a_user() {
    let document = record(
        "SetupAuditTrail",
        json!({"CreatedById": null, "CreatedBy": null, "Action": "x", "Display": "y"}),
    );
    assert_eq!(document["event"]["action"], "x");
    assert_eq!(document["salesforce"]["setup_audit_trail"]["display"], "y");
    assert!(document["user"].is_null() && document["error"].is_null(), "{document}");
}

#[test]
fn the_built_in_query_of_the_audit_trail_asks_for_who_made_a_change() {
    let asked = |object: Value| {
        let streams = json!({"setupaudittrail": {"object": object}}).to_string();
        let mut collector = configured_with(&[(STREAMS, &format!("\"streams\": {streams}"))]);
        let mut org = CannedOrg { records: Some(String::from("[]")), ..CannedOrg::default() };
        collector.poll(&mut org, &StillClock::at(NOW), None).expect("a batch");
        org.requests.last().cloned().unwrap_or_default()
    };
    let plain = asked(json!({}));
    let needed = "q=SELECT+FIELDS%28STANDARD%29%2C+CreatedBy.Name%2C+CreatedBy.Username%2C+CreatedBy.Email";
    assert!(plain.contains(&format!("{needed}+FROM+SetupAuditTrail")), "{plain}");
    let fields =
        json!({"fields": ["Action", "createdby.name", "CreatedBy.Department", "CreatedBy.Department"]});
    let more = asked(fields);
    assert!(more.contains(&format!("{needed}%2C+CreatedBy.Department+FROM+SetupAuditTrail")), "{more}");
}

#[test]
fn a_threat_has_its_score_its_reason_and_the_addresses_before_and_after() {
    for object in [
        "SessionHijackingEventStore",
        "CredentialStuffingEventStore",
        "ApiAnomalyEventStore",
        "ReportAnomalyEventStore",
        "GuestUserAnomalyEventStore",
        "LoginAnomalyEventStore",
        "PermissionSetEventStore",
        "FileAnomalyEventStore",
    ] {
        let document = record(
            object,
            json!({"Score": 0.9123, "Summary": "It looks odd", "CurrentIp": "203.0.113.7", "PreviousIp": "198.51.100.9", "SourceIp": null,
                "CurrentUserAgent": "Mozilla/5.0 (X11)", "PreviousUserAgent": "Mozilla/5.0 (Macintosh)", "UserAgent": null}),
        );
        assert_eq!(document["event"]["risk_score"], 0.9123, "{object}: {document}");
        assert_eq!(document["event"]["reason"], "It looks odd", "{object}");
        assert_eq!(document["source"]["ip"], "203.0.113.7", "{object}");
        assert_eq!(list(&document["related"]["ip"]).len(), 2, "{object}: {document}");
        assert_eq!(document["user_agent"]["original"], "Mozilla/5.0 (X11)", "{object}");
        if object != "PermissionSetEventStore" {
            assert_eq!(document["event"]["kind"], "alert", "{object}");
        }
    }
    let document = record("SessionHijackingEventStore", json!({"Score": 1.0}));
    assert_eq!(document["threat"]["framework"], "MITRE ATT&CK");
    assert_eq!(document["threat"]["technique"]["id"], json!(["T1539"]));
    let lead =
        record("Lead", json!({"Score": 7.0, "Summary": "x", "CreatedDate": "2026-06-01T10:15:30.123+0000"}));
    assert!(lead["event"]["risk_score"].is_null() && lead["threat"].is_null(), "{lead}");
}

#[test]
fn a_place_is_where_the_source_is_in_every_type() {
    let location = json!({"City": "Malmö", "Country": "Sweden", "CountryIso": "SE", "PostalCode": "211 20", "Subdivision": "Skåne",
        "Latitude": 55.6059, "Longitude": 13.0007, "SourceIp": "203.0.113.7"});
    let expected = json!({"city_name": "Malmö", "country_name": "Sweden", "country_iso_code": "SE", "postal_code": "211 20",
        "region_name": "Skåne", "location": {"lat": 55.6059, "lon": 13.0007}});
    for object in ["IdentityVerificationEvent", "LoginGeoEvent"] {
        assert_eq!(record(object, location.clone())["source"]["geo"], expected, "{object}");
    }
    let cells = [("CITY", "Malmö"), ("COUNTRY_CODE", "SE"), ("LATITUDE", "1.0E-4"), ("LONGITUDE", "13.5")];
    let geo = &row("BrandNew", &cells)["source"]["geo"];
    assert_eq!(
        geo,
        &json!({"city_name": "Malmö", "country_iso_code": "SE", "location": {"lat": 0.0001, "lon": 13.5}})
    );
}

#[test]
fn the_address_is_found_under_each_of_its_names_row_by_row() {
    for column in ["CLIENT_IP", "SOURCE_IP", "IP_ADDRESS", "REMOTE_ADDRESS"] {
        for event_type in ["BrandNew", "Logout", "ApexCallout", "AuraRequest"] {
            let document = row(event_type, &[(column, "203.0.113.7")]);
            assert_eq!(document["source"]["ip"], "203.0.113.7", "{event_type} {column}");
            assert_eq!(list(&document["related"]["ip"]).len(), 1, "{event_type} {column}");
        }
    }
    for field in ["SourceIp", "ClientIp", "IpAddress", "CurrentIp", "RemoteAddress"] {
        let document = record("BrandNewEvent", json!({"SourceIp": null, field: "2001:db8::7"}));
        assert_eq!(document["source"]["ip"], "2001:db8::7", "{field}");
        assert_eq!(list(&document["related"]["ip"]).len(), 1, "{field}");
    }
    let both = row("BrandNew", &[("CLIENT_IP", "Salesforce.com IP"), ("REMOTE_ADDRESS", "203.0.113.7")]);
    assert_eq!(both["source"], json!({"ip": "203.0.113.7", "address": "Salesforce.com IP"}));
    assert_eq!(both["salesforce"]["brand_new"]["remote_address"], "203.0.113.7");
}

#[test]
fn an_outcome_is_told_under_each_of_its_names_and_a_failure_in_any_of_them_counts() {
    for (event_type, column, failed, succeeded) in [
        ("Dashboard", "IS_SUCCESS", "0", "1"),
        ("PackageInstall", "IS_SUCCESSFUL", "0", "1"),
        ("BulkApi2", "JOB_STATUS", "Failed", "JobComplete"),
        ("OneCommerceUsage", "OPERATION_STATUS", "FAILURE", "SUCCESS"),
        ("ApexCallout", "SUCCESS", "0", "1"),
        ("AuraRequest", "REQUEST_STATUS", "A", "S"),
    ] {
        for (value, outcome) in [(failed, "failure"), (succeeded, "success")] {
            let document = row(event_type, &[(column, value)]);
            assert_eq!(document["event"]["outcome"], outcome, "{event_type} {column} {value}");
        }
    }
    for (field, failed, succeeded) in [
        ("OperationStatus", json!("Failure"), json!("Success")),
        ("IsSuccess", json!(false), json!(true)),
        ("IsSuccessful", json!(false), json!(true)),
        ("Status", json!("Denied"), json!("Succeeded")),
        ("Status", json!("ReportedDenied"), json!("AutomatedSuccess")),
    ] {
        for (value, outcome) in [(failed, "failure"), (succeeded, "success")] {
            let document = record("BrandNewEvent", json!({field: value}));
            assert_eq!(document["event"]["outcome"], outcome, "{field} {value}");
        }
    }
    let job = |job: &str| {
        row("BulkApi2", &[("REQUEST_STATUS", "S"), ("JOB_STATUS", job)])["event"]["outcome"].clone()
    };
    assert_eq!(
        (job("Failed"), job("InProgress"), job("")),
        (json!("failure"), json!("success"), json!("success"))
    );
    let unknown = row("BulkApi2", &[("JOB_STATUS", "InProgress")]);
    assert!(unknown["event"]["outcome"].is_null(), "{unknown}");
}

#[test]
fn referrers_pages_and_clients_have_their_place_under_each_of_their_names() {
    for (event_type, column) in [
        ("HostnameRedirects", "REFERRER"),
        ("BlockedRedirections", "REFERRER"),
        ("URI", "REFERRER_URI"),
        ("BrandNew", "HTTP_REFERER"),
    ] {
        let document = row(event_type, &[(column, "https://portal.acme.com/x")]);
        assert_eq!(document["http"]["request"]["referrer"], "https://portal.acme.com/x", "{event_type}");
    }
    assert_eq!(record("BrandNewEvent", json!({"Referrer": "/x"}))["http"]["request"]["referrer"], "/x");
    let page = row("LightningPageView", &[("PAGE_URL", "/lightning/page/home?a=b")]);
    assert_eq!(
        page["url"],
        json!({"original": "/lightning/page/home?a=b", "path": "/lightning/page/home", "query": "a=b"})
    );
    let page = record("LightningUriEvent", json!({"PageUrl": "https://acme.lightning.force.com/x.app"}));
    assert_eq!(
        (&page["url"]["domain"], &page["url"]["extension"]),
        (&json!("acme.lightning.force.com"), &json!("app"))
    );
    for (info, is_agent) in [
        ("Mozilla/5.0 (X11; Linux x86_64)", true),
        ("python-requests/2.32", true),
        ("\"curl/8.7.1\"", true),
        ("SfdcInternalAPI/", false),
        ("Salesforce for Outlook", false),
        ("/home", false),
        ("42", false),
    ] {
        let document = row("ReportExport", &[("CLIENT_INFO", info)]);
        let agent = &document["user_agent"]["original"];
        assert_eq!(agent.as_str(), is_agent.then_some(info.trim_matches('"')), "{info}: {document}");
        assert_eq!(document["salesforce"]["report_export"]["client_info"], info);
    }
}

#[test]
fn a_redirect_of_a_host_name_is_read_whatever_stands_in_its_columns() {
    let columns = ["MESSAGE", "REFERRER", "REMOTE_ADDRESS", "CLIENT_IP", "HOST"];
    let documents = rows(
        "HostnameRedirects",
        &columns,
        &[
            &["two\nlines", "https://a.example/", "2001:db8::7", "", "\t"],
            &["x", "", "203.0.113.7", "", "b.example"],
            &["x", "", "", "Salesforce.com IP", "c.example"],
        ],
    );
    assert_eq!(documents.len(), 3);
    assert!(documents.iter().all(|document| document["@timestamp"] == "2026-06-01T10:15:30.123Z"));
    assert_eq!(documents[0]["source"]["ip"], "2001:db8::7");
    assert_eq!(documents[0]["http"]["request"]["referrer"], "https://a.example/");
    assert_eq!(documents[0]["salesforce"]["hostname_redirects"]["host"], "\t");
    assert_eq!(documents[0]["salesforce"]["hostname_redirects"]["message"], "two\nlines");
    assert_eq!(documents[2]["source"], json!({"address": "Salesforce.com IP"}));
    assert!(documents.iter().all(|document| document["error"].is_null()), "{documents:?}");
}

#[test]
fn numbers_in_scientific_form_are_whole_where_they_are_whole() {
    let aura = r#"{"Id": "000000000000000AAA", "Timestamp": "2026-06-01T10:15:30.123+0000", "DatabaseTotalTime": 1.05127115E9,
        "RunTime": 1.2345678E7, "CpuTime": 1.0E7, "ActionMessageLength": 12.0, "Odd__c": 1.05127115E9, "Small__c": 1.5E-7,
        "Half__c": 1.23456785E7}"#;
    let document = record_of("AuraRequestEventLog", aura);
    let own = &document["salesforce"]["aura_request"];
    assert_eq!(own["db_total_time"].as_i64(), Some(1_051_271_150), "{document}");
    assert_eq!((own["run_time"].as_i64(), own["cpu_time"].as_i64()), (Some(12_345_678), Some(10_000_000)));
    assert_eq!(own["action_message_length"].as_i64(), Some(12));
    assert_eq!(document["event"]["duration"].as_i64(), Some(12_345_678_000_000));
    assert!(own["odd__c"].is_f64() && document["error"].is_null(), "{document}");
    for (column, value, expected) in [
        ("ROWS_PROCESSED", "1.2345678E7", json!(12_345_678)),
        ("RUN_TIME", "1.0E10", json!(10_000_000_000_i64)),
        ("DURATION", "1.2345678E7", json!(12_345_678.0)),
        ("DURATION", "1.23456785E7", json!(12_345_678.5)),
    ] {
        let document = row("BrandNew", &[(column, value)]);
        assert_eq!(document["salesforce"]["brand_new"][column.to_lowercase()], expected, "{value}");
        assert!(document["error"].is_null(), "{document}");
    }
    let nanos = |value: &str| row("BrandNew", &[("RUN_TIME", value)])["event"]["duration"].as_i64();
    assert_eq!(nanos("1.23456785E7"), Some(12_345_678_500_000));
    assert_eq!(nanos("2.5E-4"), Some(250));
    let odd = row("BrandNew", &[("ROWS_PROCESSED", "1.5E0")]);
    assert_eq!(odd["error"]["message"], json!(["ROWS_PROCESSED: '1.5E0' is not a whole number"]));
}

#[test]
fn codes_of_a_logout_that_name_the_code_and_its_word_are_told_by_their_meaning() {
    let logout = |level: &str, user: &str, session: &str| {
        let cells = [("SESSION_LEVEL", level), ("USER_TYPE", user), ("SESSION_TYPE", session)];
        row("Logout", &cells)["salesforce"]["logout"].clone()
    };
    let one = logout("HIGH_ASSURANCE(db=10,api=HIGH_ASSURANCE)", "Standard(db=S,api=Standard)", "UI");
    assert_eq!(one["session"], json!({"level": "High-Assurance Session", "type": "UI"}));
    assert_eq!(one["user"]["roles"], json!(["Standard"]));
    let two = logout("STANDARD(db=1,api=STANDARD)", "Guest(db=G,api=Guest)", "Oauth2(db=O,api=Oauth2)");
    assert_eq!(two["session"], json!({"level": "Standard Session", "type": "Oauth2"}));
    assert_eq!(two["user"]["roles"], json!(["Guest"]));
    let unknown = logout("LOW(db=99,api=LOW)", "x(db=)", "(db=U");
    assert_eq!(unknown["session"], json!({"level": "LOW(db=99,api=LOW)", "type": "(db=U"}));
    assert_eq!(unknown["user"]["roles"], json!(["x(db=)"]));
}

#[test]
fn a_column_that_is_called_like_a_field_of_ours_has_one_name_wherever_it_stands() {
    for (first, second) in [("CLIENT", "TRANSACTION_SECURITY"), ("TRANSACTION_SECURITY", "CLIENT")] {
        for before in [&[][..], &["NEW_ONE", "NEW_TWO"][..]] {
            let columns: Vec<&str> =
                before.iter().copied().chain([first, second, "NOTE", "NOTE", "NOTE_2"]).collect();
            let values: Vec<String> = columns.iter().map(|name| format!("value of {name}")).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let document = rows("Login", &columns, &[&values]).remove(0);
            let login = &document["salesforce"]["login"];
            assert_eq!(login["client_column"], "value of CLIENT", "{document}");
            assert_eq!(login["transaction_security_column"], "value of TRANSACTION_SECURITY", "{document}");
            assert_eq!(
                (&login["note"], &login["note_2"]),
                (&json!("value of NOTE"), &json!("value of NOTE_2"))
            );
            assert_eq!(login["note_3"], "value of NOTE", "{document}");
        }
    }
}

#[test]
fn no_column_whatever_it_is_called_makes_a_document_that_the_index_template_refuses() {
    let template: Value = serde_json::from_str(include_str!("../../docs/index-template.json")).expect("JSON");
    let own = &template["template"]["mappings"]["properties"]["salesforce"]["properties"];
    let mut tried = 0;
    for (event_type, object, name) in [
        ("Login", "LoginEvent", "login"),
        ("Logout", "LogoutEvent", "logout"),
        ("ApexCallout", "", "apex"),
        ("AuraRequest", "AuraRequestEventLog", "aura_request"),
        ("", "SetupAuditTrail", "setup_audit_trail"),
    ] {
        let keys: Vec<&String> = own[name]["properties"].as_object().expect("fields").keys().collect();
        for value in ["1", "x", "1.5", "true", "2026-06-01T10:00:00.000Z", "203.0.113.7", "1.2345678E7"] {
            let mut checked = Template::new(&template);
            let mut check = |document: &Value| {
                let wrong = checked.check(name, document);
                assert!(wrong.is_empty(), "{value}: {wrong:#?}");
                tried += 1;
            };
            let columns: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            if !event_type.is_empty() {
                check(&rows(event_type, &columns, &[&vec![value; columns.len()]]).remove(0));
            }
            if !object.is_empty() {
                let camel = |key: &String| -> String {
                    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
                    key.split('_').filter(|word| !word.is_empty()).map(word).collect()
                };
                let mut fields: Map<String, Value> =
                    keys.iter().map(|key| (camel(key), json!(value))).collect();
                fields.remove("Id");
                check(&record(object, Value::Object(fields.clone())));
                for bare in [json!(1), json!(1.5), json!(true)] {
                    let fields = fields.keys().map(|key| (key.clone(), bare.clone())).collect();
                    check(&record(object, Value::Object(fields)));
                }
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn the_provider_of_a_record_is_object_as_in_documents_of_elastic_and_its_name_stands_beside() {
    for object in ["LoginEvent", "LogoutEvent", "SetupAuditTrail", "AuraRequestEventLog", "ApiEvent"] {
        let document = record(object, json!({}));
        assert_eq!(document["event"]["provider"], "Object", "{object}");
        assert_eq!(document["salesforce"]["object_name"], object);
    }
    let document = row("Login", &[("LOGIN_STATUS", "LOGIN_NO_ERROR")]);
    assert_eq!(document["event"]["provider"], "EventLogFile");
    assert!(document["salesforce"]["object_name"].is_null(), "{document}");
}
