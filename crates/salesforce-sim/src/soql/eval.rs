//! A parsed query against an object: names resolved, types checked, rows selected.
//!
//! Text compares without regard to case, ids with regard to it and in either length; `!=` also selects rows without a
//! value (SOQL guide, "Comparison Operators").

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::error::{Fault, SoqlError};
use super::group::GroupPlan;
use super::object::{Field, FieldType, Object, Row, Value, ascending};
use super::syntax::{Expr, Literal, Name, Operator, Query, STANDARD_FIELDS, Value as Given};
use crate::ids;

/// A query whose every name and literal fits the object.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The selected fields, by their index in [`Object::fields`]; none for `count()`.
    pub(crate) select: Vec<usize>,
    pub(crate) filter: Option<Condition>,
    /// Field, whether descending, whether without value comes last.
    pub(crate) order: Vec<(usize, bool, bool)>,
    pub(crate) limit: Option<usize>,
    /// What is made of the rows, if they are not the result themselves.
    pub(crate) grouped: Option<GroupPlan>,
}

/// A condition whose fields are indices in [`Object::fields`].
#[derive(Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(usize, Operator, Literal),
}

impl Plan {
    /// Checks `query` against `object`, of which the org lacks the fields named in `absent`. It is `now` in the org, and
    /// its users live in UTC.
    pub(crate) fn new(
        query: &Query,
        object: &Object,
        absent: &[&str],
        now: DateTime<Utc>,
    ) -> Result<Self, SoqlError> {
        let binder = Binder { object, absent, now };
        let mut select = Vec::new();
        let standard = |name: &Name| {
            let present = |index: &usize| {
                let field = &object.fields[*index];
                field.related().is_none() && !absent.contains(&field.name)
            };
            let all: Vec<usize> = (0..object.fields.len()).filter(present).collect();
            if name.text == STANDARD_FIELDS { Ok(all) } else { Ok(vec![binder.field(name)?]) }
        };
        let selected: Vec<(&Name, Vec<usize>)> =
            query.fields.iter().map(|name| Ok((name, standard(name)?))).collect::<Result<_, SoqlError>>()?;
        for (name, field) in
            selected.into_iter().flat_map(|(name, fields)| fields.into_iter().map(move |field| (name, field)))
        {
            if select.contains(&field) {
                let message = format!("duplicate field selected: {}", object.fields[field].name);
                return Err(SoqlError::new(Fault::MalformedQuery, name.at, message));
            }
            select.push(field);
        }
        let filter = query.filter.as_ref().map(|expr| binder.condition(expr)).transpose()?;
        let order = query
            .order
            .iter()
            .map(|term| Ok((binder.usable(&term.field, "sorted")?, term.descending, term.nulls_last)))
            .collect::<Result<_, SoqlError>>()?;
        let grouped = query.grouped.as_ref();
        let grouped =
            grouped.map(|grouped| GroupPlan::new(grouped, object, |name| binder.field(name))).transpose()?;
        Ok(Self { select, filter, order, limit: query.limit, grouped })
    }

    /// Whether WHERE names the field.
    pub(crate) fn filters_on(&self, field: usize) -> bool {
        self.filter.as_ref().is_some_and(|condition| condition.names(field))
    }

    /// Whether WHERE or ORDER BY names the field.
    pub(crate) fn depends_on(&self, field: usize) -> bool {
        self.filters_on(field) || self.order.iter().any(|(sorted, ..)| *sorted == field)
    }

    /// The rows that the query selects, in its order.
    pub(crate) fn run<R: Row>(&self, rows: impl Iterator<Item = R>) -> Vec<R> {
        let mut found: Vec<R> = rows.filter(|row| self.selects(row)).collect();
        if !self.order.is_empty() {
            found.sort_by(|a, b| self.compare(a, b));
        }
        found.truncate(self.limit.unwrap_or(usize::MAX));
        found
    }

    /// Whether WHERE selects the row.
    pub(crate) fn selects(&self, row: &impl Row) -> bool {
        self.filter.as_ref().is_none_or(|condition| condition.holds(row))
    }

    /// The first and the last instant of a field that WHERE can select.
    pub(crate) fn span(&self, field: usize) -> (DateTime<Utc>, DateTime<Utc>) {
        let all = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        self.filter.as_ref().map_or(all, |condition| condition.span(field))
    }

    /// Whether ORDER BY begins with the field, and whether it does so descending.
    pub(crate) fn sorts_by(&self, field: usize) -> Option<bool> {
        self.order.first().filter(|(sorted, ..)| *sorted == field).map(|(_, descending, _)| *descending)
    }

    /// Which of two rows ORDER BY puts first.
    pub(crate) fn compare(&self, a: &impl Row, b: &impl Row) -> Ordering {
        let by_term = |&(field, descending, nulls_last): &(usize, bool, bool)| {
            let (a, b) = (a.value(field), b.value(field));
            match (a == Value::Null, b == Value::Null) {
                (true, true) => Ordering::Equal,
                (true, false) => {
                    if nulls_last {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                (false, true) => {
                    if nulls_last {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (false, false) => {
                    let ordering = ascending(&a, &b);
                    if descending { ordering.reverse() } else { ordering }
                }
            }
        };
        self.order.iter().map(by_term).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }
}

struct Binder<'a> {
    object: &'a Object,
    absent: &'a [&'a str],
    now: DateTime<Utc>,
}

impl Binder<'_> {
    fn field(&self, name: &Name) -> Result<usize, SoqlError> {
        let known =
            |field: &Field| field.name.eq_ignore_ascii_case(&name.text) && !self.absent.contains(&field.name);
        self.object.fields.iter().position(known).ok_or_else(|| {
            if let Some((relationship, _)) = name.text.split_once('.') {
                return self.unknown_relationship(name, relationship);
            }
            let message = format!(
                "No such column '{}' on entity '{}'. If you are attempting to use a custom field, be sure to append the \
                 '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                name.text, self.object.name
            );
            SoqlError::new(Fault::InvalidField, name.at, message)
        })
    }

    /// A relationship whose lookup field the object has is one of SOQL; which of them there are here is this subset's.
    fn unknown_relationship(&self, name: &Name, relationship: &str) -> SoqlError {
        let is_lookup = |field: &&Field| {
            let stem = field.name.strip_suffix("Id").filter(|_| field.kind == FieldType::Id);
            stem.is_some_and(|stem| stem.eq_ignore_ascii_case(relationship))
        };
        if self.object.fields.iter().any(|field| is_lookup(&field)) {
            return SoqlError::new(
                Fault::NotImplemented,
                name.at,
                format!("relationship field {}", name.text),
            );
        }
        let message = format!(
            "Didn't understand relationship '{relationship}' in field path. If you are attempting to use a custom \
             relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or \
             the describe call for the appropriate names."
        );
        SoqlError::new(Fault::InvalidField, name.at, message)
    }

    fn usable(&self, name: &Name, purpose: &str) -> Result<usize, SoqlError> {
        let field = self.field(name)?;
        let Field { name: known, filterable, sortable, .. } = &self.object.fields[field];
        if if purpose == "sorted" { *sortable } else { *filterable } {
            return Ok(field);
        }
        let message = format!("field '{known}' can not be {purpose} in a query call");
        Err(SoqlError::new(Fault::InvalidField, name.at, message))
    }

    fn condition(&self, expr: &Expr) -> Result<Condition, SoqlError> {
        let each = |terms: &[Expr]| terms.iter().map(|term| self.condition(term)).collect::<Result<_, _>>();
        Ok(match expr {
            Expr::And(terms) => Condition::All(each(terms)?),
            Expr::Or(terms) => Condition::Any(each(terms)?),
            Expr::Not(term) => Condition::Not(Box::new(self.condition(term)?)),
            Expr::Compare { field, operator, value } => {
                let index = self.usable(field, "filtered")?;
                Condition::Compare(index, *operator, self.literal(index, field, *operator, value)?)
            }
            Expr::In { field, values, negated } => {
                let index = self.usable(field, "filtered")?;
                let equal = |value| {
                    Ok(Condition::Compare(
                        index,
                        Operator::Equal,
                        self.literal(index, field, Operator::Equal, value)?,
                    ))
                };
                let any = Condition::Any(values.iter().map(equal).collect::<Result<_, SoqlError>>()?);
                if *negated { Condition::Not(Box::new(any)) } else { any }
            }
        })
    }

    /// Checks that a literal fits the field and the operator; ids come back in their 18-character form.
    fn literal(
        &self,
        index: usize,
        name: &Name,
        operator: Operator,
        value: &Given,
    ) -> Result<Literal, SoqlError> {
        let Field { name: field, kind, .. } = &self.object.fields[index];
        let kind = *kind;
        let wrong_operator =
            |message: String| SoqlError::new(Fault::InvalidQueryFilterOperator, name.at, message);
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual | Operator::Like);
        if operator == Operator::Like && kind != FieldType::Text {
            return Err(wrong_operator(format!("invalid operator on {} field", kind.name())));
        }
        if ordered && (kind == FieldType::Boolean || value.literal == Literal::Null) {
            return Err(wrong_operator(format!("invalid operator on {} field", kind.name())));
        }
        match (&value.literal, kind) {
            (Literal::Text(id), FieldType::Id) => ids::canonical(id)
                .map(Literal::Text)
                .ok_or_else(|| wrong_operator(format!("invalid ID field: {id}"))),
            (Literal::Text(_), FieldType::Text)
            | (Literal::DateTime(_), FieldType::DateTime)
            | (Literal::Boolean(_), FieldType::Boolean)
            | (Literal::Number(_), FieldType::Double)
            | (Literal::Null, _) => Ok(value.literal.clone()),
            (Literal::Relative(relative), FieldType::DateTime) => {
                let (from, until) = relative.span(self.now);
                Ok(Literal::Span(from, until))
            }
            (Literal::Number(n), FieldType::Int) if n.fract() == 0.0 => Ok(value.literal.clone()),
            _ => {
                let quotes = match kind {
                    FieldType::Id | FieldType::Text => "should be enclosed in quotes",
                    _ => "should not be enclosed in quotes",
                };
                let message = format!(
                    "value of filter criterion for field '{field}' must be of type {} and {quotes}",
                    kind.name()
                );
                Err(SoqlError::new(Fault::InvalidField, value.at, message))
            }
        }
    }
}

impl Condition {
    fn names(&self, field: usize) -> bool {
        match self {
            Self::All(terms) | Self::Any(terms) => terms.iter().any(|term| term.names(field)),
            Self::Not(term) => term.names(field),
            Self::Compare(named, ..) => *named == field,
        }
    }

    /// The first and the last instant of a field that it can hold for; more than those, where it is not simple.
    fn span(&self, field: usize) -> (DateTime<Utc>, DateTime<Utc>) {
        let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        match self {
            Self::All(terms) => terms
                .iter()
                .map(|term| term.span(field))
                .fold((first, last), |span, term| (span.0.max(term.0), span.1.min(term.1))),
            Self::Any(terms) => terms
                .iter()
                .map(|term| term.span(field))
                .fold((last, first), |span, term| (span.0.min(term.0), span.1.max(term.1))),
            Self::Compare(named, operator, Literal::DateTime(at)) if *named == field => match operator {
                Operator::Equal => (*at, *at),
                Operator::Greater | Operator::GreaterOrEqual => (*at, last),
                Operator::Less | Operator::LessOrEqual => (first, *at),
                Operator::NotEqual | Operator::Like => (first, last),
            },
            Self::Compare(named, operator, Literal::Span(from, until)) if *named == field => match operator {
                Operator::Equal => (*from, *until),
                Operator::Greater => (*until, last),
                Operator::GreaterOrEqual => (*from, last),
                Operator::Less => (first, *from),
                Operator::LessOrEqual => (first, *until),
                Operator::NotEqual | Operator::Like => (first, last),
            },
            Self::Not(_) | Self::Compare(..) => (first, last),
        }
    }

    fn holds(&self, row: &impl Row) -> bool {
        match self {
            Self::All(terms) => terms.iter().all(|term| term.holds(row)),
            Self::Any(terms) => terms.iter().any(|term| term.holds(row)),
            Self::Not(term) => !term.holds(row),
            Self::Compare(field, operator, literal) => compares(&row.value(*field), *operator, literal),
        }
    }
}

fn compares(value: &Value<'_>, operator: Operator, literal: &Literal) -> bool {
    let ordering = match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::Text(text), Literal::Text(pattern)) if operator == Operator::Like => {
            let (text, pattern): (Vec<char>, Vec<char>) = (lower(text).collect(), lower(pattern).collect());
            return like(&text, &pattern);
        }
        // An id in full is equal to itself alone; text has no ids in it that differ in case only.
        (Value::Text(text), Literal::Text(other)) if ids::canonical(text).is_some() => {
            Some(text.as_ref().cmp(other))
        }
        (Value::Text(text), Literal::Text(other)) => Some(lower(text).cmp(lower(other))),
        (Value::DateTime(time), Literal::DateTime(other)) => Some(time.cmp(other)),
        // Days are compared as a whole: what is later than them is later than the last of them.
        (Value::DateTime(time), Literal::Span(from, _)) if time < from => Some(Ordering::Less),
        (Value::DateTime(time), Literal::Span(_, until)) if time >= until => Some(Ordering::Greater),
        (Value::DateTime(_), Literal::Span(..)) => Some(Ordering::Equal),
        (Value::Double(number), Literal::Number(other)) => Some(number.total_cmp(other)),
        (Value::Int(number), Literal::Number(other)) => Some((*number as f64).total_cmp(other)),
        (Value::Boolean(flag), Literal::Boolean(other)) => Some(flag.cmp(other)),
        _ => None,
    };
    match operator {
        Operator::Equal => ordering == Some(Ordering::Equal),
        Operator::NotEqual => ordering != Some(Ordering::Equal),
        Operator::Less => ordering == Some(Ordering::Less),
        Operator::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        Operator::Greater => ordering == Some(Ordering::Greater),
        Operator::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
        Operator::Like => false,
    }
}

fn lower(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// LIKE: `%` stands for any characters, `_` for one, a backslash before either takes its meaning away.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match (pattern.get(next), pattern.get(next + 1)) {
            (Some('%'), _) => {
                retry = Some((at, next));
                next += 1;
            }
            (Some('\\'), Some(c @ ('%' | '_'))) if *c == text[at] => {
                at += 1;
                next += 2;
            }
            (Some('_'), _) => {
                at += 1;
                next += 1;
            }
            (Some(c), following)
                if *c == text[at] && !(*c == '\\' && matches!(following, Some('%' | '_'))) =>
            {
                at += 1;
                next += 1;
            }
            _ => match retry {
                // The last `%` takes one character more.
                Some((from, star)) => {
                    retry = Some((from + 1, star));
                    at = from + 1;
                    next = star + 1;
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soql::object::{field, unfilterable};
    use crate::soql::parser::parse;

    const OBJECT: Object = Object {
        name: "Thing",
        fields: &[
            field("Id", FieldType::Id),
            field("Name", FieldType::Text),
            field("Count", FieldType::Int),
            unfilterable("Body", FieldType::Base64),
            field("When", FieldType::DateTime),
            field("Flag", FieldType::Boolean),
        ],
    };

    struct Thing(u64, Option<&'static str>, i64);

    impl Row for &Thing {
        fn value(&self, field: usize) -> Value<'_> {
            match field {
                0 => Value::Text(ids::Ids::new("0XX", 1).nth_18(self.0).into()),
                1 => self.1.map_or(Value::Null, |name| Value::Text(name.into())),
                2 => Value::Int(self.2),
                4 => Value::DateTime(DateTime::from_timestamp(self.2, 0).unwrap()),
                5 => Value::Boolean(self.2 > 2),
                _ => Value::Null,
            }
        }
    }

    const THINGS: [Thing; 4] =
        [Thing(0, Some("Alpha"), 3), Thing(1, None, 1), Thing(2, Some("beta"), 2), Thing(3, Some("50%"), 3)];

    fn select(rest: &str) -> Vec<u64> {
        let query = parse(&format!("SELECT Id FROM Thing {rest}")).unwrap();
        Plan::new(&query, &OBJECT, &[], DateTime::UNIX_EPOCH)
            .unwrap()
            .run(THINGS.iter())
            .iter()
            .map(|thing| thing.0)
            .collect()
    }

    fn refused(statement: &str) -> (Fault, String) {
        let error =
            Plan::new(&parse(statement).unwrap(), &OBJECT, &["Flag"], DateTime::UNIX_EPOCH).unwrap_err();
        (error.fault, error.message)
    }

    #[test]
    fn conditions_select_what_they_say() {
        assert_eq!(select(""), [0, 1, 2, 3]);
        assert_eq!(select("WHERE Name = 'ALPHA'"), [0]);
        assert_eq!(select("WHERE Name != 'alpha'"), [1, 2, 3]);
        assert_eq!(select("WHERE Name = null"), [1]);
        assert_eq!(select("WHERE Name != null"), [0, 2, 3]);
        assert_eq!(select("WHERE Name LIKE 'A%a'"), [0]);
        assert_eq!(select("WHERE Name LIKE '____'"), [2]);
        assert_eq!(select(r"WHERE Name LIKE '%\%'"), [3]);
        assert_eq!(select("WHERE Count >= 2 AND (NOT Name = 'beta')"), [0, 3]);
        assert_eq!(select("WHERE Count IN (1, 2)"), [1, 2]);
        assert_eq!(select("WHERE Count NOT IN (1, 2)"), [0, 3]);
        assert_eq!(select("WHERE Name = 'beta' OR Count = 1"), [1, 2]);
        assert_eq!(select("WHERE When > 1970-01-01T00:00:01Z AND When <= 1970-01-01T00:00:02.000Z"), [2]);
        assert_eq!(select("WHERE Flag = true"), [0, 3]);
    }

    #[test]
    fn an_id_matches_in_either_length() {
        let id = ids::Ids::new("0XX", 1).nth_18(2);
        assert_eq!(select(&format!("WHERE Id = '{id}'")), [2]);
        assert_eq!(select(&format!("WHERE Id IN ('{}')", &id[..15])), [2]);
    }

    #[test]
    fn order_by_sorts_by_several_fields_and_places_nulls() {
        assert_eq!(select("ORDER BY Count DESC, Name DESC"), [0, 3, 2, 1]);
        assert_eq!(select("ORDER BY Name LIMIT 1"), [1]);
        assert_eq!(select("ORDER BY Name NULLS LAST"), [3, 0, 2, 1]);
    }

    #[test]
    fn limit_cuts_after_sorting() {
        assert_eq!(select("ORDER BY Count LIMIT 2"), [1, 2]);
        assert_eq!(select("LIMIT 0"), [0_u64; 0]);
    }

    #[test]
    fn an_unknown_or_absent_field_is_an_invalid_field() {
        for statement in ["SELECT Nope FROM Thing", "SELECT Id FROM Thing WHERE Flag = true"] {
            let (fault, message) = refused(statement);
            assert_eq!(fault, Fault::InvalidField);
            assert!(
                message.starts_with("No such column '") && message.contains("on entity 'Thing'"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_quoted_date_time_is_refused_as_salesforce_words_it() {
        for literal in ["'2026-01-01T00:00:00Z'", "2026-01-01", "5"] {
            let (fault, message) = refused(&format!("SELECT Id FROM Thing WHERE When > {literal}"));
            assert_eq!(fault, Fault::InvalidField);
            assert!(
                message.ends_with("must be of type dateTime and should not be enclosed in quotes"),
                "{message}"
            );
        }
    }

    #[test]
    fn an_operator_that_the_type_has_not_is_refused() {
        for condition in ["Count LIKE '1%'", "Id = 'short'", "Name < null"] {
            let (fault, message) = refused(&format!("SELECT Id FROM Thing WHERE {condition}"));
            assert_eq!(fault, Fault::InvalidQueryFilterOperator, "{condition}: {message}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_filtered_cannot_be_sorted_either() {
        assert_eq!(refused("SELECT Id FROM Thing WHERE Body = 'x'").0, Fault::InvalidField);
        assert_eq!(refused("SELECT Id FROM Thing ORDER BY Body").0, Fault::InvalidField);
    }
}
