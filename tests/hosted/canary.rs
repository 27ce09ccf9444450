//! No secret shows anywhere: every flow and every kind of failure, through the program and the component, at the most
//! verbose log level, as text and as JSON. What is looked for: each secret, each token that the org granted, each assertion
//! and form that was sent, in all the ways they are written, and the content of rows anywhere but in events.

use e2e::{
    org::TestOrg,
    signing_in::{CLIENT_SECRET, FLOWS, PASSWORD, SECURITY_TOKEN},
};
use salesforce_sim::{FaultAction, Obstacle, OrgSettings, PlannedFault, Rows, Workload};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PASSPHRASE: &str = "c4n4ry-passphrase";

const INSTANCE_WITH_PASSWORD: &str = "instance_url = \"http://admin:c4n4ry-in-an-address/x@";
const SECRET_AS_FILE: &str = "{ file = \"c4n4ry-as-a-file\" } # ";

/// What the org answers to what.
struct Scene {
    name: &'static str,
    obstacles: Vec<Obstacle>,
    faults: Vec<(&'static str, FaultAction)>,
    /// Whether whatever is sent is sent back, in an error, by whoever stands between.
    echo: Option<u16>,
    /// What is changed in the configuration.
    edit: Option<(&'static str, &'static str)>,
    /// Whether the key loses its line breaks and a part of its first line.
    damaged_key: bool,
}

fn scene(name: &'static str) -> Scene {
    Scene { name, obstacles: Vec::new(), faults: Vec::new(), echo: None, edit: None, damaged_key: false }
}

fn failing(name: &'static str, path: &'static str, action: FaultAction) -> Scene {
    Scene { faults: vec![(path, action)], ..scene(name) }
}

fn scenes() -> Vec<Scene> {
    let token = "/services/oauth2/token";
    let redirect = || FaultAction::answer_with(302, "", [("Location", "http://127.0.0.3/elsewhere")]);
    let refused =
        |code: &str| FaultAction::answer(403, json!([{"errorCode": code, "message": "words"}]).to_string());
    vec![
        scene("all is well"),
        Scene { obstacles: vec![Obstacle::UserNotApproved], ..scene("not approved") },
        Scene { obstacles: vec![Obstacle::UserInactive], ..scene("inactive") },
        failing("HTML for a token", token, FaultAction::answer(200, "<html>")),
        failing("no token", token, FaultAction::answer(200, "{}")),
        failing("a redirect without a target", token, FaultAction::answer(302, "")),
        failing("a redirect of the sign-in", token, redirect()),
        failing("a redirect of a query", "/query", redirect()),
        failing("sign-in is down", token, FaultAction::answer(503, "<html>")),
        failing("a token answer that breaks off", token, FaultAction::CutConnection { after: 60 }),
        failing("a list that is refused", "/query", refused("INSUFFICIENT_ACCESS")),
        failing("a list that is garbled", "/query", FaultAction::answer(200, "{\"records\": [")),
        failing("an allowance that is used up", "/query", refused("REQUEST_LIMIT_EXCEEDED")),
        failing("sessions that end at once", "/query", FaultAction::RevokeSessions),
        failing("a file that is refused", "/LogFile", refused("INSUFFICIENT_ACCESS")),
        failing("a file that breaks off", "/LogFile", FaultAction::CutConnection { after: 3_000 }),
        failing("a file that ends early", "/LogFile", FaultAction::CutSilently { after: 3_000 }),
        failing("a file that is no log", "/LogFile", FaultAction::answer(200, "<html>")),
        Scene { echo: Some(400), ..scene("an echo, as an error of the API") },
        Scene { echo: Some(401), ..scene("an echo, as a refused session") },
        Scene { echo: Some(200), ..scene("an echo, as an answer") },
        Scene {
            edit: Some(("[source.auth]", "[source.auth]\nsurprise = 5")),
            ..scene("a mistake in the configuration")
        },
        Scene {
            edit: Some(("allow = [", "allow = [\"127.0.0.2\"] #")),
            ..scene("a host that is not allowed")
        },
        Scene { edit: Some(("client_id = \"", "client_id = \"not-")), ..scene("a wrong consumer key") },
        Scene {
            edit: Some(("instance_url = \"http://", INSTANCE_WITH_PASSWORD)),
            ..scene("a password in an address")
        },
        Scene { edit: Some(("{ file = \"", SECRET_AS_FILE)), ..scene("a secret in the place of its file") },
        Scene { edit: Some(("[source.auth]", "[source.auth]\nx = \"c4n4ry-in-toml")), ..scene("no TOML") },
        Scene { damaged_key: true, ..scene("a damaged key") },
    ]
}

/// Everything that was sent to an org, and everything it answered.
type Overheard = Arc<Mutex<Vec<u8>>>;

/// A wire to an org that is tapped; with `echo` it answers itself, with what it was sent.
async fn tap(org: &TestOrg, echo: Option<u16>) -> (String, Overheard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let (target, overheard) = (org.authority().to_owned(), Overheard::default());
    let ears = Arc::clone(&overheard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (target, ears) = (target.clone(), Arc::clone(&ears));
            tokio::spawn(async move {
                let server = TcpStream::connect(&target).await.expect("the org");
                let (from_client, mut to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let Some(status) = echo else {
                    tokio::spawn(listen(from_client, to_server, Arc::clone(&ears)));
                    listen(from_server, to_client, ears).await;
                    return;
                };
                // The token is granted; all else, and a second token, is sent back.
                let (mut from_client, mut to_server, mut from_server) = (from_client, to_server, from_server);
                let mut granted = false;
                while let Some(text) = request(&mut from_client).await {
                    ears.lock().expect("ears").extend_from_slice(text.as_bytes());
                    let is_sign_in = text.starts_with("POST");
                    if is_sign_in && !std::mem::replace(&mut granted, true) {
                        to_server.write_all(text.as_bytes()).await.expect("the org");
                        let mut back = vec![0; 64 * 1024];
                        let count = from_server.read(&mut back).await.expect("an answer");
                        ears.lock().expect("ears").extend_from_slice(&back[..count]);
                        to_client.write_all(&back[..count]).await.expect("the client");
                        continue;
                    }
                    // What is secret comes first: long answers are shown in part.
                    let (head, form) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
                    let token =
                        head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"));
                    let said =
                        format!("{form} {} {head}", token.unwrap_or_default()).replace(['\r', '\n'], " ");
                    let body = if is_sign_in {
                        json!({"error": "invalid_grant", "error_description": said}).to_string()
                    } else {
                        json!([{"errorCode": "INVALID_SESSION_ID", "message": said}]).to_string()
                    };
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                    );
                    if to_client.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, overheard)
}

/// A request, head and body.
pub async fn request(from: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let (mut text, mut part) = (String::new(), vec![0; 64 * 1024]);
    loop {
        let count = from.read(&mut part).await.ok().filter(|count| *count > 0)?;
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let whole = match length {
            Some(length) => body.len() >= length,
            None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
            None => true,
        };
        if whole {
            return Some(text);
        }
    }
}

async fn listen(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, ears: Overheard) {
    let mut part = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut part).await {
        ears.lock().expect("ears").extend_from_slice(&part[..count]);
        if to.write_all(&part[..count]).await.is_err() {
            return;
        }
    }
}

/// The secrets that were sent or answered: tokens, assertions, forms.
fn on_the_wire(overheard: &Overheard) -> Vec<String> {
    let bytes = overheard.lock().expect("ears");
    let text = String::from_utf8_lossy(&bytes);
    let mut found = Vec::new();
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '&' | ',');
    for mark in ["\"access_token\":\"", "assertion=", "Bearer "] {
        for part in text.split(mark).skip(1) {
            found.push(part.split(is_end).next().unwrap_or_default().to_owned());
        }
    }
    found.retain(|secret| secret.len() > 20);
    found
}

/// Parts of a secret that are telling: all of it, and its halves, since a message may cut it.
fn telling(secret: &str) -> Vec<String> {
    let (first, second) = secret.split_at(secret.len() / 2);
    let halves = [first, second].into_iter().filter(|half| half.len() >= 24).map(str::to_owned);
    std::iter::once(secret.to_owned()).chain(halves).collect()
}

fn configure(org: &TestOrg, folder: &Path, flow: &str, authority: &str) -> String {
    // Nobody waits for what does not come.
    let more = "[source.timeouts]\nfirst_byte = \"2s\"\nbetween_bytes = \"2s\"\n";
    let config =
        org.write_config(folder, "kind = \"file\"\npath = \"events.ndjson\"", more).expect("a configuration");
    let text = fs::read_to_string(config).expect("a configuration").replace(org.authority(), authority);
    let auth = match flow {
        "jwt-bearer" => {
            let pem = folder.join("client-key.pem");
            let encrypted = std::process::Command::new("openssl")
                .args(["pkcs8", "-topk8", "-passout", &format!("pass:{PASSPHRASE}"), "-in"])
                .arg(&pem)
                .output();
            match encrypted {
                Ok(output) if output.status.success() => fs::write(&pem, output.stdout).expect("written"),
                _ => println!("there is no openssl: the key is not encrypted"),
            }
            fs::write(folder.join("passphrase"), PASSPHRASE).expect("written");
            return text.replace(
                "private_key = {",
                "private_key_passphrase = { file = \"passphrase\" }\nprivate_key = {",
            );
        }
        "client-credentials" => "client_secret = { file = \"secret\" }\n",
        _ => {
            "client_secret = { file = \"secret\" }\npassword = { env = \"CANARY\" }\nsecurity_token = { file = \"token\" }\n"
        }
    };
    fs::write(folder.join("secret"), CLIENT_SECRET).expect("written");
    fs::write(folder.join("token"), SECURITY_TOKEN).expect("written");
    let mut text = text.replace("flow = \"jwt-bearer\"", &format!("flow = \"{flow}\"\n{auth}"));
    text = text.replace("private_key = { file = \"client-key.pem\" }\n", "");
    if flow == "client-credentials" {
        let username =
            text.lines().find(|line| line.starts_with("username")).map(str::to_owned).expect("a user");
        text = text.replace(&format!("{username}\n"), "");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_in_any_output_whatever_happens() {
    let mut runs = 0;
    for flow in FLOWS {
        for (index, scene) in scenes().into_iter().enumerate() {
            let workload = Workload { hours: 1, rows: Rows::Total(5), ..Workload::default() };
            let settings = OrgSettings { obstacles: scene.obstacles, workload, ..OrgSettings::default() };
            let org = TestOrg::start(settings).await.expect("an org");
            for (path, action) in scene.faults {
                org.simulator.org().plan_fault(PlannedFault::every(path, action));
            }
            let (authority, overheard) = tap(&org, scene.echo).await;
            let folder = tempfile::tempdir().expect("a folder");
            let mut text = configure(&org, folder.path(), flow, &authority);
            if let Some((from, to)) = scene.edit {
                assert!(text.contains(from), "{from}");
                text = text.replace(from, to);
            }
            let key = fs::read_to_string(folder.path().join("client-key.pem")).unwrap_or_default();
            let plain = org.source().expect("a configuration")["auth"]["private_key"]
                .as_str()
                .expect("PEM")
                .to_owned();
            fs::write(folder.path().join("source-host.toml"), text).expect("written");
            if scene.damaged_key && flow == "jwt-bearer" {
                let damaged = key.replace('\n', " ").replacen("KEY-----", "KEY", 1);
                fs::write(folder.path().join("client-key.pem"), damaged).expect("written");
            }

            // Text and JSON take turns, and each flow begins with the other one.
            let json = (index + flow.len()).is_multiple_of(2);
            // So do the most that can be asked for by options, and by the environment.
            let by_environment = (index / 2).is_multiple_of(2);
            let path = folder.path().to_owned();
            let output = tokio::task::spawn_blocking(move || {
                let mut all = String::new();
                for command in [
                    &["run", "--until-caught-up", "--give-up-after", "1ms", "--report", "report.json"][..],
                    &["check"],
                ] {
                    let mut host = crate::host();
                    host.args(["-vv", "--log", if json { "json" } else { "text" }]).current_dir(&path);
                    if by_environment {
                        host.env("RUST_LOG", "trace");
                    }
                    host.env("CANARY", PASSWORD).args(command).arg("source-host.toml");
                    let output = host.output().expect("the host");
                    all.push_str(&String::from_utf8_lossy(&output.stdout));
                    all.push_str(&String::from_utf8_lossy(&output.stderr));
                }
                for name in ["state.json", "report.json"] {
                    all.push_str(&String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default()));
                }
                let events = fs::read_to_string(path.join("events.ndjson")).unwrap_or_default();
                (all, events)
            });
            let (all, events) = output.await.expect("a thread");
            assert!(all.len() > 200, "{flow}, {}: nothing was said: {all}", scene.name);

            let mut secrets: Vec<String> =
                [CLIENT_SECRET, PASSWORD, SECURITY_TOKEN, PASSPHRASE].map(str::to_owned).into();
            secrets
                .extend(key.lines().chain(plain.lines()).filter(|line| line.len() == 64).map(str::to_owned));
            let sent = on_the_wire(&overheard);
            // Where nothing was sent there is nothing to find.
            assert!(!sent.is_empty() || scene.name != "all is well", "{flow}: the wire is not tapped");
            secrets.extend(sent);
            secrets.extend(["in-toml", "in-an-address", "as-a-file"].map(|part| format!("c4n4ry-{part}")));
            for secret in secrets.iter().flat_map(|secret| telling(secret)) {
                let at = all.find(&secret);
                let shown = at.map(|at| all.get(at.saturating_sub(300)..at).unwrap_or_default());
                assert_eq!(at, None, "{flow}, {}: a secret shows behind: {shown:?}", scene.name);
                assert!(!events.contains(&secret), "{flow}, {}: a secret shows in an event", scene.name);
            }
            for event in events.lines() {
                let event: Value = serde_json::from_str(event).expect("an event");
                for value in
                    [&event["user"]["email"], &event["source"]["ip"], &event["salesforce"]["login"]["uri"]]
                {
                    let Some(content) = value.as_str().filter(|content| content.len() > 6) else { continue };
                    let content = format!("{content:?}");
                    assert!(
                        !all.contains(content.trim_matches('"')),
                        "{flow}, {}: a row shows: {content}",
                        scene.name
                    );
                }
            }
            if scene.name == "all is well" {
                assert_eq!(events.lines().count(), 5, "{flow}: {all}");
            }
            if scene.echo.is_some_and(|status| status >= 400) {
                assert!(all.contains("[secret]"), "{flow}, {}: nothing was repeated: {all}", scene.name);
            }
            runs += 1;
        }
    }
    println!("{runs} scenes");
}
