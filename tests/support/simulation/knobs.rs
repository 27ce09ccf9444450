//! What a run may meet and what it is held against, each part of it behind a name of its own.
//!
//! A part can be switched off by its name, to see what a failure has to do with it. Nothing else reads these names: a plan asks
//! whether a knob is on, and so does each oracle.

use anyhow::{Result, bail};
use std::fmt;

/// A part of the simulation that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// Faults that last for hours or days: an object, the list of files, downloads, the sign-in, everything.
    Lasting,
    /// Files that cannot be read for hours, up to eight at a time, with answers that may pass for everybody's error.
    BadFiles,
    /// Queries that fail as long as they ask for too wide a window.
    Width,
    /// A host clock that is off by hours or days, and set right later.
    ClockDays,
    /// Other programs that use up the allowance of the org for a while.
    OtherUsers,
    /// A host that is switched off for hours or days.
    HostOff,
    /// Files that expire.
    Retention,
    /// Listings of more than 2,000 files.
    ManyFiles,
    /// More than 16 streams.
    ManyStreams,
    /// Objects alone, or files alone.
    OneKind,
    /// Hourly files that become daily ones in the middle of a run, or the other way round.
    IntervalChange,
    /// Types that a stream gains, names, `fields` and versions of the API that change in the middle of a run.
    ConfigChange,
    /// A state of version 1 in the middle of a run.
    OldState,
    /// Answers whose `totalSize` is no total.
    Totals,
    /// Records, pages and files that are damaged.
    Damaged,
    /// Files with blank lines at their ends, without rows, and with lengths in scientific form.
    FileEnds,
    /// Records that become visible tens of minutes after the date they carry.
    LateRecords,
    /// Dates that the org compares more finely than it shows them.
    FinerDates,
    /// Pages of a query that another session may not read on.
    Locators,
    /// Servers of an org whose clocks differ by seconds.
    ServerClocks,
    /// The runner of the host drives some seeds.
    Runner,
    /// Oracle: how late each event is.
    Lateness,
    /// Oracle: who is served while batches are full.
    Fairness,
    /// The same on fresh instances.
    FairnessFresh,
    /// Oracle: how many lists of files are asked for.
    Listings,
    /// Oracle: how many other requests there are.
    Requests,
    /// Oracle: problems and faults belong together.
    Problems,
    /// Oracle: how long nothing is asked for a stream.
    Silence,
}

impl Knob {
    /// Every one, with its name.
    pub const ALL: [(Self, &'static str); 28] = [
        (Self::Lasting, "lasting"),
        (Self::BadFiles, "bad-files"),
        (Self::Width, "width"),
        (Self::ClockDays, "clock-days"),
        (Self::OtherUsers, "other-users"),
        (Self::HostOff, "host-off"),
        (Self::Retention, "retention"),
        (Self::ManyFiles, "many-files"),
        (Self::ManyStreams, "many-streams"),
        (Self::OneKind, "one-kind"),
        (Self::IntervalChange, "interval-change"),
        (Self::ConfigChange, "config-change"),
        (Self::OldState, "old-state"),
        (Self::Totals, "totals"),
        (Self::Damaged, "damaged"),
        (Self::FileEnds, "file-ends"),
        (Self::LateRecords, "late-records"),
        (Self::FinerDates, "finer-dates"),
        (Self::Locators, "locators"),
        (Self::ServerClocks, "server-clocks"),
        (Self::Runner, "runner"),
        (Self::Lateness, "lateness"),
        (Self::Fairness, "fairness"),
        (Self::FairnessFresh, "fairness-fresh"),
        (Self::Listings, "listings"),
        (Self::Requests, "requests"),
        (Self::Problems, "problems"),
        (Self::Silence, "silence"),
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Which knobs are on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Knobs(u32);

impl Knobs {
    /// All of them.
    pub fn all() -> Self {
        Self(Knob::ALL.iter().map(|(knob, _)| knob.bit()).sum())
    }

    /// Every oracle, over what is not odd: short faults, restarts, lost states, busy orgs, changes of the configuration.
    pub fn timely() -> Self {
        let knobs = [
            Knob::Lateness,
            Knob::Fairness,
            Knob::FairnessFresh,
            Knob::Requests,
            Knob::Problems,
            Knob::Silence,
            Knob::Listings,
            Knob::OtherUsers,
            Knob::OneKind,
            Knob::ConfigChange,
        ];
        Self(knobs.iter().map(|knob| knob.bit()).sum())
    }

    /// As [`Self::parse`] reads it, in few words.
    pub fn in_short(self) -> String {
        let off = Self(Self::all().0 & !self.0);
        match (self.0.count_ones(), off.0) {
            (0, _) => String::from("none"),
            (_, 0) => String::from("all"),
            (on, off_bits) if on > off_bits.count_ones() => {
                format!("all,-{}", off.to_string().replace(',', ",-"))
            }
            _ => self.to_string(),
        }
    }

    /// Whether a knob is on.
    pub fn on(self, knob: Knob) -> bool {
        self.0 & knob.bit() != 0
    }

    /// Reads `all`, `timely`, `none`, or names; a name with a minus in front switches off. `all,-width` is the first without
    /// the second.
    ///
    /// # Errors
    /// When there is no such knob.
    pub fn parse(text: &str) -> Result<Self> {
        let mut knobs = Self(0);
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, off) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
            let bits = match (name, Knob::ALL.iter().find(|(_, known)| *known == name)) {
                ("all", _) => Self::all().0,
                ("timely", _) => Self::timely().0,
                ("none", _) => 0,
                (_, Some((knob, _))) => knob.bit(),
                (_, None) => {
                    bail!("there is no knob '{name}'; there are all, timely, none, {}", Self::all())
                }
            };
            knobs.0 = if off { knobs.0 & !bits } else { knobs.0 | bits };
        }
        Ok(knobs)
    }
}

impl fmt::Display for Knobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Knob::ALL.iter().filter(|(knob, _)| self.on(*knob)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}
