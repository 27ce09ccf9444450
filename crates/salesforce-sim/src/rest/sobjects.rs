//! What there is to query: `GET …/sobjects`, `…/sobjects/NAME` and `…/sobjects/NAME/describe`.
//!
//! REST guide, `dome_describeGlobal`, `dome_sobject_basic_info` and `dome_sobject_describe`. Of the properties that
//! Salesforce gives of an object and of a field, those that clients look at are here.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use crate::objects::event_log_file::EVENT_LOG_FILE;
use crate::objects::stored::{Kind, StoredObject};
use crate::objects::{all, named, relationship};
use crate::org::Org;
use crate::soql::object::{Field, FieldType, Object};

/// Answers `GET …/sobjects`.
pub(crate) fn list(version: u32) -> Answer {
    let sobjects: Vec<Value> = all().map(|object| about(object, version)).collect();
    Answer::json(StatusCode::OK, &json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": sobjects }))
}

/// Answers `GET …/sobjects/NAME`. The records that someone looked at lately are none.
pub(crate) fn basic(name: &str, version: u32) -> Answer {
    match named(name) {
        Some(object) => {
            let answer = json!({ "objectDescribe": about(object, version), "recentItems": [] });
            Answer::json(StatusCode::OK, &answer)
        }
        None => Answer::not_found(),
    }
}

/// Answers `GET …/sobjects/NAME/describe`.
pub(crate) fn describe(org: &Org, name: &str, version: u32) -> Answer {
    let Some(object) = named(name) else { return Answer::not_found() };
    let is_there = |field: &&Field| {
        let absent =
            object.name == EVENT_LOG_FILE.name && field.name == "Interval" && !org.settings.hourly_files;
        field.related().is_none() && !absent
    };
    let fields: Vec<Value> =
        object.fields.iter().filter(is_there).map(|field| describe_field(object, field)).collect();
    let mut about = about(object, version);
    about["fields"] = fields.into();
    about["childRelationships"] = json!([]);
    about["recordTypeInfos"] = json!([]);
    Answer::json(StatusCode::OK, &about)
}

fn about(object: &Object, version: u32) -> Value {
    let name = object.name;
    let url = format!("/services/data/v{version}.0/sobjects/{name}");
    json!({
        "name": name,
        "label": name,
        "labelPlural": name,
        "keyPrefix": key_prefix(name),
        "custom": false,
        "customSetting": false,
        "queryable": true,
        "retrieveable": true,
        "searchable": false,
        "createable": false,
        "updateable": false,
        "deletable": false,
        "layoutable": false,
        "replicateable": false,
        "triggerable": false,
        "urls": { "sobject": url, "describe": format!("{url}/describe"), "rowTemplate": format!("{url}/{{ID}}") },
    })
}

fn key_prefix(name: &str) -> Option<&'static str> {
    match name {
        "EventLogFile" => Some("0AT"),
        "LoginHistory" => Some("0Ya"),
        "SetupAuditTrail" => Some("0Ym"),
        "ApiAnomalyEventStore" => Some("0bC"),
        "User" => Some("005"),
        "Profile" => Some("00e"),
        "Report" => Some("00O"),
        _ => None,
    }
}

fn describe_field(object: &Object, field: &Field) -> Value {
    let stored = StoredObject::ALL.into_iter().find(|stored| stored.name() == object.name);
    let is_key = field.name == "Id" || stored.is_some_and(|stored| stored.key() == field.name);
    let is_date = stored.is_some_and(|stored| stored.date_name() == field.name);
    // Of big objects nothing is grouped, and of SetupAuditTrail nothing is counted but the rows.
    let groups =
        stored.is_none_or(|stored| stored.kind() != Kind::Big && stored != StoredObject::SetupAuditTrail);
    let relationship = relationship(object, field);
    let (name, soap, length) = match field.kind {
        FieldType::Id if field.name == "Id" => ("id", "tns:ID", 18),
        FieldType::Id => ("reference", "tns:ID", 18),
        FieldType::Text => ("string", "xsd:string", 255),
        FieldType::DateTime => ("datetime", "xsd:dateTime", 0),
        FieldType::Double => ("double", "xsd:double", 0),
        FieldType::Int => ("int", "xsd:int", 0),
        FieldType::Boolean => ("boolean", "xsd:boolean", 0),
        FieldType::Base64 => ("base64", "xsd:base64Binary", 0),
    };
    let to = match field.name {
        "ProfileId" => json!(["Profile"]),
        _ if name == "reference" => json!(["User"]),
        _ => json!([]),
    };
    json!({
        "name": field.name,
        "label": field.name,
        "type": name,
        "soapType": soap,
        "length": length,
        "filterable": field.filterable,
        "sortable": field.sortable,
        "groupable": groups && field.filterable && matches!(field.kind, FieldType::Id | FieldType::Text | FieldType::Int | FieldType::Boolean),
        "aggregatable": groups && field.filterable,
        "nillable": !(is_key || is_date || field.kind == FieldType::Boolean),
        "idLookup": field.name == "Id",
        "nameField": field.name == "Name",
        "custom": false,
        "calculated": false,
        "createable": false,
        "updateable": false,
        "unique": false,
        "relationshipName": relationship,
        "referenceTo": to,
        "picklistValues": [],
    })
}
