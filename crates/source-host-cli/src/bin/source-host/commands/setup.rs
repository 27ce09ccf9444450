//! From a configuration file to a configured source, with every mistake on the way reported at once.

use std::path::Path;

use source_host::{Admission, Error, HttpTransport, Options, Plugin, Problem, Runtime};
use source_host_cli::config::{Config, Mistakes, lines_to_allow};
use source_host_cli::{Configured, Secret};

use super::exit::Exit;

fn runtime(cache: Option<&Path>) -> Result<Runtime, Exit> {
    let Some(folder) = cache else { return Ok(Runtime::new()?) };
    // The cache wants an absolute path.
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .map_err(|e| Exit::mistake(format!("the cache folder {} cannot be used: {e}", folder.display())))
        .and_then(|folder| Ok(Runtime::with_cache(&folder)?))
}

/// Reads and compiles a component.
pub(crate) async fn load(cache: Option<&Path>, component: &Path) -> Result<Plugin, Exit> {
    Ok(runtime(cache)?.load(component, &Admission::default()).await?)
}

/// Reads the configuration, loads the component and configures it.
pub(crate) async fn source(path: &Path, cache: Option<&Path>) -> Result<(Config, Configured), Exit> {
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(mistakes) => return Err(everything_wrong(path, mistakes, cache).await),
    };
    let plugin = load(cache, &config.component).await?;
    let transport =
        config.ca_file.iter().fold(HttpTransport::builder(), |builder, file| builder.extra_ca_file(file));
    let transport = transport.build()?;
    let options =
        Options::new().limits(config.limits.clone()).egress(config.egress.clone()).transport(transport);
    let (mut source, grants) = match Configured::open(&plugin, options, config.source.clone()).await {
        Ok(opened) => opened,
        Err(Error::Configuration(problems)) => {
            return Err(listed(path, &problems.iter().map(in_source).collect::<Vec<_>>()));
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
    Ok((config, source))
}

/// The host's own findings, and the component's about `[source]` where it can be asked.
async fn everything_wrong(path: &Path, mistakes: Mistakes, cache: Option<&Path>) -> Exit {
    let mut lines: Vec<String> = mistakes.found.iter().map(ToString::to_string).collect();
    if let Some(component) = mistakes.component {
        match load(cache, &component).await {
            Err(exit) => lines.push(exit.message),
            Ok(plugin) => {
                if let Some(source) = mistakes.source {
                    lines.extend(opinion(&plugin, &source).await);
                }
            }
        }
    }
    listed(path, &lines)
}

async fn opinion(plugin: &Plugin, source: &Secret) -> Vec<String> {
    let Ok(mut opened) = plugin.open(Options::default()).await else { return Vec::new() };
    match opened.configure(source.expose()).await {
        Err(Error::Configuration(problems)) => problems.iter().map(in_source).collect(),
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

fn listed(path: &Path, lines: &[String]) -> Exit {
    let mistakes =
        if lines.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", lines.len()) };
    Exit::mistake(format!("{} has {mistakes}:\n  - {}", path.display(), lines.join("\n  - ")))
}
