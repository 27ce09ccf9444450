//! The REST API: which request goes where, and who may.
//!
//! REST guide: `dome_versions`, `dome_discoveryresource`, `dome_limits`, `errorcodes`, `headers_api_usage`,
//! `dome_event_log_file_blob`. Only the token endpoint and the list of versions need no session; every answer to a call
//! with one states the API usage in `Sforce-Limit-Info`, and there is no answer but a refusal once the quota is used up. A
//! URI past 16,384 bytes gets 414, a URI with its headers past that 431, both from the edge and therefore in HTML.

pub(crate) mod answer;
mod failure;
pub(crate) mod oauth;
pub(crate) mod query;
mod session;
mod sobjects;
mod userinfo;

use http::header::{ACCEPT, ALLOW};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::{Value, json};

use self::answer::{Answer, Content, xml_text};
use self::query::Asking;
use crate::faults::QueryFaults;
use crate::ids;
use crate::org::Org;

/// The API versions that the org serves: Summer '19 to Summer '26.
const VERSIONS: std::ops::RangeInclusive<u32> = 46..=67;

/// Most bytes of a URI, and of a URI with its headers.
const MAX_URI: usize = 16_384;

const LIMIT_INFO: HeaderName = HeaderName::from_static("sforce-limit-info");

/// Answers any request to the org.
pub(crate) fn answer(org: &Org, request: &Parts, body: &[u8], faults: &QueryFaults) -> Answer {
    if let Some(refusal) = too_long(request) {
        return refusal;
    }
    let path = request.uri.path();
    let segments: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    let xml = wants_xml(&request.headers);
    match segments.as_slice() {
        ["services", "oauth2", "token"] => oauth::token(org, request, body),
        ["services", "oauth2", "userinfo"] => {
            userinfo::answer(org, &request.method, session::bearer(&request.headers))
        }
        ["services", "data"] => only_get(&request.method).unwrap_or_else(|| versions(xml)),
        ["services", "data.xml"] => only_get(&request.method).unwrap_or_else(|| versions(true)),
        _ => {
            let answer =
                session::check(org, &request.headers).and_then(|()| counted(org, request, &segments, faults));
            let answer = answer.unwrap_or_else(|refusal| refusal);
            if xml { error_as_xml(answer) } else { answer }
        }
    }
}

/// A call with a session, which counts against the quota.
fn counted(org: &Org, request: &Parts, segments: &[&str], faults: &QueryFaults) -> Result<Answer, Answer> {
    let answer = match org.count_api_call() {
        Some(()) => resource(org, request, segments, faults),
        None => {
            Answer::error(StatusCode::FORBIDDEN, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        }
    };
    Ok(answer.with(LIMIT_INFO, &org.quota.limit_info(org.clock().now())))
}

/// What the edge says to a URI, or to headers, that no server behind it would read.
fn too_long(request: &Parts) -> Option<Answer> {
    let uri = request.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    let headers: usize =
        request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let status = match () {
        () if uri > MAX_URI => StatusCode::URI_TOO_LONG,
        () if uri + headers > MAX_URI => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        () => return None,
    };
    let reason = status.canonical_reason().unwrap_or("");
    let html = format!("<h1>Bad Message {}</h1><pre>reason: {reason}</pre>", status.as_u16());
    Some(Answer::new(status, "text/html;charset=iso-8859-1", html.into_bytes()))
}

fn resource(org: &Org, request: &Parts, segments: &[&str], faults: &QueryFaults) -> Answer {
    let ["services", "data", version, rest @ ..] = segments else { return Answer::not_found() };
    let Some(version) = version_number(version) else { return Answer::not_found() };
    let query = request.uri.query().unwrap_or("");
    let asking = Asking { version, headers: &request.headers, faults };
    let serve: &dyn Fn() -> Answer = match rest {
        [] => &|| resources(version),
        ["limits"] => &|| limits(org),
        ["query" | "queryAll"] => &|| query::first_page(org, query, &asking),
        ["query" | "queryAll", locator] => &|| query::next_page(org, locator, &asking),
        ["sobjects"] => &|| sobjects::list(version),
        ["sobjects", name] => &|| sobjects::basic(name, version),
        ["sobjects", name, "describe"] => &|| sobjects::describe(org, name, version),
        ["sobjects", "EventLogFile", id, "LogFile"] => &|| log_file(org, id),
        _ => return Answer::not_found(),
    };
    only_get(&request.method).unwrap_or_else(serve)
}

/// What the version has, of the resources that exist here.
fn resources(version: u32) -> Answer {
    let url = |name: &str| format!("/services/data/v{version}.0/{name}");
    let names = ["limits", "query", "queryAll", "sobjects"];
    Answer::json(
        StatusCode::OK,
        &names.map(|name| (name, url(name))).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    )
}

/// The limits of the org: the calls are counted, the others stand still.
fn limits(org: &Org) -> Answer {
    let (max, used) = (org.quota.limit(), org.quota.used(org.clock().now()));
    Answer::json(
        StatusCode::OK,
        &json!({
            "DailyApiRequests": { "Max": max, "Remaining": max.saturating_sub(used) },
            "DailyBulkApiBatches": { "Max": 15_000, "Remaining": 15_000 },
            "DailyStreamingApiEvents": { "Max": 1_000_000, "Remaining": 1_000_000 },
            "HourlyPublishedPlatformEvents": { "Max": 250_000, "Remaining": 250_000 },
        }),
    )
}

fn wants_xml(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.split(',').next().is_some_and(|first| matches!(first.trim(), "application/xml" | "text/xml"))
}

/// An error of the REST API in XML; every other answer as it is.
fn error_as_xml(mut answer: Answer) -> Answer {
    let Content::Whole { content_type, bytes } = &mut answer.content else { return answer };
    if answer.status.is_success() || !content_type.starts_with("application/json") {
        return answer;
    }
    let errors: Vec<Value> = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |error: &Value, name: &str| xml_text(error[name].as_str().unwrap_or(""));
    let each = |error: &Value| {
        let (code, message) = (text(error, "errorCode"), text(error, "message"));
        format!("<Error><errorCode>{code}</errorCode><message>{message}</message></Error>")
    };
    let all: String = errors.iter().map(each).collect();
    *bytes = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Errors>{all}</Errors>").into_bytes();
    *content_type = "application/xml;charset=UTF-8";
    answer
}

fn log_file(org: &Org, id: &str) -> Answer {
    let file = ids::canonical(id).and_then(|id| org.catalogue.find(&id, org.clock().now()));
    match file {
        Some(file) if org.catalogue.has_no_content(file) => {
            Answer::new(StatusCode::NO_CONTENT, "text/csv", Vec::new())
        }
        Some(file) => {
            Answer { status: StatusCode::OK, headers: Vec::new(), content: Content::LogFile(file.clone()) }
        }
        None => Answer::not_found(),
    }
}

fn only_get(method: &Method) -> Option<Answer> {
    (method != Method::GET).then(|| {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are GET");
        Answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message).with(ALLOW, "GET")
    })
}

fn versions(xml: bool) -> Answer {
    let releases = VERSIONS.map(|version| {
        // Three releases a year; Summer '19 was version 46.
        let since = version - VERSIONS.start();
        let season = ["Summer", "Winter", "Spring"][since as usize % 3];
        let label = format!("{season} '{}", 19 + since.div_ceil(3));
        (label, format!("/services/data/v{version}.0"), format!("{version}.0"))
    });
    if xml {
        let each = |(label, url, version)| {
            format!("<Version><label>{label}</label><url>{url}</url><version>{version}</version></Version>")
        };
        let all: String = releases.map(each).collect();
        let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Versions>{all}</Versions>");
        return Answer::new(StatusCode::OK, "application/xml;charset=UTF-8", xml.into_bytes());
    }
    let list: Vec<Value> = releases
        .map(|(label, url, version)| json!({ "label": label, "url": url, "version": version }))
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
        let Content::Whole { bytes, .. } = versions(false).content else { panic!("not a whole body") };
        let list: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
        let label = |index: usize| list[index]["label"].as_str().unwrap();
        assert_eq!(
            (list.len(), label(0), label(1), label(21)),
            (22, "Summer '19", "Winter '20", "Summer '26")
        );
        assert_eq!(list[19]["version"], "65.0");
    }
}
