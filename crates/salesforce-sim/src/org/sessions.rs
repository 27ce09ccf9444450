//! Sessions.
//!
//! - A token lives for the session timeout of the org after its last call (default two hours); no answer says how long.
//! - A user has at most five live tokens for one app; the next sign-in revokes the oldest (Salesforce help, OAuth
//!   connected apps).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::prng::Rng;
use crate::settings::OrgSettings;

/// The sessions of an org, oldest first.
pub(crate) struct Sessions {
    seed: u64,
    org_id15: String,
    lifetime: TimeDelta,
    max_tokens: usize,
    open: Mutex<Vec<Session>>,
    issued: AtomicU64,
}

struct Session {
    token: String,
    user: String,
    used: DateTime<Utc>,
}

impl Sessions {
    pub(crate) fn new(settings: &OrgSettings, org_id15: &str) -> Self {
        Self {
            seed: settings.seed,
            org_id15: org_id15.to_owned(),
            lifetime: settings.session_lifetime,
            max_tokens: settings.max_tokens.max(1),
            open: Mutex::default(),
            issued: AtomicU64::new(0),
        }
    }

    /// Opens a session and returns its access token, `<org id>!<96 characters>`.
    pub(crate) fn open(&self, user: &str, now: DateTime<Utc>) -> String {
        const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        let mut rng = Rng::of(&[self.seed, number, 0x70c]);
        let secret = (0..96).map(|_| char::from(*rng.pick(CHARACTERS)));
        let token: String = self.org_id15.chars().chain(['!']).chain(secret).collect();
        let mut open = self.at(now);
        let of_user = open.iter().filter(|session| session.user == user).count();
        if of_user >= self.max_tokens
            && let Some(oldest) = open.iter().position(|session| session.user == user)
        {
            open.remove(oldest);
        }
        open.push(Session { token: token.clone(), user: user.to_owned(), used: now });
        token
    }

    /// Whether the token is live; if it is, its time starts anew.
    pub(crate) fn touch(&self, token: &str, now: DateTime<Utc>) -> bool {
        let mut open = self.at(now);
        let found = open.iter_mut().find(|session| session.token == token);
        found.map(|session| session.used = session.used.max(now)).is_some()
    }

    /// The user of a live token, if it is one; its time starts anew.
    pub(crate) fn user(&self, token: &str, now: DateTime<Utc>) -> Option<String> {
        let mut open = self.at(now);
        let session = open.iter_mut().find(|session| session.token == token)?;
        session.used = session.used.max(now);
        Some(session.user.clone())
    }

    /// Ends every session and says how many were live.
    pub(crate) fn expire(&self, now: DateTime<Utc>) -> usize {
        std::mem::take(&mut *self.at(now)).len()
    }

    pub(crate) fn live(&self, now: DateTime<Utc>) -> usize {
        self.at(now).len()
    }

    pub(crate) fn issued(&self) -> u64 {
        self.issued.load(Ordering::SeqCst)
    }

    /// The sessions that are live at `now`; the others are dropped.
    fn at(&self, now: DateTime<Utc>) -> MutexGuard<'_, Vec<Session>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|session| now - session.used < self.lifetime);
        open
    }
}
