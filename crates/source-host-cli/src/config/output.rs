//! `[output]`: where events go.

use std::path::Path;

use event_output::{
    Authentication, ClientCertificate, Compression, DeadLetters, Elasticsearch, ElasticsearchSettings,
    EventFile, FileSettings, Format, Http, HttpSettings, Lines, Nats, NatsAuthentication, NatsSettings, Otlp,
    OtlpSettings, Output as EventOutput, OutputError, OutputErrorKind, SendMethod, SettingsError,
    WebSettings,
};
use toml::{Table, Value};

use super::reader::Reader;
use crate::secrets::{Secret, join};

const OUTPUT: &str = "output";

/// A kind of output; `schema` describes its keys.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Its keys beside `kind`.
    keys: &'static [&'static [&'static str]],
}

impl Kind {
    pub(crate) fn keys(&self) -> Vec<&'static str> {
        [&["kind"][..], &self.keys.concat()].concat()
    }
}

/// What all have that reach a receiver over the network.
const REMOTE: &[&str] = &[
    "dead_letters",
    "ca_file",
    "client_certificate",
    "client_key",
    "connect_timeout",
    "credentials_without_tls",
];

/// What all have that speak HTTP.
const WEB: &[&str] = &["url", "compression", "headers", "max_bytes", "max_events", "proxy", "timeout"];

/// What stands in for what an event does not name.
const DEFAULTS: &[&str] = &["default_dataset", "default_namespace"];

pub(crate) const KINDS: [Kind; 6] = [
    Kind { name: "stdout", keys: &[] },
    Kind { name: "file", keys: &[&["path", "rotate_size", "rotate_after", "keep"]] },
    Kind { name: "http", keys: &[&["method", "format"], WEB, REMOTE] },
    Kind { name: "elasticsearch", keys: &[&["api_key", "user", "password", "token"], DEFAULTS, WEB, REMOTE] },
    Kind { name: "otlp", keys: &[&["service_name", "resource"], WEB, REMOTE] },
    Kind {
        name: "nats",
        keys: &[
            &["servers", "subject", "stream", "in_flight", "ack_timeout"],
            &["credentials_file", "token", "user", "password"],
            DEFAULTS,
            REMOTE,
        ],
    },
];

/// Where events go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Standard output, one event per line.
    Stdout,
    /// A file, one event per line, appended.
    File(FileSettings),
    /// Anything that takes lines or arrays of JSON.
    Http(HttpSettings),
    /// Data streams of Elasticsearch.
    Elasticsearch(ElasticsearchSettings),
    /// OpenTelemetry.
    Otlp(OtlpSettings),
    /// A stream of NATS JetStream.
    Nats(NatsSettings),
}

impl Output {
    /// What it is called in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Otlp(_) => "otlp",
            Self::Nats(_) => "nats",
        }
    }

    /// The file that events are in afterwards, if they are in one.
    pub fn event_file(&self) -> Option<&Path> {
        match self {
            Self::File(settings) => Some(&settings.path),
            _ => None,
        }
    }

    /// The file that it writes to in any case or when it has to, and the key that names it.
    pub(super) fn file(&self) -> Option<(&'static str, &Path)> {
        let letters = match self {
            Self::Stdout => None,
            Self::File(settings) => return Some(("path", &settings.path)),
            Self::Http(settings) => settings.web.dead_letters.as_ref(),
            Self::Elasticsearch(settings) => settings.web.dead_letters.as_ref(),
            Self::Otlp(settings) => settings.web.dead_letters.as_ref(),
            Self::Nats(settings) => settings.dead_letters.as_ref(),
        };
        letters.map(|letters| ("dead_letters", letters.path()))
    }

    /// Opens it. Contacts nobody yet.
    ///
    /// # Errors
    ///
    /// If a file is not there, or is somebody else's.
    pub fn open(&self) -> Result<Box<dyn EventOutput>, OutputError> {
        let mistake =
            |error: SettingsError| OutputError::new(OutputErrorKind::Mistake, format!("output.{error}"));
        let unavailable = |error: std::io::Error| {
            OutputError::new(
                OutputErrorKind::Unavailable,
                format!("cannot write to standard output: {error}"),
            )
        };
        Ok(match self.clone() {
            Self::Stdout => Box::new(Lines::stdout().map_err(unavailable)?),
            Self::File(settings) => Box::new(EventFile::open(settings)?),
            Self::Http(settings) => Box::new(Http::new(settings).map_err(mistake)?),
            Self::Elasticsearch(settings) => Box::new(Elasticsearch::new(settings).map_err(mistake)?),
            Self::Otlp(settings) => Box::new(Otlp::new(settings).map_err(mistake)?),
            Self::Nats(settings) => Box::new(Nats::new(settings).map_err(mistake)?),
        })
    }
}

fn handed_on(secret: &Secret) -> event_output::Secret {
    event_output::Secret::new(secret.expose())
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl Reader<'_> {
    pub(super) fn output(&mut self, root: &Table) -> Option<Output> {
        let table = match root.get(OUTPUT) {
            None => return Some(Output::Stdout),
            Some(Value::Table(table)) => table,
            Some(_) => return self.wrong(OUTPUT, "a table is expected: [output]"),
        };
        let kinds: Vec<String> = KINDS.iter().map(|kind| format!("{:?}", kind.name)).collect();
        let kinds = kinds.join(", ");
        let kind = match table.get("kind") {
            None => return self.missing("output.kind", &format!("where events go: one of {kinds}")),
            Some(kind) => kind.as_str().unwrap_or_default(),
        };
        let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
            return self.wrong("output.kind", &format!("one of {kinds} is expected"));
        };
        if kind.name == "stdout" && table.contains_key("path") {
            return self
                .wrong("output.path", "kind = \"stdout\" has no path; for a file write kind = \"file\"");
        }
        self.known(table, OUTPUT, &kind.keys());
        let before = self.mistakes.len();
        let output = match kind.name {
            "stdout" => Output::Stdout,
            "file" => self.file(table),
            "http" => self.http(table),
            "elasticsearch" => self.elasticsearch(table),
            "otlp" => self.otlp(table),
            _ => self.nats(table),
        };
        if self.mistakes.len() > before { None } else { Some(output) }
    }

    /// What the output itself finds wrong with its settings, under the keys that they have here.
    fn judged(&mut self, verdict: Result<(), SettingsError>) {
        for problem in verdict.err().iter().flat_map(SettingsError::problems) {
            let key = match problem.setting {
                "authentication" => "user",
                "certificate_file" => "client_certificate",
                "key_file" => "client_key",
                "rotate_bytes" => "rotate_size",
                same => same,
            };
            let path = join(OUTPUT, key);
            // What could not be read has been told, and is not judged.
            if !self.mistakes.iter().any(|mistake| mistake.path.starts_with(&path)) {
                self.note(path, problem.message.clone());
            }
        }
    }

    fn file(&mut self, table: &Table) -> Output {
        let path = match table.contains_key("path") {
            true => self.path_of(table, OUTPUT, "path"),
            false => self.missing("output.path", "the file that events are appended to"),
        };
        let mut settings = FileSettings::new(path.unwrap_or_default());
        settings.rotate_bytes = self.size_of(table, OUTPUT, "rotate_size");
        settings.rotate_after = self.time_of(table, OUTPUT, "rotate_after");
        settings.keep = self.count_of(table, OUTPUT, "keep").unwrap_or(settings.keep);
        self.judged(settings.validate());
        Output::File(settings)
    }

    /// Without one, the rest is read all the same: for what else is wrong.
    fn url(&mut self, table: &Table) -> String {
        let url = match table.contains_key("url") {
            true => self.text_of(table, OUTPUT, "url"),
            false => self.missing("output.url", "where events are sent"),
        };
        url.unwrap_or_default()
    }

    fn dead_letters(&mut self, table: &Table) -> Option<DeadLetters> {
        self.path_of(table, OUTPUT, "dead_letters").map(DeadLetters::new)
    }

    fn client_certificate(&mut self, table: &Table) -> Option<ClientCertificate> {
        let (certificate_file, key_file) = self.certificate_of(table, OUTPUT)?;
        Some(ClientCertificate { certificate_file, key_file })
    }

    /// What all outputs over HTTP have beside their address.
    fn web(&mut self, table: &Table, web: &mut WebSettings) {
        let compressions =
            [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
        web.compression =
            self.choice_of(table, OUTPUT, "compression", &compressions).unwrap_or(web.compression);
        let headers = self.secrets_of(table, OUTPUT, "headers");
        web.headers = headers.into_iter().map(|(name, value)| (name, handed_on(&value))).collect();
        web.max_bytes = self.size_of(table, OUTPUT, "max_bytes").map_or(web.max_bytes, bytes);
        web.max_events = self.count_of(table, OUTPUT, "max_events").unwrap_or(web.max_events);
        web.dead_letters = self.dead_letters(table);
        let transport = &mut web.transport;
        transport.timeout = self.time_of(table, OUTPUT, "timeout").unwrap_or(transport.timeout);
        transport.connect_timeout =
            self.time_of(table, OUTPUT, "connect_timeout").unwrap_or(transport.connect_timeout);
        transport.ca_file = self.path_of(table, OUTPUT, "ca_file");
        transport.client_certificate = self.client_certificate(table);
        transport.proxy = self.secret_of(table, OUTPUT, "proxy").as_ref().map(handed_on);
        transport.credentials_without_tls =
            self.flag_of(table, OUTPUT, "credentials_without_tls").unwrap_or_default();
    }

    fn http(&mut self, table: &Table) -> Output {
        let mut settings = HttpSettings::new(self.url(table));
        let methods = [("post", SendMethod::Post), ("put", SendMethod::Put)];
        let formats = [("ndjson", Format::Ndjson), ("json-array", Format::JsonArray)];
        settings.method = self.choice_of(table, OUTPUT, "method", &methods).unwrap_or(settings.method);
        settings.format = self.choice_of(table, OUTPUT, "format", &formats).unwrap_or(settings.format);
        self.web(table, &mut settings.web);
        self.judged(settings.validate());
        Output::Http(settings)
    }

    fn user(&mut self, table: &Table) -> Option<(String, Secret)> {
        self.together(
            table,
            OUTPUT,
            [("user", "whose password it is"), ("password", "the password of the user")],
        );
        self.text_of(table, OUTPUT, "user").zip(self.secret_of(table, OUTPUT, "password"))
    }

    /// Refuses credentials beside others: which of them count is not to be guessed.
    fn one_of(&mut self, table: &Table, ways: [&str; 3]) {
        let mut given = ways.into_iter().filter(|key| table.contains_key(*key));
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            let message = format!("`{first}` says already who this is; one of both is enough");
            self.note(join(OUTPUT, second), message);
        }
    }

    fn elasticsearch(&mut self, table: &Table) -> Output {
        let mut settings = ElasticsearchSettings::new(self.url(table));
        self.one_of(table, ["api_key", "token", "user"]);
        if let Some(key) = self.secret_of(table, OUTPUT, "api_key") {
            settings.authentication = Authentication::ApiKey(handed_on(&key));
        }
        if let Some(token) = self.secret_of(table, OUTPUT, "token") {
            settings.authentication = Authentication::Bearer(handed_on(&token));
        }
        if let Some((user, password)) = self.user(table) {
            settings.authentication = Authentication::Basic { user, password: handed_on(&password) };
        }
        self.defaults(table, &mut settings.default_dataset, &mut settings.default_namespace);
        self.web(table, &mut settings.web);
        self.judged(settings.validate());
        Output::Elasticsearch(settings)
    }

    fn otlp(&mut self, table: &Table) -> Output {
        let mut settings = OtlpSettings::new(self.url(table));
        if let Some(name) = self.text_of(table, OUTPUT, "service_name") {
            settings.service_name = name;
        }
        let resource = self.secrets_of(table, OUTPUT, "resource");
        settings.resource =
            resource.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
        self.web(table, &mut settings.web);
        self.judged(settings.validate());
        Output::Otlp(settings)
    }

    /// The dataset and the namespace of events that name none.
    fn defaults(&mut self, table: &Table, dataset: &mut String, namespace: &mut String) {
        for (key, default) in [("default_dataset", dataset), ("default_namespace", namespace)] {
            if let Some(text) = self.text_of(table, OUTPUT, key) {
                *default = text;
            }
        }
    }

    fn nats(&mut self, table: &Table) -> Output {
        let servers: Option<Vec<String>> = match table.get("servers") {
            None => self.missing("output.servers", "the servers: servers = [\"nats://nats.example.com\"]"),
            Some(Value::Array(servers)) => {
                let texts = servers.iter().enumerate().map(|(n, server)| {
                    self.text(server, &format!("output.servers[{n}]")).unwrap_or_default().to_owned()
                });
                Some(texts.collect())
            }
            Some(_) => self.wrong("output.servers", "a list is expected: servers = [\"nats://...\"]"),
        };
        let servers = servers.unwrap_or_default();
        let mut settings = NatsSettings::new(servers.first().cloned().unwrap_or_default());
        settings.servers = servers;
        if let Some(subject) = self.text_of(table, OUTPUT, "subject") {
            settings.subject = subject;
        }
        settings.stream = self.text_of(table, OUTPUT, "stream");
        self.one_of(table, ["credentials_file", "token", "user"]);
        if let Some(file) = self.path_of(table, OUTPUT, "credentials_file") {
            settings.authentication = NatsAuthentication::CredentialsFile(file);
        }
        if let Some(token) = self.secret_of(table, OUTPUT, "token") {
            settings.authentication = NatsAuthentication::Token(handed_on(&token));
        }
        if let Some((user, password)) = self.user(table) {
            settings.authentication = NatsAuthentication::User { user, password: handed_on(&password) };
        }
        self.defaults(table, &mut settings.default_dataset, &mut settings.default_namespace);
        settings.in_flight = self.count_of(table, OUTPUT, "in_flight").unwrap_or(settings.in_flight);
        settings.ack_timeout = self.time_of(table, OUTPUT, "ack_timeout").unwrap_or(settings.ack_timeout);
        settings.connect_timeout =
            self.time_of(table, OUTPUT, "connect_timeout").unwrap_or(settings.connect_timeout);
        settings.ca_file = self.path_of(table, OUTPUT, "ca_file");
        settings.client_certificate = self.client_certificate(table);
        settings.credentials_without_tls =
            self.flag_of(table, OUTPUT, "credentials_without_tls").unwrap_or_default();
        settings.dead_letters = self.dead_letters(table);
        self.judged(settings.validate());
        Output::Nats(settings)
    }
}
