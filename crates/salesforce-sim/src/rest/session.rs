//! The session that a call comes with.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::answer::Answer;
use crate::org::Org;
use crate::settings::SessionRefusal;

/// Checks the session of a call.
pub(crate) fn check(org: &Org, headers: &HeaderMap) -> Result<(), Answer> {
    let refuse = |code, message| {
        Err(Answer::error(StatusCode::UNAUTHORIZED, code, message).with(WWW_AUTHENTICATE, "Token"))
    };
    match bearer(headers) {
        Some(token) => {
            let live = org.sessions.touch(token, org.clock().now());
            match org.settings.session_refusal.filter(|_| live) {
                Some(SessionRefusal::NotForRest) => {
                    refuse("INVALID_SESSION_ID", "This session is not valid for use with the REST API")
                }
                Some(SessionRefusal::NotAttachedToAgent) => {
                    refuse("INVALID_SESSION_ID", "Connected app is not attached to Agent")
                }
                None if live => Ok(()),
                None => refuse("INVALID_SESSION_ID", "Session expired or invalid"),
            }
        }
        None => refuse("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"),
    }
}

/// The access token that a call comes with.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty())
}
