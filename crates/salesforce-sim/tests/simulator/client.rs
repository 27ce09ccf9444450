//! A client of the simulator for its own tests: signs assertions with `ring`, speaks HTTP with hyper, decodes gzip.

use std::io::Read as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use salesforce_sim::{Org, OrgSettings, PrivateKey, Rows, Simulator, Workload, generate_key};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The path of queries; the statement follows.
pub const QUERY: &str = "/services/data/v65.0/query?q=";

/// One key for all tests of this process.
pub fn key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| generate_key().unwrap())
}

/// An org at a fixed time, with its key registered and so many hours and rows.
pub fn settings(hours: u32, rows: Rows) -> OrgSettings {
    let now: DateTime<Utc> = "2026-03-04T18:20:00Z".parse().unwrap();
    OrgSettings {
        public_key: Some(key().public_key().unwrap()),
        clock_fixed_at: Some(now),
        workload: Workload { hours, rows, end: Some(now - TimeDelta::hours(5)), ..Workload::default() },
        ..OrgSettings::default()
    }
}

/// An answer, its body as it came.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the connection broke before the body ended.
    pub broken: bool,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.decoded()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body without its content coding, as far as it decodes.
    pub fn decoded(&self) -> Vec<u8> {
        if self.header("content-encoding") != "gzip" {
            return self.body.clone();
        }
        let mut decoded = Vec::new();
        let result = flate2::read::GzDecoder::new(self.body.as_slice()).read_to_end(&mut decoded);
        assert!(result.is_ok() || self.broken, "{result:?}");
        decoded
    }

    /// Status and `errorCode` of an error of the REST API.
    pub fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()[0]["errorCode"].as_str().unwrap().to_owned())
    }
}

/// A client of one simulator.
pub struct Client<'a> {
    pub simulator: &'a Simulator,
    pub token: String,
}

impl<'a> Client<'a> {
    /// A client that has signed in.
    pub async fn sign_in(simulator: &'a Simulator) -> Self {
        let answer = token(simulator, &assertion(&claims(simulator))).await;
        let token = answer.json()["access_token"].as_str().expect("signed in").to_owned();
        Self { simulator, token }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
        call(self.simulator.url(), Method::GET, path, &headers, "").await
    }

    pub async fn query(&self, statement: &str) -> Answer {
        self.get(&format!("{QUERY}{}", encode(statement))).await
    }

    /// The records of a query that fits in one page.
    pub async fn records(&self, statement: &str) -> Vec<Value> {
        let answer = self.query(statement).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.decoded()));
        answer.json()["records"].as_array().unwrap().clone()
    }
}

/// Every record of a query, page by page.
pub async fn all(client: &Client<'_>, statement: &str) -> Vec<Value> {
    let (mut path, mut records) = (format!("{QUERY}{}", encode(statement)), Vec::new());
    loop {
        let page = client.get(&path).await.json();
        let of_page = page["records"].as_array().unwrap_or_else(|| panic!("{statement}: {page}"));
        records.extend(of_page.iter().cloned());
        match page["nextRecordsUrl"].as_str() {
            Some(next) => path = next.to_owned(),
            None => return records,
        }
    }
}

/// All time.
pub fn always() -> std::ops::Range<DateTime<Utc>> {
    DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC
}

/// Good claims for this simulator's app and user.
pub fn claims(simulator: &Simulator) -> Value {
    claims_of(simulator.org())
}

/// Good claims for this org's app and user.
pub fn claims_of(org: &Org) -> Value {
    let settings = OrgSettings::default();
    json!({
        "iss": settings.client_id,
        "sub": settings.username,
        "aud": "https://login.salesforce.com",
        "exp": org.clock().now().timestamp() + 120,
    })
}

/// A signed assertion with the header that Salesforce asks for.
pub fn assertion(claims: &Value) -> String {
    assertion_with(&json!({ "alg": "RS256" }), claims)
}

pub fn assertion_with(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let pem = key().pkcs8_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::prelude::BASE64_STANDARD.decode(base64).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Asks for a token with an assertion.
pub async fn token(simulator: &Simulator, assertion: &str) -> Answer {
    let grant = encode("urn:ietf:params:oauth:grant-type:jwt-bearer");
    token_form(simulator, &format!("grant_type={grant}&assertion={}", encode(assertion))).await
}

pub async fn token_form(simulator: &Simulator, form: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    call(simulator.url(), Method::POST, "/services/oauth2/token", &headers, form).await
}

pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One request on a connection of its own.
pub async fn call(base: &str, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let response = start(base, method, path, headers, body).await;
    let (parts, mut incoming) = response.into_parts();
    let (mut body, mut broken) = (Vec::new(), false);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    Answer { status: parts.status, headers: parts.headers, body, broken }
}

/// Sends one request and returns once the head of its answer is in; the body is read by the caller.
pub async fn start(
    base: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Incoming> {
    let address = base.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    sender.send_request(request).await.unwrap()
}
