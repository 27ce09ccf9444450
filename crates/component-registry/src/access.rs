//! How a registry is reached: passwords, authorities, limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Error;

/// Who asks.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password, or a token that a registry takes as one.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those that `docker login` left in a file for a registry, if any. A file that refers to a helper program for them has none: helpers
    /// are not run.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no such file.
    pub fn of_docker(file: &Path, registry: &str) -> Result<Option<Self>, Error> {
        const MOST: u64 = 1 << 20;
        use std::io::Read as _;
        let mut text = Zeroizing::new(String::new());
        let opened = std::fs::File::open(file).map_err(Error::file("read", file))?;
        opened.take(MOST).read_to_string(&mut text).map_err(Error::file("read", file))?;
        // What the parser says may quote the file.
        let no = |what: &str| Error::Settings(format!("{} {what}", file.display()));
        let all: Value = serde_json::from_str(&text).map_err(|_| no("is not JSON"))?;
        let hub = ["https://index.docker.io/v1/", "index.docker.io"];
        let names: Vec<&str> = if registry == "docker.io" {
            hub.into_iter().chain([registry]).collect()
        } else {
            vec![registry]
        };
        let https = names.iter().map(|name| format!("https://{name}"));
        let names: Vec<String> = https.chain(names.iter().map(|name| (*name).to_owned())).collect();
        let entry = names.iter().find_map(|name| all.get("auths")?.get(name.as_str()));
        let Some(auth) = entry.and_then(|entry| entry.get("auth")).and_then(Value::as_str) else {
            let helper = all.get("credHelpers").and_then(|all| all.get(registry)).is_some();
            if helper || all.get("credsStore").is_some() && entry.is_some() {
                tracing::warn!(
                    file = %file.display(),
                    "the credentials of {registry} lie with a helper program, which is not run; give them in [registry] or with --username"
                );
            }
            return Ok(None);
        };
        let pair = STANDARD
            .decode(auth.trim())
            .ok()
            .and_then(|pair| String::from_utf8(pair).ok())
            .map(Zeroizing::new);
        let pair = pair.ok_or_else(|| no("holds credentials that are not in base64"))?;
        let (username, password) =
            pair.split_once(':').ok_or_else(|| no("holds credentials without a name"))?;
        Ok(Some(Self { username: username.to_owned(), password: Zeroizing::new(password.to_owned()) }))
    }

    /// Where `docker login` leaves them: `config.json` in the folder that `DOCKER_CONFIG` names, or in `~/.docker`.
    pub fn docker_file(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")));
        folder.map(|folder| folder.join("config.json")).filter(|file| file.is_file())
    }
}

/// How a registry is reached. By default without credentials, over TLS, with Mozilla's authorities.
///
/// ```
/// let mut access = component_registry::Access::default();
/// access.component_bytes = 4 << 20;
/// assert!(!access.insecure);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Access {
    /// Who asks. None asks as nobody.
    pub credentials: Option<Credentials>,
    /// Certificates to trust besides Mozilla's, in PEM form.
    pub ca_file: Option<PathBuf>,
    /// Whether the registry speaks plain HTTP, which whoever sits on the way can read and change. One on this machine (`localhost`, an
    /// address of the loopback) is taken to, unless there is a `ca_file`.
    pub insecure: bool,
    /// The time of all of it. Default 5 minutes.
    pub time: Duration,
    /// Bytes of a component. Default 32 MiB, as an [`source_host::Admission`] has it.
    pub component_bytes: u64,
}

impl Default for Access {
    fn default() -> Self {
        let component_bytes = source_host::Admission::default().component_bytes;
        Self {
            credentials: None,
            ca_file: None,
            insecure: false,
            time: Duration::from_secs(300),
            component_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str) -> Result<Option<(String, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        let found = Credentials::of_docker(&file, registry).map_err(|error| error.to_string())?;
        Ok(found.map(|found| (found.username, found.password.to_string())))
    }

    #[test]
    fn credentials_of_docker_are_those_of_the_registry_and_of_no_other() {
        let auth = STANDARD.encode("me:s3cret:with-colon");
        let text = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{auth}"}}, "https://index.docker.io/v1/": {{"auth": "{auth}"}}}}}}"#
        );
        let pair = Some(("me".to_owned(), "s3cret:with-colon".to_owned()));
        assert_eq!(found(&text, "ghcr.io"), Ok(pair.clone()));
        assert_eq!(found(&text, "docker.io"), Ok(pair));
        assert_eq!(found(&text, "ghcr.io.example.com"), Ok(None));
        assert_eq!(found(r#"{"credsStore": "desktop", "auths": {"ghcr.io": {}}}"#, "ghcr.io"), Ok(None));
    }

    #[test]
    fn a_file_of_docker_that_is_none_is_told_without_quoting_it() {
        let error = found(r#"{"auths": s3cret"#, "ghcr.io").unwrap_err();
        assert!(error.contains("is not JSON") && !error.contains("s3cret"), "{error}");
        let error = found(r#"{"auths": {"ghcr.io": {"auth": "s3cret!"}}}"#, "ghcr.io").unwrap_err();
        assert!(error.contains("base64") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { username: "me".into(), password: Zeroizing::new("s3cret".into()) };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
