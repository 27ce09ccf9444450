//! A parsed statement: what it says, before anything is known about the object and its fields.

use chrono::{DateTime, Utc};

use super::dates::Relative;

/// The name under which a query holds `FIELDS(STANDARD)`.
pub(crate) const STANDARD_FIELDS: &str = "FIELDS(STANDARD)";

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: usize,
}

/// A parsed statement; nothing is known yet about the object and its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Empty for `count()`, and where there are groups.
    pub(crate) fields: Vec<Name>,
    /// Aggregates and groups, with the order and the limit of their own.
    pub(crate) grouped: Option<Grouped>,
    pub(crate) object: Name,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) limit: Option<usize>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare { field: Name, operator: Operator, value: Value },
    In { field: Name, values: Vec<Value>, negated: bool },
}

/// A comparison of a field with one literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

/// A literal and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) literal: Literal,
    pub(crate) at: usize,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(f64),
    Boolean(bool),
    DateTime(DateTime<Utc>),
    Date,
    /// Whole days, as seen from today.
    Relative(Relative),
    /// From one instant up to another, which is not in it any more: [`Self::Relative`], once it is known what day it is.
    Span(DateTime<Utc>, DateTime<Utc>),
    Null,
}

/// One term of ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OrderBy {
    pub(crate) field: Name,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
}

impl Function {
    /// The function of this name, in any case.
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Count, Self::CountDistinct, Self::Min, Self::Max, Self::Sum, Self::Avg]
            .into_iter()
            .find(|function| function.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::CountDistinct => "COUNT_DISTINCT",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::Sum => "SUM",
            Self::Avg => "AVG",
        }
    }
}

/// A field of a grouped query, or an aggregate of one; `COUNT()` has none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub(crate) function: Option<Function>,
    pub(crate) field: Option<Name>,
    pub(crate) at: usize,
}

/// The grouped part of a statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Grouped {
    /// With the name that each was given.
    pub(crate) items: Vec<(Expression, Option<String>)>,
    pub(crate) by: Vec<Name>,
    /// Whether descending, and whether without value comes last.
    pub(crate) order: Vec<(Expression, bool, bool)>,
    pub(crate) limit: Option<usize>,
}
