//! A component that lies in a registry: `component = "oci://…"` and `[registry]`.
//!
//! What is run is what `source-host.lock` says, by its digest, and lies in the folder beside it. So reading a configuration asks no registry,
//! and needs none of its credentials: only a pull reads these.

use std::path::PathBuf;

use component_registry::{Access, Credentials, Lock, Reference};
use source_host::{Admission, Digest};
use toml::Table;
use zeroize::Zeroizing;

use super::reader::Reader;

const AT: &str = "registry";
pub(super) const KEYS: [&str; 5] = ["username", "password", "docker_config", "ca_file", "insecure"];

/// What a pull needs to know of a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FromRegistry {
    /// The component.
    pub reference: Reference,
    /// How its registry is reached.
    pub access: Access,
    /// What it has to be.
    pub admission: Admission,
    /// The folder of the configuration, where the lock file lies.
    pub folder: PathBuf,
}

impl FromRegistry {
    /// The manifest that is pinned, in the configuration or by the lock file; none where nobody has looked yet what it is.
    ///
    /// # Errors
    ///
    /// If the lock file is none.
    pub fn pin(&self) -> Result<Option<Digest>, component_registry::Error> {
        let locked = Lock::read(&self.folder)?.entry(&self.reference).map(|entry| entry.manifest);
        Ok(self.reference.digest().or(locked))
    }
}

pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with(Reference::SCHEME)
}

impl Reader<'_> {
    pub(super) fn reference(&mut self, text: &str) -> Option<Reference> {
        text.parse()
            .map_err(|error: component_registry::Error| self.note("component".into(), error.to_string()))
            .ok()
    }

    /// The file of a component that was pulled, and its digest.
    pub(super) fn pulled(&mut self, text: &str) -> Option<(PathBuf, Digest)> {
        let reference = self.reference(text)?;
        let lock = Lock::read(self.vault.base);
        let lock = lock.map_err(|error| self.note("component".into(), error.to_string())).ok()?;
        let Some(entry) = lock.entry(&reference) else {
            return self.wrong(
                "component",
                &format!("{reference} is not in source-host.lock: run `source-host pull` with this file, which looks what it is now and writes it down"),
            );
        };
        if let Some(digest) = reference.digest().filter(|digest| *digest != entry.manifest) {
            return self.wrong(
                "component",
                &format!("{digest} is pinned here, and source-host.lock has {}: run `source-host pull` with this file", entry.manifest),
            );
        }
        let path = lock.path_of(entry.component);
        if !path.is_file() {
            return self.wrong(
                "component",
                &format!("{reference} is in source-host.lock, but not on this machine: run `source-host pull` with this file"),
            );
        }
        Some((path, entry.component))
    }

    /// Whether `[registry]` is a table with known keys. What it says, a pull reads.
    pub(super) fn registry(&mut self, root: &Table) {
        self.table(root, AT, &KEYS);
    }

    pub(super) fn access(&mut self, root: &Table, reference: &Reference, access: &mut Access) {
        let none = Table::new();
        let table = self.table(root, AT, &KEYS).unwrap_or(&none);
        access.ca_file = self.path_of(table, AT, "ca_file");
        access.insecure = self.flag_of(table, AT, "insecure").unwrap_or(false);
        let keys = [
            ("username", "whose password it is"),
            ("password", "the password, or where it lies: { env = \"REGISTRY_PASSWORD\" }"),
        ];
        self.together(table, AT, keys);
        let given = self.text_of(table, AT, "username").zip(self.secret_of(table, AT, "password"));
        access.credentials = given.map(|(username, password)| Credentials {
            username,
            password: Zeroizing::new(password.expose().to_owned()),
        });
        let named = self.path_of(table, AT, "docker_config");
        if access.credentials.is_some() || table.contains_key("username") {
            return;
        }
        let file = named.or_else(|| Credentials::docker_file(|name| std::env::var_os(name)));
        match file.map_or(Ok(None), |file| Credentials::of_docker(&file, reference.registry())) {
            Ok(found) => access.credentials = found,
            Err(error) => self.note("registry.docker_config".into(), error.to_string()),
        }
    }
}
