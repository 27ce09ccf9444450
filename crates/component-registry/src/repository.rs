//! What a push and a pull consist of, and what is attached to an artifact.
//!
//! A signature and a description refer to the artifact that they are of (`subject`), and are no layers of it: tools for WASM artifacts
//! take exactly one layer, and an artifact can be signed later, by others, without becoming another. A registry that knows referrers lists
//! them itself; for one that does not, the list is kept under the tag that the specification names for it (`sha256-…`).

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use source_host::{Digest, bytes as sized, printable};

use crate::access::Access;
use crate::client::{Client, Request, Scope};
use crate::error::Error;
use crate::manifest::{
    Annotations, COMPONENT, CONFIG, Config, Descriptor, EMPTY, INDEX, MANIFEST, Manifest, Surface,
};
use crate::reference::Reference;

/// Bytes of a manifest or an index. Registries take no more either.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Bytes of what is attached.
const ATTACHED_BYTES: u64 = 4 << 20;
/// How many of what is attached are looked at.
const ATTACHED: usize = 64;
/// When an artifact was made, unless somebody says: the same component gives the same artifact.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What a repository is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// One repository of a registry.
pub struct Repository {
    client: Client,
    reference: Reference,
    time: Duration,
    component_bytes: u64,
}

/// An artifact that holds a component, as its manifest says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Artifact {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of the component.
    pub component: Digest,
    /// The component's bytes.
    pub size: u64,
    /// What its publisher wrote to it, by names such as `org.opencontainers.image.version`. Nobody has vouched for it.
    pub annotations: Annotations,
    subject: Descriptor,
}

/// What is pushed.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// A component, or a WIT package in its binary form.
    pub content: Vec<u8>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Those that it imports.
    pub imports: Vec<String>,
    /// What is written to the manifest.
    pub annotations: Annotations,
    /// When it was made, by RFC 3339. By default 1970-01-01T00:00:00Z, so that the same component gives the same artifact.
    pub created: Option<String>,
}

/// Something that is attached to an artifact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// It itself.
    pub content: Vec<u8>,
    /// What was written to it.
    pub annotations: Annotations,
}

impl Repository {
    /// The repository of a reference. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the access is not one.
    pub fn open(reference: &Reference, access: &Access, purpose: Purpose) -> Result<Self, Error> {
        let scope = if purpose == Purpose::Push { Scope::Push } else { Scope::Pull };
        Ok(Self {
            client: Client::new(reference, access, scope)?,
            reference: reference.clone(),
            time: access.time,
            component_bytes: access.component_bytes,
        })
    }

    /// The artifact that the reference leads to.
    ///
    /// # Errors
    ///
    /// If there is none, or it is none with a component.
    pub async fn resolve(&self) -> Result<Artifact, Error> {
        let reference = &self.reference;
        let wanted = reference.digest().map(|digest| digest.to_string());
        let wanted = wanted.as_deref().or(reference.tag()).unwrap_or_default();
        self.within(async {
            let (content, kind) = self.manifest(wanted).await?.ok_or_else(|| self.missing())?;
            let digest = Digest::of(&content);
            if let Some(expected) = reference.digest().filter(|expected| *expected != digest) {
                return Err(self.refused(format!(
                    "the registry sends a manifest with the digest {digest}, and {expected} is expected"
                )));
            }
            self.artifact(&content, &kind)
        })
        .await
    }

    /// The artifact that lies under the tag now, if any, whatever digest the reference pins.
    ///
    /// # Errors
    ///
    /// If the registry does not say.
    pub async fn under_tag(&self) -> Result<Option<Digest>, Error> {
        let Some(tag) = self.reference.tag() else { return Ok(None) };
        self.within(async { Ok(self.manifest(tag).await?.map(|(content, _)| Digest::of(&content))) }).await
    }

    /// The component of an artifact, verified.
    ///
    /// # Errors
    ///
    /// If it does not come whole, or is another one than the manifest says.
    pub async fn component(&self, artifact: &Artifact) -> Result<Vec<u8>, Error> {
        self.within(self.blob(&artifact.component.to_string(), artifact.size, "the component")).await
    }

    /// What of a type is attached to an artifact: the first 64. Each is what somebody put there who may push to the repository; what is not
    /// what its digest says is left out, so that it hides none of the others.
    ///
    /// # Errors
    ///
    /// If the registry does not say.
    pub async fn attached(&self, artifact: &Artifact, kind: &str) -> Result<Vec<Attached>, Error> {
        self.within(async {
            let mut found = Vec::new();
            let all = self.referrers(artifact).await?;
            let fits = |one: &&Descriptor| one.artifact_type.as_deref() == Some(kind);
            for one in all.manifests.iter().filter(fits).take(ATTACHED) {
                match self.attachment(artifact, one).await {
                    Ok(attached) => found.extend(attached),
                    Err(error @ (Error::Refused { .. } | Error::Missing(_))) => {
                        tracing::debug!(digest = one.digest, %error, "what is attached is left out");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn attachment(&self, artifact: &Artifact, one: &Descriptor) -> Result<Option<Attached>, Error> {
        let Some((content, _)) = self.manifest(&one.digest).await? else { return Ok(None) };
        if Digest::of(&content).to_string() != one.digest {
            return Err(self.refused("what is attached to it is something else than its digest says".into()));
        }
        let manifest: Manifest = self.parsed(&content, "a manifest")?;
        let is_of_it = manifest.subject.as_ref().is_some_and(|it| it.digest == artifact.subject.digest);
        match &manifest.layers[..] {
            [layer] if is_of_it && layer.size <= ATTACHED_BYTES => {
                let content = self.blob(&layer.digest, layer.size, "what is attached").await?;
                Ok(Some(Attached { content, annotations: manifest.annotations }))
            }
            _ => Ok(None),
        }
    }

    /// The artifact that a push of this would make. Nothing is sent.
    ///
    /// # Errors
    ///
    /// If it is too large, or the reference is pinned to something else.
    pub fn prepare(&self, package: &Package) -> Result<Artifact, Error> {
        let (_, manifest) = documents(package)?;
        let artifact = self.artifact(&manifest, MANIFEST)?;
        match self.reference.digest().filter(|expected| *expected != artifact.manifest) {
            None => Ok(artifact),
            Some(expected) => {
                let digest = artifact.manifest;
                Err(self.refused(format!("it would have the digest {digest}, and {expected} is expected")))
            }
        }
    }

    /// Puts a component there. The tag, if there is one, leads to it from then on; that it leads somewhere else already is for the caller to
    /// know ([`Repository::under_tag`]).
    ///
    /// # Errors
    ///
    /// If the registry does not take it, or the reference is pinned to something else.
    pub async fn push(&self, package: &Package) -> Result<Artifact, Error> {
        let artifact = self.prepare(package)?;
        let (config, manifest) = documents(package)?;
        self.within(async {
            self.upload(&config).await?;
            self.upload(&package.content).await?;
            let digest = artifact.manifest.to_string();
            self.put_manifest(self.reference.tag().unwrap_or(&digest), MANIFEST, manifest).await?;
            Ok(artifact)
        })
        .await
    }

    /// Attaches something to an artifact. What is attached already, as it is, is not attached twice.
    ///
    /// # Errors
    ///
    /// If the registry does not take it.
    pub async fn attach(
        &self,
        artifact: &Artifact,
        kind: &str,
        content: &[u8],
        annotations: Annotations,
    ) -> Result<(), Error> {
        const NOTHING: &[u8] = b"{}";
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(kind.to_owned()),
            config: Descriptor::of(EMPTY, NOTHING),
            layers: vec![Descriptor::of(kind, content)],
            subject: Some(artifact.subject.clone()),
            annotations,
        };
        let document = written(&manifest)?;
        let mut descriptor = Descriptor::of(MANIFEST, &document);
        descriptor.artifact_type = Some(kind.to_owned());
        descriptor.annotations.clone_from(&manifest.annotations);
        self.within(async {
            self.upload(NOTHING).await?;
            self.upload(content).await?;
            let response = self.put_manifest(&descriptor.digest, MANIFEST, document).await?;
            // A registry that keeps the list itself says so (OCI distribution specification, "Pushing Manifests with Subject").
            if response.headers().contains_key("oci-subject") {
                return Ok(());
            }
            let mut list = self.referrers(artifact).await?;
            if list.manifests.iter().any(|one| one.digest == descriptor.digest) {
                return Ok(());
            }
            list.manifests.push(descriptor);
            self.put_manifest(&fallback(artifact), INDEX, written(&list)?).await?;
            Ok(())
        })
        .await
    }

    async fn within<T>(&self, what: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late =
            |_| self.client.wrong(format!("has not sent all of it within {} s", self.time.as_secs_f64()));
        tokio::time::timeout(self.time, what).await.map_err(late)?
    }

    fn missing(&self) -> Error {
        Error::Missing(self.reference.to_string())
    }

    fn refused(&self, reason: String) -> Error {
        Error::Refused { name: self.reference.to_string(), reason }
    }

    fn parsed<T: DeserializeOwned>(&self, content: &[u8], what: &str) -> Result<T, Error> {
        serde_json::from_slice(content).map_err(|error| {
            self.refused(format!("what should be {what} is none: {}", printable(error.to_string())))
        })
    }

    /// A manifest or an index, and its type. None where there is none.
    async fn manifest(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        let accept = format!("{MANIFEST}, {INDEX}");
        let url = self.client.url(&format!("manifests/{name}"))?;
        let response = self.get(url, &accept).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if response.status() != StatusCode::OK {
            return Err(self.client.refusal(response, &self.reference.to_string()).await);
        }
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_owned();
        Ok(Some((self.client.body(response, MANIFEST_BYTES, "a manifest").await?, kind)))
    }

    /// What a manifest says, if it is one of a component.
    fn artifact(&self, content: &[u8], kind: &str) -> Result<Artifact, Error> {
        if kind == INDEX {
            return Err(
                self.refused("it is an index of several artifacts, and not one with a component".into())
            );
        }
        if kind != MANIFEST {
            return Err(
                self.refused(format!("it is `{}`, and `{MANIFEST}` is expected", printable(kind.to_owned())))
            );
        }
        let manifest: Manifest = self.parsed(content, "a manifest")?;
        let config = &manifest.config.media_type;
        if config != CONFIG {
            return Err(self.refused(format!(
                "it holds no component: its config is `{}`, and `{CONFIG}` is expected",
                printable(config.clone())
            )));
        }
        let [layer] = &manifest.layers[..] else {
            return Err(self.refused(format!(
                "it has {} layers, and one with the component is expected",
                manifest.layers.len()
            )));
        };
        if layer.media_type != COMPONENT {
            return Err(self.refused(format!(
                "its layer is `{}`, and `{COMPONENT}` is expected",
                printable(layer.media_type.clone())
            )));
        }
        if layer.size > self.component_bytes {
            let (size, limit) = (sized(layer.size), sized(self.component_bytes));
            return Err(self.refused(format!(
                "its component has {size}, more than its limit of {limit} (`component_bytes`)"
            )));
        }
        let component = layer.digest.parse();
        let component = component.map_err(|_| self.refused("its layer has no digest by SHA-256".into()))?;
        Ok(Artifact {
            manifest: Digest::of(content),
            component,
            size: layer.size,
            annotations: manifest.annotations,
            subject: Descriptor::of(MANIFEST, content),
        })
    }

    /// A blob of that digest and that many bytes.
    async fn blob(&self, digest: &str, size: u64, what: &str) -> Result<Vec<u8>, Error> {
        let expected: Digest =
            digest.parse().map_err(|_| self.refused(format!("{what} has no digest by SHA-256")))?;
        let response = self.get(self.client.url(&format!("blobs/{expected}"))?, "").await?;
        if response.status() != StatusCode::OK {
            return Err(self.client.refusal(response, &format!("{what} of {}", self.reference)).await);
        }
        let content = self
            .client
            .body(response, size, &format!("{what}, which has {} as its manifest says,", sized(size)))
            .await?;
        if (content.len() as u64) < size {
            let came = sized(content.len() as u64);
            return Err(self.refused(format!("{what} was cut: {came} came of {}", sized(size))));
        }
        let digest = Digest::of(&content);
        if digest != expected {
            return Err(self.refused(format!("{what} has the digest {digest}, and {expected} is expected")));
        }
        Ok(content)
    }

    /// All that refers to an artifact.
    async fn referrers(&self, artifact: &Artifact) -> Result<crate::manifest::Index, Error> {
        let url = self.client.url(&format!("referrers/{}", artifact.manifest))?;
        let response = self.get(url, INDEX).await?;
        let content = match response.status() {
            StatusCode::OK => Some(self.client.body(response, MANIFEST_BYTES, "a list").await?),
            StatusCode::NOT_FOUND => {
                let listed = self.manifest(&fallback(artifact)).await?;
                listed.filter(|(_, kind)| kind == INDEX).map(|(content, _)| content)
            }
            _ => return Err(self.client.refusal(response, "what is attached").await),
        };
        content.map_or_else(
            || Ok(Default::default()),
            |content| self.parsed(&content, "a list of what is attached"),
        )
    }

    async fn get(&self, url: Url, accept: &str) -> Result<Response, Error> {
        self.client.send(&Request { method: Method::GET, url, accept, body: None }).await
    }

    /// Puts a blob there, unless it is there.
    async fn upload(&self, content: &[u8]) -> Result<(), Error> {
        let digest = Digest::of(content).to_string();
        let url = self.client.url(&format!("blobs/{digest}"))?;
        let there = self.client.send(&Request { method: Method::HEAD, url, accept: "", body: None }).await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let url = self.client.url("blobs/uploads/")?;
        let begin = Request {
            method: Method::POST,
            url,
            accept: "",
            body: Some(("application/octet-stream", Bytes::new())),
        };
        let response = self.client.send(&begin).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(self.client.refusal(response, &format!("leave to push to {}", self.reference)).await);
        }
        let mut url = self.client.named(&response)?;
        url.query_pairs_mut().append_pair("digest", &digest);
        let body = Some(("application/octet-stream", Bytes::copy_from_slice(content)));
        let response = self.client.send(&Request { method: Method::PUT, url, accept: "", body }).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.client.refusal(response, "the upload").await),
        }
    }

    async fn put_manifest(&self, name: &str, kind: &str, content: Vec<u8>) -> Result<Response, Error> {
        let url = self.client.url(&format!("manifests/{name}"))?;
        let body = Some((kind, Bytes::from(content)));
        let response = self.client.send(&Request { method: Method::PUT, url, accept: "", body }).await?;
        match response.status() {
            StatusCode::CREATED => Ok(response),
            _ => Err(self.client.refusal(response, "the manifest").await),
        }
    }
}

/// The config and the manifest of a package.
fn documents(package: &Package) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let layer = Descriptor::of(COMPONENT, &package.content);
    let config = written(&Config {
        created: package.created.as_deref().unwrap_or(CREATED),
        author: None,
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [layer.digest.clone()],
        component: Surface { exports: &package.exports, imports: &package.imports, target: None },
    })?;
    let manifest = written(&Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: None,
        config: Descriptor::of(CONFIG, &config),
        layers: vec![layer],
        subject: None,
        annotations: package.annotations.clone(),
    })?;
    Ok((config, manifest))
}

/// The tag under which the list of what refers to an artifact lies, in a registry that keeps none.
fn fallback(artifact: &Artifact) -> String {
    artifact.manifest.to_string().replace(':', "-")
}

fn written(document: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|error| Error::Settings(error.to_string()))
}
