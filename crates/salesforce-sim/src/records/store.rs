//! What the records of an org are made of: its logins, and what there is besides them.

use std::collections::HashMap;

use super::origin::{Group, Origin};
use crate::attacks::ToldRecord;
use crate::event_log_file::Catalogue;
use crate::faults::damage::{DamagedRecords, Strike};
use crate::ids::Ids;
use crate::objects::stored::StoredObject;
use crate::oddities::Oddities;
use crate::rows::login::{Hour, LOGS_OUT};
use crate::settings::{Crowd, Objects};

/// What the records of an org are made of, besides its logins.
pub(crate) struct Store {
    pub(super) seed: u64,
    pub(super) settings: Objects,
    pub(super) oddities: Oddities,
    /// For objects with damaged records, the number of the first record of each hour, and of the crowd at the end.
    pub(super) numbers: HashMap<StoredObject, Vec<u64>>,
    /// The hour that the crowd belongs to; it has as many logins.
    pub(super) crowd: Hour,
    pub(super) history_ids: Ids,
    pub(super) audit_ids: Ids,
    pub(super) anomaly_ids: Ids,
    pub(super) report_ids: Ids,
    pub(super) users: Ids,
    pub(super) created_by: String,
    /// The org's host, with its port if it has one.
    pub(super) host: String,
    /// Most logins of an hour.
    pub(super) widest: u64,
}

impl Store {
    pub(crate) fn new(
        seed: u64,
        settings: &Objects,
        oddities: &Oddities,
        catalogue: &Catalogue,
        base_url: &str,
    ) -> Self {
        let mut settings = settings.clone();
        if catalogue.is_quiet() {
            settings.anomaly_rows_per_hour = 0;
        }
        let crowd = settings.crowd.as_ref().map_or(Hour { number: 0, rows: 0 }, |crowd| Hour {
            number: crowd.at.timestamp().div_euclid(3_600).max(0) as u64,
            rows: crowd.rows,
        });
        let counted = oddities.damaged.iter().map(|damaged| damaged.object);
        let counted = counted.chain(oddities.late.iter().map(|late| late.object));
        let numbers = counted.map(|object| (object, numbers(object, &settings, catalogue.hours()))).collect();
        Self {
            seed,
            settings,
            oddities: oddities.clone(),
            numbers,
            crowd,
            history_ids: Ids::new("0Ya", seed),
            audit_ids: Ids::new("0Ym", seed),
            anomaly_ids: Ids::new("0bC", seed),
            report_ids: Ids::new("00O", seed),
            users: Ids::new("005", seed),
            created_by: Ids::new("005", 1).nth_18(0),
            host: base_url.split_once("://").map_or(base_url, |(_, host)| host).to_owned(),
            widest: catalogue.hours().iter().map(|hour| hour.rows).max().unwrap_or(0),
        }
    }
}

/// The numbers of the first records of all hours, and how many records there are.
fn numbers(object: StoredObject, settings: &Objects, hours: &[Hour]) -> Vec<u64> {
    let counts = hours.iter().map(|hour| count(object, settings, hour));
    let ends = counts.scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    });
    [0].into_iter().chain(ends).collect()
}

/// How many records an object has in an hour of logins.
fn count(object: StoredObject, settings: &Objects, hour: &Hour) -> u64 {
    match object {
        StoredObject::LoginEvent | StoredObject::LoginHistory => hour.rows,
        StoredObject::LogoutEvent => hour.rows.div_ceil(LOGS_OUT),
        StoredObject::ApiEvent => settings.api_rows_per_hour.into(),
        StoredObject::ReportEvent => settings.report_rows_per_hour.into(),
        StoredObject::SetupAuditTrail => settings.audit_rows_per_hour.into(),
        StoredObject::ApiAnomalyEventStore => settings.anomaly_rows_per_hour.into(),
        StoredObject::AuraRequestEventLog => settings.aura_rows_per_hour.into(),
        _ => 0,
    }
}

/// The records of an org.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) store: &'a Store,
}

impl<'a> Records<'a> {
    /// The number of a record among those of its object; none for objects whose records nobody counts.
    pub(super) fn number(self, object: StoredObject, origin: Origin) -> Option<u64> {
        let numbers = self.store.numbers.get(&object)?;
        let first = match origin.group {
            Group::Hour(hour) => numbers.get(hour)?,
            Group::Crowd => numbers.last()?,
            Group::Told(_) => return None,
        };
        Some(first + origin.n)
    }

    /// What is always wrong with the record of an origin.
    pub(crate) fn damage(self, object: StoredObject, origin: Origin) -> Option<Strike<'a>> {
        let number = self.number(object, origin)?;
        let of_it = |damaged: &&DamagedRecords| damaged.object == object && damaged.which.has(number);
        let DamagedRecords { how, field, .. } = self.store.oddities.damaged.iter().find(of_it)?;
        Some(Strike { how, field: field.as_deref() })
    }

    /// The hour that a record belongs to.
    pub(super) fn hour(self, origin: Origin) -> &'a Hour {
        match origin.group {
            Group::Hour(hour) | Group::Told(hour) => &self.catalogue.hours()[hour],
            Group::Crowd => &self.store.crowd,
        }
    }

    /// What an attack said of the record of an origin.
    pub(super) fn told(self, object: StoredObject, origin: Origin) -> Option<&'a ToldRecord> {
        let Group::Told(hour) = origin.group else { return None };
        self.catalogue.told().records(object, hour).get(usize::try_from(origin.n).ok()?)
    }

    /// Whether the org has an object: that of the workload, or one that an attack or a quiet day put something in.
    pub(crate) fn has(self, object: StoredObject) -> bool {
        StoredObject::ALL.contains(&object) || self.catalogue.told().objects().any(|told| told == object)
    }

    /// The crowd, if the object has it.
    pub(super) fn crowd(self, object: StoredObject) -> Option<&'a Crowd> {
        self.store.settings.crowd.as_ref().filter(|crowd| crowd.objects.contains(&object))
    }

    /// How many records an object has in an hour of logins.
    pub(super) fn count(self, object: StoredObject, hour: &Hour) -> u64 {
        count(object, &self.store.settings, hour)
    }
}
