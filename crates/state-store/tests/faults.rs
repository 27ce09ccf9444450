//! What disks and people do to states.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use state_store::{Database, Owner, Settings, StateError, StateFile, StateStore};

fn owner() -> Owner {
    Owner::new("acme", "salesforce", "1")
}

fn file(path: &Path) -> Result<StateFile, StateError> {
    StateFile::open(path, owner(), Settings::default())
}

fn database(path: &Path) -> Result<Database, StateError> {
    Database::open(path, Settings::default())
}

/// By the path's name, a file or a database.
fn open(path: &Path) -> Result<Box<dyn StateStore>, StateError> {
    if path.extension().is_some_and(|extension| extension == "db") {
        return Ok(Box::new(database(path)?.tenant(owner())?));
    }
    Ok(Box::new(file(path)?))
}

const STORES: [&str; 2] = ["state.json", "states.db"];

fn scratch(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn text(store: &mut impl StateStore) -> String {
    store.load().await.unwrap().unwrap().state
}

async fn text_at(path: &Path) -> String {
    open(path).unwrap().load().await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_plain_state_of_old_is_taken_over_once_and_not_lost() {
    for first in ["{\"cursor\": 2}", "{\"cursor\": 1}"] {
        let (_folder, path) = scratch("state.json");
        fs::write(&path, "{\"cursor\": 1}").unwrap();
        let mut store = file(&path).unwrap();
        let stored = store.load().await.unwrap().unwrap();
        assert_eq!((stored.state.as_str(), stored.revision), ("{\"cursor\": 1}", 0));
        assert_eq!((stored.version, stored.saved_at), (None, None));
        assert!(store.save(first, None).await.unwrap_err().is_conflict());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"cursor\": 1}");
        // The same text as well: from then on it is bound.
        assert_eq!(store.save(first, Some(0)).await.unwrap(), 1);
        assert!(String::from_utf8(fs::read(&path).unwrap()).is_err(), "a host of old refuses it");
        assert_eq!(store.history().await.unwrap()[0].revision, 0);
        assert_eq!(store.roll_back(0).await.unwrap().state, "{\"cursor\": 1}");
    }
}

#[tokio::test]
async fn the_file_of_another_tenant_is_refused_and_left_alone() {
    let (_folder, path) = scratch("acme.json");
    file(&path).unwrap().save("{\"cursor\": 1}", None).await.unwrap();
    let copy = path.with_file_name("globex.json");
    fs::copy(&path, &copy).unwrap();
    let before = fs::read(&copy).unwrap();
    let other = Owner::new("globex", "salesforce", "1");
    let mut store = StateFile::open(&copy, other, Settings::default()).unwrap();
    for expected in [None, Some(0), Some(1)] {
        assert!(store.save("{}", expected).await.unwrap_err().is_users());
    }
    let error = store.load().await.unwrap_err().to_string();
    for word in ["globex.json", "\"acme\"", "\"globex\"", "correct the path"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(fs::read(&copy).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_state_is_refused_and_left_alone() {
    let large = vec![b'x'; (1 << 20) + 1];
    for content in [&b"\xff\xfe"[..], b"", b"\xffstate\xff9 ", b"\xffstate\xff1 0\n{}\n{}", &large] {
        let (_folder, path) = scratch("state.json");
        fs::write(&path, content).unwrap();
        let mut store = file(&path).unwrap();
        let error = store.load().await.unwrap_err();
        assert!(matches!(error, StateError::NotAState { .. }) && error.is_users(), "{error}");
        assert!(error.to_string().contains("state.json"), "{error}");
        for expected in [None, Some(0), Some(1)] {
            assert!(store.save("{}", expected).await.unwrap_err().is_users());
        }
        assert!(store.roll_back(0).await.is_err() && store.check().await.is_err());
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_state_that_changes_under_a_host_is_not_overwritten() {
    let (_folder, path) = scratch("state.json");
    let mut store = file(&path).unwrap();
    let revision = store.save("mine", None).await.unwrap();
    let backup = fs::read(&path).unwrap();
    let next = store.save("mine too", Some(revision)).await.unwrap();
    fs::write(&path, &backup).unwrap();
    assert!(store.save("again", Some(next)).await.unwrap_err().is_conflict());
    fs::write(&path, "{}").unwrap();
    assert!(store.save("again", Some(next)).await.unwrap_err().is_conflict());
    fs::remove_file(&path).unwrap();
    assert!(store.save("again", Some(next)).await.unwrap_err().is_conflict());
    assert!(!path.exists());
    // Revisions are not used again, for the history has some of them.
    assert!(store.save("again", None).await.unwrap() > revision);
}

#[tokio::test]
async fn half_a_state_beside_it_does_no_harm() {
    let (_folder, path) = scratch("state.json");
    fs::write(&path, "old").unwrap();
    fs::write(beside(&path, ".tmp"), "ne").unwrap();
    let mut store = file(&path).unwrap();
    assert_eq!(text(&mut store).await, "old");
    store.save("new", Some(0)).await.unwrap();
    assert_eq!(text(&mut store).await, "new");
    assert!(!beside(&path, ".tmp").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_beside_it_is_not_written_through() {
    let (folder, path) = scratch("state.json");
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, beside(&path, ".tmp")).unwrap();
    file(&path).unwrap().save("new", None).await.unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[cfg(unix)]
#[tokio::test]
async fn two_names_of_a_state_are_one_state() {
    for name in STORES {
        let (folder, path) = scratch(name);
        let link = folder.path().join("link").with_extension(path.extension().unwrap());
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link).err().unwrap().to_string().contains("leads nowhere"));
        let mut store = open(&path).unwrap();
        store.save("a", None).await.unwrap();
        if name == "state.json" {
            assert!(matches!(open(&link), Err(StateError::InUse { .. })));
        }
        drop(store);
        open(&link).unwrap().save("b", Some(1)).await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(text_at(&path).await, "b");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_a_state() {
    use std::os::unix::fs::PermissionsExt;
    for name in STORES {
        let (folder, path) = scratch(name);
        // What an earlier host left may be readable by all.
        fs::write(folder.path().join("state.json.tmp"), "").unwrap();
        let mut store = open(&path).unwrap();
        store.save("a", None).await.unwrap();
        store.save("b", Some(1)).await.unwrap();
        for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
            assert!(mode == 0 || entry.file_name() == "state.json.tmp", "{:?}: {mode:o}", entry.file_name());
        }
    }
}

#[tokio::test]
async fn a_lock_that_was_removed_ends_the_saving() {
    let (_folder, path) = scratch("state.json");
    let mut first = file(&path).unwrap();
    first.save("first", None).await.unwrap();
    fs::remove_file(beside(&path, ".lock")).unwrap();
    let error = first.save("lost", Some(1)).await.unwrap_err();
    assert!(error.is_users() && error.to_string().contains("state.json.lock"), "{error}");
    let mut second = file(&path).unwrap();
    let error = first.save("lost", Some(1)).await.unwrap_err();
    assert!(matches!(error, StateError::Replaced { .. }), "{error}");
    assert_eq!(text(&mut second).await, "first");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let (folder, _) = scratch("");
    for name in STORES {
        let error = open(&folder.path().join("no/such").join(name)).err().unwrap();
        assert!(error.is_users(), "{error}");
        let error = error.to_string();
        assert!(error.contains(&format!("no/such/{name}")) && error.contains("create the folder"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_disappears_is_an_error_and_the_state_is_there_when_it_is_back() {
    for name in STORES {
        let (folder, _) = scratch("");
        let (here, away) = (folder.path().join("here"), folder.path().join("away"));
        fs::create_dir(&here).unwrap();
        let path = here.join(name);
        let mut store = open(&path).unwrap();
        store.save("old", None).await.unwrap();
        fs::rename(&here, &away).unwrap();
        for error in [
            store.save("new", Some(1)).await.unwrap_err(),
            store.load().await.unwrap_err(),
            store.check().await.unwrap_err(),
        ] {
            assert!(error.is_users() && error.to_string().contains(name), "{error}");
        }
        fs::rename(&away, &here).unwrap();
        assert_eq!(store.save("new", Some(1)).await.unwrap(), 2);
        drop(store);
        assert_eq!(text_at(&path).await, "new");
    }
}

#[tokio::test]
async fn a_save_that_fails_leaves_the_old_state_and_can_be_made_again() {
    let (_folder, path) = scratch("state.json");
    fs::write(&path, "old").unwrap();
    let mut store = file(&path).unwrap();
    fs::create_dir(beside(&path, ".tmp")).unwrap();
    assert!(!store.save("new", Some(0)).await.unwrap_err().is_users());
    assert!(store.check().await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    fs::remove_dir(beside(&path, ".tmp")).unwrap();
    assert_eq!(store.save("new", Some(0)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_history_that_is_damaged_does_not_stop_the_saving() {
    let (_folder, path) = scratch("state.json");
    let mut store = file(&path).unwrap();
    store.save("a", None).await.unwrap();
    store.save("b", Some(1)).await.unwrap();
    let history = beside(&path, ".history");
    fs::write(history.join("1"), "\u{0}").unwrap();
    fs::write(history.join("not a revision"), "x").unwrap();
    assert_eq!(store.history().await.unwrap(), []);
    assert!(store.roll_back(1).await.unwrap_err().is_users());
    store.save("c", Some(2)).await.unwrap();
    assert_eq!(text(&mut store).await, "c");
}

#[tokio::test]
async fn the_same_text_again_touches_nothing_on_the_disk() {
    let (folder, path) = scratch("state.json");
    let mut store = file(&path).unwrap();
    store.save("a", None).await.unwrap();
    let listing = |folder: &Path| {
        let entry = |entry: fs::DirEntry| (entry.path(), entry.metadata().unwrap().modified().unwrap());
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| entry(e.unwrap())).collect();
        entries.sort();
        (entries, fs::metadata(folder).unwrap().modified().unwrap())
    };
    let before = listing(folder.path());
    assert_eq!(store.save("a", Some(1)).await.unwrap(), 1);
    assert_eq!(listing(folder.path()), before);
}

#[tokio::test]
async fn a_database_that_was_removed_or_replaced_takes_no_more_states() {
    for lost in ["", "-wal"] {
        let (_folder, path) = scratch("states.db");
        let mut store = open(&path).unwrap();
        store.save("old", None).await.unwrap();
        let moved = beside(&path, "-moved");
        fs::rename(beside(&path, lost), &moved).unwrap();
        let error = store.save("lost", Some(1)).await.unwrap_err();
        assert!(error.is_users() && error.to_string().contains("states.db"), "{error}");
        fs::write(beside(&path, lost), "another").unwrap();
        let error = store.save("lost", Some(1)).await.unwrap_err();
        assert!(matches!(error, StateError::Replaced { .. }), "{error}");
        fs::rename(&moved, beside(&path, lost)).unwrap();
        assert_eq!(store.save("new", Some(1)).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_of_states_is_refused_and_left_alone() {
    let (_folder, path) = scratch("states.db");
    let foreign = rusqlite::Connection::open(path.with_file_name("foreign.db")).unwrap();
    foreign.execute_batch("PRAGMA user_version = 7; CREATE TABLE t (x)").unwrap();
    let foreign = fs::read(path.with_file_name("foreign.db")).unwrap();
    let page = vec![b'x'; 8192];
    for content in [&b""[..], b"{}", &page, &foreign] {
        fs::write(&path, content).unwrap();
        let error = database(&path).unwrap_err();
        assert!(error.is_users() && error.to_string().contains("states.db"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let (_folder, path) = scratch("states.db");
    drop(database(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(database(&path).unwrap_err().to_string().contains("newer version"));
}

#[tokio::test]
async fn last_changes_without_their_database_are_not_made_part_of_a_new_one() {
    let (_folder, path) = scratch("states.db");
    fs::write(beside(&path, "-wal"), "x").unwrap();
    let error = database(&path).unwrap_err();
    assert!(error.is_users() && error.to_string().contains("-wal"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_damaged_row_is_refused_and_harms_no_other_tenant() {
    let (_folder, path) = scratch("states.db");
    for damage in ["state = x'00'", "state = 7", "revision = 'x'", "revision = -1"] {
        let database = database(&path).unwrap();
        let mut broken = database.tenant(Owner::new(damage, "salesforce", "1")).unwrap();
        broken.save("a", None).await.unwrap();
        let change = format!("UPDATE OR IGNORE state SET {damage} WHERE tenant = ?");
        assert_eq!(rusqlite::Connection::open(&path).unwrap().execute(&change, [damage]).unwrap(), 1);
        let mut whole = database.tenant(owner()).unwrap();
        let expected = whole.load().await.unwrap().map(|stored| stored.revision);
        let (failed, saved) = tokio::join!(broken.save("b", Some(1)), whole.save(damage, expected));
        let error = failed.unwrap_err();
        assert!(error.is_users() && error.to_string().contains("damaged"), "{error}");
        saved.unwrap();
        assert!(broken.load().await.is_err());
    }
}

#[tokio::test]
async fn a_thousand_tenants_save_at_once_and_each_gets_its_own() {
    let (_folder, path) = scratch("states.db");
    let database = database(&path).unwrap();
    let mut saves = tokio::task::JoinSet::new();
    for i in 0..1000 {
        let mut store = database.tenant(Owner::new(format!("t{i}"), "salesforce", "1")).unwrap();
        saves.spawn(async move { store.save(&format!("state of {i}"), None).await });
    }
    for saved in saves.join_all().await {
        assert_eq!(saved.unwrap(), 1);
    }
    for i in 0..1000 {
        let mut store = database.tenant(Owner::new(format!("t{i}"), "salesforce", "2")).unwrap();
        assert_eq!(text(&mut store).await, format!("state of {i}"));
    }
}

#[tokio::test]
async fn hosts_that_create_a_database_at_once_share_it() {
    for _ in 0..10 {
        let (folder, path) = scratch("states.db");
        let hosts: Vec<_> = (0..8)
            .map(|i| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let owner = Owner::new(format!("t{i}"), "salesforce", "1");
                    let mut store = database(&path).unwrap().tenant(owner).unwrap();
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async { store.save("a", None).await.unwrap() });
                    runtime.block_on(store.check()).unwrap();
                })
            })
            .collect();
        for host in hosts {
            host.join().unwrap();
        }
        for i in 0..8 {
            let owner = Owner::new(format!("t{i}"), "salesforce", "1");
            assert_eq!(text(&mut database(&path).unwrap().tenant(owner).unwrap()).await, "a");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something is left over");
    }
}

#[tokio::test]
async fn a_database_that_another_program_keeps_locked_passes() {
    let (_folder, path) = scratch("states.db");
    let settings = Settings::default().patience(std::time::Duration::ZERO);
    let mut store = Database::open(&path, settings).unwrap().tenant(owner()).unwrap();
    store.save("old", None).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for error in [store.save("new", Some(1)).await.unwrap_err(), store.check().await.unwrap_err()] {
        assert!(error.passes() && error.to_string().contains("locked"), "{error}");
    }
    assert_eq!(text(&mut store).await, "old");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.save("new", Some(1)).await.unwrap(), 2);
}

/// A file system of its own, if this test may mount one.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &options, "none"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: only root can mount a file system; run the tests as root to include this one");
        None
    }

    fn remount(&self, mode: &str) {
        let options = format!("remount,{mode}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_passes_and_the_old_state_is_kept() {
    for name in STORES {
        let Some(mount) = Mount::new("4m") else { return };
        let path = mount.0.path().join(name);
        let mut store = open(&path).unwrap();
        store.save("old", None).await.unwrap();
        store.check().await.unwrap();
        // 100 KiB are left: too little for the largest state, as the check says, and for this one.
        let filler = mount.0.path().join("filler");
        let mut size = 4 << 20;
        while fs::write(&filler, vec![0; size]).is_err() {
            size -= 50 << 10;
        }
        fs::write(&filler, vec![0; size - (50 << 10)]).unwrap();
        let error = store.check().await.unwrap_err();
        assert!(error.passes() && error.to_string().contains("make room"), "{error}");
        let large = "x".repeat(500_000);
        for _ in 0..3 {
            let error = store.save(&large, Some(1)).await.unwrap_err();
            assert!(error.passes() && error.to_string().contains("make room"), "{error}");
            assert_eq!(store.load().await.unwrap().unwrap().state, "old");
        }
        fs::remove_file(&filler).unwrap();
        assert_eq!(store.save(&large, Some(1)).await.unwrap(), 2);
        drop(store);
        assert_eq!(text_at(&path).await, large);
    }
}

#[tokio::test]
async fn one_tenant_that_does_not_fit_does_not_keep_the_others_from_saving() {
    let Some(mount) = Mount::new("1m") else { return };
    let database = database(&mount.0.path().join("states.db")).unwrap();
    let (mut saves, large) = (tokio::task::JoinSet::new(), "x".repeat(1 << 20));
    for i in 0..20 {
        let mut store = database.tenant(Owner::new(format!("t{i}"), "salesforce", "1")).unwrap();
        let state = if i == 10 { large.clone() } else { format!("small {i}") };
        saves.spawn(async move { store.save(&state, None).await.map_err(|error| (i, error)) });
    }
    let failed: Vec<_> = saves.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(matches!(&failed[..], [(10, error)] if error.passes()), "{failed:?}");
}

#[tokio::test]
async fn a_read_only_disk_is_an_error_in_words() {
    for name in STORES {
        let Some(mount) = Mount::new("4m") else { return };
        let path = mount.0.path().join(name);
        open(&path).unwrap().save("old", None).await.unwrap();
        mount.remount("ro");
        let error = open(&path).err().unwrap();
        assert!(error.is_users() && error.to_string().contains(name), "{error}");
        assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
        mount.remount("rw");
        assert_eq!(text_at(&path).await, "old");
    }
}

const LIMITED: &str = "STATE_STORE_LIMITED_TEST";

/// Does nothing as a test. As the child of the next one it may write no file of more than 64 KiB.
#[tokio::test]
async fn a_child_with_a_limit() {
    let Some(path) = std::env::var_os(LIMITED).map(PathBuf::from) else { return };
    let mut store = open(&path).unwrap();
    for _ in 0..3 {
        let error = store.save(&"x".repeat(200_000), Some(1)).await.unwrap_err();
        assert!(error.passes() && error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(store.check().await.unwrap_err().passes());
        assert_eq!(store.load().await.unwrap().unwrap().state, "old");
    }
    assert_eq!(store.save("small", Some(1)).await.unwrap(), 2);
}

/// As a full disk, for those who cannot mount one.
#[cfg(unix)]
#[tokio::test]
async fn a_write_that_the_system_cuts_short_leaves_the_old_state() {
    for name in STORES {
        let (_folder, path) = scratch(name);
        open(&path).unwrap().save("old", None).await.unwrap();
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_with_a_limit", "--nocapture"])
            .env(LIMITED, &path)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        assert_eq!(text_at(&path).await, "small");
    }
}
