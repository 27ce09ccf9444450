//! The transport with what an operator may say of it: whom to trust, as whom to appear, through which proxy to go.
//!
//! Names other than `localhost` lead to a server of the test through a proxy of the test alone, which goes there whatever it is
//! asked for: without a proxy they would have to resolve to loopback, which is refused.

use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;

use captured_log::Log;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tracing::Level;
use wasmtime_wasi_http::WasiHttpHooks;

use super::*;
use crate::account::Account;
use crate::network::dial::DIALING;
use crate::network::egress::{Egress, Gate};
use crate::network::outgoing::{Bounds, Outgoing, Pace};

const PASSWORD: &str = "p@ss:word";
/// `collector:p@ss:word`.
const CREDENTIALS: &str = "Basic Y29sbGVjdG9yOnBAc3M6d29yZA==";

/// A certificate authority of one test, and the files that it wrote.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// Writes a certificate and its key, and returns where.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| format!("{name}.{end}");
        (self.write(&file("pem"), &certificate.pem()), self.write(&file("key"), &key.serialize_pem()))
    }
}

type Heads = Arc<Mutex<Vec<String>>>;

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") && stream.read_buf(&mut seen).await.unwrap_or(0) > 0 {}
    String::from_utf8_lossy(&seen).into_owned()
}

/// A TLS server of this name. What it was asked is kept. With `demanding`, it wants a certificate of the same authority.
async fn tls_server(authority: &Authority, name: &str, demanding: bool) -> (u16, Heads) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = authority.issue(name);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file("ca.pem")).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = match demanding {
        true => config.with_client_cert_verifier(verifier.build().unwrap()),
        false => config.with_no_client_auth(),
    };
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let config = config.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heads) = (listener.local_addr().unwrap().port(), Heads::default());
    let asked = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let head = head(&mut stream).await;
            asked.lock().unwrap().push(head);
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    });
    (port, heads)
}

/// What a proxy of a test does with every CONNECT.
#[derive(Clone, Copy)]
enum Proxying {
    /// Connects to this port of loopback, whatever it was asked for.
    To(u16),
    Says(&'static str),
}

async fn proxy(proxying: Proxying) -> (u16, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heads) = (listener.local_addr().unwrap().port(), Heads::default());
    let asked = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                asked.lock().unwrap().push(head);
                match proxying {
                    Proxying::Says(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    Proxying::To(port) => {
                        let mut target = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
                    }
                }
                // Whoever asked goes first.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    (port, heads)
}

fn through(host_and_port: &str) -> HttpTransportBuilder {
    let url = format!("http://collector:p%40ss%3Aword@{host_and_port}");
    HttpTransport::builder().proxy(&url).unwrap()
}

async fn fetch(transport: &HttpTransport, uri: &str) -> Result<Response<WasiBody>, Error> {
    get(transport, uri, Timeouts::default()).await
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in [PASSWORD, "p%40ss", "word@", CREDENTIALS, "Y29sbGVjdG9y"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn https_goes_through_the_proxy_by_name_and_the_credentials_stay_with_the_proxy() {
    let authority = Authority::new();
    let (target, asked_target) = tls_server(&authority, "logs.example.com", false).await;
    let (port, asked_proxy) = proxy(Proxying::To(target)).await;
    let transport = through(&format!("127.0.0.1:{port}")).extra_ca_file(authority.file("ca.pem"));
    // Nothing is resolved here: neither the target, which the proxy resolves, nor the proxy, which is an address.
    let transport = transport.build_with(no_lookup()).unwrap();
    let answer = fetch(&transport, "https://logs.example.com/services?q=1").await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "hello");
    let asked_proxy = asked_proxy.lock().unwrap().join("");
    assert!(asked_proxy.starts_with("CONNECT logs.example.com:443 HTTP/1.1\r\n"), "{asked_proxy}");
    assert!(asked_proxy.contains("\r\nhost: logs.example.com:443\r\n"), "{asked_proxy}");
    assert!(asked_proxy.contains(&format!("\r\nproxy-authorization: {CREDENTIALS}\r\n")), "{asked_proxy}");
    assert!(!asked_proxy.contains("services"), "{asked_proxy}");
    let asked_target = asked_target.lock().unwrap().join("");
    assert!(asked_target.starts_with("GET /services?q=1 HTTP/1.1\r\n"), "{asked_target}");
    assert!(!asked_target.to_lowercase().contains("proxy"), "{asked_target}");
    assert_no_secret(&asked_target);
}

#[tokio::test]
async fn the_certificate_behind_a_proxy_must_be_the_targets() {
    let authority = Authority::new();
    let (target, asked) = tls_server(&authority, "other.example.com", false).await;
    let (port, _) = proxy(Proxying::To(target)).await;
    let transport = through(&format!("127.0.0.1:{port}")).extra_ca_file(authority.file("ca.pem"));
    let transport = transport.build_with(no_lookup()).unwrap();
    assert_eq!(code(fetch(&transport, "https://logs.example.com/").await), "TlsCertificateError");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_proxy_may_have_an_inner_address_and_no_target_gets_one_by_it() {
    let authority = Authority::new();
    let (target, _) = tls_server(&authority, "logs.example.com", false).await;
    let (port, _) = proxy(Proxying::To(target)).await;
    let lookup: Lookup = Arc::new(|name| {
        assert_eq!(name, "proxy.internal");
        Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })
    });
    let builder = through(&format!("proxy.internal:{port}")).extra_ca_file(authority.file("ca.pem"));
    let transport = builder.build_with(Arc::clone(&lookup)).unwrap();
    assert_eq!(fetch(&transport, "https://logs.example.com/").await.unwrap().status(), 200);
    // Without the proxy the same name and address are a target as any other.
    let direct = HttpTransport::builder().build_with(lookup).unwrap();
    let result = fetch(&direct, &format!("https://proxy.internal:{port}/")).await;
    assert_eq!(code(result), "DestinationIpProhibited");
}

#[tokio::test]
async fn what_means_this_machine_never_goes_through_the_proxy() {
    let authority = Authority::new();
    let (target, asked) = tls_server(&authority, "localhost", false).await;
    let plain = Server::start(Some(OK)).await;
    let (port, asked_proxy) =
        proxy(Proxying::Says("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")).await;
    let builder = through(&format!("127.0.0.1:{port}")).extra_ca_file(authority.file("ca.pem"));
    let transport = builder.build_with(fixed_lookup(vec!["127.0.0.1"])).unwrap();
    assert_eq!(fetch(&transport, &plain.uri()).await.unwrap().status(), 200);
    assert_eq!(fetch(&transport, &format!("https://localhost:{target}/")).await.unwrap().status(), 200);
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(asked_proxy.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_proxy_refuses_has_a_word_for_the_component_and_a_line_for_the_operator() {
    for (answer, word, line) in [
        (
            "HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n",
            "ConfigurationError",
            "wants other credentials than it was given (407)",
        ),
        (
            "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n",
            "ConfigurationError",
            "does not allow the target (403)",
        ),
        (
            "HTTP/1.1 502 No\r\ncontent-length: 5\r\n\r\n",
            "DestinationUnavailable",
            "does not reach the target (502)",
        ),
        (
            "HTTP/1.1 504 No\r\ncontent-length: 0\r\n\r\n",
            "ConnectionTimeout",
            "does not reach the target (504)",
        ),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "HttpProtocolError", "does not speak HTTP"),
        ("HTTP/1.1 200 OK\r\n\r\nI speak first", "HttpProtocolError", "does not speak HTTP"),
    ] {
        let log = Log::default();
        let _guard = log.listen(Level::TRACE);
        let (port, _) = proxy(Proxying::Says(answer)).await;
        let transport = through(&format!("127.0.0.1:{port}")).build_with(no_lookup()).unwrap();
        assert_eq!(code(fetch(&transport, "https://logs.example.com/").await), word, "{answer}");
        let lines = log.text();
        assert!(
            lines.contains(line) && lines.contains("WARN") && lines.contains("logs.example.com"),
            "{line}: {lines}"
        );
        assert!(lines.contains(&format!("127.0.0.1:{port}")), "{lines}");
        assert_no_secret(&lines);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_a_target_that_is_not() {
    let log = Log::default();
    let _guard = log.listen(Level::TRACE);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let transport = through(&address).build_with(no_lookup()).unwrap();
    assert_eq!(code(fetch(&transport, "https://logs.example.com/").await), "ConnectionRefused");
    let nameless = through("proxy.internal:3128").build_with(fixed_lookup(vec![""])).unwrap();
    assert_eq!(code(fetch(&nameless, "https://logs.example.com/").await), "DestinationUnavailable");
    let (port, _) = proxy(Proxying::Says("")).await;
    let silent = through(&format!("127.0.0.1:{port}")).build_with(no_lookup()).unwrap();
    let timeouts = Timeouts { connect: Duration::from_millis(20), ..Timeouts::default() };
    assert_eq!(code(get(&silent, "https://logs.example.com/", timeouts).await), "ConnectionTimeout");
    let lines = log.text();
    for line in
        ["cannot be reached: connection refused", "its name does not resolve", "did not connect in time"]
    {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    assert_no_secret(&lines);
}

#[tokio::test]
async fn a_proxy_that_is_broken_fills_no_log() {
    let log = Log::default();
    let _guard = log.listen(Level::TRACE);
    let (port, asked) = proxy(Proxying::Says("HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n")).await;
    let transport = through(&format!("127.0.0.1:{port}")).build_with(no_lookup()).unwrap();
    for _ in 0..100 {
        fetch(&transport, "https://logs.example.com/").await.unwrap_err();
    }
    assert_eq!(asked.lock().unwrap().len(), 100);
    assert_eq!(log.text().matches("does not reach the target").count(), 10);
}

#[test]
fn variables_of_the_environment_name_no_proxy() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "network::transport::tests::a_name_that_does_not_resolve_is_a_dns_error"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_proxy_that_is_none_is_refused_without_its_password() {
    for (url, says) in [
        ("https://u:p%40ssword@proxy.internal:3128", "reached by plain http"),
        ("socks5://u:p%40ssword@proxy.internal:3128", "reached by plain http"),
        ("u:p%40ssword@proxy.internal:3128", "no URL"),
        ("http://u:p%40ss/word@proxy.internal:3128", "is not usable"),
        ("http://u:p%40ss word@proxy.internal:3128", "no URL"),
        ("http://u:p%40ssword@proxy.internal", "its port is missing"),
        ("http://u:p%40ssword@proxy.internal:0", "its port is missing"),
        ("http://u:p%40ssword@:3128", "is not usable"),
        ("http://u:p%40ssword@proxy.internal:3128/path", "behind its port"),
        ("http://u%3Ap%40ss:word@proxy.internal:3128", "no colon"),
        ("", "is not usable"),
    ] {
        let error = HttpTransport::builder().proxy(url).unwrap_err();
        let (shown, debug) = (error.to_string(), format!("{error:?}"));
        assert!(shown.contains(says) && shown.contains("http://host:port"), "{url}: {shown}");
        for secret in ["p%40ss", "p@ss"] {
            assert!(!shown.contains(secret) && !debug.contains(secret), "{debug}");
        }
    }
}

fn outgoing(egress: Egress, grants: &[&str], transport: HttpTransport) -> Outgoing {
    let mut gate = Gate::new(egress);
    gate.grant(&grants.iter().map(|grant| (*grant).to_owned()).collect::<Vec<_>>()).unwrap();
    let bounds = Bounds {
        connections: 4,
        requests_per_second: 1_000,
        request_bytes: 1_000,
        received_bytes: 1_000,
        request_time: Duration::from_secs(60),
        log_lines_per_minute: 10,
    };
    let pace = Arc::new(Mutex::new(Pace::new(&bounds)));
    Outgoing::new(gate, Arc::new(transport), bounds, pace, Arc::new(Account::new(u64::MAX, None)), None)
}

async fn send(outgoing: &mut Outgoing, uri: &str) -> Result<Response<WasiBody>, Error> {
    let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = Request::get(uri).header("proxy-authorization", "Basic of-the-guest").body(body).unwrap();
    let sent = outgoing.send_request(request, None, Box::new(async { Ok(()) }));
    Box::into_pin(sent).await.map(|(response, _)| response)
}

#[tokio::test]
async fn a_proxy_is_no_way_around_the_rules_and_no_target_itself() {
    let authority = Authority::new();
    let (target, asked_target) = tls_server(&authority, "logs.example.com", false).await;
    let (port, asked) = proxy(Proxying::To(target)).await;
    let builder = through(&format!("127.0.0.1:{port}")).extra_ca_file(authority.file("ca.pem"));
    let transport = builder.build_with(no_lookup()).unwrap();
    let proxy_itself = format!("127.0.0.1:{port}");
    let egress = Egress::allow(["logs.example.com"]).unwrap();
    let mut outgoing = outgoing(egress, &["logs.example.com", "evil.net", &proxy_itself], transport);
    for denied in
        ["https://evil.net/".into(), format!("http://{proxy_itself}/"), format!("https://{proxy_itself}/")]
    {
        assert_eq!(code(send(&mut outgoing, &denied).await), "HttpRequestDenied", "{denied}");
    }
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(send(&mut outgoing, "https://logs.example.com/").await.unwrap().status(), 200);
    assert_eq!(asked.lock().unwrap().len(), 1);
    let heads = format!("{:?}{:?}", asked.lock().unwrap(), asked_target.lock().unwrap());
    assert!(!heads.contains("of-the-guest"), "{heads}");
}

#[tokio::test]
async fn the_networks_that_are_written_for_a_name_reach_whoever_resolves_it_and_for_no_other() {
    let seen: Heads = Arc::default();
    let sees = Arc::clone(&seen);
    let lookup: Lookup = Arc::new(move |name| {
        let private = DIALING.with(|dialing| format!("{:?}", dialing.private));
        sees.lock().unwrap().push(format!("{name} {private}"));
        Box::pin(async { Ok(Vec::new()) })
    });
    let egress = Egress::allow(["*.example.com"]).unwrap();
    let egress = egress.allow_private("logs.example.com", ["10.20.0.0/16"]).unwrap();
    let transport = HttpTransport::builder().build_with(lookup).unwrap();
    let mut outgoing = outgoing(egress, &["logs.example.com", "other.example.com"], transport);
    for uri in ["https://logs.example.com/", "https://other.example.com/"] {
        assert!(code(send(&mut outgoing, uri).await).starts_with("DnsError"));
    }
    let expected =
        ["logs.example.com PrivateNetworks([10.20.0.0/16])", "other.example.com PrivateNetworks([])"];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_server_is_trusted_if_one_of_the_written_authorities_says_so() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (port, asked) = tls_server(&ours, "localhost", false).await;
    let uri = format!("https://localhost:{port}/");
    let with = |roots, files: &[&Authority]| {
        let builder = HttpTransport::builder().roots(roots);
        let builder = files.iter().fold(builder, |builder, a| builder.extra_ca_file(a.file("ca.pem")));
        builder.build_with(fixed_lookup(vec!["127.0.0.1"])).unwrap()
    };
    for (roots, files) in [(Roots::Mozilla, &[][..]), (Roots::Mozilla, &[&other]), (Roots::None, &[&other])] {
        assert_eq!(code(fetch(&with(roots, files), &uri).await), "TlsCertificateError");
    }
    assert!(asked.lock().unwrap().is_empty());
    for (roots, files) in [(Roots::Mozilla, &[&other, &ours][..]), (Roots::None, &[&ours])] {
        assert_eq!(fetch(&with(roots, files), &uri).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_sees_the_one_that_was_written() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (port, asked) = tls_server(&authority, "localhost", true).await;
    let uri = format!("https://localhost:{port}/");
    let builder = || HttpTransport::builder().extra_ca_file(authority.file("ca.pem"));
    let fetch = async |builder: HttpTransportBuilder| {
        fetch(&builder.build_with(fixed_lookup(vec!["127.0.0.1"])).unwrap(), &uri).await
    };
    let without = code(fetch(builder()).await);
    assert!(without.starts_with("TlsAlertReceived"), "{without}");
    let (certificate, key) = other.issue("collector");
    fetch(builder().client_certificate(certificate, key)).await.unwrap_err();
    assert!(asked.lock().unwrap().is_empty());
    let (certificate, key) = authority.issue("collector");
    assert_eq!(fetch(builder().client_certificate(certificate, key)).await.unwrap().status(), 200);
}

#[test]
fn the_systems_roots_are_found_or_it_is_said_that_they_are_not() {
    if let Err(error) = HttpTransport::builder().roots(Roots::System).build() {
        assert!(error.to_string().contains("the system has no usable roots"), "{error}");
    }
}

#[test]
fn a_file_that_does_not_hold_what_it_should_is_named_and_not_quoted() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let (_, other_key) = authority.issue("other");
    let empty = authority.write("empty.pem", "no certificate here, SECRET");
    let missing = authority.file("missing.pem");
    let torn = authority.write("torn.pem", "-----BEGIN PRIVATE KEY-SECRET\nSECRET\n");
    let passphrase = authority.write(
        "passphrase.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nU0VDUkVU\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let nonsense =
        authority.write("nonsense.pem", "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n");
    let builder = HttpTransport::builder;
    let own = |key: &PathBuf| builder().client_certificate(&certificate, key);
    for (builder, file, says) in [
        (builder().extra_ca_file(&empty), "empty.pem", "it holds no certificate"),
        (builder().extra_ca_file(&missing), "missing.pem", "No such file"),
        (builder().client_certificate(&empty, &key), "empty.pem", "it holds no certificate"),
        (builder().client_certificate(&missing, &key), "missing.pem", "No such file"),
        (own(&missing), "missing.pem", "No such file"),
        (own(&empty), "empty.pem", "no private key"),
        (own(&torn), "torn.pem", "no private key"),
        (own(&passphrase), "passphrase.pem", "needs a passphrase"),
        (own(&nonsense), "nonsense.pem", "neither an RSA"),
        (own(&other_key), "other.key", "belongs to another certificate"),
        (builder().roots(Roots::None), "", "no certificate authority is trusted"),
    ] {
        let error = builder.build().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(file) && shown.contains(says), "{file}: {shown}");
        // As text, in Base64, and as bytes.
        for secret in ["SECRET", "U0VDUkVU", "83, 69, 67", "53, 45, 43"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test]
async fn neither_a_key_nor_a_password_is_in_what_is_printed_or_logged() {
    let log = Log::default();
    let _guard = log.listen(Level::TRACE);
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let (target, _) = tls_server(&authority, "logs.example.com", true).await;
    let (port, _) = proxy(Proxying::To(target)).await;
    let builder = through(&format!("127.0.0.1:{port}"))
        .extra_ca_file(authority.file("ca.pem"))
        .client_certificate(certificate, &key);
    let mut printed = format!("{builder:?}");
    assert!(printed.contains("collector.key") && printed.contains(&format!("127.0.0.1:{port}")), "{printed}");
    let transport = builder.build_with(no_lookup()).unwrap();
    assert_eq!(fetch(&transport, "https://logs.example.com/").await.unwrap().status(), 200);
    write!(printed, "{transport:?}{}", log.text()).unwrap();
    assert!(printed.contains("TRACE"), "everything is logged here");
    assert_no_secret(&printed);
    for line in fs::read_to_string(&key).unwrap().lines().filter(|line| line.len() > 20) {
        assert!(!printed.contains(line), "{line} is in {printed}");
    }
}

#[tokio::test]
async fn how_many_connections_are_kept_and_how_long_is_the_operators_choice_within_a_minute() {
    let server = Server::start(Some(OK)).await;
    let transport = HttpTransport::builder().pool_idle_per_host(0).build_with(no_lookup()).unwrap();
    for _ in 0..2 {
        text(fetch(&transport, &server.uri()).await.unwrap()).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    let minute = Duration::from_secs(60);
    let idle = |time| HttpTransport::builder().pool_idle_timeout(time).idle_timeout;
    assert_eq!((idle(minute / 2), idle(minute * 2)), (minute / 2, minute));
}
