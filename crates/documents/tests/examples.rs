//! The examples, as a user runs them.

use std::{env, fs, process::Command};

#[test]
fn a_file_on_disk_becomes_documents_of_its_type_one_on_a_line() {
    let mut example = env::current_exe().expect("this program");
    // From deps to examples.
    example.pop();
    example.pop();
    let example = example.join("examples/csv_to_ndjson");
    let folder = env::temp_dir().join(format!("documents-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("report.csv");
    let rows = "\"EVENT_TYPE\",\"TIMESTAMP_DERIVED\",\"REPORT_ID\"\n\"Report\",\"2026-06-01T10:15:30.123Z\",\"00O5j000004XYz9\"\nx\n";
    fs::write(&file, rows).expect("a file");
    let output = Command::new(&example)
        .arg("Report")
        .arg(&file)
        .output()
        .expect("the example is built with the tests");
    fs::remove_dir_all(&folder).expect("removed");
    let lines: Vec<&str> = str::from_utf8(&output.stdout).expect("text").lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(
        lines[0].contains(r#""dataset":"salesforce.report""#)
            && lines[0].contains(r#""report_id":"00O5j000004XYz9""#),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains(r#""kind":"pipeline_error""#), "{}", lines[1]);
}
