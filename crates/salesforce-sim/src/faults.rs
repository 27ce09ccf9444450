//! Faults that are planned ahead: one by one by a test, or as a plan in JSON by anyone.
//!
//! A plan is a list; each entry says which requests it matches, which of them it strikes and what happens:
//!
//! ```json
//! [
//!   {"path": "/query", "nth": 2, "action": {"kind": "answer", "status": 503, "body": "<h1>Down</h1>"}},
//!   {"method": "GET", "path": "/LogFile", "every": true, "action": {"kind": "drip"}},
//!   {"of": "LoginEvent", "every": true, "until": "2026-03-05T00:00:00Z", "action": {"kind": "total", "says": "minus-one"}}
//! ]
//! ```
//!
//! `method` and `path` (a part of the path with its query, as sent) match all if left out; `of` matches queries of one object
//! (or of all `big` ones) and their further pages; `from` and `until` bound it in time, by the org's clock. `nth` counts
//! matching requests from 1, which it is if left out, and the fault happens once; with `every` it happens each time, and
//! with `times` so many times, one after the other.
//!
//! Here faults are data: what each does is done by whoever answers. `damage` and `cost` say what two of them are.

mod action;
pub(crate) mod cost;
pub(crate) mod damage;
mod plan;
mod planned;
mod rule;

pub use self::action::{FaultAction, Total};
pub(crate) use self::action::{QueryFaults, header};
pub use self::plan::PlanMistakes;
pub(crate) use self::planned::Faults;
pub(crate) use self::rule::Asked;
pub use self::rule::{Fault, FaultRule, PlannedFault, QueriesOf};
