//! What a request asks for, as its path tells.

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A token.
    Token,
    /// The versions of the API.
    Versions,
    /// The first page of a query of an object.
    Object {
        /// Its name.
        object: String,
        /// How much time it covers, in milliseconds; none where it has no end. An instant is 0.
        width: Option<i64>,
    },
    /// The first page of a list of event log files.
    Listing {
        /// Of these types; none = of all.
        types: Option<Vec<String>>,
        /// Whether it is of daily files.
        daily: bool,
    },
    /// One more page of a query.
    Page,
    /// The content of a file.
    File(String),
    /// Something else.
    Other,
}

impl Asks {
    /// Reads a path with its query.
    pub fn of(path: &str) -> Self {
        if path.contains("/oauth2/token") {
            return Self::Token;
        }
        if path.trim_end_matches('/') == "/services/data" {
            return Self::Versions;
        }
        if let Some((before, _)) = path.split_once("/LogFile")
            && let Some((_, id)) = before.rsplit_once('/')
        {
            return Self::File(id.to_owned());
        }
        if let Some((_, query)) = path.split_once("/query?q=") {
            return Self::query(&decoded(query));
        }
        if path.contains("/query/") { Self::Page } else { Self::Other }
    }

    fn query(soql: &str) -> Self {
        let Some((_, from)) = soql.split_once(" FROM ") else { return Self::Other };
        let object = from.split(' ').next().unwrap_or_default();
        let (_, condition) = from.split_once(" WHERE ").unwrap_or_default();
        if object == "EventLogFile" {
            let daily = condition.contains("'Daily'") || condition.contains("Sequence = 0");
            let types = condition.split("EventType ").nth(1).map(|types| {
                let end = types.find(" AND ").unwrap_or(types.len());
                types[..end].split('\'').skip(1).step_by(2).map(str::to_owned).collect()
            });
            return Self::Listing { types, daily };
        }
        let words: Vec<&str> = condition.split([' ', '(', ')']).collect();
        let mut ends = (None, None);
        for pair in words.windows(2) {
            let time = chrono::DateTime::parse_from_rfc3339(pair[1]).ok().map(|time| time.timestamp_millis());
            match pair[0] {
                ">=" | ">" => ends.0 = time.or(ends.0),
                "<" | "<=" => ends.1 = time.or(ends.1),
                "=" if time.is_some() && ends.0.is_none() => ends = (time, time),
                _ => {}
            }
        }
        let width = match ends {
            (Some(from), Some(until)) => Some(until - from),
            _ => None,
        };
        Self::Object { object: object.to_owned(), width }
    }
}

/// A text out of a query (`application/x-www-form-urlencoded`).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = std::str::from_utf8(&digits).unwrap_or("00");
                u8::from_str_radix(digits, 16).unwrap_or_default()
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
