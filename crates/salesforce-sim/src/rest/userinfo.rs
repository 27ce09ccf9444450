//! `/services/oauth2/userinfo`: who the session belongs to.
//!
//! Help, `remoteaccess_using_userinfo_endpoint`. It is no call of the REST API: it does not count, and refuses in words of
//! its own.

use http::{Method, StatusCode};
use serde_json::json;

use super::answer::Answer;
use crate::org::Org;

/// Answers with the user whose access token comes with the request.
pub(crate) fn answer(org: &Org, method: &Method, token: Option<&str>) -> Answer {
    let refuse =
        |text: &str| Answer::new(StatusCode::FORBIDDEN, "text/html;charset=UTF-8", text.as_bytes().to_vec());
    if method != Method::GET && method != Method::POST {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are GET,POST");
        return Answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
    }
    let Some(token) = token else { return refuse("Missing_OAuth_Token") };
    let Some(username) = org.sessions.user(token, org.clock().now()) else {
        return refuse("Bad_OAuth_Token");
    };
    let Some(user) = org.catalogue.people().with_username(&username) else {
        return refuse("Bad_OAuth_Token");
    };
    let url = |rest: &str| format!("{}{rest}", org.base_url);
    let (first, last) = user.name.split_once(' ').unwrap_or(("", &user.name));
    Answer::json(
        StatusCode::OK,
        &json!({
            "sub": org.identity_url(&username),
            "user_id": user.id,
            "organization_id": org.org_id(),
            "preferred_username": user.username,
            "nickname": user.username,
            "name": user.name,
            "given_name": first,
            "family_name": last,
            "email": user.username,
            "email_verified": true,
            "zoneinfo": "GMT",
            "locale": "en_US",
            "language": "en_US",
            "utcOffset": 0,
            "user_type": "STANDARD",
            "active": true,
            "is_app_installed": true,
            "urls": {
                "rest": url("/services/data/v{version}/"),
                "sobjects": url("/services/data/v{version}/sobjects/"),
                "query": url("/services/data/v{version}/query/"),
            },
        }),
    )
}
