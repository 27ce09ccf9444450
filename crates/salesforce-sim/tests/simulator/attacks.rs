//! Attacks: what they add, and that they change nothing else.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use http::StatusCode;
use salesforce_sim::{Attack, Files, Interval, OrgSettings, Rows, Simulator, StoredObject, event_types};

use crate::client::{Client, always, settings};
use crate::files::{download, ids};
use crate::records;

fn attacked(attacks: &[Attack], all_types: bool) -> OrgSettings {
    let mut settings = settings(30, Rows::Total(1_200));
    settings.workload.attacks = attacks.to_vec();
    if all_types {
        let event_types = event_types().into_iter().map(str::to_owned).collect();
        settings.files = Files { event_types, late_one_in: 3, repeated_rows: 2, ..Files::default() };
    }
    settings
}

/// The ids of all events of files, and of all objects.
fn everything(settings: OrgSettings) -> (BTreeSet<String>, BTreeSet<String>) {
    // Ids of records depend on the org's host, which is one and the same without a network.
    let org = Simulator::offline(settings).unwrap();
    let files = [Interval::Hourly, Interval::Daily].into_iter();
    let files = files.flat_map(|interval| org.org().truth(interval).map(|event| event.event_id.to_string()));
    let objects = StoredObject::EVERY.into_iter().flat_map(|object| org.org().object_truth(object, always()));
    (files.collect(), objects.collect())
}

#[test]
fn each_attack_adds_events_and_changes_none() {
    let quiet = everything(attacked(&[], true));
    for attack in Attack::value_variants() {
        let with = everything(attacked(&[*attack], true));
        assert!(quiet.0.is_subset(&with.0) && quiet.1.is_subset(&with.1), "{attack:?}");
        assert!(with.0.len() + with.1.len() > quiet.0.len() + quiet.1.len(), "{attack:?}");
        assert_eq!(with, everything(attacked(&[*attack], true)), "{attack:?} is the same each time");
    }
    let mut other = attacked(&[Attack::DataExport], true);
    other.seed = 2;
    assert_ne!(everything(other), everything(attacked(&[Attack::DataExport], true)));
}

#[tokio::test]
async fn what_attacks_add_is_in_the_answers_as_the_truth_has_it() {
    for all_types in [false, true] {
        let settings = attacked(Attack::value_variants(), all_types);
        let simulator = Simulator::start(settings).await.unwrap();
        let client = Client::sign_in(&simulator).await;
        for interval in [Interval::Hourly, Interval::Daily] {
            let mut collected = Vec::new();
            for file in simulator.org().event_log_files(interval) {
                assert!(file.rows > 0, "{} of {}", file.event_type, file.log_date);
                let body = download(&client, &file).await.decoded();
                assert_eq!(body.len() as u64, simulator.org().log_file_length(&file));
                collected.extend(ids(&body));
            }
            let truth: Vec<_> = simulator.org().truth(interval).map(|event| event.event_id).collect();
            assert_eq!(collected, truth, "{interval:?}");
        }
        for object in StoredObject::EVERY {
            let found = records::standard(&client, object).await;
            let truth = records::truth(&simulator, object);
            assert!(!truth.is_empty(), "{object:?}");
            assert_eq!(found.len(), truth.len(), "{object:?}");
            assert_eq!(records::ids(&simulator, object, &found), truth, "{object:?}");
        }
    }
}

#[tokio::test]
async fn an_org_has_the_objects_of_attacks_only_where_it_suffered_them() {
    let simulator = Simulator::start(attacked(&[Attack::LoginAs], false)).await.unwrap();
    let client = Client::sign_in(&simulator).await;
    assert_eq!(client.records("SELECT FIELDS(STANDARD) FROM LoginAsEvent").await.len(), 1);
    let answer = client.query("SELECT Id FROM SessionHijackingEventStore").await;
    assert_eq!((answer.status, answer.error().1.as_str()), (StatusCode::BAD_REQUEST, "INVALID_TYPE"));
}

#[test]
fn a_quiet_day_has_harmless_work_of_types_that_attacks_have_and_an_attack_changes_none_of_it() {
    let quiet = |attacks: &[Attack]| {
        let mut settings = attacked(attacks, false);
        settings.workload.quiet = true;
        settings
    };
    let org = Simulator::offline(quiet(&[])).unwrap();
    let types: BTreeSet<&str> =
        org.org().event_log_files(Interval::Hourly).iter().map(|file| file.event_type).collect();
    assert_eq!(
        types,
        BTreeSet::from(["BulkApi", "BulkApi2", "Login", "PermissionUpdate", "SalesforceLoginAs"])
    );
    assert!(org.org().object_truth(StoredObject::PermissionSetEventStore, always()).count() > 20);
    assert_eq!(org.org().object_truth(StoredObject::LoginAsEvent, always()).count(), 0);
    let alone = everything(quiet(&[]));
    let with = everything(quiet(Attack::value_variants()));
    assert!(alone.0.is_subset(&with.0) && alone.1.is_subset(&with.1));
}

#[test]
fn on_a_quiet_day_setup_sees_routine_alone_and_nothing_is_detected() {
    let mut settings = attacked(&[], false);
    settings.workload.quiet = true;
    let org = Simulator::offline(settings).unwrap();
    assert_eq!(org.org().object_truth(StoredObject::ApiAnomalyEventStore, always()).count(), 0);
    assert!(org.org().object_truth(StoredObject::SetupAuditTrail, always()).count() > 100);
}
