//! Names for ids.
//!
//! Where names are wanted, a row is given more columns before a document is made of it: `USER.Username` and `USER.FullName` of the user
//! whose id stands in USER_ID or USER_ID_DERIVED, `REPORT.Name` of REPORT_ID, `CreatedBy.Username` of CreatedById. The trees name
//! some of them; the others stand among the rest, as `report_name`. What is redacted, is so there as well. The id of an event
//! is made of the row as it came.

use crate::{
    bytes::{
        csv::{Fields, Rewritten},
        row::Row,
    },
    grammar::names::snake_case,
    records::Record,
};

/// What an id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A user.
    User {
        /// `Username`
        username: String,
        /// `Name`
        full_name: String,
        /// `Email`
        email: String,
    },
    /// Anything else, by its `Name` or `Title`.
    Other(String),
}

/// Names of ids.
pub trait Names {
    /// The name of what has this id, if it is known. Whatever stands in a column of ids is asked for, whether it is one or not.
    fn name(&self, id: &[u8]) -> Option<&Name>;
}

/// No names are known.
pub struct Nameless;

impl Names for Nameless {
    fn name(&self, _: &[u8]) -> Option<&Name> {
        None
    }
}

/// For which ids names are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those of users.
    pub users: bool,
    /// Others.
    pub others: bool,
}

/// How the columns of ids end, longest first.
const ENDINGS: &[&str] = &["_ID_DERIVED", "_ID", "Identifier", "Id"];
/// What a column that is added holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Username,
    FullName,
    Email,
    Other,
}

impl Part {
    const fn ending(self) -> &'static str {
        match self {
            Self::Username => ".Username",
            Self::FullName => ".FullName",
            Self::Email => ".Email",
            Self::Other => ".Name",
        }
    }

    fn of(self, name: &Name) -> &str {
        match (self, name) {
            (Self::Username, Name::User { username, .. }) => username,
            (Self::FullName, Name::User { full_name, .. }) => full_name,
            (Self::Email, Name::User { email, .. }) => email,
            (Self::Other, Name::Other(name)) => name,
            _ => "",
        }
    }
}

/// A column that is added.
struct Added {
    name: String,
    part: Part,
    stem: String,
    /// The columns with the id; the first that has a name counts.
    ids: Vec<usize>,
}

/// The columns that are added, laid out against those of a file or an object.
pub struct Plan {
    /// How many columns a row has.
    width: usize,
    /// The columns of ids.
    ids: Vec<usize>,
    added: Vec<Added>,
    rewritten: Rewritten,
}

impl Plan {
    /// For rows with these columns. None where nothing is to be added. Cold, like all that is done once for a file: it should be small.
    #[cold]
    pub fn new(wanted: Wanted, columns: &[String]) -> Option<Self> {
        let mut parts = Vec::new();
        if wanted.users {
            parts.extend([Part::Username, Part::FullName, Part::Email]);
        }
        if wanted.others {
            parts.push(Part::Other);
        }
        let stem = |name: &str| {
            let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?;
            // That of a related record came with its name, where that was asked for.
            (!stem.is_empty() && !stem.contains('.')).then(|| stem.to_owned())
        };
        let taken: Vec<String> = columns.iter().map(|column| snake_case(column)).collect();
        let (mut ids, mut added) = (Vec::new(), Vec::<Added>::new());
        // Of an id that stands there twice, the derived one has 18 characters, and comes first.
        for ending in ENDINGS {
            for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.ends_with(ending)) {
                if ids.contains(&index) {
                    continue;
                }
                let Some(stem) = stem(column) else { continue };
                ids.push(index);
                for part in &parts {
                    // An address is worth a field for whoever acts; of others the name says who they are.
                    if *part == Part::Email && !stem.eq_ignore_ascii_case("user") {
                        continue;
                    }
                    let name = format!("{stem}{}", part.ending());
                    // As it comes with a record whose query names the related one.
                    let is_there = *part == Part::FullName && columns.contains(&format!("{stem}.Name"));
                    match added.iter_mut().find(|added| added.name == name) {
                        Some(added) => added.ids.push(index),
                        None if is_there || taken.contains(&snake_case(&name)) => {}
                        None => {
                            added.push(Added { name, part: *part, stem: stem.clone(), ids: vec![index] });
                        }
                    }
                }
            }
        }
        let plan = Self { width: columns.len(), ids, added, rewritten: Rewritten::default() };
        (!plan.added.is_empty()).then_some(plan)
    }

    /// The names of the columns that are added.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|added| added.name.as_str())
    }

    /// Of each column that is added, where it stands, and under which names people think of it: whoever redacts one of these means
    /// this as well.
    #[cold]
    pub fn aliases<'c>(
        &self,
        columns: &'c [String],
    ) -> impl Iterator<Item = (usize, Vec<String>)> + use<'_, 'c> {
        self.added.iter().enumerate().map(|(nth, added)| {
            let mut aliases: Vec<String> = added.ids.iter().map(|id| columns[*id].clone()).collect();
            let words: &[&str] = if added.part == Part::Email { &["NAME", "EMAIL"] } else { &["NAME"] };
            for word in words {
                aliases.push(format!("{}_{word}", added.stem));
                aliases.push(format!("{}{word}", added.stem));
                aliases.push(format!("{}.{word}", added.stem));
            }
            if added.part != Part::Other {
                // Another user's name is a user's name.
                aliases.extend(["USER_NAME", "USERNAME"].map(String::from));
            }
            (self.width + nth, aliases)
        })
    }

    /// What stands in the columns of ids.
    pub fn ids<'r>(&self, row: &'r impl Row) -> impl Iterator<Item = &'r [u8]> {
        self.ids.iter().map(|id| row.field(*id)).filter(|id| !id.is_empty())
    }

    fn text<'n>(added: &Added, row: &impl Row, names: &'n dyn Names) -> &'n str {
        let name = added.ids.iter().find_map(|id| names.name(row.field(*id)).map(|name| added.part.of(name)));
        name.unwrap_or_default()
    }

    /// A row with the columns that are added; as it is where nothing is known of its ids.
    pub fn row<'r>(&'r mut self, row: Fields<'r>, names: &dyn Names) -> Fields<'r> {
        if !self.ids(&row).any(|id| names.name(id).is_some()) {
            return row;
        }
        self.rewritten.clear();
        for column in 0..self.width {
            self.rewritten.push(row.field(column));
        }
        for added in &self.added {
            self.rewritten.push(Self::text(added, &row, names).as_bytes());
        }
        self.rewritten.fields()
    }

    /// The same of a record.
    pub fn record<'r>(&'r self, record: &'r Record<'_>, names: &'r dyn Names) -> Record<'r> {
        let mut named = record.borrowed();
        for added in &self.added {
            named.add(&added.name, Self::text(added, record, names));
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(wanted: Wanted, columns: &str) -> Vec<String> {
        let columns: Vec<String> = columns.split(' ').map(str::to_owned).collect();
        let plan = Plan::new(wanted, &columns);
        let describe = |added: &Added| {
            let ids: Vec<&str> = added.ids.iter().map(|id| columns[*id].as_str()).collect();
            format!("{} of {}", added.name, ids.join(","))
        };
        plan.iter().flat_map(|plan| plan.added.iter().map(describe)).collect()
    }

    #[test]
    fn a_column_of_ids_has_columns_of_names_beside_it() {
        let users = Wanted { users: true, others: false };
        let others = Wanted { users: false, others: true };
        assert_eq!(
            added(users, "USER_ID TIMESTAMP USER_ID_DERIVED"),
            [
                "USER.Username of USER_ID_DERIVED,USER_ID",
                "USER.FullName of USER_ID_DERIVED,USER_ID",
                "USER.Email of USER_ID_DERIVED,USER_ID"
            ]
        );
        assert_eq!(
            added(others, "REPORT_ID ReportId"),
            ["REPORT.Name of REPORT_ID", "Report.Name of ReportId"]
        );
        assert_eq!(
            added(users, "CreatedById"),
            ["CreatedBy.Username of CreatedById", "CreatedBy.FullName of CreatedById"]
        );
        // A name that came with the row is not looked up, and neither is what is no id.
        assert_eq!(added(users, "CreatedById CreatedBy.Username"), ["CreatedBy.FullName of CreatedById"]);
        assert!(added(others, "REPORT_ID REPORT_NAME").is_empty());
        assert!(added(users, "Id _ID CreatedBy.Id VALID UserIds").is_empty());
        assert!(added(Wanted::default(), "USER_ID").is_empty());
    }
}
