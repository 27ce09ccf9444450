//! Aggregates and `GROUP BY` (SOQL guide, "Aggregate Functions" and "GROUP BY").
//!
//! An aggregate without a name is called `expr0`, `expr1` and so on, a grouped field by its own name. A query without
//! `GROUP BY` has one row always. Its rows come in one page, or not at all: there is no `queryMore` of them.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::error::{Fault, SoqlError};
use super::object::{Field, FieldType, Object, Row, Value, ascending};
use super::syntax::{Expression, Function, Grouped, Name};

impl Function {
    fn takes(self, kind: FieldType) -> bool {
        match self {
            Self::Count | Self::CountDistinct => kind != FieldType::Base64,
            Self::Min | Self::Max => !matches!(kind, FieldType::Base64 | FieldType::Boolean | FieldType::Id),
            Self::Sum | Self::Avg => matches!(kind, FieldType::Double | FieldType::Int),
        }
    }
}

/// A grouped query whose every name fits the object.
#[derive(Debug)]
pub(crate) struct GroupPlan {
    /// The name and the value of each column.
    items: Vec<(String, Item)>,
    by: Vec<usize>,
    order: Vec<(Item, bool, bool)>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    function: Option<Function>,
    /// None for `COUNT()`.
    field: Option<usize>,
}

/// A row of the result: the name and the value of each column.
pub(crate) type Aggregates = Vec<(String, Value<'static>)>;

impl GroupPlan {
    /// Checks the grouped part of a query; `find` gives the index of a field.
    pub(crate) fn new(
        grouped: &Grouped,
        object: &Object,
        find: impl Fn(&Name) -> Result<usize, SoqlError>,
    ) -> Result<Self, SoqlError> {
        let mut by = Vec::new();
        for name in &grouped.by {
            let index = find(name)?;
            let Field { name: known, kind, filterable, .. } = &object.fields[index];
            let whole = matches!(kind, FieldType::DateTime | FieldType::Double | FieldType::Base64);
            if whole || !filterable {
                let message = format!("field '{known}' can not be grouped in a query call");
                return Err(SoqlError::new(Fault::MalformedQuery, name.at, message));
            }
            by.push(index);
        }
        let item = |expression: &Expression| -> Result<Item, SoqlError> {
            let Expression { function, field, at } = expression;
            let field = field.as_ref().map(&find).transpose()?;
            let known = field.map_or("", |index| object.fields[index].name);
            match (function, field) {
                (Some(function), Some(index)) => {
                    let Field { kind, filterable, .. } = &object.fields[index];
                    if !function.takes(*kind) || !filterable {
                        let message =
                            format!("field {known} does not support aggregate operator {}", function.name());
                        return Err(SoqlError::new(Fault::InvalidField, *at, message));
                    }
                }
                (None, Some(index)) if !by.contains(&index) => {
                    let message = format!("Field must be grouped or aggregated: {known}");
                    return Err(SoqlError::new(Fault::MalformedQuery, *at, message));
                }
                _ => {}
            }
            Ok(Item { function: *function, field })
        };
        let mut items: Vec<(String, Item)> = Vec::new();
        let mut unnamed = 0;
        for (expression, alias) in &grouped.items {
            let item = item(expression)?;
            let name = match (alias, item.function, item.field) {
                (Some(alias), ..) => alias.clone(),
                // A field of a related record goes by its own name alone.
                (None, None, Some(index)) => {
                    let name = object.fields[index].name;
                    name.rsplit('.').next().unwrap_or(name).to_owned()
                }
                (None, ..) => {
                    unnamed += 1;
                    format!("expr{}", unnamed - 1)
                }
            };
            if items.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(&name)) {
                return Err(SoqlError::new(
                    Fault::MalformedQuery,
                    expression.at,
                    format!("duplicate alias: {name}"),
                ));
            }
            items.push((name, item));
        }
        let order = grouped
            .order
            .iter()
            .map(|(expression, descending, nulls_last)| Ok((item(expression)?, *descending, *nulls_last)))
            .collect::<Result<_, SoqlError>>()?;
        Ok(Self { items, by, order, limit: grouped.limit })
    }

    /// Whether it is about a field.
    pub(crate) fn names(&self, field: usize) -> bool {
        self.items
            .iter()
            .map(|(_, item)| item)
            .chain(self.order.iter().map(|(item, ..)| item))
            .any(|item| item.field == Some(field))
    }

    /// The rows of the result, which is made of all rows that WHERE selects.
    pub(crate) fn run<'r>(&self, rows: impl Iterator<Item = &'r dyn Row>) -> Vec<Aggregates> {
        let mut groups: Vec<(Vec<Value<'static>>, Vec<&dyn Row>)> = Vec::new();
        for row in rows {
            let key: Vec<Value<'static>> = self.by.iter().map(|index| owned(row.value(*index))).collect();
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, of_group)) => of_group.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        if self.by.is_empty() && groups.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        let sorted = |(_, rows): &(Vec<Value<'static>>, Vec<&dyn Row>)| -> Vec<Value<'static>> {
            self.order.iter().map(|(item, ..)| item.of(rows)).collect()
        };
        let mut groups: Vec<_> = groups.into_iter().map(|group| (sorted(&group), group)).collect();
        groups.sort_by(|(a, group), (b, other)| {
            let terms = a.iter().zip(b).zip(&self.order);
            let ordering = terms.map(|((a, b), (_, descending, nulls_last))| {
                let ordering = compare(a, b, *nulls_last);
                if *descending && *a != Value::Null && *b != Value::Null {
                    ordering.reverse()
                } else {
                    ordering
                }
            });
            // Without an order groups come by their keys.
            let by_key = group.0.iter().zip(&other.0).map(|(a, b)| compare(a, b, false));
            ordering.chain(by_key).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        groups.truncate(self.limit.unwrap_or(usize::MAX));
        let row = |(_, (_, rows)): (Vec<Value<'static>>, (_, Vec<&dyn Row>))| {
            self.items.iter().map(|(name, item)| (name.clone(), item.of(&rows))).collect()
        };
        groups.into_iter().map(row).collect()
    }
}

impl Item {
    /// Its value over the rows of a group.
    fn of(self, rows: &[&dyn Row]) -> Value<'static> {
        let Some(field) = self.field else { return Value::Int(rows.len() as i64) };
        let all = || rows.iter().map(|row| row.value(field));
        let there = || all().filter(|value| *value != Value::Null);
        let number = |value: Value<'_>| match value {
            Value::Double(number) => number,
            Value::Int(number) => number as f64,
            _ => 0.0,
        };
        let or_null = |value: Option<Value<'_>>| value.map_or(Value::Null, owned);
        match self.function {
            None => or_null(all().next()),
            Some(Function::Count) => Value::Int(there().count() as i64),
            Some(Function::CountDistinct) => {
                let texts: HashSet<String> = there().map(|value| format!("{value:?}")).collect();
                Value::Int(texts.len() as i64)
            }
            Some(Function::Min) => or_null(there().min_by(ascending)),
            Some(Function::Max) => or_null(there().max_by(ascending)),
            Some(Function::Sum) if there().next().is_some() => Value::Double(there().map(number).sum()),
            Some(Function::Avg) if there().next().is_some() => {
                Value::Double(there().map(number).sum::<f64>() / there().count() as f64)
            }
            Some(Function::Sum | Function::Avg) => Value::Null,
        }
    }
}

/// The order of two values, of which those without value come first or last.
fn compare(a: &Value<'_>, b: &Value<'_>, nulls_last: bool) -> Ordering {
    match (*a == Value::Null, *b == Value::Null) {
        (false, false) => ascending(a, b),
        (a, b) if nulls_last => a.cmp(&b),
        (a, b) => b.cmp(&a),
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Text(text) => Value::Text(text.into_owned().into()),
        Value::DateTime(at) => Value::DateTime(at),
        Value::Double(number) => Value::Double(number),
        Value::Int(number) => Value::Int(number),
        Value::Boolean(flag) => Value::Boolean(flag),
    }
}
