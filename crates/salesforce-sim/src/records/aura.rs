//! What the records of AuraRequestEventLog say.

use super::record::{Record, text};
use crate::soql::object::Value;

/// An action: its address and its method.
static ACTIONS: [&str; 4] = [
    "aura://RecordUiController/ACTION$getRecordWithFields",
    "apex://AccountController/ACTION$getAccounts",
    "serviceComponent://ui.force.components.controllers.lists.listViewDataManager.ListViewDataManagerController/ACTION$getItems",
    "aura://ApexActionController/ACTION$execute",
];

static AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
    "9999",
];

pub(super) fn value<'r>(record: &'r Record<'_>, field: &str) -> Value<'r> {
    let run_time = 2 + record.below(1, 3_000);
    match field {
        "Id" => text(record.id()),
        "ActionMessage" => {
            let action = |n: u64| {
                let action = record.pick::<&str>(10 + n, &ACTIONS);
                format!("{}${action}={}", 100 + n, run_time / (n + 1))
            };
            let actions: Vec<String> = (0..=record.below(2, 3)).map(action).collect();
            Value::Text(actions.join(";").into())
        }
        "ClientIp" => record.login("CLIENT_IP"),
        "CpuTime" => Value::Double((run_time / 3) as f64),
        "DatabaseTotalTime" => Value::Double((run_time * 310_007) as f64),
        "LoginKey" => record.login("LOGIN_KEY"),
        "RequestIdentifier" => record.key(3),
        "RequestMethod" => text("POST"),
        "RunTime" => Value::Double(run_time as f64),
        "SessionKey" => record.key(4),
        "Timestamp" => Value::DateTime(record.date),
        "Uri" => text(if record.n().is_multiple_of(3) { "/aura" } else { "/s/sfsites/aura" }),
        "UserAgent" => text(record.pick::<&str>(5, &AGENTS)),
        "UserIdentifier" => record.login("USER_ID_DERIVED"),
        "UserType" => record.login("USER_TYPE"),
        _ => Value::Null,
    }
}
