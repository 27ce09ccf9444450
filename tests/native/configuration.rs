//! Data-driven: `cases/configuration/<name>.json` is a configuration, `<name>.txt` what `configure` says of it, one
//! problem or warning a line. `@KEY@` stands for a private key, and `@KEY …@` for what may become of one on its way.
//! `UPDATE_CASES=1` writes the expectations anew.

use collector::Collector;
use std::{env, fs, path::Path};

#[test]
fn each_configuration_gets_the_expected_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/configuration");
    let pem = include_str!("../../crates/collector/tests/keys/pkcs8.pem");
    let key = pem.replace('\n', "\\n");
    let in_parts = pem.replace('\n', " ");
    let keys = [
        ("@KEY@", key.clone()),
        ("@KEY WITHOUT LINE BREAKS@", pem.replace('\n', "")),
        ("@KEY WITH SPACES@", in_parts.clone()),
        ("@KEY DAMAGED@", in_parts.replacen("KEY-----", "KEY", 1)),
    ];
    let mut names: Vec<_> =
        fs::read_dir(&folder).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    names.sort();
    assert!(!names.is_empty());
    let mut wrong = Vec::new();
    for case in names {
        let mut config = fs::read_to_string(&case).expect("a file");
        keys.iter().for_each(|(name, key)| config = config.replace(name, key));
        let said = match Collector::new().configure(&config) {
            Ok(grants) => {
                let warnings = grants.warnings.iter().map(|warning| format!("warning: {warning}\n"));
                format!("grants: {}\n{}", grants.authorities.join(", "), warnings.collect::<String>())
            }
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        };
        let shown = pem.lines().skip(1).any(|line| line.len() > 8 && said.contains(&line[..8]));
        assert!(!shown && !said.contains("c4n4ry"), "a secret is shown: {said}");
        let path = case.with_extension("txt");
        if env::var_os("UPDATE_CASES").is_some() {
            fs::write(path, said).expect("write");
        } else if fs::read_to_string(&path).unwrap_or_default() != said {
            wrong.push(format!("{}: got\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
