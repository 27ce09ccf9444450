//! What one instance hands to the next, so that it need not sign in: each sign-in is a request, and an event in the customer's
//! own log.
//!
//! The text is a document with a digest in front of it. The digest is keyed with all that decides who signs in where, so one
//! comparison tells that it is of the same configuration, of the same version of this program, and whole. What stands in the
//! document is checked all the same, just as an answer of the org is: the address before a token is sent there, the version
//! before it becomes part of a path.

use super::{Session, ToldTime, Version, elsewhere, is_token};
use crate::{about::VERSION, address::Origin, config::Config, secret::Secret};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use zeroize::Zeroizing;

/// Of what the document has, and how it is written. Another one is not understood.
const FORMAT: u8 = 1;
/// The longest text, as the contract has it. A token has a hundred bytes, and some thousand where it is a JSON Web Token.
const LONGEST: usize = 16 * 1024;
/// Paths handed on that a new token does not help: without them each instance would try a new one.
const MOST_STUBBORN: usize = 128;
/// The length of a digest that is written in hexadecimal digits.
const DIGEST: usize = 2 * blake3::OUT_LEN;
/// The last time that has four digits for its year, in milliseconds. Beyond it nothing is counted.
const LATEST: i64 = 253_402_300_799_999;

#[derive(Deserialize, Serialize)]
struct Kept<'k> {
    format: u8,
    /// As it stands in the document: were it escaped, a copy would have to be made, and left behind. None of Salesforce's is.
    token: &'k str,
    accepted: bool,
    told: Option<String>,
    follows: bool,
    newest_version: Option<&'k str>,
    told_time: Option<ToldTime>,
    stubborn: Vec<u64>,
}

impl Session {
    /// Whether there is a token.
    pub fn is_signed_in(&self) -> bool {
        self.token.is_some()
    }

    /// What the next one can go on with. None without a token, or with one that is too long to be kept.
    pub fn suspend(&self, config: &Config) -> Option<Secret> {
        let kept = Kept {
            format: FORMAT,
            token: self.token.as_ref()?.reveal(),
            accepted: self.accepted,
            told: self.told.as_ref().map(Origin::to_string),
            follows: self.follows,
            newest_version: self.newest_version.as_deref(),
            told_time: self.told_time,
            stubborn: self.stubborn.iter().copied().take(MOST_STUBBORN).collect(),
        };
        // In its final size from the start: what grows leaves copies behind.
        let mut document = Zeroizing::new(Vec::with_capacity(LONGEST + 2 * kept.token.len()));
        serde_json::to_writer(&mut *document, &kept).ok()?;
        seal(config, std::str::from_utf8(&document).ok()?)
    }

    /// A session that goes on with what `suspend` returned; none if it is not of this configuration, or is not whole.
    pub fn resume(config: &Config, text: &str) -> Option<Self> {
        let (digest, document) = text.split_at_checked(DIGEST)?;
        // Compared in constant time.
        if blake3::Hash::from_hex(digest).ok()? != digest_of(config, document) {
            return None;
        }
        let kept: Kept<'_> = serde_json::from_str(document).ok()?;
        if kept.format != FORMAT || !is_token(kept.token) {
            return None;
        }
        let told = elsewhere(kept.told.as_deref(), config);
        let newest_version = kept.newest_version.filter(|version| Version::order(version).is_some());
        Some(Self {
            token: Some(Secret::new(kept.token.to_owned())),
            accepted: kept.accepted,
            follows: kept.follows && told.as_ref().is_some_and(Origin::is_salesforce),
            told,
            newest_version: newest_version.map(Rc::from),
            told_time: kept.told_time.filter(ToldTime::is_plausible),
            stubborn: kept.stubborn.into_iter().take(MOST_STUBBORN).collect(),
            ..Self::default()
        })
    }
}

impl ToldTime {
    /// Whether all of it is a time that can be counted with.
    fn is_plausible(&self) -> bool {
        [self.org.unwrap_or_default(), self.host, self.elapsed].iter().all(|ms| (0..=LATEST).contains(ms))
    }
}

/// A document with its digest in front.
fn seal(config: &Config, document: &str) -> Option<Secret> {
    let mut text = String::with_capacity(DIGEST + document.len());
    text.push_str(&digest_of(config, document).to_hex());
    text.push_str(document);
    let text = Secret::new(text);
    (text.reveal().len() <= LONGEST).then_some(text)
}

/// A digest of a document, keyed with all that decides who signs in where.
fn digest_of(config: &Config, document: &str) -> blake3::Hash {
    const CONTEXT: &str = "salesforce-source 2026 the session that one instance hands to the next";
    let identify = |tell: &mut dyn FnMut(&[u8])| {
        tell(VERSION.as_bytes());
        tell(config.instance.to_string().as_bytes());
        tell(config.api_version.as_deref().unwrap_or_default().as_bytes());
        config.auth.identify(tell);
        // The hasher keeps its last block: let there be no secret in it.
        tell(&[0; blake3::BLOCK_LEN]);
    };
    // Counted first, and written in one piece then: what grows leaves copies behind.
    let mut size = 0;
    identify(&mut |part| size += size_of::<u64>() + part.len());
    let mut identity = Zeroizing::new(Vec::with_capacity(size));
    identify(&mut |part| {
        identity.extend_from_slice(&(part.len() as u64).to_le_bytes());
        identity.extend_from_slice(part);
    });
    let key = Zeroizing::new(blake3::derive_key(CONTEXT, &identity));
    blake3::keyed_hash(&key, document.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config() -> Config {
        let config = json!({
            "instance_url": "https://acme.my.salesforce.com",
            "api_version": "latest",
            "auth": {"flow": "client-credentials", "client_id": "3MVG9.acme", "client_secret": "hunter2"},
            "streams": {"login": {"event_log_file": {}}},
        });
        Config::parse(&config.to_string()).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// A document as it is written, with members of it replaced by others.
    fn forged(members: Value) -> Option<Session> {
        let mut document = json!({
            "format": 1, "token": "00D!token", "accepted": true, "told": null, "follows": false,
            "newest_version": null, "told_time": null, "stubborn": [],
        });
        for (name, value) in members.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        let text = seal(&config(), &document.to_string()).expect("a text");
        Session::resume(&config(), text.reveal())
    }

    #[test]
    fn what_is_handed_on_comes_back_as_it_was() {
        let session = Session {
            token: Some(Secret::new(String::from("00D!token"))),
            told: Origin::parse("https://renamed.my.salesforce.com").ok(),
            follows: true,
            newest_version: Some(Rc::from("67.0")),
            accepted: true,
            stubborn: (0..100).map(|n| u64::MAX - n).collect(),
            told_time: Some(ToldTime { org: Some(3), host: 2, elapsed: 1 }),
            ..Session::default()
        };
        let text = session.suspend(&config()).expect("a text");
        let back = Session::resume(&config(), text.reveal()).expect("a session");
        assert_eq!(format!("{back:?}"), format!("{session:?}"));
        assert_eq!(back.token.as_ref().map(Secret::reveal), Some("00D!token"));
    }

    #[test]
    fn an_address_in_a_session_is_held_to_what_one_in_a_token_answer_is() {
        let follows = |told: &str| {
            let session = forged(json!({"told": told, "follows": true})).expect("a session");
            session.told().is_some_and(|(_, follows)| follows)
        };
        assert!(follows("https://renamed.my.salesforce.com"));
        for told in [
            "https://evil.example",
            "https://acme.my.salesforce.com.evil.example",
            "https://evil.example/.salesforce.com",
            "https://evil.example#.salesforce.com",
            "https://a@evil.example",
            "http://renamed.my.salesforce.com",
            "https://acme.my.site.com",
            "https://login.salesforce.com",
            "https://acme.my.salesforce.com",
            "not a URL",
            "",
        ] {
            assert!(!follows(told), "{told}");
        }
    }

    #[test]
    fn an_address_that_the_host_denied_is_not_tried_again() {
        let told = json!({"told": "https://renamed.my.salesforce.com", "follows": false});
        assert_eq!(forged(told).expect("a session").told().map(|(_, follows)| follows), Some(false));
    }

    #[test]
    fn what_cannot_be_a_token_a_version_or_a_time_is_ignored() {
        for token in ["", "a b", "a\r\nb", "é", "a\"b"] {
            assert!(forged(json!({"token": token})).is_none(), "{token}");
        }
        for version in ["", "x", "65", "65.0/../..", "65.0?a"] {
            let session = forged(json!({"newest_version": version})).expect("a session");
            assert_eq!(session.newest_version, None, "{version}");
        }
        for time in [i64::MIN, -1, LATEST + 1, i64::MAX] {
            let told = json!({"told_time": {"org": time, "host": 0, "elapsed": 0}});
            assert!(forged(told).expect("a session").told_time.is_none(), "{time}");
        }
        for wrong in [json!({"format": 2}), json!({"stubborn": [-1]}), json!({"accepted": 5})] {
            assert!(forged(wrong.clone()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_is_too_long_to_be_kept_is_not() {
        let session = |length: usize| Session {
            token: Some(Secret::new("t".repeat(length))),
            stubborn: (0..2_000).map(|n| u64::MAX - n).collect(),
            ..Session::default()
        };
        assert!(session(8 << 10).suspend(&config()).is_some_and(|text| text.reveal().len() <= LONGEST));
        assert!(session(LONGEST).suspend(&config()).is_none());
        assert!(Session::default().suspend(&config()).is_none());
    }
}
