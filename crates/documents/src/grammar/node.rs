//! What a document is made of: a tree of nodes, as the trees write it down.

use super::form::Form;

/// A part of a document. Where a column is named, several names divided by `|` mean the first that is there.
pub enum Node {
    /// An object with these parts.
    Object(&'static str, &'static [Node]),
    /// These parts, at this position.
    Parts(&'static [Node]),
    /// A fixed value, in JSON.
    Fixed(&'static str, &'static str),
    /// A value made of a column.
    Column(&'static str, &'static str, Form),
    /// The same, of a column that is passed on as well. Here the first that has such a value counts, row by row.
    Also(&'static str, &'static str, Form),
    /// The same, with a form for each.
    Either(&'static str, &'static [(&'static str, Form)]),
    /// `outcome`, of all these columns. They are passed on as well.
    Success(&'static str),
    /// These parts, if the first of the columns `person` that is not empty is of another user than the columns `user`.
    Behind {
        /// Who may stand behind the user.
        person: &'static str,
        /// The user.
        user: &'static str,
        /// What is written then.
        parts: &'static [Node],
    },
    /// These parts, of a record of Real-Time Event Monitoring.
    Monitored(&'static [Node]),
    /// `threat`, after the type of the event, if it is one that was detected.
    Threat,
    /// The different values of some columns.
    Distinct(&'static str, &'static [(&'static str, Form)]),
    /// `location`, of columns with a latitude and a longitude.
    Location(&'static str, &'static str),
    /// An object with these parts, named after the event type or the object in snake case.
    Typed(&'static [Node]),
    /// `@timestamp`, from TIMESTAMP_DERIVED or TIMESTAMP, or from the date of a record.
    Timestamp,
    /// The key of a record or the digest of a row.
    Id(&'static str),
    /// `salesforce.` and the stream.
    Dataset(&'static str),
    /// Which view of the event this is, `EventLogFile` or `Object`.
    Provider(&'static str),
    /// `stream`
    Stream,
    /// `kind`, `category`, `type` and `action`, after the type of the event.
    Kind,
    /// What is known of the org and the file.
    Provenance,
    /// The record as it came, as a text; if it was asked for.
    Original(&'static str),
    /// `record`, the record as it came.
    Record,
    /// The columns that no part mentions.
    Rest,

    // In documents of the Open Cybersecurity Schema Framework. What a column means is told by the tree of the type alone.
    /// What the tree of the type has in one of these fields, divided by `|`: the first that is there and stands nowhere yet.
    Of(&'static str, &'static str),
    /// The same in another form.
    As(&'static str, &'static str, Form),
    /// The location that the tree of the type has in this field, as `lat` and `long`.
    Coordinates(&'static str),
    /// A column that has a field here and none of its own in the tree of the type.
    Own(&'static str, &'static str, Form),
    /// These parts, and if none of them has a value the others.
    Or(&'static [Node], &'static [Node]),
    /// These parts, if a column of them is filled.
    Filled(&'static [Node]),
    /// A list of one object with these parts.
    List(&'static str, &'static [Node]),
    /// Class, activity and severity.
    Classification,
    /// `time`, in milliseconds since 1970.
    Time,
    /// `original_time`
    OriginalTime,
    /// `status_id` and `status`, of what tells `event.outcome` in the tree of the type.
    StatusId,
    /// The name of the type or the object.
    Name(&'static str),
    /// The host of the org.
    Host(&'static str),
    /// `observables`: what the tree of the type has in `related`.
    Observables,
    /// `attacks`, after the type of the event, if it is one that was detected.
    Attacks,
    /// What of the tree of the type stands nowhere yet, as it stands there, and what is wrong with values.
    Unmapped,
}

impl Node {
    /// The key of what it writes, if it is one member.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Object(key, _)
            | Self::Fixed(key, _)
            | Self::Column(key, ..)
            | Self::Also(key, ..)
            | Self::Either(key, ..)
            | Self::Distinct(key, ..) => Some(key),
            _ => None,
        }
    }

    /// The form of a single value.
    pub fn form(&self) -> Option<Form> {
        match self {
            Self::Column(_, _, form) | Self::Also(_, _, form) => Some(*form),
            _ => None,
        }
    }
}
