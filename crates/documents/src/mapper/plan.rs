//! The steps that write a document, in the order in which it is written.

use crate::{
    bytes::json::Key,
    grammar::{
        class::Rules,
        form::{Around, Form},
    },
};

/// What is done to write a document.
pub enum Step {
    /// Members that are the same in every document, up to a comma or the brace that opens an object.
    Put(String),
    /// Ends an object that [`Step::Put`] began.
    End,
    /// Begins an object that may stay empty.
    Open(Key),
    /// Ends it.
    Close,
    /// A value made of a column.
    Column(Key, usize, Form),
    /// A value made of the first of some columns that has one.
    First(Key, Vec<(usize, Form)>),
    /// What some columns say of success.
    Success(Key, Vec<usize>),
    /// The next steps are left out, unless one of the columns `person` is filled and none of `user` is the same.
    Behind { person: Vec<usize>, user: Vec<usize>, steps: usize },
    /// The different values of some columns.
    Distinct(Key, Vec<(usize, Form)>),
    /// A latitude and a longitude.
    Location(&'static Around, usize, usize),
    /// `@timestamp`
    Timestamp(Key),
    /// `time`
    Time(Key),
    /// `event.id`
    Id(Key),
    /// The record, as an object of texts if it is a row.
    Record(Key),
    /// The same as a text.
    Original(Key),
    /// Remembers how much is written.
    Mark,
    /// So many steps are left out if something was written since.
    Or(usize),
    /// So many steps are left out unless one of the columns is filled.
    Filled(Vec<usize>, usize),
    /// Ends a list of one object.
    EndList,
    /// What a column says of the activity.
    Activity(Box<Activity>),
    /// `status_id`: of one column that is this text, or of what several columns say of success.
    Status(Vec<usize>, Option<&'static str>),
    /// The different values of some columns, each an object that begins so.
    Observables(Key, Vec<(usize, Form, &'static [u8])>),
    /// What is wrong with the values of the row, in an object of its own.
    Errors,
}

/// What a column says of the activity, in members that were rendered before.
pub struct Activity {
    pub column: usize,
    pub rules: Rules,
    /// Of each rule.
    pub members: Vec<String>,
    /// Of a value that no rule is for.
    pub other: String,
    /// Of no value.
    pub none: String,
}

impl Step {
    /// The columns that its value is made of, if it has one.
    pub fn columns(&self) -> Vec<usize> {
        match self {
            Self::Column(_, column, _) => vec![*column],
            Self::First(_, columns) => columns.iter().map(|(column, _)| *column).collect(),
            Self::Location(_, latitude, longitude) => vec![*latitude, *longitude],
            _ => Vec::new(),
        }
    }

    /// The columns of which it has to be known whether they hold an address.
    pub fn addresses(&self) -> Vec<usize> {
        match self {
            Self::Column(_, column, Form::Ip | Form::NoIp) => vec![*column],
            Self::Distinct(_, columns) | Self::First(_, columns) => columns
                .iter()
                .filter(|(_, form)| matches!(form, Form::Ip))
                .map(|(column, _)| *column)
                .collect(),
            Self::Observables(_, columns) => {
                let is_address = |(_, form, _): &&(usize, Form, &[u8])| matches!(form, Form::Ip);
                columns.iter().filter(is_address).map(|(column, ..)| *column).collect()
            }
            _ => Vec::new(),
        }
    }
}
