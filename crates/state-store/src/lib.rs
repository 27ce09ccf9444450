//! Where the states of sources lie between runs.
//!
//! A state decides what is collected next: a lost one means everything again, an older one means duplicates, and one of
//! another tenant, or a broken one, means a gap. So every store promises the same, and [`conformance`] asks it of each:
//!
//! - A state is replaced as a whole or not at all, and is on the disk when [`StateStore::save`] returns.
//! - Whoever saves says which revision it continues. If another host has saved meanwhile, that is a conflict and nothing
//!   is overwritten.
//! - A state belongs to one tenant and one component. What was saved for another is refused and left as it is.
//! - What the next start would refuse is refused when it is saved: an empty state, and one larger than
//!   [`LARGEST_STATE`]. A component cannot lock itself out.
//! - A few earlier states are kept, so that a component that is put back to an older version gets a state it can read.
//! - Errors say in words what to do. Neither they nor any `Debug` show a state's content.
//!
//! | store | for | a second host |
//! |---|---|---|
//! | [`StateFile`] | one source, one file | is refused at the start |
//! | [`Database`] | many tenants in one file | works on other tenants; on the same one it gets conflicts |
//! | [`Memory`] | tests | as with the database |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("state.json");
//! use state_store::{Owner, Settings, StateFile, StateStore};
//!
//! let owner = Owner::new("acme", "salesforce", "1.4.0");
//! let mut store = StateFile::open(&path, owner, Settings::default())?;
//! let stored = store.load().await?;
//! let mut revision = stored.as_ref().map(|stored| stored.revision);
//! // Poll with the state, deliver the events, and only then:
//! revision = Some(store.save("{\"cursor\": 17}", revision).await?);
//! # assert_eq!(revision, Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! | to read about | look into |
//! |---|---|
//! | how large a state may be | `limits` |
//! | what may differ from store to store | `settings` |
//! | why a state cannot be loaded or saved | `error` |
//! | what every store does, and for whom | `store` |
//! | files that are replaced as a whole, and whether one is still the same | `disk` |
//! | what may be saved, what is a conflict, what goes into the history | `rules` |
//! | what is in the file of a state | `envelope` |
//! | the stores themselves | `file`, `database`, `memory` |
//! | what every store must pass | `conformance` |
//!
//! Each of these knows only what stands below it: `limits`, `settings`; `error`; `store`, `disk`; `rules`; `envelope`; `file`, `database`,
//! `memory`; `conformance`.
//!
//! # Why SQLite and not redb
//!
//! Both were tried with 10,000 tenants; the figures stand in the README. What decided is that several processes must work
//! on one database: redb locks its file for one process (a second `open` is refused), so neither `check` nor an upgrade
//! that overlaps with the old host would work. SQLite is also what an operator can read, back up while it runs and repair
//! with tools that every system has. Its price is C code to compile, which `ring` asks of this repository already.

#[cfg(feature = "stores")]
pub mod conformance;
#[cfg(feature = "stores")]
mod database;
#[cfg(feature = "stores")]
mod disk;
pub mod envelope;
mod error;
#[cfg(feature = "stores")]
mod file;
mod limits;
#[cfg(feature = "stores")]
mod memory;
#[cfg_attr(not(feature = "stores"), expect(dead_code, reason = "what the stores ask of it"))]
mod rules;
#[cfg_attr(not(feature = "stores"), expect(dead_code, reason = "what the stores ask of it"))]
mod settings;
mod store;

#[cfg(feature = "stores")]
pub use database::{Database, TenantState};
pub use error::{Bound, StateError};
#[cfg(feature = "stores")]
pub use file::StateFile;
pub use limits::LARGEST_STATE;
#[cfg(feature = "stores")]
pub use memory::{Memory, MemoryState};
pub use rules::{Label, check_owner, check_state};
pub use settings::Settings;
pub use store::{Answer, Owner, Past, StateStore, Stored};
