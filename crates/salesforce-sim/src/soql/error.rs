//! What is wrong with a statement, and how Salesforce says so.

use std::fmt::Write as _;

/// What is wrong with a statement, as Salesforce classifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The text is not SOQL.
    MalformedQuery,
    /// A field that the object has not, or a value of another type than the field.
    InvalidField,
    /// An object that the org has not.
    InvalidType,
    /// An operator that the field's type has not.
    InvalidQueryFilterOperator,
    /// What big objects refuse of the SOQL that other objects take.
    BigObjectUnsupportedOperation,
    /// More rows of aggregates than go into one page.
    ExceededIdLimit,
    /// More rows than the org looks through in time.
    QueryTimeout,
    /// Legal in SOQL, outside the subset of this simulator.
    NotImplemented,
}

impl Fault {
    /// The `errorCode` of the answer.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::MalformedQuery => "MALFORMED_QUERY",
            Self::InvalidField => "INVALID_FIELD",
            Self::InvalidType => "INVALID_TYPE",
            Self::InvalidQueryFilterOperator => "INVALID_QUERY_FILTER_OPERATOR",
            Self::BigObjectUnsupportedOperation => "BIG_OBJECT_UNSUPPORTED_OPERATION",
            Self::ExceededIdLimit => "EXCEEDED_ID_LIMIT",
            Self::QueryTimeout => "QUERY_TIMEOUT",
            Self::NotImplemented => "NOT_IMPLEMENTED_IN_SIMULATOR",
        }
    }
}

/// An error at an offset in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoqlError {
    pub(crate) fault: Fault,
    pub(crate) message: String,
    /// Byte offset in the statement; its length stands for the end.
    pub(crate) at: usize,
}

impl SoqlError {
    pub(crate) fn new(fault: Fault, at: usize, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), at }
    }

    /// The message as Salesforce lays it out: the line, a caret below the position, the position, the sentence.
    pub(crate) fn render(&self, statement: &str) -> String {
        let before = &statement[..self.at.min(statement.len())];
        let row = before.matches('\n').count() + 1;
        let line = statement.lines().nth(row - 1).unwrap_or("");
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ =
            write!(text, "\n{line}\n{:>column$}\nERROR at Row:{row}:Column:{column}\n{}", "^", self.message);
        text
    }
}
