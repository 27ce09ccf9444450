//! The steps that write a document, in the order in which it is written.

use crate::{bytes::json::Key, grammar::form::Form};

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
    Location(Key, usize, usize),
    /// `@timestamp`
    Timestamp(Key),
    /// `event.id`
    Id(Key),
    /// The record, as an object of texts if it is a row.
    Record(Key),
    /// The same as a text.
    Original(Key),
}

impl Step {
    /// The columns of which it has to be known whether they hold an address.
    pub fn addresses(&self) -> Vec<usize> {
        match self {
            Self::Column(_, column, Form::Ip | Form::NoIp) => vec![*column],
            Self::Distinct(_, columns) | Self::First(_, columns) => columns
                .iter()
                .filter(|(_, form)| matches!(form, Form::Ip))
                .map(|(column, _)| *column)
                .collect(),
            _ => Vec::new(),
        }
    }
}
