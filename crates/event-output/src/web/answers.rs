//! What a status means: who must act, and what becomes of the events.

use reqwest::StatusCode;

use super::client::{Client, Reply};
use crate::address::origin;
use crate::output::{OutputError, OutputErrorKind};

/// What becomes of the events of a request.
pub(crate) enum Verdict {
    /// They are safe.
    Accepted,
    /// Fewer at a time.
    TooLarge,
    /// This receiver never takes them, for this reason.
    Never(String),
    /// Not now.
    Failed(OutputError),
}

/// Whose rules hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Those of HTTP at large.
    Http,
    /// Those of OTLP/HTTP, which lists what may be sent again: 429, 502, 503 and 504.
    /// <https://opentelemetry.io/docs/specs/otlp/#failures-1>
    Otlp,
}

/// Reads a status. What a person has to read stands in `said`.
pub(crate) fn judge(client: &Client, reply: &Reply, said: &str, rules: Rules) -> Verdict {
    let status = reply.status;
    let said = client.excerpt(said);
    let colon = if said.is_empty() { "" } else { ": " };
    let what = format!("{} answered {status}{colon}{said}", client.origin());
    let refused = |advice: &str| Verdict::Failed(OutputError::refused(format!("{what}; {advice}")));
    match status.as_u16() {
        200..=299 => Verdict::Accepted,
        300..=399 => {
            let to = reply.location.as_deref().map_or("nowhere".into(), |to| target(client, to));
            refused(&format!("it redirects to {to}, which is not followed: set the address that is meant"))
        }
        401 => refused("check the credentials"),
        403 => refused("the credentials are known and lack a permission, or something in between forbids it"),
        404 => refused("check the address"),
        405 => refused("check the address and the method"),
        407 => refused("check the credentials of the proxy"),
        413 => Verdict::TooLarge,
        // About the form of the request, whatever the events are.
        415 => refused("set another format or compression"),
        408 | 425 | 429 | 500..=599 if rules == Rules::Http => unavailable(reply, what),
        429 | 502..=504 => unavailable(reply, what),
        _ => Verdict::Never(what),
    }
}

fn unavailable(reply: &Reply, what: String) -> Verdict {
    let advice =
        if reply.status == StatusCode::TOO_MANY_REQUESTS { "; it asks for fewer requests" } else { "" };
    let error = OutputError::new(OutputErrorKind::Unavailable, format!("{what}{advice}"));
    Verdict::Failed(error.with_retry_after(reply.retry_after))
}

/// Where a redirect leads, without what may be a token: its query, and a path that is ours.
fn target(client: &Client, location: &str) -> String {
    let ours = client.url();
    match ours.join(location) {
        Ok(to) if to.path() == ours.path() => format!("the same path at {}", origin(&to)),
        Ok(to) => client.excerpt(&format!("{}{}", origin(&to), to.path())),
        Err(_) => "what is not an address".into(),
    }
}
