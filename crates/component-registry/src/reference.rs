//! Addresses of components: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:…]`.

use std::fmt;
use std::str::FromStr;

use source_host::{Digest, printable};

use crate::error::Error;

/// Where a component lies in a registry. There is no tag by default: `latest` would be another component tomorrow.
///
/// ```
/// let reference: component_registry::Reference = "oci://ghcr.io/acme/logs:1.2.0".parse()?;
/// assert_eq!((reference.registry(), reference.repository(), reference.tag()), ("ghcr.io", "acme/logs", Some("1.2.0")));
/// assert!(reference.digest().is_none());
/// # Ok::<(), component_registry::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// How they begin.
    pub const SCHEME: &'static str = "oci://";

    /// The registry's host, and its port if one was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in it.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// What a person calls the version. It may lead to something else tomorrow.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, which leads to one component for ever.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same without the digest, unless there is nothing else: what the lock file knows it by.
    pub fn unpinned(&self) -> String {
        let Self { registry, repository, tag, .. } = self;
        match tag {
            Some(tag) => format!("{}{registry}/{repository}:{tag}", Self::SCHEME),
            None => self.to_string(),
        }
    }

    /// The same, pinned to this manifest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::SCHEME, self.registry, self.repository)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no = |reason| Error::Reference { text: printable(text.to_owned()), reason };
        let rest = text.strip_prefix(Self::SCHEME).ok_or_else(|| no("it does not begin with oci://"))?;
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let digest =
                    digest.parse().map_err(|_| no("behind @ stands sha256: and 64 hexadecimal digits"));
                (rest, Some(digest?))
            }
        };
        let (registry, path) =
            rest.split_once('/').ok_or_else(|| no("there is no repository behind the host"))?;
        let (repository, tag) = match path.split_once(':') {
            None => (path, None),
            Some((repository, tag)) => (repository, Some(tag)),
        };
        if !is_host(registry) {
            return Err(no("its host is none"));
        }
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(no("a repository has parts of small letters, digits, and single . _ - between them"));
        }
        if !tag.is_none_or(is_tag) {
            return Err(no("a tag has at most 128 letters, digits, . _ and -"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(no("it has neither a tag nor a digest"));
        }
        let (registry, repository, tag) = (registry.into(), repository.into(), tag.map(Into::into));
        Ok(Self { registry, repository, tag, digest })
    }
}

/// A name or an IPv4 address, or an IPv6 address in brackets; with a port, or without.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_address = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    port.is_none_or(is_port) && (is_address(host) || host.len() <= 253 && host.split('.').all(is_label))
}

fn is_part(part: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let words = part.split(['.', '_', '-']);
    // One of the three between two words; of `_` there may be two, of `-` any number.
    let joined = ["..", "._", "_.", "-.", ".-", "___", "_-", "-_"].iter().all(|no| !part.contains(no));
    part.bytes().next().is_some_and(fits)
        && part.bytes().last().is_some_and(fits)
        && joined
        && words.into_iter().all(|word| word.bytes().all(fits))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_again() {
        let digest = Digest::of(b"a manifest");
        for text in [
            "oci://ghcr.io/acme/logs:1.2.0".to_owned(),
            "oci://localhost:5000/source:v1_2-rc.1".to_owned(),
            "oci://[::1]:5000/a/b-c/d__e.f:x".to_owned(),
            format!("oci://127.0.0.1/acme/logs:1@{digest}"),
            format!("oci://registry.example.com/acme/logs@{digest}"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_told_with_the_reason() {
        for (text, reason) in [
            ("ghcr.io/acme/logs:1", "begin with oci://"),
            ("oci://ghcr.io", "no repository"),
            ("oci://ghcr.io/acme/logs", "neither a tag nor a digest"),
            ("oci://ghcr.io/Acme/logs:1", "small letters"),
            ("oci://ghcr.io/acme/../logs:1", "small letters"),
            ("oci://ghcr.io//logs:1", "small letters"),
            ("oci://ghcr.io/acme/logs:", "a tag has"),
            ("oci://ghcr.io/acme/logs:a b", "a tag has"),
            ("oci://ghcr.io/acme/logs:1@sha256:00", "64 hexadecimal digits"),
            ("oci://user:password@ghcr.io/acme/logs:1", "64 hexadecimal digits"),
            ("oci://gh_cr/acme/logs:1", "its host"),
            ("oci://ghcr.io:0/acme/logs:1", "its host"),
            ("oci:///acme/logs:1", "its host"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
