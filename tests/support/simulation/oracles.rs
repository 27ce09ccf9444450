//! What an operator means by right, beyond that the set is right. Each oracle says first, in words, what it holds a run
//! against; all of them look at a run that is over.

use super::{
    asks::Asks,
    journal::{Poll, Spans, common, excuses, held, out_of_schedule},
    knobs::{Knob, Knobs},
    ledger::{Ledger, Truth},
    library::Library,
    plan::{Plan, Source, What, moment},
    timeline::{DAY, FILE_AFTERMATH, HOUR, Hold, LONG_AFTERMATH, Lost, MINUTE, Match},
    world::World,
};
use anyhow::{Result, bail, ensure};
use salesforce_sim::Interval;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What is not worth a word in lateness and silence: polls take time.
const SLACK: i64 = 15 * MINUTE;
/// How many batches more than its share a source may wait for.
const PATIENCE: usize = 12;
/// The longest wait between two tries of what fails.
const LONGEST_WAIT: i64 = LONG_AFTERMATH;

/// A run that is over.
pub struct Evidence<'e> {
    /// What was planned.
    pub plan: &'e Plan,
    /// What was met.
    pub world: &'e World,
    /// What was polled.
    pub polls: &'e [Poll],
    /// What was delivered.
    pub ledger: &'e Ledger,
    /// What it is.
    pub library: &'e Library,
    /// What there was.
    pub truth: &'e Truth,
    /// Whether each poll had an instance of its own.
    pub fresh: bool,
    /// How many instances were given a session.
    pub given: u64,
}

impl Evidence<'_> {
    /// Holds the run against all oracles that are on.
    ///
    /// # Errors
    /// What the first of them finds.
    pub fn judge(&self, knobs: Knobs) -> Result<()> {
        if let Some(request) = self.world.spendthrift() {
            bail!("allowance: the share of it was used up, and a request was sent all the same: {request}");
        }
        type Oracle = fn(&Evidence<'_>) -> Result<()>;
        let oracles: [(Knob, &str, Oracle); 6] = [
            (Knob::Lateness, "lateness", |run| run.nothing_comes_late()),
            (Knob::Fairness, "fairness", |run| run.nobody_is_passed_over()),
            (Knob::Listings, "listings", |run| run.listings_are_shared()),
            (Knob::Requests, "requests", |run| run.requests_are_bounded()),
            (Knob::Problems, "problems", |run| run.problems_and_faults_belong_together()),
            (Knob::Silence, "silence", |run| run.no_stream_is_left_alone()),
        ];
        for (knob, name, oracle) in oracles {
            if knobs.on(knob) && !(self.fresh && knob == Knob::Fairness && !knobs.on(Knob::FairnessFresh)) {
                oracle(self).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
            }
        }
        Ok(())
    }

    /// *An event comes within the interval of its source, once it is there and has settled.* A file is there from its
    /// CreatedDate on, or as much later as the org hides it; a record from its date on. What does not count is time in which
    /// the host was off, the source not configured, a planned fault in its way (and the wait after it, of an hour at most),
    /// and time in which every batch was full.
    fn nothing_comes_late(&self) -> Result<()> {
        let excuses: Vec<Spans> = self
            .plan
            .sources
            .iter()
            .map(|source| excuses(self.plan, self.world, self.polls, source))
            .collect();
        let struck = self.world.struck();
        let mut files: HashMap<&str, Vec<(i64, i64)>> = HashMap::new();
        for (fault, struck) in self.plan.timeline.faults.iter().zip(struck) {
            if let (Hold::File(file), Some(span)) = (&fault.holds, held(fault, struck)) {
                files.entry(file).or_default().push(span);
            }
        }
        let mut worst: Option<(i64, usize, i64)> = None;
        for (number, delivered) in self.ledger.first() {
            let known = self.library.get(number);
            // What a damaged record says of its time counts for nothing.
            let sound = !known.delivery.file.is_empty() || self.truth.is_sound(&known.delivery);
            let Some(index) = self.source_of(number).filter(|_| sound) else { continue };
            let source = &self.plan.sources[index];
            let hidden = if known.delivery.file.is_empty() { 0 } else { self.plan.hidden };
            let due = (known.at + source.settle + hidden).max(self.plan.begin);
            if delivered <= due {
                continue;
            }
            let excused = excuses[index].covered(due, delivered);
            // Faults of days follow each other with gaps between them, in which waits go on.
            let mut late = delivered - due - excused - excused / 32 - source.interval - SLACK;
            if let Some(spans) = files.get(known.delivery.file.as_str()) {
                late -= Spans::new(spans.clone()).covered(due, delivered);
            }
            if late > 0 && worst.is_none_or(|(most, ..)| late > most) {
                worst = Some((late, number, delivered));
            }
        }
        let Some((late, number, delivered)) = worst else { return Ok(()) };
        let known = self.library.get(number);
        bail!(
            "{:?} was there at {}, and came at {}, {} minutes later than anything planned explains",
            known.delivery,
            moment(known.at),
            moment(delivered),
            late / MINUTE
        )
    }

    /// *While batches are full, each source that has something gets its slice*: between two batches with events of a source
    /// that had been waiting, or between the beginning of the queue and the first of them, lie no more batches than twice the
    /// number of sources, and a few. A query of an object is a slice as well, though its window may prove too wide, and so is
    /// a download, though its file may be empty. While a planned fault or its aftermath keeps a source waiting, nothing is
    /// counted.
    fn nobody_is_passed_over(&self) -> Result<()> {
        let overdue = self.overdue();
        let most = 2 * self.plan.sources.len() + PATIENCE;
        // For each source, how many full batches without it have gone by in this queue.
        let mut passed = vec![0; self.plan.sources.len()];
        let mut queue = self.plan.begin;
        let asked = self.asked()?;
        let faults = self.plan.timeline.faults.iter().zip(self.world.struck());
        let waits = Spans::new(faults.filter_map(|(fault, struck)| held(fault, struck)).collect());
        for (number, poll) in self.polls.iter().enumerate() {
            for (index, passed) in passed.iter_mut().enumerate() {
                if asked.contains(&(number, index)) {
                    *passed = 0;
                } else if poll.sources.contains(&index) {
                    let waiting = overdue.get(&(index, poll.began)).is_some_and(|since| *since <= queue);
                    ensure!(
                        *passed <= most || !waiting,
                        "{} batches went by before one at {} had events of {} {:?}, which had been waiting since {}",
                        *passed,
                        moment(poll.began),
                        self.plan.sources[index].stream,
                        self.plan.sources[index].what,
                        moment(queue),
                    );
                    *passed = 0;
                } else {
                    *passed += 1;
                }
            }
            if !poll.more {
                passed.fill(0);
                queue = poll.ended;
            } else if poll.lost || waits.hold(poll.began) {
                // Whose slice it was is forgotten, or a source has to wait for another reason.
                passed.fill(0);
            }
        }
        Ok(())
    }

    /// In which polls an object was asked for or a file, by the index of its source.
    fn asked(&self) -> Result<HashSet<(usize, usize)>> {
        let mut sources: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, source) in self.plan.sources.iter().enumerate() {
            if let Some(object) = source.object() {
                sources.entry(object.name().to_owned()).or_default().push(index);
            }
        }
        for (id, _, index) in self.plan.files()? {
            sources.entry(id).or_default().push(index);
        }
        Ok(self.world.sent(|sent| {
            let asked = sent.iter().flat_map(|sent| {
                let (Asks::Object { object: name, .. } | Asks::File(name)) = &sent.asks else {
                    return Vec::new();
                };
                let sources = sources.get(name).into_iter().flatten();
                sources.map(|index| (sent.poll as usize, *index)).collect()
            });
            asked.collect()
        }))
    }

    /// For each source and each poll that delivered some of it first: since when the oldest of that should have been there.
    fn overdue(&self) -> HashMap<(usize, i64), i64> {
        let mut overdue: HashMap<(usize, i64), i64> = HashMap::new();
        let mut began: Vec<(i64, i64)> = self.polls.iter().map(|poll| (poll.ended, poll.began)).collect();
        began.sort_unstable();
        for (number, delivered) in self.ledger.first() {
            let known = self.library.get(number);
            let Some(index) = self.source_of(number) else { continue };
            let source = &self.plan.sources[index];
            let due = known.at + source.settle + source.interval + self.plan.hidden;
            let poll = began.partition_point(|(ended, _)| *ended < delivered);
            let Some((_, began)) = began.get(poll) else { continue };
            let since = overdue.entry((index, *began)).or_insert(due);
            *since = due.min(*since);
        }
        overdue
    }

    /// The source that an event is of.
    fn source_of(&self, number: usize) -> Option<usize> {
        let known = self.library.get(number);
        self.plan.source_of(&known.delivery.stream, &known.delivery.provider, known.daily)
    }

    /// *Streams that look at the same pace share their listing*: for each kind of files with its interval, one listing an
    /// interval, whatever streams share it; one for each kind where a poll came back full, for an instance that knows nothing;
    /// one for each source at each disruption: a planned fault, a lost state, a change of the configuration or the clock.
    fn listings_are_shared(&self) -> Result<()> {
        let span = self.span();
        let mut groups: BTreeSet<(bool, i64)> = BTreeSet::new();
        for source in &self.plan.sources {
            if let What::Files { interval, .. } = &source.what {
                groups.insert((*interval == Interval::Daily, source.interval));
            }
        }
        let kinds = groups.iter().map(|(daily, _)| *daily).collect::<BTreeSet<_>>().len() as u64;
        let regular: u64 = groups.iter().map(|(_, interval)| times(span, *interval)).sum();
        let (full, disruptions) = (self.full(), self.disruptions());
        let most = regular + kinds * full + self.plan.sources.len() as u64 * disruptions + self.renewals();
        // An answer that says it has more than comes is doubted, and asked for once more.
        let most = if self.plan.doubtful { 2 * most } else { most + most / 8 };
        let listings = self.count(|asks| matches!(asks, Asks::Listing { .. }));
        ensure!(
            listings <= most,
            "{listings} lists of files in {} hours, and {most} have a reason: {regular} for the intervals, {full} full batches, \
             {disruptions} disruptions",
            span / HOUR
        );
        Ok(())
    }

    /// *Every request has a reason.* For each object, one query an interval, and a few for each window that was too wide. For
    /// each file, one download. For each poll that came back full, one of each for an instance that knows nothing; a few for
    /// each disruption. At most one sign-in for each poll that asks anything, and one for each fault; one more where the
    /// host's clock is off. An instance that goes on with a token which has expired asks what it asked then once more.
    fn requests_are_bounded(&self) -> Result<()> {
        let span = self.span();
        let asking = self.polls.iter().filter(|poll| poll.requests > 0).count() as u64;
        let struck: u64 = self.world.struck().iter().map(|struck| u64::from(struck.times)).sum();
        let timeline = &self.plan.timeline;
        // An assertion is refused where the host's clock is off, and made once more with the org's.
        let twice = if timeline.ahead.is_empty() { 1 } else { 2 };
        let tokens = self.count(|asks| *asks == Asks::Token);
        ensure!(
            tokens <= twice * asking + struck,
            "{tokens} sign-ins in {asking} polls, with {struck} faults"
        );
        let (full, disruptions, renewals) = (self.full(), self.disruptions(), self.renewals());
        for source in &self.plan.sources {
            let Some(object) = source.object() else { continue };
            let name = object.name();
            let asked = self.count(|asks| matches!(asks, Asks::Object { object, .. } if object == name));
            // A state that was lost can bring back all there was.
            let far = |lost: &&Lost| lost.back_to < lost.at - HOUR;
            let again = 1 + timeline.lost.iter().filter(far).count() as u64;
            let windows =
                again * (40 + 12 * self.plan.rows / self.plan.settings.objects.max_rows.clamp(5, 2000));
            let wide =
                timeline.faults.iter().any(|t| matches!(&t.matches, Match::Wider(o, _) if *o == object));
            // Twenty days of backlog among them, in windows of half of what is let through.
            let wide = if wide { times(span + 20 * DAY, 4 * MINUTE) * again } else { 0 };
            let most = times(span, source.interval) + windows + full + wide + 3 * disruptions + renewals;
            let most = if self.plan.doubtful { 2 * most } else { most + most / 4 };
            ensure!(
                asked <= most,
                "{asked} queries of {name} in {} hours, and {most} have a reason",
                span / HOUR
            );
        }
        let mut files: HashMap<String, u64> = HashMap::new();
        self.world.sent(|sent| {
            for sent in sent {
                if let Asks::File(id) = &sent.asks {
                    *files.entry(id.clone()).or_default() += 1;
                }
            }
        });
        let (known, downloads) = (files.len() as u64, files.values().sum::<u64>());
        // One that is issued again may keep its id. A lost state can bring back as many as there are.
        let most = 2 * known + full + disruptions * (3 + known / 4) + renewals;
        ensure!(downloads <= most, "{downloads} downloads of {known} files, and {most} have a reason");
        Ok(())
    }

    /// How long the run was, in milliseconds.
    fn span(&self) -> i64 {
        self.polls.last().map_or(0, |last| last.ended) - self.plan.begin
    }

    /// Polls that came back full, or did not come back.
    fn full(&self) -> u64 {
        self.polls.iter().filter(|poll| poll.more || poll.stopped).count() as u64
    }

    /// What was planned and cost requests: faults that struck, lost states, changes of configuration and clock.
    fn disruptions(&self) -> u64 {
        let timeline = &self.plan.timeline;
        let struck: u64 = self.world.struck().iter().map(|struck| u64::from(struck.times)).sum();
        let others =
            timeline.lost.len() + timeline.ahead.len() + timeline.off.len() + self.plan.configs.len();
        struck + others as u64 + 12 * timeline.busy_org.len() as u64
    }

    /// Requests that may have been refused because a session had ended: an instance that is fresh for its poll has none but
    /// one that it was given.
    fn renewals(&self) -> u64 {
        let tokens = self.count(|asks| *asks == Asks::Token);
        if self.fresh { self.given.min(tokens) } else { tokens }
    }

    fn count(&self, which: impl Fn(&Asks) -> bool) -> u64 {
        self.world.sent(|sent| sent.iter().filter(|sent| which(&sent.asks)).count() as u64)
    }

    /// *Nothing is said without a reason, and nothing goes wrong in silence.* A problem is said while a planned fault
    /// strikes, or as long after it as waits and files that are asked for again remember it. While a fault lasts, problems
    /// that speak of what it struck come at least once in an interval and a wait.
    fn problems_and_faults_belong_together(&self) -> Result<()> {
        let struck = self.world.struck();
        let mut reasons = Vec::new();
        for (fault, struck) in self.plan.timeline.faults.iter().zip(&struck) {
            if struck.times > 0 {
                let until = fault.until.map_or(struck.last, |until| until.min(struck.last));
                reasons.push((struck.first - MINUTE, until + fault.remembered));
            }
        }
        let timeline = &self.plan.timeline;
        reasons.extend(timeline.busy_org.iter().map(|(from, until)| (*from, until + 2 * LONGEST_WAIT)));
        // A file that was set aside may be replaced meanwhile, and asked for until it is believed that it is gone.
        let daily = |source: &Source| matches!(source.what, What::Files { interval: Interval::Daily, .. });
        if self.plan.settings.files.late_one_in > 0 && self.plan.sources.iter().any(daily) {
            let spans = reasons.iter().map(|(from, until)| (*from, until + DAY));
            reasons = spans.collect();
        }
        if self.plan.doubtful {
            reasons.push((i64::MIN, i64::MAX));
        }
        let reasons = Spans::new(reasons);
        for poll in self.polls.iter().filter(|poll| !poll.problems.is_empty()) {
            ensure!(
                reasons.hold(poll.ended),
                "at {} there is no reason for: {}",
                moment(poll.ended),
                poll.problems[0]
            );
        }
        let slowest = self.plan.sources.iter().map(|source| source.interval).max().unwrap_or_default();
        let most = slowest + LONGEST_WAIT + SLACK;
        let mut off = common(self.plan, self.world);
        for pair in self.polls.windows(2).filter(|pair| pair[0].more) {
            off.push((pair[0].began, pair[1].began));
        }
        let off = Spans::new(off);
        for (fault, struck) in timeline.faults.iter().zip(&struck) {
            let Some(until) = fault.until.filter(|_| struck.times > 0 && struck.last - struck.first > most)
            else {
                continue;
            };
            // A file that failed for days is asked for, and named, every six hours.
            let most = match &fault.matches {
                Match::Wider(..) => continue,
                Match::File(_) => most.max(slowest + FILE_AFTERMATH + SLACK),
                _ => most,
            };
            let until = until.min(struck.last);
            let mut last = struck.first;
            let speaks = |poll: &&Poll| poll.problems.iter().any(|said| speaks_of(said, &fault.matches));
            let said = self.polls.iter().filter(speaks).map(|poll| poll.ended);
            for at in said.filter(|at| (struck.first..until).contains(at)).chain([until]) {
                let quiet = at - last - off.covered(last, at);
                ensure!(
                    quiet <= most,
                    "{:?} failed from {} to {}, and nothing was said of it for {} minutes before {}",
                    fault.matches,
                    moment(struck.first),
                    moment(until),
                    quiet / MINUTE,
                    moment(at)
                );
                last = at;
            }
        }
        Ok(())
    }

    /// *No stream is left alone*: something is asked for each source at least once in its interval and the longest wait (an
    /// hour), unless the host is off, or a fault keeps everything back.
    fn no_stream_is_left_alone(&self) -> Result<()> {
        let end = self.polls.last().map_or(0, |last| last.began);
        for source in &self.plan.sources {
            let quiet = excuses_of_silence(self.plan, self.world, self.polls, source);
            let most = source.interval + LONGEST_WAIT + SLACK;
            let asked = self.asked_for(source);
            let mut last = self.plan.begin;
            for at in asked.into_iter().chain([end]) {
                let silent = at - last - quiet.covered(last, at);
                ensure!(
                    silent <= most,
                    "nothing was asked for {} ({}) from {} to {}, {} minutes longer than it should",
                    source.stream,
                    source.provider(),
                    moment(last),
                    moment(at),
                    (silent - most) / MINUTE
                );
                last = at;
            }
        }
        Ok(())
    }

    /// When something was asked for a source.
    fn asked_for(&self, source: &Source) -> Vec<i64> {
        self.world.sent(|sent| {
            let its = sent.iter().filter(|sent| match (&sent.asks, &source.what) {
                (Asks::Object { object, .. }, What::Object(of)) => object == of.name(),
                (Asks::Listing { types, daily }, What::Files { event_types, interval }) => {
                    let types = types.as_ref();
                    (*interval == Interval::Daily) == *daily
                        && types.is_none_or(|types| event_types.iter().any(|name| types.contains(name)))
                }
                _ => false,
            });
            its.map(|sent| sent.at).collect()
        })
    }
}

/// Whether a problem names what something strikes, or is everybody's.
fn speaks_of(said: &str, matches: &Match) -> bool {
    let general =
        ["a request failed", "sign-in failed", "the sign-in failed", "waiting until", "the org has used"];
    let everybodys = general.iter().any(|start| said.starts_with(start));
    everybodys
        || match matches {
            Match::Object(object) | Match::Wider(object, _) => said.contains(object.name()),
            Match::File(id) => said.contains(id),
            Match::Listing => said.contains("event log files"),
            Match::Path(_) => true,
        }
}

/// How often something is done in a span of time, at its beginning and its end too.
fn times(span: i64, every: i64) -> u64 {
    u64::try_from(span / every).unwrap_or_default() + 2
}

/// When nothing need be asked for a source.
fn excuses_of_silence(plan: &Plan, world: &World, polls: &[Poll], source: &Source) -> Spans {
    let mut spans = common(plan, world);
    for (fault, struck) in plan.timeline.faults.iter().zip(world.struck()) {
        let everything = fault.holds == Hold::Everything
            || (matches!(fault.matches, Match::Path(_)) && source.object().is_none());
        spans.extend(held(fault, struck).filter(|_| everything));
    }
    spans.extend(out_of_schedule(polls, source));
    Spans::new(spans)
}
