//! Which files a query selects, and a file as a row of EventLogFile.

use chrono::{DateTime, Utc};

use super::catalogue::Catalogue;
use super::file::{EventLogFile, Interval};
use crate::objects::event_log_file::{EVENT_LOG_FILE, ID, INTERVAL, LOG_FILE_LENGTH, SEQUENCE};
use crate::soql::error::SoqlError;
use crate::soql::eval::Plan;
use crate::soql::object::{Row, Value};
use crate::soql::syntax::Query;

impl Catalogue {
    /// Runs a query that names this object.
    pub(crate) fn query(
        &self,
        query: &Query,
        has_hourly: bool,
        version: u32,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Vec<FileRow<'_>>), SoqlError> {
        let absent: &[&str] = if has_hourly { &[] } else { &["Interval"] };
        let plan = Plan::new(query, &EVENT_LOG_FILE, absent, now)?;
        let any_interval = [ID, INTERVAL, SEQUENCE].into_iter().any(|field| plan.filters_on(field));
        let candidates: Vec<&EventLogFile> =
            self.visible(now).filter(|file| any_interval || file.interval == Interval::Daily).collect();
        if plan.depends_on(LOG_FILE_LENGTH) {
            self.measure(&candidates);
        }
        let rows = plan.run(candidates.into_iter().map(|file| FileRow { catalogue: self, file, version }));
        Ok((plan, rows))
    }
}

/// A file as a row of a query.
#[derive(Clone, Copy)]
pub(crate) struct FileRow<'a> {
    catalogue: &'a Catalogue,
    pub(crate) file: &'a EventLogFile,
    version: u32,
}

impl<'a> FileRow<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, file: &'a EventLogFile, version: u32) -> Self {
        Self { catalogue, file, version }
    }

    /// Where the record itself would be read.
    pub(crate) fn url(&self) -> String {
        format!("/services/data/v{}.0/sobjects/EventLogFile/{}", self.version, self.file.id)
    }
}

impl Row for FileRow<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        let columns = || self.catalogue.columns(self.file).into_iter();
        let joined = |texts: Vec<&str>| Value::Text(texts.join(",").into());
        match EVENT_LOG_FILE.fields[field].name {
            "Id" => Value::Text(self.file.id.as_str().into()),
            "ApiVersion" => Value::Double(self.file.api_version.into()),
            "CreatedDate" | "LastModifiedDate" | "SystemModstamp" => Value::DateTime(self.file.created_date),
            "EventType" => Value::Text(self.file.event_type.into()),
            "Interval" => {
                Value::Text(if self.file.interval == Interval::Hourly { "Hourly" } else { "Daily" }.into())
            }
            "LogDate" => Value::DateTime(self.file.log_date),
            "LogFile" => Value::Text(format!("{}/LogFile", self.url()).into()),
            "LogFileContentType" => Value::Text("text/csv".into()),
            "LogFileFieldNames" => joined(columns().map(|(_, name, _)| name).collect()),
            "LogFileFieldTypes" => joined(columns().map(|(.., kind)| kind).collect()),
            "LogFileLength" => Value::Double(self.catalogue.length(self.file) as f64),
            "Sequence" => Value::Int(self.file.sequence.into()),
            "CreatedById" => Value::Text(self.catalogue.created_by_id.as_str().into()),
            "IsDeleted" => Value::Boolean(false),
            name => {
                let field = name.strip_prefix("CreatedBy.").unwrap_or_default();
                self.catalogue.people.field_of(&self.catalogue.created_by_id, field)
            }
        }
    }
}
