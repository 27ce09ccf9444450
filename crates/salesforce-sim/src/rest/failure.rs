//! How a query that costs too much fails, in the words of an answer.

use http::StatusCode;

use super::answer::{Answer, Lost};
use crate::faults::cost::Failure;

/// The answer to a query that costs too much.
pub(crate) fn failed(failure: Failure) -> Answer {
    let error = |status, code, message| Answer::error(status, code, message);
    let status = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match failure {
        Failure::QueryTimeout => {
            let message = "Your query request was running for too long.";
            error(StatusCode::BAD_REQUEST, "QUERY_TIMEOUT", message)
        }
        Failure::RequestRunningTooLong => {
            let message = "Your request was running for too long, and has been stopped.";
            error(StatusCode::INTERNAL_SERVER_ERROR, "REQUEST_RUNNING_TOO_LONG", message)
        }
        Failure::OperationTooLarge => {
            error(StatusCode::BAD_REQUEST, "OPERATION_TOO_LARGE", "exceeded 100000 distinct ids")
        }
        Failure::Json(503) => {
            let message = "The server is unable to handle the request.";
            error(StatusCode::SERVICE_UNAVAILABLE, "SERVER_UNAVAILABLE", message)
        }
        Failure::Json(code) => error(status(code), "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
        Failure::Page(code) => {
            let status = status(code);
            let reason = status.canonical_reason().unwrap_or("Error");
            let page = format!(
                "<html><head><title>{reason}</title></head><body><h1>{code} {reason}</h1></body></html>"
            );
            Answer::new(status, "text/html;charset=UTF-8", page.into_bytes())
        }
        Failure::Closed => Answer::lost(Lost::Closed),
        Failure::Stall => Answer::lost(Lost::Stalled),
    }
}
