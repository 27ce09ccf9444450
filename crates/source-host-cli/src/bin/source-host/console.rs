//! Standard error: log lines, and on a terminal a progress bar that stays below them.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use source_host::{bytes, grouped};
use source_host_cli::Progress;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::arguments::{LogArgs, LogFormat};

/// At the level `trace` other crates show what goes through them: calls of a source with their arguments, parts of requests. It may
/// hold tokens, and no wish of the environment shows it.
fn is_harmless(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || metadata.target().starts_with("source_host")
}

/// Standard error, shared by log and progress bar.
#[derive(Clone)]
pub(crate) struct Console {
    bar: ProgressBar,
}

impl Console {
    /// Starts logging; with a progress bar if one is wanted and there is a terminal to show it on.
    pub(crate) fn start(args: &LogArgs, progress: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let shown = progress && terminal && !args.quiet && args.format == LogFormat::Text;
        let bar = if shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let console = Self { bar };
        // The bar shows what the lines about each batch would say.
        let batches = if shown && args.verbose == 0 {
            "source_host_cli::progress=warn"
        } else {
            "source_host_cli=info"
        };
        let filter = match (args.quiet, args.verbose) {
            (true, _) => "warn".to_owned(),
            (false, 0) => format!("warn,source_host=info,source_host_cli=info,fleet=info,{batches}"),
            (false, 1) => "info,source_host=debug,source_host_cli=debug,fleet=debug".to_owned(),
            (false, _) => "debug,source_host=trace,source_host_cli=trace".to_owned(),
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
        let log = tracing_subscriber::fmt::layer().with_writer(console.clone());
        let log = match args.format {
            LogFormat::Json => log.json().flatten_event(true).boxed(),
            LogFormat::Text => log.with_target(false).with_ansi(terminal).boxed(),
        };
        let log = log.with_filter(filter.and(filter_fn(is_harmless)));
        tracing_subscriber::registry().with(log).init();
        console
    }

    /// Shows where a run stands.
    pub(crate) fn show(&self, progress: Progress<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        let report = progress.report;
        let left = progress.backlog_bytes;
        self.bar.set_length(report.bytes_read.saturating_add(left));
        self.bar.set_position(report.bytes_read);
        let template = if left > 0 {
            "{spinner} {elapsed} [{bar:30}] {percent}% {msg}"
        } else {
            "{spinner} {elapsed} {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        let rate = grouped((report.events as f64 / seconds) as u64);
        let mut message = format!("{} events ({rate}/s)", grouped(report.events));
        if progress.backlog_files > 0 {
            message.push_str(&format!(
                ", {} files and {} left",
                grouped(progress.backlog_files.into()),
                bytes(left)
            ));
        }
        if let Some(wait) = progress.wait {
            message.push_str(&format!(", next poll in {:.0?}", Duration::from_secs(wait.as_secs().max(1))));
        }
        self.bar.set_message(message);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Takes the progress bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Write for Console {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
