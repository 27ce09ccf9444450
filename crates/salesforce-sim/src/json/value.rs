//! The value of a field as it stands in JSON.

use serde::Deserialize;

use crate::soql::object::Value;

/// Date-times in the JSON of a record. The zone has no colon: not RFC 3339.
pub(crate) const DATE_TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f+0000";

/// How numbers with a fraction are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Doubles {
    /// `12345678.0`
    #[default]
    Plain,
    /// In scientific form from eight digits on, as Java writes them: `12345.0`, `1.2345678E7`
    Java,
    /// In scientific form always: `1.2345E4`
    Scientific,
}

impl Doubles {
    /// A number as it stands in JSON.
    pub(crate) fn write(self, number: f64) -> String {
        let plain = match self {
            Self::Plain => true,
            Self::Java => number == 0.0 || (1e-3..1e7).contains(&number.abs()),
            Self::Scientific => false,
        };
        if plain {
            return format!("{number:?}");
        }
        let text = format!("{number:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    }
}

/// The text of a value in the JSON of a record: strings without their quotes; none where there is no value.
pub(crate) fn text_of(value: &Value<'_>, doubles: Doubles) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone().into_owned()),
        Value::DateTime(at) => Some(at.format(DATE_TIME).to_string()),
        Value::Double(number) => Some(doubles.write(*number)),
        Value::Int(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (number, plain, java, scientific) in [
            (0.0, "0.0", "0.0", "0.0E0"),
            (12_345.0, "12345.0", "12345.0", "1.2345E4"),
            (9_999_999.0, "9999999.0", "9999999.0", "9.999999E6"),
            (10_000_000.0, "10000000.0", "1.0E7", "1.0E7"),
            (12_345_678.0, "12345678.0", "1.2345678E7", "1.2345678E7"),
            (1_051_271_150.0, "1051271150.0", "1.05127115E9", "1.05127115E9"),
            (95.25, "95.25", "95.25", "9.525E1"),
        ] {
            let written = [Doubles::Plain, Doubles::Java, Doubles::Scientific].map(|form| form.write(number));
            assert_eq!(written, [plain, java, scientific]);
        }
    }
}
