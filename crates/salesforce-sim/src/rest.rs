//! The REST API: which request goes where, and who may.
//!
//! REST guide: `dome_versions`, `errorcodes`, `headers_api_usage`, `dome_event_log_file_blob`. Only the token endpoint and
//! the list of versions need no session; every answer to a call with one states the API usage in `Sforce-Limit-Info`.

use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Content};
use crate::ids;
use crate::oauth;
use crate::org::Org;
use crate::query;

/// The API versions that the org serves: Summer '19 to Summer '26.
const VERSIONS: std::ops::RangeInclusive<u32> = 46..=67;

const LIMIT_INFO: HeaderName = HeaderName::from_static("sforce-limit-info");

/// Answers any request to the org.
pub(crate) fn answer(org: &Org, request: &Parts, body: &[u8]) -> Answer {
    let path = request.uri.path();
    let segments: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    match segments.as_slice() {
        ["services", "oauth2", "token"] => oauth::token(org, &request.method, &request.headers, body),
        ["services", "data"] => only_get(&request.method).unwrap_or_else(versions),
        _ => match session(org, &request.headers) {
            Err(refusal) => refusal,
            Ok(()) => resource(org, request, &segments).with(LIMIT_INFO, &org.count_api_call()),
        },
    }
}

fn resource(org: &Org, request: &Parts, segments: &[&str]) -> Answer {
    let ["services", "data", version, rest @ ..] = segments else { return Answer::not_found() };
    let Some(version) = version_number(version) else { return Answer::not_found() };
    let serve: &dyn Fn() -> Answer = match rest {
        ["query"] => &|| query::first_page(org, version, request.uri.query().unwrap_or(""), &request.headers),
        ["query", locator] => &|| query::next_page(org, version, locator),
        ["sobjects", "EventLogFile", id, "LogFile"] => &|| log_file(org, id),
        _ => return Answer::not_found(),
    };
    only_get(&request.method).unwrap_or_else(serve)
}

fn log_file(org: &Org, id: &str) -> Answer {
    let file = ids::canonical(id).and_then(|id| org.catalogue.find(&id, org.clock().now()));
    match file {
        Some(file) => {
            Answer { status: StatusCode::OK, headers: Vec::new(), content: Content::LogFile(file.clone()) }
        }
        None => Answer::not_found(),
    }
}

/// Checks the session of a call.
fn session(org: &Org, headers: &HeaderMap) -> Result<(), Answer> {
    let refuse = |code, message| {
        Err(Answer::error(StatusCode::UNAUTHORIZED, code, message).with(WWW_AUTHENTICATE, "Token"))
    };
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") && !token.trim().is_empty() => {
            if org.is_live(token.trim()) {
                Ok(())
            } else {
                refuse("INVALID_SESSION_ID", "Session expired or invalid")
            }
        }
        _ => refuse("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"),
    }
}

fn only_get(method: &Method) -> Option<Answer> {
    (method != Method::GET).then(|| {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are GET");
        Answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message).with(ALLOW, "GET")
    })
}

fn versions() -> Answer {
    let list: Vec<Value> = VERSIONS
        .map(|version| {
            // Three releases a year; Summer '19 was version 46.
            let since = version - VERSIONS.start();
            let season = ["Summer", "Winter", "Spring"][since as usize % 3];
            json!({
                "label": format!("{season} '{}", 19 + since.div_ceil(3)),
                "url": format!("/services/data/v{version}.0"),
                "version": format!("{version}.0"),
            })
        })
        .collect();
    Answer::json(StatusCode::OK, &list)
}

/// `v65.0` as 65, if the org serves it.
fn version_number(segment: &str) -> Option<u32> {
    let number = segment.strip_prefix('v')?.strip_suffix(".0")?;
    VERSIONS.into_iter().find(|version| version.to_string() == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_46_to_67_are_served_in_their_exact_form() {
        assert_eq!(version_number("v46.0"), Some(46));
        assert_eq!(version_number("v67.0"), Some(67));
        for wrong in ["v45.0", "v68.0", "65.0", "v65", "v065.0", "vv65.0", ""] {
            assert_eq!(version_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn releases_carry_their_marketing_names() {
        let Content::Whole { bytes, .. } = versions().content else { panic!("not a whole body") };
        let list: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
        let label = |place: usize| list[place]["label"].as_str().unwrap();
        assert_eq!(
            (list.len(), label(0), label(1), label(21)),
            (22, "Summer '19", "Winter '20", "Summer '26")
        );
        assert_eq!(list[19]["version"], "65.0");
    }
}
