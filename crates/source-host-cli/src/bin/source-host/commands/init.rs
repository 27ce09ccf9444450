//! `source-host init`: a first configuration, made from what the component says about itself.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use source_host::printable;

use super::exit::Exit;
use super::schema;
use super::starter::{Question, Starter};
use crate::arguments::InitArgs;

pub(crate) async fn run(args: InitArgs, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    // Before anybody answers questions.
    if args.output.exists() {
        return Err(there(&args.output));
    }
    let mut schema = schema::of(&args.component, cache).await?;
    for_a_start(&mut schema);
    let mut starter = Starter::new(&schema);
    let component = from_folder_of(&args.output, &args.component)?;
    starter.set(&format!("component={}", component.display())).map_err(Exit::mistake)?;
    for assignment in &args.set {
        starter.set(assignment).map_err(|problem| Exit::mistake(format!("--set {problem}")))?;
    }
    let interactive = io::stdin().is_terminal();
    starter.ask(&mut |question| interactive.then(|| prompt(question)).flatten());

    let (name, output) = (args.component.display(), args.output.display());
    let head = format!(
        "# Made by source-host init. What begins with # is a comment: the defaults, for a start.\n\
         # Editors complete and check this file once its first line is: #:schema source-host.schema.json\n\
         # after: source-host schema {name} > source-host.schema.json\n\n"
    );
    create(&args.output, &(head + &starter.write().map_err(Exit::failure)?))?;
    say!("{output} is written.")?;
    for path in &starter.missing {
        say!("Still to fill in: {path}")?;
    }
    say!("Then try: source-host check {output}")?;
    Ok(ExitCode::SUCCESS)
}

/// What a first configuration is made of: one source with its own state, and the two outputs that need nothing else.
fn for_a_start(schema: &mut Value) {
    const OUTPUT: [&str; 5] = ["kind", "path", "rotate_size", "rotate_after", "keep"];
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push(json!("state"));
    }
    if let Some(output) = schema.pointer_mut("/properties/output/properties").and_then(Value::as_object_mut) {
        output.retain(|key, _| OUTPUT.contains(&key.as_str()));
    }
}

/// The component's path as it has to stand in the file.
fn from_folder_of(output: &Path, component: &Path) -> Result<PathBuf, Exit> {
    match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => component
            .canonicalize()
            .map_err(|e| Exit::mistake(format!("cannot find the component {}: {e}", component.display()))),
        _ => Ok(component.to_owned()),
    }
}

fn there(path: &Path) -> Exit {
    Exit::mistake(format!(
        "{} is there already, and is left as it is; choose another with --output",
        path.display()
    ))
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> Result<(), Exit> {
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there(path),
        _ => Exit::mistake(format!("cannot write {}: {error}", path.display())),
    })
}

/// Asks a person. Nothing is no answer.
fn prompt(question: &Question<'_>) -> Option<String> {
    let Question { path, about, choices, default, secret } = question;
    eprintln!("\n{}\n  {}", printable((*path).to_owned()), printable((*about).to_owned()));
    if !choices.is_empty() {
        eprintln!("  One of: {}", printable(choices.join(", ")));
    }
    if *secret {
        eprintln!("  A secret: say where it lies, as file:PATH or env:NAME.");
    }
    loop {
        match default {
            Some(default) => eprint!("[{}] > ", printable((*default).to_owned())),
            None => eprint!("> "),
        }
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        let lies_elsewhere = || ["file:", "env:"].iter().any(|start| line.starts_with(start));
        match line {
            "" => return None,
            word if !choices.is_empty() && !choices.iter().any(|choice| choice == word) => {
                eprintln!("  One of them, please.");
            }
            _ if *secret && !lies_elsewhere() => eprintln!("  Not the secret itself: file:PATH or env:NAME."),
            _ => return Some(line.to_owned()),
        }
    }
}
