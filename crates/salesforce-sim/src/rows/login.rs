//! The rows of Login files: seeded, reproducible one by one, and fast to make.
//!
//! Columns and their meaning: object reference, `sforce_api_objects_eventlogfile_login`, in the order that files of API
//! 60 and later have. A row depends on (seed, hour, index, rows in that hour) alone, so any part of any file can be made
//! again without the parts before it. What real files contain and naive readers stumble over is in here: user agents with
//! `%3A`, quotes inside values and around them, line breaks inside values, names outside ASCII, the literal
//! `Salesforce.com IP` for an address, empty and shared request ids, TIMESTAMP with two fraction digits or none.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::ids::{Ids, case_suffix, push_base62};
use crate::prng::{Rng, mix};

/// The columns of a Login file, in file order, with the type that LogFileFieldTypes gives.
pub(crate) const COLUMNS: [(&str, &str); 35] = [
    ("EVENT_TYPE", "String"),
    ("TIMESTAMP", "DateTime"),
    ("REQUEST_ID", "String"),
    ("ORGANIZATION_ID", "Id"),
    ("USER_ID", "Id"),
    ("RUN_TIME", "Number"),
    ("CPU_TIME", "Number"),
    ("URI", "String"),
    ("SESSION_KEY", "String"),
    ("LOGIN_KEY", "String"),
    ("USER_TYPE", "String"),
    ("REQUEST_STATUS", "String"),
    ("DB_TOTAL_TIME", "Number"),
    ("LOGIN_TYPE", "String"),
    ("BROWSER_TYPE", "String"),
    ("API_TYPE", "String"),
    ("API_VERSION", "String"),
    ("USER_NAME", "String"),
    ("TLS_PROTOCOL", "String"),
    ("CIPHER_SUITE", "String"),
    ("USE_API_TOKEN", "String"),
    ("HTTP_REFERER", "String"),
    ("LOGIN_URL", "String"),
    ("COUNTRY_CODE", "String"),
    ("AUTHENTICATION_METHOD_REFERENCE", "String"),
    ("LOGIN_SUB_TYPE", "String"),
    ("AUTHENTICATION_SERVICE_ID", "Id"),
    ("AUTHENTICATION_CONTEXT_CLASS_REFERENCE", "String"),
    ("TIMESTAMP_DERIVED", "DateTime"),
    ("USER_ID_DERIVED", "Id"),
    ("CLIENT_IP", "String"),
    ("URI_ID_DERIVED", "Id"),
    ("LOGIN_STATUS", "String"),
    ("SOURCE_IP", "String"),
    ("FORWARDED_FOR_IP", "String"),
];

/// One row, decoded: its values one after the other in one buffer that is used again for the next row.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    /// The value of a column of a Login row as text, by its name.
    pub(crate) fn login(&self, name: &str) -> &str {
        column(name).and_then(|column| std::str::from_utf8(self.value(column)).ok()).unwrap_or("")
    }

    /// The value of a column, by its index.
    pub(crate) fn value(&self, column: usize) -> &[u8] {
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        &self.bytes[start..self.ends[column]]
    }

    /// Appends the columns at these indices as CSV: every value quoted, quotes doubled, a line feed at the end.
    pub(crate) fn write_csv(&self, indices: &[usize], out: &mut Vec<u8>) {
        for index in indices {
            let value = self.value(*index);
            out.push(b'"');
            if memchr::memchr(b'"', value).is_none() {
                out.extend_from_slice(value);
            } else {
                for &byte in value {
                    if byte == b'"' {
                        out.push(b'"');
                    }
                    out.push(byte);
                }
            }
            out.extend_from_slice(b"\",");
        }
        if let Some(last) = out.last_mut() {
            *last = b'\n';
        }
    }

    /// Puts other values into some columns, by their indices.
    pub(crate) fn put(&mut self, values: &HashMap<usize, Vec<u8>>) {
        let mut changed = Self::default();
        for column in 0..self.ends.len() {
            changed.text(values.get(&column).map_or(self.value(column), Vec::as_slice));
        }
        *self = changed;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Ends the value of the next column.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn text(&mut self, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(value.as_ref());
        self.end();
    }

    pub(crate) fn number(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.text(&digits[at..]);
    }
}

/// The rows of one hour.
#[derive(Debug, Clone)]
pub(crate) struct Hour {
    /// Hours since the epoch.
    pub(crate) number: u64,
    /// How many rows it has.
    pub(crate) rows: u64,
}

impl Hour {
    /// When it begins.
    pub(crate) fn start(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.number as i64 * 3600, 0).unwrap_or_default()
    }
}

struct User {
    id15: String,
    id18: String,
    name: String,
    browser: usize,
    address: usize,
    country: &'static str,
}

/// What is drawn first for a row and decides the rest of it.
struct Draw {
    /// Gives the rest.
    rng: Rng,
    user: usize,
    way: &'static Way,
    failure: Option<&'static str>,
    millis: u64,
}

/// Makes the rows of one org.
pub(crate) struct LoginRows {
    pub(crate) seed: u64,
    pub(crate) org_id15: String,
    /// Whether one row in 64 has a NUL byte in its BROWSER_TYPE.
    nul: bool,
    users: Vec<User>,
    browsers: Vec<String>,
    addresses: Vec<String>,
    sso_service_id: String,
}

/// One login in so many is followed by a logout.
pub(crate) const LOGS_OUT: u64 = 4;

/// The index of a column of a Login file.
pub(crate) fn column(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|(column, _)| *column == name)
}

impl LoginRows {
    /// How many users sign in.
    pub(crate) const USERS: u64 = 400;

    pub(crate) fn new(seed: u64, org_id15: &str, nul: bool) -> Self {
        let mut rng = Rng::of(&[seed, 0x0b0b]);
        let browsers = browsers();
        let addresses = addresses();
        let ids = Ids::new("005", seed);
        let users = (0..Self::USERS)
            .map(|n| {
                let id15 = ids.nth(n);
                User {
                    id18: format!("{id15}{}", case_suffix(&id15)),
                    name: format!("{}.{}{n}@example.com", rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES)),
                    browser: rng.below(browsers.len() as u64) as usize,
                    address: rng.below(addresses.len() as u64) as usize,
                    country: rng.pick::<&str>(&COUNTRIES),
                    id15,
                }
            })
            .collect();
        let sso_service_id = Ids::new("0LE", seed).nth(0);
        Self { seed, org_id15: org_id15.to_owned(), nul, users, browsers, addresses, sso_service_id }
    }

    /// Fills `row` with row `index` of `hour`.
    ///
    /// No two rows of an org are equal: LOGIN_KEY begins with a bijection of (hour, index).
    pub(crate) fn fill(&self, hour: &Hour, index: u64, row: &mut Row) {
        let key = mix(self.seed ^ mix(hour.number << 36 ^ index));
        let Draw { mut rng, user, way, failure, millis } = self.draw(hour, index);
        let user = &self.users[user];
        let known_user = failure.is_none_or(|status| status != "LOGIN_ERROR_INVALID_USERNAME");
        let address =
            if rng.one_in(8) { rng.below(self.addresses.len() as u64) as usize } else { user.address };
        let address = self.addresses[address].as_str();

        row.clear();
        row.text("Login");
        push_timestamp(&mut row.bytes, hour, millis);
        row.end();
        self.push_request_id(hour, index, &mut row.bytes);
        row.end();
        row.text(&self.org_id15);
        row.text(if known_user { &user.id15 } else { "" });
        row.number(20 + rng.below(900));
        row.number(rng.below(180));
        row.text(way.uri);
        row.text(""); // SESSION_KEY: captured before a session exists
        push_base62(&mut row.bytes, key, 11); // 62^11 > 2^64: the whole key, so it stays injective
        push_base62(&mut row.bytes, rng.next(), 5);
        row.end();
        row.text("Standard");
        row.text(if failure.is_some() { "F" } else { "S" });
        row.number(1_000_000 + rng.below(900_000_000)); // nanoseconds in this type
        row.text(way.login_type);
        row.bytes.extend_from_slice(way.agent.unwrap_or(&self.browsers[user.browser]).as_bytes());
        if self.nul && key.is_multiple_of(64) {
            row.bytes.push(0);
        }
        row.end();
        row.text(way.api_type);
        row.text(way.api_version);
        row.text(&user.name);
        let (protocol, cipher) = rng.pick(&CIPHERS);
        row.text(protocol);
        row.text(cipher);
        row.text(way.use_api_token);
        row.text(way.referer);
        row.text(way.login_url);
        row.text(user.country);
        row.text(if rng.one_in(40) { "pwd mfa" } else { "" });
        row.text(way.sub_type);
        row.text(if way.sso { self.sso_service_id.as_str() } else { "" });
        row.text(if way.sso {
            "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
        } else {
            ""
        });
        push_iso(&mut row.bytes, hour, millis);
        row.end();
        row.text(if known_user { &user.id18 } else { "" });
        row.text(if rng.one_in(25) { "Salesforce.com IP" } else { address });
        row.text("");
        row.text(failure.unwrap_or("LOGIN_NO_ERROR"));
        row.text(address);
        match rng.below(120) {
            0 => row.text(format!("{address},\n10.0.{}.7", rng.below(256))),
            1 => row.text("\"unknown\""),
            2..8 => row.text(address),
            _ => row.text(""),
        }
        debug_assert_eq!(row.ends.len(), COLUMNS.len(), "one value for each column");
    }

    /// Milliseconds into the hour of row `index`, without making the row.
    pub(crate) fn millis(&self, hour: &Hour, index: u64) -> u64 {
        self.draw(hour, index).millis
    }

    fn draw(&self, hour: &Hour, index: u64) -> Draw {
        let mut rng = Rng::of(&[self.seed, hour.number, index]);
        let user = (rng.below(Self::USERS) * rng.below(Self::USERS) / Self::USERS) as usize; // some sign in far more often
        let way = rng.pick(&WAYS);
        let failure = (!index.is_multiple_of(LOGS_OUT) && rng.one_in(12)).then(|| *rng.pick(&FAILURES));
        let millis = moment(hour, index, &mut rng);
        Draw { rng, user, way, failure, millis }
    }

    /// Name of user number `n`, which [`Ids`] with the prefix `005` gives the id of.
    pub(crate) fn user_name(&self, n: usize) -> &str {
        &self.users[n % self.users.len()].name
    }

    /// A user in both forms of the id, and an address.
    pub(crate) fn someone(&self, rng: &mut Rng) -> (&str, &str, &str) {
        let user = &self.users[(rng.below(Self::USERS) * rng.below(Self::USERS) / Self::USERS) as usize];
        (&user.id15, &user.id18, &self.addresses[user.address])
    }

    /// Rows of one transaction share their REQUEST_ID; a few have none.
    pub(crate) fn push_request_id(&self, hour: &Hour, index: u64, out: &mut Vec<u8>) {
        let shared = if index % 23 == 1 || index % 23 == 2 { index - index % 23 } else { index };
        let mut rng = Rng::of(&[self.seed, hour.number, shared, 0x4e9]);
        match rng.below(64) {
            0 => {}
            1..4 => {
                out.extend_from_slice(b"TID:");
                for _ in 0..18 {
                    out.push(b"0123456789abcdef"[rng.below(16) as usize]);
                }
            }
            _ => {
                push_base62(out, rng.next(), 11);
                push_base62(out, rng.next(), 10);
                out.push(b'-');
            }
        }
    }
}

/// Milliseconds into the hour after a login's at which its user logs out: an hour later and up to a minute.
pub(crate) fn logout_millis(rows: &LoginRows, hour: &Hour, index: u64) -> u64 {
    let more = Rng::of(&[rows.seed, hour.number, index, 0x10]).below(60_000);
    (rows.millis(hour, index) + more).min(3_599_999)
}

/// Milliseconds into the hour: rows follow each other in time, though not strictly.
pub(crate) fn moment(hour: &Hour, index: u64, rng: &mut Rng) -> u64 {
    let even = (u128::from(index) * 3_600_000 / u128::from(hour.rows.max(1))) as u64;
    let millis = (even + rng.below(4_000)).min(3_599_999);
    match rng.below(32) {
        0 => millis - millis % 1000,
        _ => millis,
    }
}

/// TIMESTAMP: `20260102030405.678`; two fraction digits where the third is zero, none on a full second.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, hour: &Hour, millis: u64) {
    push_date(out, hour, "");
    let second = millis / 1000;
    push_two(out, second / 60);
    push_two(out, second % 60);
    let fraction = millis % 1000;
    if fraction != 0 {
        out.push(b'.');
        push_two(out, fraction / 10);
        if !fraction.is_multiple_of(10) {
            out.push(b'0' + (fraction % 10) as u8);
        }
    }
}

/// TIMESTAMP_DERIVED: `2026-01-02T03:04:05.678Z`, the same instant.
pub(crate) fn push_iso(out: &mut Vec<u8>, hour: &Hour, millis: u64) {
    push_date(out, hour, "-");
    let second = millis / 1000;
    out.push(b':');
    push_two(out, second / 60);
    out.push(b':');
    push_two(out, second % 60);
    out.push(b'.');
    push_two(out, millis % 1000 / 10);
    out.extend_from_slice(&[b'0' + (millis % 10) as u8, b'Z']);
}

/// Year to hour, without separators or as `2026-01-02T03`.
fn push_date(out: &mut Vec<u8>, hour: &Hour, separator: &str) {
    let (year, month, day) = civil(hour.number / 24);
    push_two(out, year / 100);
    push_two(out, year % 100);
    out.extend_from_slice(separator.as_bytes());
    push_two(out, month);
    out.extend_from_slice(separator.as_bytes());
    push_two(out, day);
    if !separator.is_empty() {
        out.push(b'T');
    }
    push_two(out, hour.number % 24);
}

fn push_two(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

/// Year, month and day of a day since the epoch, in whole numbers because it runs twice for each row.
///
/// Counts from 0000-03-01, so that the leap day is the last of its year: 400 years have 146,097 days, and from March on
/// five months have 153.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (days / 146_097 * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A way to sign in: the columns that go together.
struct Way {
    uri: &'static str,
    login_type: &'static str,
    /// The client's own user agent; none for the user's browser.
    agent: Option<&'static str>,
    api_type: &'static str,
    api_version: &'static str,
    use_api_token: &'static str,
    referer: &'static str,
    login_url: &'static str,
    sub_type: &'static str,
    sso: bool,
}

const BROWSER: Way = Way {
    uri: "/index.jsp",
    login_type: "A",
    agent: None,
    api_type: "",
    api_version: "9998.0",
    use_api_token: "",
    referer: "https://acme.my.salesforce.com/?ec=302&startURL=%2Fvisualforce%2Fsession",
    login_url: "acme.my.salesforce.com",
    sub_type: "",
    sso: false,
};
const SAML: Way = Way {
    uri: "/saml/SamlSPInit.jsp",
    login_type: "8",
    referer: "https://sso.example.com/app/salesforce/exk1/sso/saml",
    sso: true,
    ..BROWSER
};
const OAUTH: Way = Way {
    uri: "/services/oauth2/token",
    login_type: "i",
    agent: Some("Jakarta Commons-HttpClient/3.1"),
    referer: "",
    login_url: "login.salesforce.com",
    sub_type: "OAUTH_JWT_BEARER",
    ..BROWSER
};
const SOAP: Way = Way {
    uri: "/services/Soap/u/62.0",
    login_type: "I",
    agent: Some("Java (Salesforce.com; \"Data Loader\")/62.0"),
    api_type: "P",
    api_version: "62.0",
    use_api_token: "T",
    referer: "",
    login_url: "login.salesforce.com",
    ..BROWSER
};
const MOBILE: Way = Way {
    uri: "/services/oauth2/authorize",
    login_type: "6",
    agent: Some("SalesforceMobileSDK/11.1.0 iOS/18.2 (iPhone) Salesforce/250.030 uid_5F3%3A11"),
    ..BROWSER
};
const WAYS: [Way; 8] = [BROWSER, BROWSER, SAML, SAML, OAUTH, OAUTH, SOAP, MOBILE];

const FAILURES: [&str; 7] = [
    "LOGIN_ERROR_INVALID_PASSWORD",
    "LOGIN_ERROR_INVALID_PASSWORD",
    "LOGIN_ERROR_INVALID_USERNAME",
    "LOGIN_ERROR_PASSWORD_LOCKOUT",
    "LOGIN_ERROR_RESTRICTED_DOMAIN",
    "LOGIN_ERROR_SSO_PWD_INVALID",
    "LOGIN_ERROR_EXPIRED_PASSWORD",
];
const CIPHERS: [(&str, &str); 4] = [
    ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
];
const COUNTRIES: [&str; 7] = ["US", "DE", "FR", "GB", "IN", "JP", ""];
const FIRST_NAMES: [&str; 12] = [
    "anna",
    "björn",
    "carlos",
    "dmitri",
    "elif",
    "françois",
    "grace",
    "hiroshi",
    "ines",
    "jürgen",
    "kofi",
    "łucja",
];
const LAST_NAMES: [&str; 10] =
    ["müller", "smith", "o'brien", "garcía", "tanaka", "weiß", "ivanova", "okafor", "singh", "de-vries"];

fn browsers() -> Vec<String> {
    let mut all = vec![
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv%3A140.0) Gecko/20100101 Firefox/140.0".to_owned(),
        "Mozilla/5.0 (X11; Linux x86_64; rv%3A141.0) Gecko/20100101 Firefox/141.0".to_owned(),
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile \
         Safari/537.36"
            .to_owned(),
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2 \
         Mobile/15E148 Safari/604.1"
            .to_owned(),
        "Mozilla/5.0 (compatible; \"Acme\" Kiosk 4.2; build \"7\")".to_owned(),
        "\"AcmePortal/1.0 (legacy, quoted)\"".to_owned(),
    ];
    for version in 136..144 {
        all.push(format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 \
             Safari/537.36"
        ));
        all.push(format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 \
             Safari/537.36 Edg/{version}.0.0.0"
        ));
    }
    all
}

/// Addresses from the ranges that documentation may use (RFC 5737, RFC 3849).
fn addresses() -> Vec<String> {
    let mut all: Vec<String> =
        (1..200).flat_map(|n| [format!("203.0.113.{n}"), format!("198.51.100.{n}")]).collect();
    all.extend((1..80).map(|n| format!("2001:db8:85a3::8a2e:370:{n:x}")));
    all.extend((0..20).map(|_| "Salesforce.com IP".to_owned()));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rows(seed: u64, count: u64) -> Vec<Vec<Vec<u8>>> {
        let maker = LoginRows::new(seed, "00D5j000000abcd", false);
        let hour = Hour { number: 491_000, rows: count };
        let mut row = Row::default();
        (0..count)
            .map(|index| {
                maker.fill(&hour, index, &mut row);
                (0..COLUMNS.len()).map(|column| row.value(column).to_vec()).collect()
            })
            .collect()
    }

    fn column(name: &str) -> usize {
        super::column(name).unwrap()
    }

    #[test]
    fn a_row_depends_on_its_seed_hour_and_index_alone() {
        assert_eq!(rows(1, 50), rows(1, 50));
        assert_ne!(rows(1, 50), rows(2, 50));
    }

    #[test]
    fn no_two_rows_are_equal() {
        let rows = rows(1, 100_000);
        let distinct: HashSet<&Vec<Vec<u8>>> = rows.iter().collect();
        assert_eq!(distinct.len(), rows.len());
    }

    #[test]
    fn civil_dates_agree_with_chrono() {
        for days in (0..60_000).step_by(13).chain([10_956, 11_015, 11_016, 47_540, 47_541]) {
            let date = DateTime::from_timestamp(days * 86_400, 0).unwrap();
            let (year, month, day) = civil(days as u64);
            assert_eq!(format!("{year:04}-{month:02}-{day:02}"), date.format("%Y-%m-%d").to_string());
        }
    }

    #[test]
    fn both_timestamps_are_the_same_instant_within_the_hour() {
        let mut lengths = HashSet::new();
        for row in rows(1, 20_000) {
            let text = String::from_utf8(row[column("TIMESTAMP")].clone()).unwrap();
            lengths.insert(text.len());
            let digits = text.replace('.', "");
            let padded = format!("{digits:0<17}");
            let iso = String::from_utf8(row[column("TIMESTAMP_DERIVED")].clone()).unwrap();
            assert_eq!(iso.replace(['-', 'T', ':', '.', 'Z'], ""), padded);
            let at = DateTime::parse_from_rfc3339(&iso).unwrap();
            assert_eq!(at.timestamp() / 3600, 491_000);
        }
        assert_eq!(lengths, HashSet::from([14, 17, 18]), "none, two and three fraction digits");
    }

    #[test]
    fn what_readers_stumble_over_is_in_the_rows() {
        let rows = rows(1, 20_000);
        let has = |name: &str, test: &dyn Fn(&str) -> bool| {
            rows.iter().any(|row| test(std::str::from_utf8(&row[column(name)]).unwrap()))
        };
        assert!(has("BROWSER_TYPE", &|v| v.contains("%3A")));
        assert!(has("BROWSER_TYPE", &|v| v.contains("\"Acme\"")));
        assert!(has("BROWSER_TYPE", &|v| v.starts_with('"') && v.ends_with('"')));
        assert!(has("FORWARDED_FOR_IP", &|v| v.contains('\n')));
        assert!(has("USER_NAME", &|v| !v.is_ascii()));
        assert!(has("CLIENT_IP", &|v| v == "Salesforce.com IP"));
        assert!(has("CLIENT_IP", &|v| v.contains(':')));
        assert!(has("REQUEST_ID", &str::is_empty));
        assert!(has("LOGIN_STATUS", &|v| v != "LOGIN_NO_ERROR"));
        let ids: Vec<&[u8]> = rows.iter().map(|row| row[column("REQUEST_ID")].as_slice()).collect();
        assert!(ids.windows(2).any(|pair| pair[0] == pair[1] && !pair[0].is_empty()), "some are shared");
    }
}
