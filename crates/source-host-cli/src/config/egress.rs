//! `[egress]`: where the component may connect to, and how its requests travel there.

use std::path::PathBuf;

use source_host::{Egress, Error, HttpTransport, Roots};
use toml::{Table, Value};

use super::reader::Reader;
use crate::secrets::{Secret, join};

const AT: &str = "egress";
pub(super) const KEYS: [&str; 7] =
    ["allow", "private", "ca_file", "roots", "client_certificate", "client_key", "proxy"];

/// How requests travel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transport {
    /// Certificates to trust besides the roots.
    pub ca_file: Option<PathBuf>,
    /// Whom to trust.
    pub roots: Roots,
    /// The certificate that is shown to servers that ask for one, and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// A proxy, `http://[user:password@]host:port`.
    pub proxy: Option<Secret>,
}

impl Transport {
    /// A transport for one source.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is not what it should be.
    pub fn build(&self) -> Result<HttpTransport, Error> {
        let mut builder = HttpTransport::builder().roots(self.roots);
        if let Some(file) = &self.ca_file {
            builder = builder.extra_ca_file(file);
        }
        if let Some((certificate, key)) = &self.client_certificate {
            builder = builder.client_certificate(certificate, key);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.expose())?;
        }
        builder.build()
    }
}

impl Reader<'_> {
    /// The rules as they were written, what they come to, and how requests travel.
    pub(super) fn egress(&mut self, root: &Table) -> (Vec<String>, Egress, Transport) {
        let mut transport =
            Transport { ca_file: None, roots: Roots::default(), client_certificate: None, proxy: None };
        let Some(table) = self.table(root, AT, &KEYS) else {
            return (Vec::new(), Egress::deny_all(), transport);
        };
        let mut allow = Vec::new();
        match table.get("allow") {
            None => {}
            Some(Value::Array(rules)) => {
                for (index, rule) in rules.iter().enumerate() {
                    let path = format!("egress.allow[{index}]");
                    if let Some(rule) = self.text(rule, &path) {
                        match Egress::allow([rule]) {
                            Ok(_) => allow.push(rule.to_owned()),
                            Err(error) => self.note(path, error.to_string()),
                        }
                    }
                }
            }
            Some(_) => {
                self.note("egress.allow".into(), "a list is expected: allow = [\"logs.example.com\"]".into())
            }
        }
        let egress = self.private(table, Egress::allow(&allow).unwrap_or_default());
        let roots = [("mozilla", Roots::Mozilla), ("system", Roots::System), ("none", Roots::None)];
        transport.ca_file = self.path_of(table, AT, "ca_file");
        transport.roots = self.choice_of(table, AT, "roots", &roots).unwrap_or_default();
        transport.client_certificate = self.certificate_of(table, AT);
        transport.proxy = self.secret_of(table, AT, "proxy");
        if let Some(proxy) = &transport.proxy
            && let Err(error) = HttpTransport::builder().proxy(proxy.expose())
        {
            self.note("egress.proxy".into(), error.to_string());
        }
        (allow, egress, transport)
    }

    /// Names that may resolve to private addresses: `private = { "acme.my.salesforce.com" = ["10.1.0.0/16"] }`.
    fn private(&mut self, table: &Table, mut egress: Egress) -> Egress {
        let names = match table.get("private") {
            None => return egress,
            Some(Value::Table(names)) => names,
            Some(_) => {
                self.note("egress.private".into(), "a table of names and networks is expected".into());
                return egress;
            }
        };
        for (name, networks) in names {
            let path = join("egress.private", name);
            let networks: Option<Vec<&str>> =
                networks.as_array().and_then(|networks| networks.iter().map(Value::as_str).collect());
            let Some(networks) = networks else {
                self.note(path, "a list of networks is expected: [\"10.1.0.0/16\"]".into());
                continue;
            };
            match egress.clone().allow_private(name, networks) {
                Ok(more) => egress = more,
                Err(error) => self.note(path, error.to_string()),
            }
        }
        egress
    }
}
