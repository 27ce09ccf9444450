//! Signed in to one org: a token in memory, used until Salesforce says that it is over, and requests made with it.
//!
//! No flow answers a lifetime with its token ("OAuth 2.0 JWT Bearer Flow" and its siblings, Salesforce Help), so there is
//! no expiry to watch. A request that is refused for its session signs in anew and is sent once more, never twice. A token
//! that has not been accepted for anything yet is renewed once in a poll at most, whatever asks with it: a session policy that
//! ends every session at once would otherwise be answered with a storm of sign-ins. If two requests are refused with such a
//! token, a third that nothing can be wrong with tells whether it is the session, which concerns everything, or they
//! themselves.
//!
//! # What time it is
//!
//! The org tells its time with each answer (`Date`, RFC 9110 section 6.6.1). From then on it is counted by the host's
//! monotonic clock, so that setting the host's clock changes nothing; and since a monotonic clock may stand still while a
//! host sleeps, the org is asked anew where the two clocks of the host disagree.
//!
//! # Where the token goes
//!
//! To the host of `instance_url`, or to the one that the token answer names, if that is an org of Salesforce and the host
//! allows it. What the answer names otherwise is not followed: whoever could forge it would be handed the token.
//!
//! # From one instance to the next
//!
//! What is worth it can be handed on (`resumption`). All that is said here of a token holds for one that was handed on.

mod resumption;

use crate::{
    about::{NAME, VERSION},
    address::{Origin, TOKEN_PATH},
    config::Config,
    io::{Clock, Http, Pending, Request, Response, Timeouts, TransportError},
    org::{
        errors::{
            DENIED, GARBLED, Meaning, Refusal, Remedy, Scope, TOO_LONG, UNREACHED, api_problem,
            sign_in_problem,
        },
        gzip,
        names::KnownNames,
        quota::Usage,
    },
    problem::{Kind, Problem},
    secret::{Secret, wipe},
};
use documents::{quoted, time::Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    cell::Cell,
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    rc::Rc,
    time::Duration,
};
use zeroize::Zeroizing;

/// How long an assertion is good for. Salesforce accepts at most 3 minutes; this leaves a minute either way for clocks
/// that differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(120);
/// A refused assertion is tried once more with the org's clock if the host's differs by more than this.
const TOLERATED_SKEW_MS: i64 = 30_000;
/// More than any token answer or error body has.
const SMALL_BODY: u64 = 64 * 1024;
/// How much of a page is read. Nearly all have less: 2,000 records of 4 KB.
const PAGE_BODY: u64 = 8 * 1024 * 1024;
/// The longest wait that an answer can ask for.
const LONGEST_WAIT_MS: i64 = 24 * 3_600_000;
/// Requests under way whose answers are wanted later. Hosts allow few at a time, and one is needed for what is wanted now.
const MOST_BEGUN: u32 = 3;
/// With a token that was accepted no longer ago, requests are begun: it will hardly have ended since.
const LATELY: Duration = Duration::from_secs(30);
/// Paths remembered that a new token did not help.
const MOST_STUBBORN: usize = 1000;
/// How far the host's two clocks may go apart before the org is asked what time it is.
const TOLERATED_DRIFT_MS: i64 = 2_000;
/// How long a poll may take, whatever the org does: hosts stop a call in the end, and then all of it was in vain.
const LONGEST_POLL: Duration = Duration::from_secs(240);
/// What a request gets of it at least.
const LEAST_WAIT: Duration = Duration::from_secs(5);
/// How the ids of all requests begin, whatever the configuration.
const REQUEST_ID_PREFIX: &str = "c011ec70";

/// What is remembered between requests. None of it is needed: it only saves requests.
#[derive(Debug, Default)]
pub struct Session {
    token: Option<Secret>,
    /// Where the token answer says that the org is, if that is not the configured address.
    told: Option<Origin>,
    /// Whether requests go there.
    follows: bool,
    /// The newest version of the API that the org has, once it was asked.
    newest_version: Option<Rc<str>>,
    /// Whether anything was answered with this token.
    accepted: bool,
    /// The same in this poll.
    accepted_now: bool,
    /// When it last was, on the monotonic clock.
    accepted_at: Option<Duration>,
    /// Tokens that were renewed in this poll without having been accepted.
    vain_renewals: u32,
    /// The path that was refused last in this poll with a token that had not been accepted.
    refused: Option<String>,
    /// Paths that a new token did not help: a digest of each. In order, so that the same session is the same text.
    stubborn: BTreeSet<u64>,
    /// What time it was when the org last answered.
    told_time: Option<ToldTime>,
    /// When the poll must be over, on the host's monotonic clock.
    deadline: Option<Duration>,
    /// Requests used and allowed in 24 hours, once the org has told.
    api_usage: Option<Usage>,
    /// Whether it has told in this poll.
    usage_is_new: bool,
    /// Whether requests end where the configured share of the allowance does.
    thrifty: bool,
    requests: u32,
    token_requests: u32,
    received: Rc<Cell<u64>>,
    /// How many requests are under way whose answers are wanted later.
    begun: Rc<Cell<u32>>,
}

/// What time it was when the org last answered.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct ToldTime {
    /// On the org's clock, if it told: milliseconds since 1970.
    org: Option<i64>,
    /// On the host's clock.
    host: i64,
    /// On the host's monotonic clock, in milliseconds.
    elapsed: i64,
}

impl ToldTime {
    /// What the org's clock shows now, if it told.
    fn now(&self, clock: &dyn Clock) -> Option<i64> {
        Some(self.org?.saturating_add(elapsed_ms(clock).saturating_sub(self.elapsed)))
    }

    /// Whether the host's clocks have gone on alike since.
    fn holds(&self, clock: &dyn Clock) -> bool {
        let (host, elapsed) = (clock.now_ms() - self.host, elapsed_ms(clock) - self.elapsed);
        host.abs_diff(elapsed) <= TOLERATED_DRIFT_MS.unsigned_abs()
    }
}

/// A path in few bytes.
fn digest(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

fn elapsed_ms(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// What the requests of one poll cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Requests sent, token requests included.
    pub requests: u32,
    /// Token requests among them.
    pub token_requests: u32,
    /// Bytes of bodies as they came over the wire.
    pub received: u64,
}

impl Session {
    /// Begins a poll, which minds the share of the allowance and ends in time, or a check, which does neither.
    pub fn begin(&mut self, clock: &dyn Clock, is_poll: bool) {
        self.take_costs();
        self.thrifty = is_poll;
        self.usage_is_new = false;
        self.vain_renewals = 0;
        self.accepted_now = false;
        self.refused = None;
        self.deadline = is_poll.then(|| clock.elapsed() + LONGEST_POLL);
    }

    /// The costs since the last call.
    pub fn take_costs(&mut self) -> Costs {
        Costs {
            requests: std::mem::take(&mut self.requests),
            token_requests: std::mem::take(&mut self.token_requests),
            received: self.received.take(),
        }
    }

    /// Requests used and allowed in 24 hours, once the org has told.
    pub fn api_usage(&self) -> Option<Usage> {
        self.api_usage
    }

    /// The org's clock minus the host's, in milliseconds, when the org last told its time.
    pub fn skew_ms(&self) -> Option<i64> {
        self.told_time.and_then(|told| Some(told.org? - told.host))
    }

    /// Where the token answer says that the org is, if that is not the configured address, and whether requests go there.
    pub fn told(&self) -> Option<(&Origin, bool)> {
        self.told.as_ref().map(|told| (told, self.follows))
    }
}

/// Why a request brought nothing.
#[derive(Debug)]
pub enum RequestError {
    /// Every other request would meet it as well: nobody is signed in, or the allowance is used up.
    Everywhere(Problem),
    /// Salesforce refused the request.
    Refused(Refusal),
    /// No answer came.
    Transport(TransportError, String),
    /// An answer came that is not what it should be.
    Garbled(String),
    /// A page came that is longer than what is read of one.
    TooLong,
}

impl RequestError {
    /// What it means for whoever asked.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Everywhere(problem) => {
                Meaning { scope: Scope::Everything, remedy: Remedy::Wait, kind: problem.kind, hint: "" }
            }
            Self::Refused(refusal) => refusal.meaning(),
            Self::Transport(TransportError::Denied(_), _) => DENIED.meaning,
            Self::Transport(TransportError::Failed(_), _) => UNREACHED.meaning,
            Self::Garbled(_) => GARBLED.meaning,
            Self::TooLong => TOO_LONG.meaning,
        }
    }

    /// As a problem; `what` says what was tried, as a noun: `the list of event log files`.
    pub fn problem(&self, what: &str) -> Problem {
        self.problem_with(what, "EventLogFile")
    }

    /// As a problem; `object` is what was asked for, and decides which permissions may be missing.
    pub fn problem_with(&self, what: &str, object: &str) -> Problem {
        match self {
            Self::Everywhere(problem) => problem.clone(),
            Self::Refused(refusal) => api_problem(refusal, what, object),
            Self::Transport(error, authority) => transport_problem(error, authority),
            Self::Garbled(message) => GARBLED.problem(format!("{what} failed: {message}")),
            Self::TooLong => {
                TOO_LONG.problem(format!("{what} failed: a page of it is longer than {PAGE_BODY} bytes"))
            }
        }
    }
}

fn transport_problem(error: &TransportError, authority: &str) -> Problem {
    match error {
        TransportError::Denied(_) => {
            DENIED.problem(format!("the host does not allow requests to {authority}"))
        }
        TransportError::Failed(why) => {
            UNREACHED.problem(format!("no answer from {authority}: {}", quoted(why, 200)))
        }
    }
}

/// A version of the API that an org has.
pub struct Version {
    /// `65.0`
    pub version: String,
}

impl Version {
    /// `65.0` as 650; nothing if it is no number.
    fn order(text: &str) -> Option<u32> {
        let (major, minor) = text.split_once('.')?;
        major.parse::<u32>().ok()?.checked_mul(10)?.checked_add(minor.parse().ok()?)
    }
}

/// The version that comes nearest to the one that is wanted; the newest, if none is.
pub fn nearest_version<'v>(versions: &'v [Version], wanted: Option<&str>) -> Option<&'v str> {
    let wanted = wanted.and_then(Version::order).unwrap_or(u32::MAX);
    let known =
        versions.iter().filter_map(|known| Some((Version::order(&known.version)?, known.version.as_str())));
    known.min_by_key(|(order, _)| order.abs_diff(wanted)).map(|(_, version)| version)
}

/// That the org does not have a version.
pub fn version_problem(versions: &[Version], wanted: &str) -> Problem {
    let problem = Problem::new(Kind::Config, format!("the org does not have version {wanted} of the API"));
    let problem = problem.at("api_version");
    match nearest_version(versions, Some(wanted)) {
        Some(nearest) => {
            problem.hint(format!("set api_version to \"{}\", the nearest that it has", quoted(nearest, 20)))
        }
        None => problem.hint("check instance_url: the list of versions is empty"),
    }
}

/// An org that requests can be sent to.
pub struct Org<'a> {
    /// Where it is and how to sign in.
    pub config: &'a Config,
    /// The way out.
    pub http: &'a mut dyn Http,
    /// The host's clock.
    pub clock: &'a dyn Clock,
    /// What is remembered between requests.
    pub session: &'a mut Session,
    /// The names that are known.
    pub names: &'a mut KnownNames,
}

impl Org<'_> {
    /// The time on the org's clock, as far as it is known.
    pub fn now(&self) -> Time {
        let told = self.session.told_time.as_ref().and_then(|told| told.now(self.clock));
        Time(told.unwrap_or_else(|| self.clock.now_ms()))
    }

    /// Makes sure that the org's time is known, if it tells it at all. That takes a request where there was none yet, and
    /// where the host's clocks have gone apart since; a sign-in that is needed anyway will do.
    pub fn learn_time(&mut self) -> Result<(), RequestError> {
        self.sign_in()?;
        let holds = |org: &Self| org.session.told_time.is_some_and(|told| told.holds(org.clock));
        if !holds(self) && self.get_versions().is_err() && !holds(self) {
            // The next answer tells. Until then the later of the host's clocks counts: an answer's own time bounds what is
            // made of it, and nothing waits for a list of versions that cannot be had.
            let (host, elapsed) = (self.clock.now_ms(), elapsed_ms(self.clock));
            let org = self.session.told_time.and_then(|told| told.now(self.clock)).map(|org| org.max(host));
            self.session.told_time = Some(ToldTime { org, host, elapsed });
        }
        Ok(())
    }

    /// Makes sure that a token is there.
    pub fn sign_in(&mut self) -> Result<(), RequestError> {
        if self.session.token.is_none() {
            self.session.token = Some(self.request_token()?);
            self.session.accepted = false;
            self.session.accepted_now = false;
            self.session.accepted_at = None;
        }
        Ok(())
    }

    /// The version of the API to use. To find the newest one takes a request, once.
    pub fn api_version(&mut self) -> Result<Rc<str>, RequestError> {
        if let Some(version) = self.config.api_version.as_ref().or(self.session.newest_version.as_ref()) {
            return Ok(Rc::clone(version));
        }
        let versions = self.get_versions()?;
        let newest = nearest_version(&versions, None);
        let newest =
            newest.ok_or_else(|| RequestError::Garbled(String::from("the list of API versions is empty")))?;
        Ok(Rc::clone(self.session.newest_version.insert(Rc::from(newest))))
    }

    /// Gets a path of the REST API and returns the answer if its status is 200, or 204 for one without content.
    pub fn get(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Result<Response, RequestError> {
        let mut renewed = false;
        loop {
            self.within_share()?;
            let digest = digest(path);
            let refusal = match self.get_once(path, headers)? {
                Ok(response) => {
                    self.session.stubborn.remove(&digest);
                    return Ok(response);
                }
                Err(refusal) => refusal,
            };
            if refusal.meaning().remedy != Remedy::SignInAgain {
                return Err(self.judge(refusal, path));
            }
            if renewed {
                self.session.stubborn.insert(digest);
                if self.session.stubborn.len() > MOST_STUBBORN {
                    self.session.stubborn.clear();
                }
            }
            let is_its_own = self.session.accepted
                && self.session.stubborn.contains(&digest)
                && (self.session.accepted_now || !self.has_ended());
            if renewed || is_its_own || !self.may_renew() {
                return Err(self.judge_session(refusal, path));
            }
            renewed = true;
            self.session.token = None;
        }
    }

    /// Whether a refused token may be renewed: always if it was accepted before, else once in a poll.
    fn may_renew(&mut self) -> bool {
        self.session.vain_renewals += u32::from(!self.session.accepted);
        self.session.accepted || self.session.vain_renewals <= 1
    }

    /// Sends a request with a token, once.
    fn get_once(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Result<Response, Refusal>, RequestError> {
        loop {
            self.sign_in()?;
            let all = self.authorized(headers);
            let followed = self.followed();
            let origin = followed.as_ref().unwrap_or(&self.config.instance);
            let response = match self.send(origin, path, None, all) {
                Err(RequestError::Transport(TransportError::Denied(_), _)) if followed.is_some() => {
                    self.session.follows = false;
                    continue;
                }
                // Whoever asks next would be denied as well.
                Err(denied @ RequestError::Transport(TransportError::Denied(_), _)) => {
                    return Err(RequestError::Everywhere(denied.problem("a request")));
                }
                response => response?,
            };
            if matches!(response.status, 200 | 204) {
                self.session.accepted = true;
                self.session.accepted_now = true;
                self.session.accepted_at = Some(self.clock.elapsed());
                return Ok(Ok(response));
            }
            return Ok(Err(self.read_refusal(response, &[])?));
        }
    }

    /// The headers of a request with the token.
    fn authorized(&self, headers: &[(&'static str, &str)]) -> Vec<(&'static str, Secret)> {
        let token = self.session.token.as_ref().map_or("", Secret::reveal);
        let authorization = Secret::new(format!("Bearer {token}"));
        // Answers are a tenth of their length then, records as well as files.
        let mut all =
            vec![("authorization", authorization), ("accept-encoding", Secret::new(String::from("gzip")))];
        all.extend(headers.iter().map(|(name, value)| (*name, Secret::new((*value).to_owned()))));
        all
    }

    /// Where requests go, if that is not the configured address.
    fn followed(&self) -> Option<Origin> {
        self.session.told.clone().filter(|_| self.session.follows)
    }

    /// Asks for a path whose answer is wanted soon, if nothing speaks against it: the token was accepted a moment ago, in this
    /// poll or in the one before it, the share of the allowance has room, and few requests are under way.
    pub fn begin(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Option<Begun> {
        let under_way = self.session.begun.get();
        // What is under way is not in what the org has told, and neither is the one that is wanted now.
        let share = self.within_share_after(under_way + 1);
        let accepted = self.session.accepted_at;
        let lately = accepted.is_some_and(|at| self.clock.elapsed().saturating_sub(at) < LATELY);
        if !lately || under_way >= MOST_BEGUN || share.is_err() {
            return None;
        }
        let headers = self.authorized(headers);
        let origin = self.followed();
        let request = self.request(origin.as_ref().unwrap_or(&self.config.instance), path, None, headers);
        let pending = self.http.begin(&request)?;
        self.session.requests += 1;
        self.session.begun.set(under_way + 1);
        Some(Begun { pending: Some(pending), under_way: Rc::clone(&self.session.begun) })
    }

    /// The answer to a request that was begun. Whatever else came of it than what was asked for counts for nothing: who asks anew
    /// learns what it means.
    pub fn get_begun(&mut self, mut begun: Begun) -> Option<Response> {
        let response = begun.pending.take()?.answer().ok()?;
        if response.status != 200 {
            return None;
        }
        // It may have come a while ago: what it says of the time does not count.
        Some(self.received(response))
    }

    /// Whether a refusal for the session is one of this request alone. If another was refused with the same token, and
    /// none was ever answered with it, a request that nothing can be wrong with has to tell.
    fn judge_session(&mut self, refusal: Refusal, path: &str) -> RequestError {
        let token_is_new = !self.session.accepted;
        let other = self.session.refused.replace(path.to_owned()).is_some_and(|other| other != path);
        if token_is_new && other && self.has_ended() {
            return RequestError::Everywhere(api_problem(&refusal, "a request", ""));
        }
        self.judge(refusal, path)
    }

    /// Whether a request that nothing can be wrong with is refused for the session.
    fn has_ended(&mut self) -> bool {
        let version = self.api_version();
        let limits = version.map(|version| format!("/services/data/v{version}/limits"));
        let answer = limits.and_then(|limits| self.get_once(&limits, &[("accept", "application/json")]));
        matches!(answer, Ok(Err(refusal)) if refusal.meaning().remedy == Remedy::SignInAgain)
    }

    /// Whether the share of the allowance that may be used up allows another request. Without a word from the org in
    /// this poll there has to be one request, to learn of it.
    pub fn within_share(&self) -> Result<(), RequestError> {
        self.within_share_after(0)
    }

    /// Whether it does once so many more requests are made.
    fn within_share_after(&self, requests: u32) -> Result<(), RequestError> {
        let share = self.config.quota_share;
        let usage = self.session.api_usage.filter(|_| self.session.thrifty && self.session.usage_is_new);
        match usage {
            Some(usage) if usage.after(requests).is_beyond(share) => {
                Err(RequestError::Everywhere(usage.problem(share)))
            }
            _ => Ok(()),
        }
    }

    /// Sorts out the refusals that every other request would meet as well.
    fn judge(&mut self, mut refusal: Refusal, path: &str) -> RequestError {
        if refusal.meaning().scope == Scope::Everything {
            refusal.usage = self.session.api_usage.filter(|_| refusal.meaning().remedy == Remedy::Wait);
            return RequestError::Everywhere(api_problem(&refusal, "a request", ""));
        }
        // A path that is not there can be one of a version that is not there, which the org tells for nothing.
        let wanted = self.config.api_version.clone();
        let strange = refusal.may_be_the_version() && !path.ends_with("/LogFile");
        if let Some(wanted) = wanted.filter(|_| strange)
            && let Ok(versions) = self.get_versions()
            && !versions.iter().any(|known| *known.version == *wanted)
        {
            return RequestError::Everywhere(version_problem(&versions, &wanted));
        }
        let elsewhere = refusal.may_be_the_address();
        if let Some(told) = self.session.told.as_ref().filter(|_| elsewhere && !self.session.follows) {
            refusal.elsewhere = Some((told.to_string(), self.config.instance.to_string()));
        }
        RequestError::Refused(refusal)
    }

    /// Gets a path that answers a small JSON document.
    pub fn get_json(&mut self, path: &str) -> Result<Value, RequestError> {
        parse_json(&self.get_body(path, &[])?)
    }

    /// Gets a path that answers JSON, as bytes; `headers` come besides.
    pub fn get_body(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<u8>, RequestError> {
        let mut all = vec![("accept", "application/json")];
        all.extend_from_slice(headers);
        let response = self.get(path, &all)?;
        let body = self.read_body(response, PAGE_BODY + 1)?;
        if body.len() as u64 > PAGE_BODY { Err(RequestError::TooLong) } else { Ok(body) }
    }

    /// Gets the list of API versions, which needs no token and counts against no allowance.
    pub fn get_versions(&mut self) -> Result<Vec<Version>, RequestError> {
        let headers = vec![("accept", Secret::new(String::from("application/json")))];
        let response = self.send(&self.config.instance, "/services/data", None, headers)?;
        if response.status == 200 {
            let list: Value = parse_json(&self.read_body(response, PAGE_BODY)?)?;
            let versions =
                list.as_array().into_iter().flatten().filter_map(|known| known.get("version")?.as_str());
            Ok(versions.map(|version| Version { version: version.to_owned() }).collect())
        } else {
            Err(RequestError::Refused(self.read_refusal(response, &[])?))
        }
    }

    /// Reads an error's explanation, in which whoever answers may repeat what it was sent.
    fn read_refusal(&self, response: Response, more: &[Secret]) -> Result<Refusal, RequestError> {
        let retry_after_ms = response.header("retry-after").and_then(|text| self.parse_wait(text));
        let redirect = response.header("location").filter(|_| (300..400).contains(&response.status));
        // Nothing but where it leads to: the rest of it may repeat what was sent.
        let redirect = redirect.and_then(|location| location.split_once("://"));
        let redirect = redirect.and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        let redirect =
            redirect.and_then(|authority| authority.rsplit('@').next()).map(|host| quoted(host, 80));
        let status = response.status;
        let body = Zeroizing::new(self.read_body(response, SMALL_BODY)?);
        let secrets: Vec<&Secret> = self.session.token.iter().chain(more).collect();
        let refusal = Refusal::read(status, &body, &secrets);
        Ok(Refusal { retry_after_ms, redirect, ..refusal })
    }

    /// The wait that `Retry-After` asks for: seconds, or a date on the org's clock (RFC 9110 section 10.2.3).
    fn parse_wait(&self, text: &str) -> Option<i64> {
        let seconds = text.trim().parse::<i64>().ok().map(|seconds| seconds.saturating_mul(1000));
        let until = || Time::parse_http_date(text.trim()).map(|until| until.0.saturating_sub(self.now().0));
        Some(seconds.or_else(until)?.clamp(0, LONGEST_WAIT_MS))
    }

    fn request_token(&mut self) -> Result<Secret, RequestError> {
        let mut corrected = false;
        loop {
            let used = self.now().0 - self.clock.now_ms();
            let auth = &self.config.auth;
            let form = auth.form(self.now().after(ASSERTION_LIFETIME)).map_err(RequestError::Everywhere)?;
            let headers = vec![
                ("content-type", Secret::new(String::from("application/x-www-form-urlencoded"))),
                ("accept", Secret::new(String::from("application/json"))),
            ];
            self.session.token_requests += 1;
            let response = self
                .send(&auth.token_host, TOKEN_PATH, Some(form.body), headers)
                .map_err(|error| RequestError::Everywhere(error.problem("the sign-in")))?;
            let interrupted = |_| {
                RequestError::Everywhere(
                    Problem::new(
                        Kind::Transient,
                        "sign-in failed: the answer to the token request broke off",
                    )
                    .hint("nothing to do but wait"),
                )
            };
            if response.status == 200 {
                let body = Zeroizing::new(self.read_body(response, SMALL_BODY + 1).map_err(interrupted)?);
                let answer = token_answer(&body).map_err(|flaw| {
                    let message = format!("sign-in failed: the answer to the token request {flaw}");
                    let hint =
                        "check auth.token_url; an address of a login page or of a proxy is a common mistake";
                    RequestError::Everywhere(Problem::new(Kind::Auth, message).hint(hint))
                })?;
                self.learn_instance(answer.1.as_deref());
                return Ok(answer.0);
            }
            let refusal = self.read_refusal(response, &form.secrets).map_err(interrupted)?;
            let learned = self.session.skew_ms().unwrap_or(used);
            let clock = auth.depends_on_clock() && (learned - used).abs() > TOLERATED_SKEW_MS;
            if corrected || !clock || !refusal.may_be_the_clock() {
                return Err(RequestError::Everywhere(sign_in_problem(&refusal)));
            }
            corrected = true;
        }
    }

    /// Takes note of where the org is, as the token answer has it.
    fn learn_instance(&mut self, told: Option<&str>) {
        let told = elsewhere(told, self.config);
        // Once the host has denied it, it is not tried again.
        if told != self.session.told {
            self.session.follows = told.as_ref().is_some_and(Origin::is_salesforce);
            self.session.told = told;
        }
    }

    /// How long to wait for an answer: as configured, but not beyond the end of the poll.
    fn timeouts(&self) -> Timeouts {
        let configured = self.config.timeouts;
        let Some(deadline) = self.session.deadline else { return configured };
        let left = deadline.saturating_sub(self.clock.elapsed()).max(LEAST_WAIT);
        Timeouts { first_byte: configured.first_byte.min(left), ..configured }
    }

    /// A body as a whole; what lies beyond the limit is left unread. A body that comes by drops ends with the poll.
    fn read_body(&self, response: Response, limit: u64) -> Result<Vec<u8>, RequestError> {
        let deadline = self.session.deadline.map(|deadline| deadline + LEAST_WAIT);
        let broke_off =
            |reason: &str| RequestError::Garbled(format!("the answer broke off: {}", quoted(reason, 200)));
        let mut from = response.body.take(limit);
        // It may be a token: nothing of it is left behind in parts, or where the body had no capacity to grow.
        let mut body = Vec::with_capacity(usize::try_from(limit.min(SMALL_BODY + 1)).unwrap_or_default());
        let mut part = Zeroizing::new([0; 16 * 1024]);
        loop {
            match from.read(&mut part[..]) {
                Ok(0) => return Ok(body),
                Ok(count) => body.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broke_off(&error.to_string())),
            }
            if deadline.is_some_and(|deadline| self.clock.elapsed() > deadline) {
                return Err(broke_off("it did not come to its end while a poll may last"));
            }
        }
    }

    /// What the request is called in the org's own logs (REQUEST_ID; "EventLogFile", object reference: 32 hexadecimal digits):
    /// the digits that all of the collector's have, those of its configuration, the time, and the number of the request.
    fn request_id(&self) -> String {
        let configuration = self.config.fingerprint.get(..8).unwrap_or_default();
        let time = self.clock.now_ms() & 0xffff_ffff_ffff;
        format!("{REQUEST_ID_PREFIX}{configuration:0>8}{time:012x}{:04x}", self.session.requests & 0xffff)
    }

    fn request(
        &self,
        origin: &Origin,
        path: &str,
        body: Option<Secret>,
        mut headers: Vec<(&'static str, Secret)>,
    ) -> Request {
        headers.push(("user-agent", Secret::new(format!("{}/{}", NAME, VERSION))));
        headers.push(("x-sfdc-request-id", Secret::new(self.request_id())));
        Request {
            body,
            secure: origin.secure,
            authority: origin.authority.clone(),
            path: path.to_owned(),
            headers,
            timeouts: self.timeouts(),
        }
    }

    fn send(
        &mut self,
        origin: &Origin,
        path: &str,
        body: Option<Secret>,
        headers: Vec<(&'static str, Secret)>,
    ) -> Result<Response, RequestError> {
        let request = self.request(origin, path, body, headers);
        self.session.requests += 1;
        let response = self
            .http
            .send(&request)
            .map_err(|error| RequestError::Transport(error, origin.authority.clone()))?;
        let time = response.header("date").and_then(Time::parse_http_date);
        let (host, elapsed) = (self.clock.now_ms(), elapsed_ms(self.clock));
        // Without a word of it, what was told before goes on, as far as it holds.
        let earlier = self.session.told_time.filter(|told| told.holds(self.clock));
        let org = time.map(|time| time.0).or_else(|| earlier.and_then(|told| told.now(self.clock)));
        self.session.told_time = Some(ToldTime { org, host, elapsed });
        Ok(self.received(response))
    }

    /// An answer whose use of the allowance is noted, and whose body is counted and decompressed as it is read.
    fn received(&mut self, mut response: Response) -> Response {
        if let Some(usage) = response.header("sforce-limit-info").and_then(Usage::parse) {
            // Of answers to requests that were under way together, the one that is read last may be the one that was given first.
            let earlier = self.session.api_usage.filter(|_| self.session.usage_is_new);
            let is_later =
                earlier.is_none_or(|earlier| usage.used > earlier.used || usage.maximum != earlier.maximum);
            if is_later {
                self.session.api_usage = Some(usage);
            }
            self.session.usage_is_new = true;
        }
        // Of what comes over the wire.
        response.body = Box::new(Counted { body: response.body, total: Rc::clone(&self.session.received) });
        let encoding = response.header("content-encoding");
        if encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip")) {
            response.body = gzip::decode(response.body);
        }
        response
    }
}

/// A request with the token whose answer is wanted later.
pub struct Begun {
    pending: Option<Box<dyn Pending>>,
    under_way: Rc<Cell<u32>>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.under_way.set(self.under_way.get().saturating_sub(1));
    }
}

/// Where the org is said to be, if that is an address and not the configured one.
fn elsewhere(told: Option<&str>, config: &Config) -> Option<Origin> {
    told.and_then(|told| Origin::parse(told).ok()).filter(|told| *told != config.instance)
}

/// Whether a text can be a token: it becomes a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The token, and where the org is; or what the answer is instead.
fn token_answer(body: &[u8]) -> Result<(Secret, Option<String>), String> {
    if body.len() as u64 > SMALL_BODY {
        return Err(format!("is longer than {SMALL_BODY} bytes"));
    }
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if !answer.is_object() {
        let page = body.trim_ascii_start().starts_with(b"<");
        return Err(String::from(if page {
            "is a page for people (HTML)"
        } else {
            "is not the JSON it should be"
        }));
    }
    let mut text = |key: &str| match answer.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (token, instance_url) = (text("access_token"), text("instance_url"));
    wipe(&mut answer);
    let token = Secret::new(token.unwrap_or_default());
    if !is_token(token.reveal()) {
        return Err(String::from("holds no access_token"));
    }
    Ok((token, instance_url))
}

/// Reads JSON.
pub fn parse_json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, RequestError> {
    serde_json::from_slice(body).map_err(|error| {
        let position = format!("line {}, column {}, {} bytes", error.line(), error.column(), body.len());
        RequestError::Garbled(format!("the answer is not the JSON it should be ({position})"))
    })
}

/// Counts what is read through it.
struct Counted {
    body: Box<dyn Read>,
    total: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        self.total.set(self.total.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(all: &[&str]) -> Vec<Version> {
        all.iter().map(|version| Version { version: (*version).to_owned() }).collect()
    }

    #[test]
    fn the_nearest_version_is_compared_as_a_number() {
        let org = versions(&["9.0", "46.0", "65.0", "67.0", "x"]);
        for (wanted, nearest) in
            [(Some("99.0"), "67.0"), (Some("48.0"), "46.0"), (Some("66.0"), "65.0"), (None, "67.0")]
        {
            assert_eq!(nearest_version(&org, wanted), Some(nearest));
        }
        assert_eq!(nearest_version(&[], None), None);
    }

    #[test]
    fn a_token_answer_is_named_for_what_it_is() {
        let large = vec![b' '; 10_000_000];
        for (body, said) in [
            (b"{}".as_slice(), "holds no access_token"),
            (br#"{"access_token": ""}"#, "holds no access_token"),
            (br#"{"access_token": "a\r\nb"}"#, "holds no access_token"),
            (b" <html>", "HTML"),
            (b"access_token=x", "not the JSON"),
            (br#"{"access_token": 5}"#, "holds no access_token"),
            (b"[]", "not the JSON"),
            (&large, "longer than 65536"),
        ] {
            let flaw = token_answer(body).expect_err(said);
            assert!(flaw.contains(said), "{flaw}");
        }
        assert!(token_answer(br#"{"access_token": "00D!x"}"#).is_ok());
    }
}
