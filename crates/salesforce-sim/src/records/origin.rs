//! Where a record comes from. A query result is a list of origins, so no record is held.

use crate::objects::stored::StoredObject;
use crate::prng::mix;

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(super) group: Group,
    /// Its number within the group.
    pub(super) n: u64,
}

/// Records that were made together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// An hour of logins, by its index in the catalogue.
    Hour(usize),
    /// Those of [`crate::Objects::crowd`].
    Crowd,
    /// Those that attacks told of, by the index of their hour in the catalogue.
    Told(usize),
}

/// Numbers of the crowd's logins begin here, so that none is that of a login of the workload.
pub(super) const CROWD: u64 = 1 << 35;

/// Numbers of the logins of attacks begin here.
pub(super) const TOLD: u64 = CROWD + (1 << 34);

/// Ids of ordinary objects are numbered from 0 by the workload and from here down by the crowd.
pub(super) const LAST_ID: u64 = 56_000_000_000;

/// The number of a record in its hour; that of the crowd is none of an hour's.
pub(super) fn number(origin: Origin) -> u64 {
    match origin.group {
        Group::Hour(_) => origin.n,
        Group::Crowd => CROWD + origin.n,
        Group::Told(_) => TOLD + origin.n,
    }
}

/// Tells the objects of an org apart where they draw from one seed.
pub(super) fn tag(object: StoredObject) -> u64 {
    0x0b1 + ((object as u64) << 12)
}

/// A number that looks random and is another one for each record of an hour.
pub(super) fn scrambled(seed: u64, hour: u64, n: u64) -> u64 {
    mix(seed ^ mix(hour << 36 ^ n))
}
