//! `source-host check`: the component's own check of everything a poll needs.

use std::path::Path;
use std::process::ExitCode;

use source_host::Verdict;

use super::exit::Exit;
use super::setup;

pub(crate) async fn run(config: &Path, json: bool, cache: Option<&Path>) -> Result<ExitCode, Exit> {
    let (_, mut source) = setup::source(config, cache).await?;
    let findings = source.source().check().await?;
    if json {
        say!("{}", serde_json::to_string_pretty(&findings).map_err(Exit::failure)?)?;
    } else {
        let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
        for finding in &findings {
            let verdict = match finding.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            say!("{verdict}  {:width$}  {}", finding.name, finding.message)?;
            if let Some(hint) = &finding.hint {
                say!("      {:width$}  -> {hint}", "")?;
            }
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
