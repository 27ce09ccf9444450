//! Pages of query answers, and the records on them.
//!
//! "Execute a SOQL Query", REST API guide: `{"totalSize", "done", "nextRecordsUrl", "records": [{"attributes", …}]}`. A
//! record is taken apart by itself, so that one that is no object spoils no other. Its texts are borrowed from the page, its
//! numbers stay as they were written: nothing above 2^53 is rounded. Fields of a related record come as `CreatedBy.Name`.

use crate::ecs::Fields;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// How deep related records are followed (SOQL itself ends at five). What lies deeper comes as JSON text.
const MAX_DEPTH: usize = 5;

/// A page.
#[derive(Deserialize)]
pub struct Page<'a> {
    /// How many records the query has in all.
    #[serde(rename = "totalSize")]
    pub total: Option<u64>,
    /// Whether this is the last page.
    pub done: bool,
    /// Where the next page is.
    #[serde(rename = "nextRecordsUrl")]
    pub next: Option<String>,
    /// The records, each as it came.
    #[serde(borrow)]
    pub records: Vec<&'a RawValue>,
}

/// A record: its fields in the order in which they came.
#[derive(Default)]
pub struct Record<'a> {
    json: &'a str,
    names: Vec<Cow<'a, str>>,
    values: Vec<Value<'a>>,
}

enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as JSON.
    Bare(&'a str),
}

impl<'a> Record<'a> {
    /// Takes a record apart.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(json: &'a RawValue) -> Result<Self, serde_json::Error> {
        let mut record = Self { json: json.get(), ..Self::default() };
        let fields: Object<'a> = serde_json::from_str(json.get())?;
        record.add("", fields, 1)?;
        Ok(record)
    }

    fn add(&mut self, prefix: &str, object: Object<'a>, depth: usize) -> Result<(), serde_json::Error> {
        for (name, value) in object.0 {
            let json = value.get();
            // The type and the address of the record, which Salesforce adds to each.
            if name == "attributes" && json.starts_with('{') {
                continue;
            }
            let name = if prefix.is_empty() { name } else { Cow::Owned(format!("{prefix}.{name}")) };
            let value = match json.as_bytes().first() {
                Some(b'"') => Value::Text(serde_json::from_str::<Text<'a>>(json)?.0),
                Some(b'{') if depth < MAX_DEPTH => {
                    self.add(&name, serde_json::from_str(json)?, depth + 1)?;
                    continue;
                }
                Some(b'{' | b'[') => Value::Text(Cow::Borrowed(json)),
                Some(b'n') | None => Value::Null,
                Some(_) => Value::Bare(json),
            };
            self.names.push(name);
            self.values.push(value);
        }
        Ok(())
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// A text field that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|other| other == name)?;
        match &self.values[at] {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl Fields for Record<'_> {
    fn field(&self, index: usize) -> &[u8] {
        match self.values.get(index) {
            Some(Value::Text(text)) => text.as_bytes(),
            Some(Value::Bare(json)) => json.as_bytes(),
            Some(Value::Null) | None => b"",
        }
    }

    fn is_bare(&self, index: usize) -> bool {
        matches!(self.values.get(index), Some(Value::Bare(_)))
    }

    fn json(&self) -> Option<&str> {
        Some(self.json)
    }
}

/// The members of an object, in order.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Text<'de>, &RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A text, borrowed where it holds no escape.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Characters;
        impl<'de> Visitor<'de> for Characters {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Characters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Vec<(String, String, bool)> {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        let record = Record::parse(raw).expect("a record");
        let value = |at: usize| String::from_utf8_lossy(record.field(at)).into_owned();
        record
            .names()
            .enumerate()
            .map(|(at, name)| (name.to_owned(), value(at), record.is_bare(at)))
            .collect()
    }

    #[test]
    fn a_record_gives_its_fields_as_they_were_written() {
        let json = r#"{"attributes": {"type": "X", "url": "/x"}, "Id": "0Ya1", "Big": 12345678901234567890123, "Half": 0.50,
            "Yes": true, "Gone": null, "Text": "a\nb\"\u00e9", "CreatedBy": {"attributes": {}, "Name": "Ann", "Up": {"Id": 1}},
            "List": [1, {"a": 2}]}"#;
        let expected = [
            ("Id", "0Ya1", false),
            ("Big", "12345678901234567890123", true),
            ("Half", "0.50", true),
            ("Yes", "true", true),
            ("Gone", "", false),
            ("Text", "a\nb\"é", false),
            ("CreatedBy.Name", "Ann", false),
            ("CreatedBy.Up.Id", "1", true),
            ("List", "[1, {\"a\": 2}]", false),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value, bare)| ((*name).to_owned(), (*value).to_owned(), *bare))
            .collect();
        assert_eq!(fields(json), expected);
    }

    #[test]
    fn what_lies_too_deep_comes_as_text_and_what_is_no_object_is_refused() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        let fields = fields(&deep);
        assert_eq!((fields.len(), fields[0].0.as_str(), fields[0].2), (1, "a.a.a.a.a", false));
        for json in ["1", "null", "\"x\"", "[]", "[{\"Id\": \"x\"}]"] {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            assert!(Record::parse(raw).is_err(), "{json}");
        }
    }

    #[test]
    fn a_page_holds_its_records_apart() {
        let json =
            r#"{"totalSize": 3, "done": false, "nextRecordsUrl": "/n", "records": [{"Id": "a"}, 7, null]}"#;
        let page: Page<'_> = serde_json::from_str(json).expect("a page");
        assert_eq!((page.total, page.done, page.next.as_deref()), (Some(3), false, Some("/n")));
        let usable: Vec<bool> = page.records.iter().map(|record| Record::parse(record).is_ok()).collect();
        assert_eq!(usable, [true, false, false]);
    }
}
