//! Downloads of both components overlap.

use e2e::canned::{CannedFile, CannedOrg};
use e2e::hosted::{component_p3_path, component_path, from_reader, load};
use http_body_util::BodyExt as _;
use serde_json::json;
use source_host::{Answer, Egress, Options, Timeouts, Transport, TransportError, WasiBody};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const FILES: usize = 6;
/// How many downloads must have been asked for before the first of them is answered.
const TOGETHER: usize = 4;

/// Answers no download before so many of them are under way.
struct Waiting {
    org: Arc<Mutex<CannedOrg>>,
    asked: watch::Sender<usize>,
}

impl Transport for Waiting {
    fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Answer {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
        let answer = self.org.lock().ok().and_then(|mut org| org.answer(&path));
        let mut asked = self.asked.subscribe();
        let mut wanted = 0;
        if path.ends_with("/LogFile") {
            wanted = TOGETHER;
            self.asked.send_modify(|asked| *asked += 1);
        }
        Box::pin(async move {
            request.into_body().collect().await?;
            // Fails only where nobody asks any more.
            let _ = asked.wait_for(|asked| *asked >= wanted).await;
            let (status, headers, body) = answer.ok_or(TransportError::ConnectionTerminated)?;
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(from_reader(body)).map_err(|_| TransportError::HttpProtocolError)
        })
    }
}

fn log(n: u32) -> String {
    format!(
        "\"EVENT_TYPE\",\"REQUEST_ID\",\"TIMESTAMP_DERIVED\"\n\"Login\",\"{n}\",\"2026-06-01T10:00:00.000Z\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn three_downloads_are_under_way_while_a_fourth_is_waited_for_whatever_the_wasi() {
    for path in [component_path(), component_p3_path()] {
        let plugin = load(&path).expect("the component");
        let files = (1..=6).map(|n| CannedFile::new(n, log(n).into_bytes())).collect();
        let org = Arc::new(Mutex::new(CannedOrg { gzip: true, ..CannedOrg::with(files) }));
        let transport = Waiting { org: Arc::clone(&org), asked: watch::Sender::new(0) };
        let egress = Egress::allow(["acme.my.salesforce.com"]).expect("a rule");
        let options = Options::new().egress(egress).transport(transport);
        let mut source = plugin.open(options).await.expect("an instance");
        let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
        let config = json!({
            "instance_url": "https://acme.my.salesforce.com",
            "auth": {"flow": "jwt-bearer", "client_id": "client", "username": "user@acme.com", "private_key": key},
            "streams": {"login": {"initial_interval": "3650d", "event_log_file": {"log_file_interval": "hourly"}}},
        });
        source.configure(&config.to_string()).await.expect("a valid configuration");
        let poll = tokio::time::timeout(std::time::Duration::from_secs(30), source.poll(None));
        let batch = poll.await.expect("downloads that wait for one another").expect("a batch");
        let ids: Vec<_> =
            batch.events.iter().filter_map(|event| event.split(r#""request":{"id":""#).nth(1)).collect();
        let ids: Vec<_> = ids.iter().filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids, ["1", "2", "3", "4", "5", "6"], "{}: {:?}", path.display(), batch.problems);
        let org = org.lock().expect("the org");
        let downloads = org.requests.iter().filter(|path| path.ends_with("/LogFile")).count();
        assert_eq!(downloads, FILES, "{:?}", org.requests);
        assert_eq!(batch.stats.requests as usize, org.requests.len());
    }
}
