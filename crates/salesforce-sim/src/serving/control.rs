//! The control listener: what a test in another process may see and do.
//!
//! It has a port of its own, so that nothing a client sends to the org can reach it. Loopback only, no sign-in.
//!
//! | request | answer |
//! |---|---|
//! | `GET /truth?interval=hourly` or `daily` | NDJSON, one `{"event_id":…,"file":…,"row":…}` for each event |
//! | `GET /truth?object=LoginEvent` (or another [`StoredObject`]) | NDJSON, one `{"event_id":…}` for each record |
//! | either of them with `&from=…&to=…` | of that span alone: `LogDate`, or the object's date, from the first up to the second |
//! | `GET /truth?…&event_types=Login,Logout` | of these types alone |
//! | `GET /damaged?object=LoginEvent` | NDJSON, one object for each damaged record: `event_id`, `id_survives`, `number`, `field` and `sound` |
//! | `GET /stats` | counters |
//! | `POST /expire-sessions` | `{"expired":n}` |
//! | `POST /exhaust-quota` | `{}`; every call is refused for 24 hours |
//! | `POST /faults` with a plan (see `faults`) | `{"planned":n}`, or 400 with every mistake |
//! | `DELETE /faults` | `{}`; the faults still to come are forgotten |
//! | `POST /clock` with `{"advance_seconds":n}` | `{"now":…}`; n may be negative |

use std::io::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, PieceWriter};
use crate::event_log_file::{Interval, Truth};
use crate::faults::{PlanMistakes, PlannedFault};
use crate::objects::stored::StoredObject;
use crate::org::Org;
use crate::rows::schema::event_types;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveClock {
    advance_seconds: i64,
}

/// Answers one request to the control listener.
pub(crate) async fn serve(org: Arc<Org>, request: Request<Incoming>) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (&method, path.as_str()) {
        (&Method::GET, "/truth") => truth(org, request.uri().query().unwrap_or("")),
        (&Method::GET, "/damaged") => damaged(org, request.uri().query().unwrap_or("")),
        (&Method::GET, "/stats") => json_response(StatusCode::OK, &stats(&org)),
        (&Method::POST, "/expire-sessions") => {
            json_response(StatusCode::OK, &json!({ "expired": org.expire_sessions() }))
        }
        (&Method::POST, "/exhaust-quota") => {
            org.exhaust_quota();
            json_response(StatusCode::OK, &json!({}))
        }
        (&Method::POST, "/faults") => plan_faults(&org, request).await,
        (&Method::DELETE, "/faults") => {
            org.clear_faults();
            json_response(StatusCode::OK, &json!({}))
        }
        (&Method::POST, "/clock") => move_clock(&org, request).await,
        _ => problem(
            StatusCode::NOT_FOUND,
            "there are GET /truth?interval=hourly|daily or ?object=, GET /damaged?object=, GET /stats, POST /expire-sessions, \
             POST /exhaust-quota, POST and DELETE /faults, and POST /clock",
        ),
    }
}

fn truth(org: Arc<Org>, query: &str) -> Response<Body> {
    let parameter = |wanted: &str| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
    let time = |name: &str, default: DateTime<Utc>| {
        parameter(name).map_or(Some(default), |(_, value)| value.parse::<DateTime<Utc>>().ok())
    };
    let (Some(from), Some(to)) =
        (time("from", DateTime::<Utc>::MIN_UTC), time("to", DateTime::<Utc>::MAX_UTC))
    else {
        return problem(StatusCode::BAD_REQUEST, "from and to are times such as 2026-03-04T18:00:00Z");
    };
    if let Some((_, object)) = parameter("object") {
        let Some(object) = stored_object(&org, &object) else { return no_such_object() };
        let body = Body::written(move |writer| {
            let _ = write_object_truth(&org, object, from..to, writer);
        });
        return response(StatusCode::OK, "application/x-ndjson", body);
    }
    let given = parameter("interval");
    let interval = match given.as_ref().map(|(_, value)| value.as_ref()) {
        Some("hourly") | None => Interval::Hourly,
        Some("daily") => Interval::Daily,
        Some(_) => return problem(StatusCode::BAD_REQUEST, "interval is hourly or daily"),
    };
    let mut known = event_types();
    let of_attacks = org.catalogue.told().event_types().filter(|told| !event_types().contains(told));
    known.extend(of_attacks);
    let wanted: Vec<&'static str> = match parameter("event_types") {
        None => known,
        Some((_, names)) => {
            let wanted: Vec<_> =
                names.split(',').map(|name| known.iter().copied().find(|known| *known == name)).collect();
            match wanted.into_iter().collect::<Option<Vec<_>>>() {
                Some(wanted) => wanted,
                None => {
                    let message = format!("event_types are of {}, not {names}", known.join(", "));
                    return problem(StatusCode::BAD_REQUEST, &message);
                }
            }
        }
    };
    let body = Body::written(move |writer| {
        // An error means that the client has gone.
        let _ = write_truth(org.truth_of(interval, &wanted, from..to), writer);
    });
    response(StatusCode::OK, "application/x-ndjson", body)
}

/// The records of an object that come damaged.
fn damaged(org: Arc<Org>, query: &str) -> Response<Body> {
    let object = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "object");
    let Some(object) = object.and_then(|(_, name)| stored_object(&org, &name)) else {
        return no_such_object();
    };
    let body = Body::written(move |mut writer| {
        let always = DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC;
        for record in org.damaged(object, always) {
            let line = json!({
                "event_id": record.event_id,
                "id_survives": record.id_survives,
                "number": record.number,
                "field": record.field,
                "sound": record.sound,
            });
            if writeln!(writer, "{line}").is_err() {
                return; // the client has gone
            }
        }
        let _ = writer.finish();
    });
    response(StatusCode::OK, "application/x-ndjson", body)
}

fn stored_object(org: &Org, name: &str) -> Option<StoredObject> {
    StoredObject::EVERY.into_iter().find(|object| object.name() == name && org.records().has(*object))
}

fn no_such_object() -> Response<Body> {
    let names = StoredObject::ALL.map(StoredObject::name).join(", ");
    problem(StatusCode::BAD_REQUEST, &format!("object is one of {names}"))
}

fn write_truth(truth: Truth<'_>, mut writer: PieceWriter) -> io::Result<()> {
    for event in truth {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        writer.write_all(&line)?;
    }
    writer.finish()
}

fn write_object_truth(
    org: &Org,
    object: StoredObject,
    span: Range<DateTime<Utc>>,
    mut writer: PieceWriter,
) -> io::Result<()> {
    for id in org.object_truth(object, span) {
        writeln!(writer, "{}", json!({ "event_id": id }))?;
    }
    writer.finish()
}

fn stats(org: &Org) -> Value {
    let files = |interval| {
        let files = org.event_log_files(interval);
        json!({ "files": files.len(), "rows": files.iter().map(|file| file.rows).sum::<u64>() })
    };
    let totals = org.requests().totals();
    json!({
        "now": org.clock().now().to_rfc3339(),
        "hourly": files(Interval::Hourly),
        "daily": files(Interval::Daily),
        "requests": totals.requests,
        "body_bytes": totals.body_bytes,
        "api_calls": org.api_calls(),
        "tokens_issued": org.tokens_issued(),
        "live_sessions": org.live_sessions(),
    })
}

async fn plan_faults(org: &Org, request: Request<Incoming>) -> Response<Body> {
    let body = Limited::new(request.into_body(), 1024 * 1024).collect().await.map(|body| body.to_bytes());
    let Some(text) = body.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) else {
        return problem(StatusCode::BAD_REQUEST, "a plan is text of at most 1 MiB");
    };
    match PlannedFault::plan(&text) {
        Ok(faults) => {
            let planned = faults.len();
            faults.into_iter().for_each(|fault| org.plan_fault(fault));
            json_response(StatusCode::OK, &json!({ "planned": planned }))
        }
        Err(PlanMistakes(mistakes)) => {
            json_response(StatusCode::BAD_REQUEST, &json!({ "mistakes": mistakes }))
        }
    }
}

async fn move_clock(org: &Org, request: Request<Incoming>) -> Response<Body> {
    let body = Limited::new(request.into_body(), 1024).collect().await.map(|body| body.to_bytes());
    let asked = body.ok().and_then(|bytes| serde_json::from_slice::<MoveClock>(&bytes).ok());
    match asked.and_then(|asked| TimeDelta::try_seconds(asked.advance_seconds)) {
        Some(delta) => {
            org.clock().advance(delta);
            json_response(StatusCode::OK, &json!({ "now": org.clock().now().to_rfc3339() }))
        }
        None => problem(StatusCode::BAD_REQUEST, "the body is {\"advance_seconds\": <whole number>}"),
    }
}

fn problem(status: StatusCode, text: &str) -> Response<Body> {
    json_response(status, &json!({ "error": text }))
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    response(status, "application/json", Body::whole(format!("{value}\n")))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
