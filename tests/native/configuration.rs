//! Data-driven: `cases/configuration/<name>.json` is a configuration, `<name>.txt` what `configure` says of it, one
//! problem or warning a line. `@KEY@` stands for a private key. `UPDATE_CASES=1` writes the expectations anew.

use collector::Collector;
use std::{env, fs, path::Path};

#[test]
fn each_configuration_gets_the_expected_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/configuration");
    let key = include_str!("../../crates/collector/tests/keys/pkcs8.pem").replace('\n', "\\n");
    let mut names: Vec<_> =
        fs::read_dir(&folder).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    assert!(!names.is_empty());
    let mut wrong = Vec::new();
    for case in names {
        let config = fs::read_to_string(&case).expect("a file").replace("@KEY@", &key);
        let said = match Collector::new().configure(&config) {
            Ok(grants) => {
                let warnings = grants.warnings.iter().map(|warning| format!("warning: {warning}\n"));
                format!("grants: {}\n{}", grants.authorities.join(", "), warnings.collect::<String>())
            }
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        };
        assert!(!said.contains(&key[60..100]) && !said.contains("c4n4ry"), "a secret is shown: {said}");
        let path = case.with_extension("txt");
        if env::var_os("UPDATE_CASES").is_some() {
            fs::write(path, said).expect("write");
        } else if fs::read_to_string(&path).unwrap_or_default() != said {
            wrong.push(format!("{}: got\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
