//! The state of one org: what it holds, its clock, its sessions, what it was asked.

pub(crate) mod clock;
mod quota;
pub(crate) mod requests;
mod sessions;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use self::clock::Clock;
use self::quota::Quota;
use self::requests::RequestLog;
use self::sessions::Sessions;
use crate::event_log_file::{Catalogue, EventLogFile, Interval, Truth};
use crate::faults::damage::DamagedRecord;
use crate::faults::{FaultRule, Faults};
use crate::ids::{Ids, case_suffix};
use crate::objects::stored::StoredObject;
use crate::records::{Records, Store};
use crate::results::Locators;
use crate::settings::OrgSettings;

/// A simulated org: its logs, its clock, its sessions, what it was asked.
pub struct Org {
    pub(crate) settings: OrgSettings,
    /// `http://127.0.0.1:<port>`, which is also what `instance_url` says.
    pub(crate) base_url: String,
    org_id15: String,
    user_id: String,
    clock: Clock,
    pub(crate) catalogue: Catalogue,
    store: Store,
    pub(crate) locators: Locators,
    pub(crate) faults: Faults,
    requests: RequestLog,
    pub(crate) sessions: Sessions,
    pub(crate) quota: Quota,
    api_calls: AtomicU64,
}

impl Org {
    pub(crate) fn new(settings: OrgSettings, base_url: String) -> Self {
        let clock = Clock::new(settings.clock_fixed_at, settings.clock_skew);
        let org_id15 = Ids::new("00D", settings.seed).nth(0);
        let mut catalogue = Catalogue::new(
            settings.seed,
            &org_id15,
            &settings.workload,
            &settings.files,
            &settings.oddities,
            settings.hourly_files,
            clock.now(),
        );
        let user_ids = Ids::new("005", settings.seed ^ 2);
        catalogue.add_user(user_ids.nth_18(1), &settings.run_as_user);
        catalogue.add_user(user_ids.nth_18(0), &settings.username);
        Self {
            user_id: user_ids.nth_18(0),
            store: Store::new(settings.seed, &settings.objects, &settings.oddities, &catalogue, &base_url),
            locators: Locators::new(settings.seed, settings.locator_lifetime),
            faults: Faults::new(&settings.oddities.faults),
            requests: RequestLog::default(),
            sessions: Sessions::new(&settings, &org_id15),
            quota: Quota::new(settings.daily_api_limit),
            api_calls: AtomicU64::new(0),
            settings,
            base_url,
            org_id15,
            clock,
            catalogue,
        }
    }

    /// The org's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the org was asked so far.
    pub fn requests(&self) -> &RequestLog {
        &self.requests
    }

    /// Plans a fault.
    pub fn plan_fault(&self, fault: impl Into<FaultRule>) {
        self.faults.plan(fault.into());
    }

    /// Forgets the faults that are still to come.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// The files of one interval that are visible now, in the order of (`CreatedDate`, `Id`).
    pub fn event_log_files(&self, interval: Interval) -> Vec<EventLogFile> {
        self.files(interval).into_iter().cloned().collect()
    }

    fn files(&self, interval: Interval) -> Vec<&EventLogFile> {
        let mut files: Vec<&EventLogFile> =
            self.catalogue.visible(self.clock.now()).filter(|file| file.interval == interval).collect();
        files.sort_by(|a, b| (a.created_date, &a.id).cmp(&(b.created_date, &b.id)));
        files
    }

    /// Every event that a complete collection of these files delivers now: file by file in the order of
    /// (`CreatedDate`, `Id`), row by row. Rows are made as the iterator is read; none is held.
    pub fn truth(&self, interval: Interval) -> Truth<'_> {
        Truth::new(&self.catalogue, self.files(interval))
    }

    /// The part of [`Self::truth`] that some event types have in files whose `LogDate` is in a span of time.
    pub fn truth_of(
        &self,
        interval: Interval,
        event_types: &[&str],
        span: Range<DateTime<Utc>>,
    ) -> Truth<'_> {
        let wanted =
            |file: &&EventLogFile| event_types.contains(&file.event_type) && span.contains(&file.log_date);
        Truth::new(&self.catalogue, self.files(interval).into_iter().filter(wanted).collect())
    }

    /// The ids of all records of an object that happened in a span of time and are queryable now, as [`StoredObject`] says
    /// what an id is. The span is of the object's date, such as `EventDate`. No record is held.
    pub fn object_truth(
        &self,
        object: StoredObject,
        span: Range<DateTime<Utc>>,
    ) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(self.records().all(object, span, self.clock.now()).map(|record| record.event_id()))
    }

    /// Those of the records of [`Self::object_truth`] that [`Oddities::damaged`](crate::Oddities::damaged) strikes: each
    /// with what is wrong with it, and as it would be without that.
    pub fn damaged(
        &self,
        object: StoredObject,
        span: Range<DateTime<Utc>>,
    ) -> Box<dyn Iterator<Item = DamagedRecord> + '_> {
        let records = self.records().all(object, span, self.clock.now());
        Box::new(records.filter_map(move |record| record.damaged()))
    }

    pub(crate) fn records(&self) -> Records<'_> {
        Records { catalogue: &self.catalogue, store: &self.store }
    }

    /// `LogFileLength` of a file: its exact length in bytes, before any content coding.
    pub fn log_file_length(&self, file: &EventLogFile) -> u64 {
        self.catalogue.length(file)
    }

    /// Ends every session and says how many there were. The next call of each client gets `INVALID_SESSION_ID`.
    pub fn expire_sessions(&self) -> usize {
        self.sessions.expire(self.clock.now())
    }

    /// How many sessions are live.
    pub fn live_sessions(&self) -> usize {
        self.sessions.live(self.clock.now())
    }

    /// How many access tokens were issued since the start.
    pub fn tokens_issued(&self) -> u64 {
        self.sessions.issued()
    }

    /// How many calls counted against the API limit since the start.
    pub fn api_calls(&self) -> u64 {
        self.api_calls.load(Ordering::SeqCst)
    }

    /// Uses the whole quota up: every call gets `REQUEST_LIMIT_EXCEEDED` until 24 hours have passed.
    pub fn exhaust_quota(&self) {
        self.quota.exhaust(self.clock.now());
    }

    /// Counts a call against the quota. None if there is nothing left of it.
    pub(crate) fn count_api_call(&self) -> Option<()> {
        self.quota.take(self.clock.now())?;
        self.api_calls.fetch_add(1, Ordering::SeqCst);
        Some(())
    }

    /// The org's id of 18 characters.
    pub(crate) fn org_id(&self) -> String {
        format!("{}{}", self.org_id15, case_suffix(&self.org_id15))
    }

    /// The URL that names a signed-in user.
    pub(crate) fn identity_url(&self, username: &str) -> String {
        let user = self.catalogue.people().with_username(username);
        let id = user.map_or(&self.user_id, |user| &user.id);
        format!("https://login.salesforce.com/id/{}/{id}", self.org_id())
    }
}
