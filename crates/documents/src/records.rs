//! Pages of query answers, and the records on them.
//!
//! "Execute a SOQL Query", REST API guide: `{"totalSize", "done", "nextRecordsUrl", "records": [{"attributes", …}]}`. What
//! frames the records must be whole: a page that was cut is none, or what lies behind the cut would be lost in silence. What
//! stands in the records is taken as it comes. A damaged text spoils its own field alone, a damaged field its own record
//! alone, and each says in words what could not be read.
//!
//! Texts are borrowed from the page and numbers stay as they were written: nothing above 2^53 is rounded. Fields of a related
//! record come as `CreatedBy.Name`.
//!
//! # Where the grammar itself is broken
//!
//! A quote that is missing or too many would make texts of all that follows. But within the texts of JSON quotes are
//! escaped. So `{"attributes"`, if no name stands before it, is the beginning of the next record, and `"Name":` that of the
//! next field, however broken what stands before: nobody who controls a text can write one into it. There reading goes on.

mod page;
mod record;

pub use page::{Flaw, Page};
pub use record::Record;
