//! The files of a folder, one for each tenant, and what has changed about them.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// What tells one version of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode }
    }
}

/// A tenant's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TenantFile {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// The tenants of a folder, by name: `acme.toml` is the tenant `acme`. What has another ending is none.
pub(super) fn scan(folder: &Path) -> io::Result<BTreeMap<String, TenantFile>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = name(&path) else { continue };
        // It may be gone again, or a link that leads nowhere: then it is no tenant.
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.is_file()
        {
            found.insert(name, TenantFile { path, stamp: Stamp::of(&metadata) });
        }
    }
    Ok(found)
}

/// What editors leave behind (`.acme.toml.swp`, `#acme.toml#`) is no tenant.
fn name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".toml")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 64;
    (is_name && name.chars().all(fits)).then(|| name.to_owned())
}

/// Tells that something in the folder has changed, for as long as it lives.
pub(super) struct Changes {
    _watcher: RecommendedWatcher,
    pub(super) seen: mpsc::Receiver<()>,
}

impl Changes {
    pub(super) fn of(folder: &Path) -> notify::Result<Self> {
        // One that waits says as much as many.
        let (sender, seen) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // States and outputs may lie in the same folder, and reading a file is no change.
            let concerns = |event: &notify::Event| {
                !event.kind.is_access() && event.paths.iter().any(|path| name(path).is_some())
            };
            if event.as_ref().map_or(true, concerns) {
                let _ = sender.try_send(());
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_a_tenant_for_each_file_that_is_named_like_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["acme.toml", "b-2.test.toml", ".acme.toml.swp", ".hidden.toml", "a b.toml", "notes.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
        let found = scan(folder.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["acme", "b-2.test"]);
    }
}
