//! What a script has to tell with: the clock of an attack, its users, rows and records.

use chrono::{DateTime, TimeDelta, Utc};

use super::told::{Extra, Told, ToldRecord, ToldRow};
use crate::ids::{Ids, case_suffix};
use crate::objects::stored::StoredObject;
use crate::prng::Rng;
use crate::rows::login::{Hour, LoginRows};
use crate::soql::object::Value;

/// Somebody, by id in both forms and by name.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) id15: String,
    pub(super) id18: String,
    pub(super) name: String,
}

/// Where somebody acts from: an address of a range that no ordinary user has (RFC 5737), and a country.
pub(super) const ATTACKER: (&str, &str) = ("192.0.2.66", "NL");

/// How many of the first users are administrators.
const ADMINISTRATORS: u64 = 20;

pub(super) struct Scene<'a> {
    told: &'a mut Told,
    logins: &'a LoginRows,
    hour: &'a Hour,
    index: usize,
    now: DateTime<Utc>,
    rng: Rng,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        told: &'a mut Told,
        logins: &'a LoginRows,
        hour: &'a Hour,
        index: usize,
        start: DateTime<Utc>,
        rng: Rng,
    ) -> Self {
        Self { told, logins, hour, index, now: start, rng }
    }

    /// Some seconds go by, up to a half more than these.
    pub(super) fn wait(&mut self, seconds: u64) {
        let millis = seconds * 1_000 + self.rng.below(seconds * 500 + 1);
        self.now += TimeDelta::milliseconds(millis as i64);
    }

    /// A user by number, as the logs have them.
    pub(super) fn user(&self, n: u64) -> Who {
        let id15 = Ids::new("005", self.logins.seed).nth(n);
        let id18 = format!("{id15}{}", case_suffix(&id15));
        Who { id15, id18, name: self.logins.user_name(n as usize).to_owned() }
    }

    /// An administrator, and a user who is none.
    pub(super) fn two(&mut self) -> (Who, Who) {
        let (admin, user) = (self.rng.below(ADMINISTRATORS), self.rng.below(LoginRows::USERS - 100));
        (self.user(admin), self.user(100 + user))
    }

    /// A user of a name of its own.
    pub(super) fn extra(&mut self, n: u64, name: &'static str) -> Who {
        let ids = Ids::new("005", self.logins.seed ^ 2);
        let who = Who { id15: ids.nth(100 + n), id18: ids.nth_18(100 + n), name: name.to_owned() };
        let extra = Extra { id18: who.id18.clone(), name };
        if !self.told.extras.contains(&extra) {
            self.told.extras.push(extra);
        }
        who
    }

    /// A row of a file.
    pub(super) fn row(&mut self, event_type: &'static str, who: &Who, columns: Vec<(&'static str, String)>) {
        let user = [("USER_ID", who.id15.clone()), ("USER_ID_DERIVED", who.id18.clone())];
        self.row_alone(event_type, columns.into_iter().chain(user).collect());
    }

    /// A row that names no user but those of its columns.
    pub(super) fn row_alone(&mut self, event_type: &'static str, columns: Vec<(&'static str, String)>) {
        let millis = (self.now - self.hour.start()).num_milliseconds().clamp(0, 3_599_999) as u64;
        let rows = self.told.rows.entry(event_type).or_default().entry(self.index).or_default();
        rows.push(ToldRow { millis, columns });
    }

    /// A record of something that somebody does from an address.
    pub(super) fn record(
        &mut self,
        object: StoredObject,
        who: &Who,
        address: &str,
        fields: Vec<(&'static str, Value<'static>)>,
    ) {
        let login = vec![
            ("USER_ID_DERIVED", who.id18.clone()),
            ("USER_NAME", who.name.clone()),
            ("SOURCE_IP", address.to_owned()),
            ("CLIENT_IP", address.to_owned()),
            ("USER_TYPE", "Standard".to_owned()),
            ("LOGIN_KEY", self.key()),
        ];
        self.keep(object, fields, login);
    }

    /// A change in Setup.
    pub(super) fn setup(&mut self, by: &Who, action: &str, section: &str, display: &str) {
        self.setup_as(by, None, action, section, display);
    }

    /// A change in Setup by somebody who is logged in as another.
    pub(super) fn setup_as(
        &mut self,
        by: &Who,
        really: Option<&Who>,
        action: &str,
        section: &str,
        display: &str,
    ) {
        self.wait(20);
        let fields = vec![
            ("Action", text(action)),
            ("Section", text(section)),
            ("Display", text(display)),
            ("CreatedById", text(&by.id18)),
            ("DelegateUser", really.map_or(Value::Null, |who| text(&who.name))),
        ];
        self.keep(StoredObject::SetupAuditTrail, fields, Vec::new());
    }

    /// A login, in files and objects.
    pub(super) fn login(
        &mut self,
        who: &Who,
        (address, country): (&str, &str),
        status: &str,
        more: &[(&'static str, &str)],
    ) {
        let went_well = status == "LOGIN_NO_ERROR";
        let mut columns = vec![
            ("USER_NAME", who.name.clone()),
            ("URI", "/index.jsp".to_owned()),
            ("LOGIN_TYPE", "A".to_owned()),
            ("LOGIN_SUB_TYPE", String::new()),
            (
                "BROWSER_TYPE",
                "Mozilla/5.0 (X11; Linux x86_64; rv%3A128.0) Gecko/20100101 Firefox/128.0".to_owned(),
            ),
            ("API_TYPE", String::new()),
            ("API_VERSION", "9998.0".to_owned()),
            ("TLS_PROTOCOL", "TLSv1.3".to_owned()),
            ("CIPHER_SUITE", "TLS_AES_256_GCM_SHA384".to_owned()),
            ("HTTP_REFERER", String::new()),
            ("LOGIN_URL", "login.salesforce.com".to_owned()),
            ("AUTHENTICATION_METHOD_REFERENCE", String::new()),
            ("AUTHENTICATION_SERVICE_ID", String::new()),
            ("AUTHENTICATION_CONTEXT_CLASS_REFERENCE", String::new()),
            ("LOGIN_KEY", self.key()),
            ("CLIENT_IP", address.to_owned()),
            ("SOURCE_IP", address.to_owned()),
            ("FORWARDED_FOR_IP", String::new()),
            ("COUNTRY_CODE", country.to_owned()),
            ("LOGIN_STATUS", status.to_owned()),
            ("REQUEST_STATUS", if went_well { "S" } else { "F" }.to_owned()),
            ("USER_TYPE", "Standard".to_owned()),
        ];
        for (name, value) in more {
            columns.retain(|(column, _)| column != name);
            columns.push((*name, (*value).to_owned()));
        }
        for object in [StoredObject::LoginEvent, StoredObject::LoginHistory] {
            let user = ("USER_ID_DERIVED", who.id18.clone());
            self.keep(object, Vec::new(), columns.iter().cloned().chain([user]).collect());
        }
        self.row("Login", who, columns);
    }

    fn keep(
        &mut self,
        object: StoredObject,
        fields: Vec<(&'static str, Value<'static>)>,
        login: Vec<(&'static str, String)>,
    ) {
        let records = self.told.records.entry(object).or_default().entry(self.index).or_default();
        records.push(ToldRecord { date: self.now, fields, login });
    }

    /// A key of a login or of a session.
    fn key(&mut self) -> String {
        format!("{:016x}", self.rng.next())
    }
}

/// A text as a value.
pub(super) fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}
