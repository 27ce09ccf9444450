//! A simulated org, and a folder with all that `source-host` needs to collect from it.

use anyhow::{Context, Result};
use salesforce_sim::{OrgSettings, PrivateKey, Simulator, generate_key};
use serde_json::Value;
use source_host::{Egress, Limits, Options, Source};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const LOGIN_FILES: &str = r#"[source.streams.login]
event_log_file = { interval = "1h", log_file_interval = "hourly" }
"#;

/// A simulated org that runs, and the key that opens it.
pub struct TestOrg {
    /// The org.
    pub simulator: Simulator,
    key: PrivateKey,
    client_id: String,
    username: String,
}

impl TestOrg {
    /// Starts an org with a key of its own.
    pub async fn start(settings: OrgSettings) -> Result<Self> {
        let key = generate_key()?;
        let (client_id, username) = (settings.client_id.clone(), settings.username.clone());
        let public_key = Some(key.public_key()?);
        let simulator = Simulator::start(OrgSettings { public_key, ..settings }).await?;
        Ok(Self { simulator, key, client_id, username })
    }

    /// Host and port of the org.
    pub fn authority(&self) -> &str {
        self.simulator.url().trim_start_matches("http://")
    }

    /// The configuration for the component, as `configure` takes it.
    pub fn source(&self) -> Result<Value> {
        Ok(serde_json::json!({
            "instance_url": self.simulator.url(),
            "auth": {
                "flow": "jwt-bearer",
                "client_id": self.client_id,
                "username": self.username,
                "private_key": self.key.pkcs8_pem()?,
            },
            "streams": {"login": {"event_log_file": {}}},
        }))
    }

    /// Opens the component, allowed to contact this org alone. `more` are members for the top of its configuration.
    pub async fn open(&self, limits: Limits, more: Value) -> Result<Source> {
        let egress = Egress::allow([self.authority()])?;
        let options = Options::new().limits(limits).egress(egress);
        let mut source = crate::hosted::plugin()?.open(options).await?;
        let mut config = self.source()?;
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        source.configure(&config.to_string()).await?;
        Ok(source)
    }

    /// Writes a key file and a configuration for `source-host` into a folder, to collect hourly Login files. `more` is TOML
    /// for its end.
    pub fn write_config(&self, folder: &Path, output: &str, more: &str) -> Result<PathBuf> {
        self.write_config_of(LOGIN_FILES, folder, output, more)
    }

    /// The same with streams of the caller's own, in TOML.
    pub fn write_config_of(&self, streams: &str, folder: &Path, output: &str, more: &str) -> Result<PathBuf> {
        let key = folder.join("client-key.pem");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key)?;
        file.write_all(self.key.pkcs8_pem()?.as_bytes())?;
        let component =
            fs::canonicalize(crate::hosted::component_path()).context("run `make build` first")?;
        let config = format!(
            r#"# Collects from a simulated org. A real one differs in the addresses, the client id and the user.
component = {component:?}

[source]
instance_url = "{url}"
[source.auth]
flow = "jwt-bearer"
client_id = "{client_id}"
username = "{username}"
private_key = {{ file = "client-key.pem" }}
{streams}
[state]
path = "state.json"

[output]
{output}

[egress]
allow = ["{authority}"]
{more}"#,
            url = self.simulator.url(),
            client_id = self.client_id,
            username = self.username,
            authority = self.authority(),
        );
        let path = folder.join("source-host.toml");
        fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The same as the configuration of a tenant of a fleet, whose key is a secret that workers have: in `secrets`, in a folder by its
    /// name.
    pub fn write_tenant(&self, streams: &str, name: &str, secrets: &Path) -> Result<PathBuf> {
        let folder = secrets.join(name);
        fs::create_dir_all(&folder)?;
        let path = self.write_config_of(streams, &folder, "kind = \"stdout\"", "")?;
        let text = fs::read_to_string(&path)?;
        let own = |line: &&str| {
            !matches!(*line, "[state]" | "path = \"state.json\"" | "[output]" | "kind = \"stdout\"")
        };
        let text: Vec<&str> = text.lines().filter(own).collect();
        let text = text.join("\n").replace("client-key.pem", &format!("{name}/client-key.pem"));
        fs::remove_file(path)?;
        let path = secrets.join(format!("{name}.toml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
