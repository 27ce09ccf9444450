//! What a query selects, whichever object it is about.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event_log_file::{EventLogFile, FileRow};
use crate::faults::damage::Strike;
use crate::json::record::Form;
use crate::json::value::Doubles;
use crate::objects::event_log_file::{CREATED_DATE, EVENT_LOG_FILE};
use crate::objects::people::{PROFILE, USER};
use crate::objects::report::REPORT;
use crate::objects::stored::StoredObject;
use crate::people::TableRow;
use crate::records::{Origin, Records};
use crate::soql::error::{Fault, SoqlError};
use crate::soql::eval::Plan;
use crate::soql::object::{Object, Row};
use crate::soql::syntax::Query;

/// What a query selected. Of records none is held, only where each comes from.
#[derive(Clone)]
pub(crate) enum Found {
    Files(Arc<[EventLogFile]>),
    Records(StoredObject, Arc<[Origin]>),
    Table(&'static Object, Arc<[TableRow]>),
}

impl Found {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Records(_, origins) => origins.len(),
            Self::Table(_, rows) => rows.len(),
        }
    }

    pub(crate) fn object(&self) -> &'static Object {
        match self {
            Self::Files(_) => &EVENT_LOG_FILE,
            Self::Records(object, _) => object.object(),
            Self::Table(object, _) => object,
        }
    }

    /// How its records are written.
    pub(crate) fn form(&self, version: u32, doubles: Doubles) -> Form {
        match self {
            Self::Files(_) | Self::Table(..) => Form::of_others(version, doubles),
            Self::Records(object, _) => Form::of(*object, version, doubles),
        }
    }

    /// What is always wrong with the record at an index.
    pub(crate) fn damage<'a>(&self, stored: Records<'a>, index: usize) -> Option<Strike<'a>> {
        match self {
            Self::Files(_) | Self::Table(..) => None,
            Self::Records(object, origins) => stored.damage(*object, *origins.get(index)?),
        }
    }

    /// The records of a range; the lengths of files are measured if they are wanted.
    pub(crate) fn records<'a>(
        &'a self,
        stored: Records<'a>,
        version: u32,
        range: Range<usize>,
        lengths: bool,
    ) -> Vec<Box<dyn Row + 'a>> {
        match self {
            Self::Files(files) => {
                if lengths {
                    stored.catalogue.measure(&files[range.clone()].iter().collect::<Vec<_>>());
                }
                let row = |file| Box::new(FileRow::new(stored.catalogue, file, version)) as Box<dyn Row>;
                files[range].iter().map(row).collect()
            }
            Self::Records(object, origins) => {
                let record = |origin: &Origin| Box::new(stored.record(*object, *origin)) as Box<dyn Row>;
                origins[range].iter().map(record).collect()
            }
            Self::Table(_, rows) => {
                rows[range].iter().map(|row| Box::new(row.clone()) as Box<dyn Row>).collect()
            }
        }
    }
}

/// A query that was run.
pub(crate) struct Selection {
    /// How it was understood.
    pub(crate) plan: Plan,
    pub(crate) found: Found,
    /// What WHERE leaves of the object's date.
    pub(crate) span: (DateTime<Utc>, DateTime<Utc>),
}

/// Runs a query.
///
/// # Errors
/// If the query does not fit its object, or the org has no such object.
pub(crate) fn select(
    query: &Query,
    stored: Records<'_>,
    hourly: bool,
    version: u32,
    now: DateTime<Utc>,
) -> Result<Selection, SoqlError> {
    let is = |name: &str| query.object.text.eq_ignore_ascii_case(name);
    let (plan, found, span) = match StoredObject::EVERY
        .into_iter()
        .find(|object| is(object.name()) && stored.has(*object))
    {
        Some(object) => {
            let (plan, origins) = stored.query(object, query, now)?;
            let span = plan.span(object.date());
            (plan, Found::Records(object, origins.into()), span)
        }
        None if is(EVENT_LOG_FILE.name) => {
            let (plan, rows) = stored.catalogue.query(query, hourly, version, now)?;
            let span = plan.span(CREATED_DATE);
            (plan, Found::Files(rows.into_iter().map(|row| row.file.clone()).collect()), span)
        }
        None if is(USER.name) || is(PROFILE.name) || is(REPORT.name) => {
            let people = stored.catalogue.people();
            let (object, rows) = match query.object.text {
                _ if is(USER.name) => (&USER, people.users()),
                _ if is(PROFILE.name) => (&PROFILE, people.profiles()),
                _ => (&REPORT, stored.reports()),
            };
            let plan = Plan::new(query, object, &[], now)?;
            let rows = plan.run(rows.into_iter());
            let span = (now, now);
            (plan, Found::Table(object, rows.into()), span)
        }
        None => {
            let message = format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
                 the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                query.object.text
            );
            return Err(SoqlError::new(Fault::InvalidType, query.object.at, message));
        }
    };
    Ok(Selection { plan, found, span })
}
