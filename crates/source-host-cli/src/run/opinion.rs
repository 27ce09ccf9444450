//! What is wrong with a configuration, in one list: what the host finds, and what the component says of `[source]`.

use std::path::PathBuf;

use source_host::{Error, Options, Plugin, Problem};
use toml::Table;

use crate::config::{Config, Mistakes};

/// The component that can be asked for its opinion though the rest has mistakes. One that has to have a digest or a signature
/// is not asked, as nobody has looked whether it has.
pub fn whom_to_ask(text: &str, mistakes: &Mistakes) -> Option<PathBuf> {
    let table: Table = text.parse().ok()?;
    let admission = table.get("admission");
    let is_bound = ["digest", "signed_by"].iter().any(|key| admission.and_then(|it| it.get(*key)).is_some());
    mistakes.component.clone().filter(|_| !is_bound)
}

/// The host's own findings, and the component's about `[source]` where it can be asked, each with its line.
pub async fn everything_wrong(
    text: &str,
    mistakes: Mistakes,
    plugin: Option<Result<Plugin, String>>,
    options: Options,
) -> Vec<String> {
    let mut lines: Vec<String> = mistakes.found.iter().map(ToString::to_string).collect();
    match (plugin, mistakes.source) {
        (Some(Err(why)), _) => lines.push(why),
        (Some(Ok(plugin)), Some(source)) => {
            if let Ok(mut opened) = plugin.open(options).await
                && let Err(Error::Configuration(problems)) = opened.configure(source.expose()).await
            {
                lines.extend(problems.iter().map(|problem| in_source(text, problem)));
            }
        }
        _ => {}
    }
    lines
}

/// The component's problem, with its line and the path as it stands in the file.
pub fn in_source(text: &str, problem: &Problem) -> String {
    let path = match problem.path.as_deref() {
        None | Some("") => "source".to_owned(),
        Some(path) => format!("source.{path}"),
    };
    let line = Config::line_of(text, &path).map_or(String::new(), |line| format!("line {line}: "));
    let mut problem = problem.clone();
    problem.path = Some(path);
    format!("{line}{problem}")
}
