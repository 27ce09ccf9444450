//! Answers that nobody expects of an org, for a whole run: totals that are none, damaged records, files with odd ends, records
//! that become visible long after the date they carry.

use super::{
    knobs::{Knob, Knobs},
    plan::{Plan, Source, What},
    timeline::{HOUR, MINUTE},
};
use crate::random::Random;
use chrono::DateTime;
use salesforce_sim::{
    Damage, DamagedRecords, Doubles, EmptyFiles, FaultAction, FileEnd, LateRecords, LocatorRefusal,
    PlannedFault, QueriesOf, StoredObject, Total, Which,
};

impl Plan {
    /// Makes the org of a plan odd.
    pub(super) fn make_odd(&mut self, all: &mut Random, knobs: Knobs) {
        let objects: Vec<StoredObject> = self.sources.iter().filter_map(Source::object).collect();
        let random = &mut all.apart();
        if knobs.on(Knob::Totals) && random.percent(20) {
            let says = *random.pick(&[
                Total::MinusOne,
                Total::MinusOne,
                Total::OfThePage,
                Total::Absent,
                Total::Off(1),
                Total::Off(10),
                Total::Off(-3),
            ]);
            let of = if random.percent(50) { QueriesOf::Big } else { QueriesOf::Any };
            self.settings
                .oddities
                .faults
                .push(PlannedFault::every("/query", FaultAction::Total { says }).of(of));
            // A total that is wrong may raise a doubt, and the doubt be said.
            self.doubtful |= !matches!(says, Total::MinusOne | Total::Absent);
        }
        let random = &mut all.apart();
        if knobs.on(Knob::Damaged) && random.percent(20) && !objects.is_empty() {
            let hows = [
                Damage::LoneSurrogate,
                Damage::ControlCharacter,
                Damage::NotUtf8,
                Damage::NullDate,
                Damage::UnreadableDate,
                Damage::MissingKey,
                Damage::NullKey,
                Damage::Record(String::from("null")),
                Damage::Record(String::from("7")),
                Damage::Record(String::from("[]")),
            ];
            let how = random.pick(&hows);
            let (object, which) = (*random.pick(&objects), Which::OneIn(random.between(2, 40)));
            let damaged = DamagedRecords { object, which, how: how.clone(), field: None };
            self.settings.oddities.damaged.push(damaged);
            self.doubtful = true;
        }
        let random = &mut all.apart();
        if knobs.on(Knob::FileEnds) && random.percent(25) {
            let text = String::from(*random.pick(&["\n", "\n\n", "\r\n"]));
            let one_in = u32::try_from(random.between(1, 3)).unwrap_or(1);
            self.settings.oddities.file_end = Some(FileEnd { text, counted: random.percent(50), one_in });
            self.settings.oddities.doubles =
                *random.pick(&[Doubles::Plain, Doubles::Java, Doubles::Scientific]);
            if random.percent(50) {
                let empty =
                    *random.pick(&[EmptyFiles::NoContent, EmptyFiles::NoBytes, EmptyFiles::HeaderAlone]);
                self.settings.oddities.empty_files = Some(empty);
            }
        }
        let random = &mut all.apart();
        if knobs.on(Knob::LateRecords) && random.percent(25) {
            let object = StoredObject::SetupAuditTrail;
            let mut from = self.begin;
            for _ in 0..random.between(1, 8) {
                from += i64::try_from(random.between(1, 8)).unwrap_or(1) * HOUR;
                let committed = from + i64::try_from(random.between(5, 50)).unwrap_or(5) * MINUTE;
                let time = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
                let which = Which::OneIn(random.between(1, 3));
                let late = LateRecords { object, from: time(from), committed: time(committed), which };
                self.settings.oddities.late.push(late);
                self.late.push((object, from, committed));
            }
        }
        let random = &mut all.apart();
        if knobs.on(Knob::FinerDates) && random.percent(15) && !objects.is_empty() {
            self.settings.oddities.finer_dates = vec![*random.pick(&objects)];
        }
        let random = &mut all.apart();
        if knobs.on(Knob::Locators) && random.percent(20) {
            let refusals =
                [LocatorRefusal::BadRequest, LocatorRefusal::Unauthorized, LocatorRefusal::Forbidden];
            self.settings.oddities.locator_refusal = Some(*random.pick(&refusals));
            self.doubtful = true;
        }
    }

    /// Lets the clocks of the org's servers differ.
    pub(super) fn blur_clocks(&mut self, all: &mut Random, knobs: Knobs) {
        let random = &mut all.apart();
        if knobs.on(Knob::ServerClocks) && random.percent(20) {
            // Less than a record has to be old beyond the time after which it is there.
            self.timeline.server_clocks = *random.pick(&[2_000, 25_000]);
        }
    }

    /// The objects of which records come damaged.
    pub fn damaged_objects(&self) -> impl Iterator<Item = StoredObject> + '_ {
        self.settings.oddities.damaged.iter().map(|damaged| damaged.object)
    }

    /// When records of a source carry a date that is older than they can be queried.
    pub fn late_records(&self, source: &Source) -> Vec<(i64, i64)> {
        let What::Object(object) = source.what else { return Vec::new() };
        let its = self.late.iter().filter(|(late, ..)| *late == object);
        its.map(|(_, from, committed)| (*from, *committed)).collect()
    }
}
