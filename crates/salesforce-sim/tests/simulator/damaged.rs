//! Records that come damaged, and what is known of them.

use salesforce_sim::{
    Damage, DamagedRecord, DamagedRecords, FaultAction, Oddities, OfflineOrg, OrgSettings, PlannedFault,
    Rows, StoredObject, Which,
};
use serde_json::Value;

use crate::client::{always, settings};
use crate::offline::{bearer, body, get, org, query};

const OBJECTS: [StoredObject; 4] = [
    StoredObject::LoginEvent,
    StoredObject::LoginHistory,
    StoredObject::SetupAuditTrail,
    StoredObject::AuraRequestEventLog,
];

fn damaged_org(object: StoredObject, which: Which, how: Damage, field: Option<&str>) -> OfflineOrg {
    let damaged = DamagedRecords { object, which, how, field: field.map(str::to_owned) };
    let oddities = Oddities { damaged: vec![damaged], ..Oddities::default() };
    org(OrgSettings { oddities, ..settings(2, Rows::PerHour(20)) })
}

/// The records of the page that a query gets, each as its bytes came.
fn records(org: &OfflineOrg, object: StoredObject) -> Vec<Vec<u8>> {
    let window = if object == StoredObject::AuraRequestEventLog { "WHERE Timestamp = TODAY" } else { "" };
    let statement = format!("SELECT FIELDS(STANDARD) FROM {} {window}", object.name());
    let bytes = body(get(org, &bearer(org), &query(&statement)));
    let begin = memchr::memmem::find(&bytes, b"\"records\":[").unwrap() + 11;
    let inner = &bytes[begin..bytes.len() - 2];
    // Each record begins with its attributes; one that is no object stands for itself.
    let starts = memchr::memmem::find_iter(inner, b"{\"attributes\"").collect::<Vec<_>>();
    let mut all = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).map_or(inner.len(), |next| *next);
        let whole = inner[*start..end].strip_suffix(b",").unwrap_or(&inner[*start..end]);
        match memchr::memmem::rfind(whole, b"},").filter(|_| !whole.ends_with(b"}")) {
            Some(at) => all.extend([whole[..=at].to_vec(), whole[at + 2..].to_vec()]),
            None => all.push(whole.to_vec()),
        }
    }
    all
}

fn damaged(org: &OfflineOrg, object: StoredObject) -> Vec<DamagedRecord> {
    org.org().damaged(object, always()).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

#[test]
fn one_record_in_so_many_is_damaged_and_all_others_are_byte_for_byte_the_same() {
    for object in OBJECTS {
        let plain = records(&org(settings(2, Rows::PerHour(20))), object);
        for (how, mark) in [
            (Damage::LoneSurrogate, b"\\ud83d\"".as_slice()),
            (Damage::ControlCharacter, b"\x01"),
            (Damage::NotUtf8, b"\xff"),
            (Damage::NullDate, b":null"),
            (Damage::UnreadableDate, b"\"2026-13-45T99:99:99\""),
            (Damage::NullKey, b":null"),
            (Damage::MissingKey, b"{"),
        ] {
            let org = damaged_org(object, Which::OneIn(7), how.clone(), None);
            let odd = records(&org, object);
            assert_eq!(odd.len(), plain.len());
            let known = damaged(&org, object);
            assert_eq!(known.len(), plain.len() / 7, "{object:?} {how:?}");
            let changed: Vec<_> = odd.iter().zip(&plain).filter(|(odd, plain)| odd != plain).collect();
            assert_eq!(changed.len(), known.len(), "{object:?} {how:?}");
            for (odd, plain) in changed {
                assert!(contains(odd, mark), "{how:?}: {}", String::from_utf8_lossy(odd));
                let mut plain: Value = serde_json::from_slice(plain).unwrap();
                plain.as_object_mut().unwrap();
                let record = known.iter().find(|known| known.sound == plain).unwrap();
                assert_eq!((&record.how, record.number % 7), (&how, 6));
                // Nothing else of it is damaged.
                let field = record.field.as_deref().unwrap();
                if how != Damage::MissingKey {
                    let text =
                        String::from_utf8_lossy(odd).replace(['\x01', '\u{fffd}'], "").replace("\\ud83d", "");
                    let mut odd: Value = serde_json::from_str(&text).unwrap();
                    odd[field] = plain[field].clone();
                    assert_eq!(odd, plain);
                }
            }
        }
    }
}

#[test]
fn a_record_that_is_no_object_stands_in_its_place_and_is_known() {
    for json in ["null", "7", "[\"a\"]", "\"text\""] {
        let org =
            damaged_org(StoredObject::LoginEvent, Which::Number(5), Damage::Record(json.to_owned()), None);
        let odd = records(&org, StoredObject::LoginEvent);
        assert_eq!(odd.iter().filter(|record| record.as_slice() == json.as_bytes()).count(), 1, "{json}");
        let known = damaged(&org, StoredObject::LoginEvent);
        assert_eq!((known.len(), known[0].number, known[0].id_survives), (1, 5, false));
        let truth: Vec<String> = org.org().object_truth(StoredObject::LoginEvent, always()).collect();
        assert!(truth.len() == 40 && truth.contains(&known[0].event_id), "the truth knows what should come");
        assert_eq!(known[0].sound["EventIdentifier"], *known[0].event_id);
    }
}

#[test]
fn a_value_comes_as_whatever_text_was_planned() {
    let how = Damage::Value { field: "SourceIp".to_owned(), json: "nul".to_owned() };
    let org = damaged_org(StoredObject::LoginEvent, Which::OneIn(1), how, None);
    let odd = records(&org, StoredObject::LoginEvent);
    assert!(odd.iter().all(|record| contains(record, b"\"SourceIp\":nul,")));
    let known = damaged(&org, StoredObject::LoginEvent);
    assert!(known.len() == 40 && known.iter().all(|record| record.id_survives));
}

#[test]
fn it_is_known_whether_a_damaged_record_keeps_its_id() {
    let survives = |object, how| {
        let known = damaged(&damaged_org(object, Which::OneIn(1), how, None), object);
        assert!(!known.is_empty());
        known.iter().all(|record| record.id_survives)
    };
    assert!(survives(StoredObject::LoginEvent, Damage::NullDate));
    assert!(survives(StoredObject::SetupAuditTrail, Damage::NotUtf8));
    assert!(!survives(StoredObject::LoginEvent, Damage::MissingKey));
    assert!(!survives(StoredObject::SetupAuditTrail, Damage::NullKey));
    assert!(
        !survives(StoredObject::AuraRequestEventLog, Damage::LoneSurrogate),
        "its id is of all its fields"
    );
}

#[test]
fn a_text_is_damaged_in_the_field_that_was_named_and_a_record_without_it_is_sound() {
    let field = Some("DelegateUser");
    let org = damaged_org(StoredObject::SetupAuditTrail, Which::OneIn(1), Damage::LoneSurrogate, field);
    let odd = records(&org, StoredObject::SetupAuditTrail);
    let struck = odd.iter().filter(|record| contains(record, b"\\ud83d")).count();
    let known = damaged(&org, StoredObject::SetupAuditTrail);
    assert!(struck > 0 && struck < odd.len() && known.len() == struck);
    assert!(known.iter().all(|record| record.sound["DelegateUser"].is_string()));
}

#[test]
fn damage_by_plan_is_of_one_answer() {
    let org = org(settings(1, Rows::PerHour(20)));
    let action = FaultAction::DamageRecord { place: 3, how: Damage::NotUtf8, field: None };
    org.org().plan_fault(PlannedFault::every("", action).of(StoredObject::LoginHistory.into()).times(1));
    let [odd, plain] = [(); 2].map(|()| records(&org, StoredObject::LoginHistory));
    let changed: Vec<usize> = (0..20).filter(|n| odd[*n] != plain[*n]).collect();
    assert_eq!(changed, [3]);
    assert!(contains(&odd[3], b"\xff") && damaged(&org, StoredObject::LoginHistory).is_empty());
}
