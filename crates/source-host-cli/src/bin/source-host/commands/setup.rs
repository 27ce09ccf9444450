//! From a configuration file to a configured source, with every mistake on the way reported at once.

use std::path::Path;
use std::sync::Arc;

use source_host::{Admission, Compiler, Error, Observer, Options, Plugin, Runtime};
use source_host_cli::config::{Config, Mistakes, lines_to_allow};
use source_host_cli::{Configured, everything_wrong, in_source, whom_to_ask};
use state_store::Owner;

use super::exit::Exit;
use super::pull;
use crate::arguments::COMPILE;

pub(crate) fn runtime(cache: Option<&Path>) -> Result<Runtime, Exit> {
    let runtime = cache.map_or_else(Runtime::new, Runtime::with_cache)?;
    Ok(runtime.compiled_by(Compiler::this_program([COMPILE])))
}

/// Reads and compiles a component that is asked what it is, and nothing else.
pub(crate) async fn load(cache: Option<&Path>, component: &Path) -> Result<Plugin, Exit> {
    let mut admission = Admission::default();
    admission.wasi_0_3 = true;
    Ok(runtime(cache)?.load(component, &admission).await?)
}

/// All that one source needs.
pub(crate) struct Opened {
    pub(crate) config: Config,
    pub(crate) source: Configured,
    /// Whose state it is: that of this component, in this file.
    pub(crate) owner: Owner,
}

/// What the state, the metrics and the trail call a configuration: the name of its file.
pub(crate) fn tenant(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Reads the configuration, loads the component and configures it.
pub(crate) async fn source(path: &Path, cache: Option<&Path>) -> Result<Opened, Exit> {
    observed(path, cache, |_| None).await
}

/// The same with somebody who is told what happens.
pub(crate) async fn observed(
    path: &Path,
    cache: Option<&Path>,
    observer: impl FnOnce(&Plugin) -> Option<Arc<dyn Observer>>,
) -> Result<Opened, Exit> {
    let config = match pull::read(path).await? {
        Ok(config) => config,
        Err(mistakes) => return Err(all_mistakes(path, mistakes, cache).await),
    };
    let plugin = runtime(cache)?.load(&config.component, &config.admission).await?;
    let transport = config.transport.build()?;
    let mut options =
        Options::new().limits(config.limits.clone()).egress(config.egress.clone()).transport(transport);
    if let Some(observer) = observer(&plugin) {
        options = options.observer(observer);
    }
    let (mut source, grants) = match Configured::open(&plugin, options, config.source.clone()).await {
        Ok(opened) => opened,
        Err(Error::Configuration(problems)) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let found = problems.iter().map(|problem| in_source(&text, problem)).collect::<Vec<_>>();
            return Err(Exit::mistakes(path, &found));
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &grants.warnings {
        tracing::warn!("{}", in_source("", warning));
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
    let owner =
        Owner::new(tenant(path), described.name, described.version).with_digest(plugin.digest().to_string());
    Ok(Opened { config, source, owner })
}

/// The host's own findings, and the component's about `[source]` where it can be asked.
async fn all_mistakes(path: &Path, mistakes: Mistakes, cache: Option<&Path>) -> Exit {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let plugin = match whom_to_ask(&text, &mistakes) {
        None => None,
        Some(component) => Some(load(cache, &component).await.map_err(|exit| exit.message)),
    };
    Exit::mistakes(path, &everything_wrong(&text, mistakes, plugin, Options::new()).await)
}
