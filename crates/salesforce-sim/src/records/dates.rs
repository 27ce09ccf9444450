//! When a record happened, and after which login: exactly, and about, so that a query need not make the records that are
//! none of its own.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::origin::{CROWD, Group, Origin, TOLD, number, tag};
use super::store::Records;
use crate::objects::stored::StoredObject;
use crate::prng::Rng;
use crate::rows::login::{Hour, LOGS_OUT, logout_millis};

/// Milliseconds at most from a login to what its user does then.
const ACTS_WITHIN: u64 = 30_000;

/// Rows of SetupAuditTrail that share one second. `CreatedDate` has whole seconds, so several rows do: a cursor that is
/// strictly greater than the last date loses the others.
const TOGETHER: u64 = 3;

/// When a record that is one of [`Oddities::late`](crate::Oddities::late) can be queried.
pub(super) fn committed(
    records: Records<'_>,
    object: StoredObject,
    origin: Origin,
    date: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let number = records.number(object, origin)?;
    let late = records.store.oddities.late.iter().filter(|late| {
        late.object == object && (late.from..late.committed).contains(&date) && late.which.has(number)
    });
    late.map(|late| late.committed).max()
}

/// The login that a record came of, by its number in the hour. Only logins that went well lead to anything: every fourth
/// does for sure.
pub(super) fn login_of(records: Records<'_>, object: StoredObject, origin: Origin) -> u64 {
    match (origin.group, object) {
        (_, StoredObject::LoginEvent | StoredObject::LoginHistory) => number(origin),
        (Group::Hour(_), StoredObject::LogoutEvent) => origin.n * LOGS_OUT,
        (Group::Hour(hour), _) => {
            let hour = &records.catalogue.hours()[hour];
            nth_login(hour, records.count(object, hour), origin.n)
        }
        (Group::Crowd, _) => CROWD + origin.n * LOGS_OUT,
        (Group::Told(_), _) => TOLD + origin.n,
    }
}

/// The login behind record `n` of `count` in an hour.
fn nth_login(hour: &Hour, count: u64, n: u64) -> u64 {
    let good = hour.rows.div_ceil(LOGS_OUT);
    (u128::from(n) * u128::from(good) / u128::from(count.max(1))) as u64 * LOGS_OUT
}

/// A date as an object keeps it: to the millisecond, or to the second.
pub(super) fn rounded(object: StoredObject, at: DateTime<Utc>) -> DateTime<Utc> {
    let unit = if object.has_whole_seconds() { TimeDelta::seconds(1) } else { TimeDelta::milliseconds(1) };
    at.duration_trunc(unit).unwrap_or(at)
}

/// When a record happened.
pub(super) fn date(records: Records<'_>, object: StoredObject, origin: Origin) -> DateTime<Utc> {
    let hour = match origin.group {
        Group::Hour(hour) => &records.catalogue.hours()[hour],
        Group::Crowd => {
            let at = records.store.settings.crowd.as_ref().map_or(DateTime::<Utc>::MIN_UTC, |crowd| crowd.at);
            return rounded(object, at);
        }
        Group::Told(_) => {
            let told = records.told(object, origin).map_or(DateTime::<Utc>::MIN_UTC, |told| told.date);
            return rounded(object, told);
        }
    };
    let logins = records.catalogue.logins();
    let seed = records.store.seed;
    let millis = match object {
        StoredObject::SetupAuditTrail => {
            audit_second(seed, hour, records.count(object, hour), origin.n) * 1_000
        }
        StoredObject::LoginEvent => logins.millis(hour, origin.n),
        StoredObject::LoginHistory => logins.millis(hour, origin.n) / 1_000 * 1_000,
        StoredObject::LogoutEvent => logout_millis(logins, hour, origin.n * LOGS_OUT),
        _ => {
            let login = logins.millis(hour, login_of(records, object, origin));
            let left = (3_600_000 - login).min(ACTS_WITHIN);
            login + Rng::of(&[seed, hour.number, origin.n, tag(object), 1]).below(left)
        }
    };
    let shown = hour.start() + object.after_logins() + TimeDelta::milliseconds(millis as i64);
    if !records.store.oddities.finer_dates.contains(&object) {
        return shown;
    }
    // More of it than is shown, but never nothing.
    let more = 1 + Rng::of(&[seed, hour.number, origin.n, tag(object), 2]).below(999) as i64;
    shown
        + if object.has_whole_seconds() {
            TimeDelta::milliseconds(more)
        } else {
            TimeDelta::microseconds(more)
        }
}

/// About when record `n` of an hour happened, in milliseconds; never less for a later one. See [`slack`].
pub(super) fn about(records: Records<'_>, object: StoredObject, hour: &Hour, n: u64) -> i64 {
    let login = match object {
        StoredObject::LoginEvent | StoredObject::LoginHistory => n,
        StoredObject::LogoutEvent => n * LOGS_OUT,
        StoredObject::SetupAuditTrail => {
            return audit_earliest(records.count(object, hour), n) as i64 * 1_000;
        }
        _ => nth_login(hour, records.count(object, hour), n),
    };
    (u128::from(login) * 3_600_000 / u128::from(hour.rows.max(1))) as i64
}

/// How many milliseconds before [`about`] a record can have happened, and how many after it.
pub(super) fn slack(records: Records<'_>, object: StoredObject, hour: &Hour) -> (i64, i64) {
    match object {
        StoredObject::SetupAuditTrail => (0, audit_spread(records.count(object, hour)) as i64 * 1_000),
        // A login is up to four seconds later than its number says, and may be cut to its second.
        _ => (1_000, 4_000 + 60_000),
    }
}

/// The groups of rows of SetupAuditTrail that an hour of `count` has.
fn audit_groups(count: u64) -> u64 {
    count.div_ceil(TOGETHER).max(1)
}

/// The first second of the hour that row `n` of `count` can have.
fn audit_earliest(count: u64, n: u64) -> u64 {
    n / TOGETHER * 3_600 / audit_groups(count)
}

/// How many seconds later it can be.
fn audit_spread(count: u64) -> u64 {
    3_600 / audit_groups(count).min(3_600)
}

/// The second of the hour that row `n` of `count` has.
fn audit_second(seed: u64, hour: &Hour, count: u64, n: u64) -> u64 {
    let more = Rng::of(&[seed, hour.number, n / TOGETHER, 0xaf]).below(audit_spread(count));
    (audit_earliest(count, n) + more).min(3_599)
}
