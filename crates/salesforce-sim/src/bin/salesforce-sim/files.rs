//! The files that flags name: the key, the plan of faults, the oddities.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use salesforce_sim::{Oddities, PlannedFault, PrivateKey, event_types, generate_key};

use super::arguments::Arguments;

/// Reads the key, if there is one, the plan of faults and the oddities, and checks the event types.
///
/// # Errors
/// Every mistake in all of them.
pub(crate) fn read_files(arguments: &Arguments) -> Result<(Option<PrivateKey>, Oddities), Vec<String>> {
    let known = event_types();
    let unknown: Vec<&str> = arguments
        .event_types
        .iter()
        .map(String::as_str)
        .filter(|name| arguments.event_types != ["all"] && !known.contains(name))
        .collect();
    let mut mistakes = Vec::new();
    if !unknown.is_empty() {
        let (unknown, known) = (unknown.join(", "), known.join(", "));
        mistakes
            .push(format!("invalid value for '--event-types': no event type {unknown}; there are {known}"));
    }
    let plan = read(arguments.faults.as_deref(), "--faults", |text| {
        PlannedFault::plan(text).map_err(|mistakes| mistakes.to_string())
    });
    let oddities = read(arguments.oddities.as_deref(), "--oddities", |text| {
        serde_json::from_str::<Oddities>(text).map_err(|error| error.to_string())
    });
    match (read_key(&arguments.key_file), plan, oddities) {
        (Ok(key), Ok(faults), Ok(oddities)) if mistakes.is_empty() => {
            Ok((key, Oddities { faults, ..oddities }))
        }
        (key, plan, oddities) => {
            mistakes.extend(plan.err());
            mistakes.extend(oddities.err());
            mistakes.extend(key.err());
            Err(mistakes)
        }
    }
}

/// Reads the file that a flag names, if it does.
fn read<T: Default>(
    path: Option<&Path>,
    flag: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let Some(path) = path else { return Ok(T::default()) };
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    text.and_then(|text| parse(&text))
        .map_err(|problem| format!("invalid value '{}' for '{flag}': {problem}", path.display()))
}

fn key_problem(path: &Path, problem: impl std::fmt::Display) -> String {
    format!("invalid value '{}' for '--key-file': {problem}", path.display())
}

/// Reads the key; none if there is no file.
fn read_key(path: &Path) -> Result<Option<PrivateKey>, String> {
    match fs::read_to_string(path) {
        Ok(pem) => PrivateKey::from_pem(&pem).map(Some).map_err(|problem| key_problem(path, problem)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(key_problem(path, error)),
    }
}

/// Makes a key that only its owner can read.
pub(crate) fn make_key(path: &Path) -> Result<PrivateKey, String> {
    let key = generate_key().map_err(|problem| key_problem(path, problem))?;
    let pem = key.pkcs8_pem().map_err(|problem| key_problem(path, problem))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(pem.as_bytes())).map_err(|problem| key_problem(path, problem))?;
    Ok(key)
}
