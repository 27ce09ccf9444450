//! What the records of ApiEvent and ApiAnomalyEventStore say.

use super::record::{Record, text};
use crate::soql::object::Value;

/// An API call: operation, entities, statement.
static CALLS: [(&str, &str, &str); 6] = [
    ("Query", "Account", "SELECT Id, Name FROM Account WHERE Name LIKE 'A%' LIMIT 200"),
    ("Query", "Contact, Account", "SELECT Id, Email, Account.Name FROM Contact\nWHERE Email != null"),
    ("QueryMore", "Lead", "SELECT Id, Company FROM Lead"),
    ("Query", "User", "SELECT Id, Username FROM User WHERE Name = 'Jürgen \"JW\" Weiß'"),
    ("QueryAll", "Opportunity", "SELECT FIELDS(STANDARD) FROM Opportunity LIMIT 200"),
    ("Query", "LoginHistory", "SELECT count() FROM LoginHistory"),
];

/// What speaks to the API: type, version, client, user agent.
static CLIENTS: [(&str, f64, &str, &str); 4] = [
    ("REST", 65.0, "Log collector", "Jakarta Commons-HttpClient/3.1"),
    ("SOAP Partner", 62.0, "SalesforcePartner/1.0", "Java (Salesforce.com; \"Data Loader\")/62.0"),
    ("SOAP Enterprise", 58.0, "", "Apache-HttpClient/4.5.13 (Java/17.0.9)"),
    ("Bulk", 63.0, "Nightly export", "python-requests/2.32"),
];

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let (operation, entities, statement) = *record.pick(1, &CALLS);
    let (api_type, version, client, agent) = *record.pick(2, &CLIENTS);
    let processed = 1 + record.below(3, 20_000);
    match field {
        "Id" => text(record.id()),
        "EventDate" => Value::DateTime(record.date),
        "EventIdentifier" => text(record.identifier()),
        "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(record.created),
        "ApiAnomalyEventNumber" => Value::Text(format!("{:08}", record.below(4, 100_000_000)).into()),
        "ApiType" => text(api_type),
        "ApiVersion" => Value::Double(version),
        "Application" => text(if client.is_empty() { "N/A" } else { client }),
        "Client" => text(client),
        "ElapsedTime" => Value::Int(3 + record.below(5, 4_000) as i64),
        "EvaluationTime" => Value::Double(0.0),
        "LoginHistoryId" => record.login_history_id(),
        "LoginKey" => record.login("LOGIN_KEY"),
        "Operation" => text(operation),
        "Platform" => text("Unknown"),
        "QueriedEntities" => text(entities),
        "Query" => text(statement),
        "Records" => {
            let id = record.user_id(record.below(6, 400));
            Value::Text(format!(r#"{{"totalSize":{processed},"rows":[{{"datacells":["{id}"]}}]}}"#).into())
        }
        "RequestIdentifier" => record.key(7),
        "RowsProcessed" => Value::Double(processed as f64),
        "RowsReturned" => Value::Double(processed.min(2_000) as f64),
        "Score" => Value::Double((60 + record.below(8, 40)) as f64 + 0.25),
        "SecurityEventData" => Value::Text(
            format!(
                r#"[{{"featureName":"rowCount","featureValue":"{processed}","featureContribution":"95.00 %"}}]"#
            )
            .into(),
        ),
        "SessionKey" => record.key(9),
        "SessionLevel" => text("STANDARD"),
        "SourceIp" => record.login("SOURCE_IP"),
        "Summary" => Value::Text(format!("Rows read from {entities} were unusually many\nfor this user").into()),
        "Uri" => text("/services/data/v65.0/query"),
        "UserAgent" => text(agent),
        "UserId" => record.login("USER_ID_DERIVED"),
        "Username" => record.login("USER_NAME"),
        _ => Value::Null,
    }
}
