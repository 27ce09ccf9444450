//! From a configuration file to a configured source, with every mistake on the way reported at once.

use std::path::Path;

use source_host::{Admission, Compiler, Error, Options, Plugin, Problem, Runtime};
use source_host_cli::config::{Config, Mistakes, lines_to_allow};
use source_host_cli::{Configured, Secret};
use state_store::Owner;

use super::exit::Exit;
use crate::arguments::COMPILE;

pub(crate) fn runtime(cache: Option<&Path>) -> Result<Runtime, Exit> {
    let runtime = cache.map_or_else(Runtime::new, Runtime::with_cache)?;
    Ok(runtime.compiled_by(Compiler::this_program([COMPILE])))
}

/// Reads and compiles a component.
pub(crate) async fn load(cache: Option<&Path>, component: &Path) -> Result<Plugin, Exit> {
    Ok(runtime(cache)?.load(component, &Admission::default()).await?)
}

/// All that one source needs.
pub(crate) struct Opened {
    pub(crate) config: Config,
    pub(crate) source: Configured,
    /// Whose state it is: that of this component, in this file.
    pub(crate) owner: Owner,
}

/// Reads the configuration, loads the component and configures it.
pub(crate) async fn source(path: &Path, cache: Option<&Path>) -> Result<Opened, Exit> {
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(mistakes) => return Err(everything_wrong(path, mistakes, cache).await),
    };
    let plugin = runtime(cache)?.load(&config.component, &config.admission).await?;
    let transport = config.transport.build()?;
    let options =
        Options::new().limits(config.limits.clone()).egress(config.egress.clone()).transport(transport);
    let (mut source, grants) = match Configured::open(&plugin, options, config.source.clone()).await {
        Ok(opened) => opened,
        Err(Error::Configuration(problems)) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let found = problems.iter().map(|problem| with_line(&text, problem)).collect::<Vec<_>>();
            return Err(listed(path, &found));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &grants.warnings {
        tracing::warn!("{}", in_source(warning));
    }
    let denied = source.source().denied();
    if !denied.is_empty() {
        let lines = lines_to_allow(&config.allow, denied).replace('\n', "\n    ");
        return Err(Exit::mistake(format!(
            "{} does not allow what the source has to contact: {}. If it may, write:\n\n    {lines}\n",
            path.display(),
            denied.join(", "),
        )));
    }
    let described = source.source().describe().await?;
    // One configuration is one tenant; its name is that of the file.
    let tenant = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let owner =
        Owner::new(tenant, described.name, described.version).with_digest(plugin.digest().to_string());
    Ok(Opened { config, source, owner })
}

/// The host's own findings, and the component's about `[source]` where it can be asked.
async fn everything_wrong(path: &Path, mistakes: Mistakes, cache: Option<&Path>) -> Exit {
    let mut lines: Vec<String> = mistakes.found.iter().map(ToString::to_string).collect();
    if let Some(component) = mistakes.component {
        match load(cache, &component).await {
            Err(exit) => lines.push(exit.message),
            Ok(plugin) => {
                if let Some(source) = mistakes.source {
                    let text = std::fs::read_to_string(path).unwrap_or_default();
                    lines.extend(
                        opinion(&plugin, &source).await.iter().map(|problem| with_line(&text, problem)),
                    );
                }
            }
        }
    }
    listed(path, &lines)
}

async fn opinion(plugin: &Plugin, source: &Secret) -> Vec<Problem> {
    let Ok(mut opened) = plugin.open(Options::new()).await else { return Vec::new() };
    match opened.configure(source.expose()).await {
        Err(Error::Configuration(problems)) => problems,
        _ => Vec::new(),
    }
}

/// The component's problem, with the path as it stands in the file.
fn in_source(problem: &Problem) -> String {
    let path = match problem.path.as_deref() {
        None | Some("") => "source".to_owned(),
        Some(path) => format!("source.{path}"),
    };
    Problem { path: Some(path), ..problem.clone() }.to_string()
}

/// The same with the line it stands in.
fn with_line(text: &str, problem: &Problem) -> String {
    let path = format!("source.{}", problem.path.as_deref().unwrap_or_default());
    let words = in_source(problem);
    Config::line_of(text, &path).map_or(words.clone(), |line| format!("line {line}: {words}"))
}

fn listed(path: &Path, lines: &[String]) -> Exit {
    let mistakes =
        if lines.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
    Exit::mistake(format!("{} has {mistakes}:\n  - {}", path.display(), lines.join("\n  - ")))
}
